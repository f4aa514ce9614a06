//! The client's end: reaching a coordinator, and saying why not.

use std::time::Duration;

use capnp_rpc::rpc_twoparty_capnp::Side;
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::seeker_capnp::coordinator;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::call::call;
use crate::connection::{self, Connection};
use crate::identity::Identity;
use crate::line::{Line, Wire};
use crate::{Error, Fault, FaultCode, Policy, Rejection, tls};

/// A coordinator that has let us in. Dropping it ends the connection.
pub struct Link {
    pub coordinator: coordinator::Client,
    pub connection: Connection,
    pub server_version: String,
    pub policy: Policy,
}

/// Connects to `address` (`HOST:PORT`) as `identity`. Call it inside a `LocalSet`. The link keeps
/// itself alive with pings, and is cut when the coordinator is gone.
///
/// *Errors*: [`Error::Unreachable`] if nobody answers there, [`Error::Untrusted`] if it is not our
/// network's coordinator, [`Error::Rejected`] if it does not want us, [`Error::Timeout`].
pub async fn dial(address: &str, identity: &Identity, policy: Policy) -> Result<Link, Error> {
    let unreachable = |reason: String| Error::Unreachable {
        address: address.to_owned(),
        reason,
    };
    let connecting = TcpStream::connect(address);
    let stream = match timeout(policy.handshake, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable(format!("no answer for {:?}", policy.handshake))),
    };
    connection::prepare(&stream, &policy)?;

    let line = Line::new();
    let connector = TlsConnector::from(tls::client_config(identity)?);
    let handshake = connector.connect(tls::server_name(), Wire::new(stream, line.clone()));
    let stream = match timeout(policy.handshake, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(
                match (
                    tls::their_rejection(&error, identity),
                    tls::our_rejection(&error),
                ) {
                    (Some(why), _) => rejected(address, why),
                    (None, Some(why)) => Error::Untrusted {
                        address: address.to_owned(),
                        why,
                    },
                    (None, None) => unreachable(format!("it ended the TLS handshake: {error}")),
                },
            );
        }
        Err(_) => {
            let limit = policy.handshake;
            return Err(unreachable(format!("no TLS handshake for {limit:?}")));
        }
    };
    if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN) {
        return Err(rejected(
            address,
            version("it names no protocol".to_owned()),
        ));
    }

    connection::give_up_after(stream.get_ref().0.stream(), policy.heartbeat.silence)?;
    let (connection, mut system) = Connection::start(stream, line, Side::Client, None, policy);
    let coordinator: coordinator::Client = system.bootstrap(Side::Server);
    connection.drive(system);

    // In TLS 1.3 the client is done before the server has looked at its certificate: a refusal
    // comes with the first read.
    let first = call(
        "greeting the coordinator",
        policy.handshake,
        coordinator.ping_request().send().promise,
    );
    let server_version = match first.await.and_then(|answer| greeting(&answer)) {
        Ok(version) => version,
        Err(error) => {
            connection.cutter().cut("refused");
            let line = connection.line();
            let refusal = line.with_fault(|fault| tls::their_rejection(fault, identity));
            return Err(match refusal {
                Some(why) => rejected(address, why),
                None => error,
            });
        }
    };

    let pinged = coordinator.clone();
    connection
        .cutter()
        .beat(policy.heartbeat.every, policy.call, move || {
            let ping = pinged.ping_request().send().promise;
            Some(async move { ping.await.map(drop) })
        });
    Ok(Link {
        coordinator,
        connection,
        server_version,
        policy,
    })
}

impl Drop for Link {
    fn drop(&mut self) {
        // Otherwise its heartbeat would keep it alive for nobody.
        self.connection.cutter().cut("dropped");
    }
}

impl Link {
    /// How long a call over this link may take.
    pub fn patience(&self) -> Duration {
        self.policy.call
    }
}

fn rejected(address: &str, why: Rejection) -> Error {
    Error::Rejected {
        address: address.to_owned(),
        why,
    }
}

fn version(theirs: String) -> Rejection {
    Rejection::Version {
        ours: String::from_utf8_lossy(tls::ALPN).into_owned(),
        theirs,
    }
}

/// The coordinator's version, if we understand each other.
fn greeting(
    answer: &capnp::capability::Response<coordinator::ping_results::Owned>,
) -> Result<String, Error> {
    let malformed = |error: capnp::Error| crate::call::failed("the greeting", &error);
    let answer = answer.get().map_err(malformed)?;
    let theirs = answer.get_protocol_version();
    let server = answer.get_server_version().map_err(malformed)?;
    let server = froben_model::limits::one_line(&String::from_utf8_lossy(server.as_bytes()));
    match theirs == PROTOCOL_VERSION {
        true => Ok(server),
        false => Err(Error::Fault(Fault::new(
            FaultCode::Version,
            format!(
                "the coordinator ({server}) speaks protocol {theirs}, this program {PROTOCOL_VERSION}; use the same version on both sides"
            ),
        ))),
    }
}
