//! The server's end: who comes in.

use std::net::SocketAddr;
use std::time::Duration;

use capnp::capability::Client;
use capnp_rpc::rpc_twoparty_capnp::Side;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::{self, Connection, Cutter};
use crate::identity::{Identity, Role, Subject};
use crate::line::{Line, Wire};
use crate::{Error, Policy, Rejection, tls};

/// How long, and for how many bytes, a refused peer may go on before its socket closes. Closing with
/// bytes unread resets the connection, and the peer would read "reset" instead of our reason.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 << 10;

/// Turns TCP streams into verified peers.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
}

/// A peer whose certificate has been verified.
pub struct Incoming {
    pub subject: Subject,
    pub address: SocketAddr,
    stream: TlsStream<Wire>,
    line: std::rc::Rc<Line>,
}

impl Acceptor {
    /// *Errors*: an identity that is not a coordinator's, which no client would talk to.
    pub fn new(identity: &Identity) -> Result<Acceptor, Error> {
        if identity.subject.role != Role::Coordinator {
            return Err(Error::Malformed {
                path: identity.dir.display().to_string(),
                what: "coordinator's certificate",
                reason: format!("it is that of {}", identity.subject),
            });
        }
        Ok(Acceptor {
            tls: TlsAcceptor::from(tls::server_config(identity)?),
        })
    }

    /// Shakes hands. Takes at most `policy.handshake`, whatever the peer does.
    pub async fn accept(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        policy: &Policy,
    ) -> Result<Incoming, Error> {
        connection::prepare(&stream, policy)?;
        let line = Line::new();
        let handshake = self.tls.accept(Wire::new(stream, line.clone()));
        let refuse = |why| Error::Peer {
            peer: address.to_string(),
            why,
        };
        let stream = match timeout(policy.handshake, handshake.into_fallible()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((error, wire))) => {
                linger(wire.into_inner()).await;
                let why = tls::our_rejection(&error);
                return Err(match why {
                    Some(why) => refuse(why),
                    None => Error::Lost {
                        reason: format!("{address} went away while shaking hands: {error}"),
                    },
                });
            }
            Err(_) => {
                return Err(Error::Timeout {
                    what: "shaking hands",
                    limit_ms: u64::try_from(policy.handshake.as_millis()).unwrap_or(u64::MAX),
                });
            }
        };
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(tls::ALPN) {
            return Err(refuse(Rejection::Version {
                ours: String::from_utf8_lossy(tls::ALPN).into_owned(),
                theirs: "it names no protocol".to_owned(),
            }));
        }
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let Some(subject) = leaf.and_then(Subject::of) else {
            return Err(refuse(Rejection::NoIdentity));
        };
        Ok(Incoming {
            subject,
            address,
            stream,
            line,
        })
    }
}

impl Incoming {
    /// Serves the object that `bootstrap` makes, until the connection ends. Call it inside a
    /// `LocalSet`.
    pub fn serve(self, policy: Policy, bootstrap: impl FnOnce(&Cutter) -> Client) -> Connection {
        let Incoming { stream, line, .. } = self;
        let cutter = Cutter::of(line.clone());
        let bootstrap = bootstrap(&cutter);
        let (connection, system) =
            Connection::start(stream, line, Side::Server, Some(bootstrap), policy);
        connection.drive(system);
        connection
    }
}

async fn linger(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let drain = async {
        stream.shutdown().await?;
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<(), std::io::Error>(())
    };
    let _ = timeout(LINGER, drain).await;
}
