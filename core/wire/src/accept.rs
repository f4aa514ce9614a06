//! The server's end: who comes in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use capnp::capability::Client;
use capnp_rpc::rpc_twoparty_capnp::Side;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::{self, Connection, Cutter};
use crate::identity::{Identity, Role, Subject};
use crate::line::{Line, Wire};
use crate::{Error, Policy, Rejection, RevocationList, Serial, tls};

/// How long, and for how many bytes, a refused peer may go on before its socket closes. Closing with
/// bytes unread resets the connection, and the peer would read "reset" instead of our reason.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 << 10;

/// Turns TCP streams into verified peers. Clones are one and the same.
#[derive(Clone)]
pub struct Acceptor {
    identity: Arc<Identity>,
    terms: Arc<watch::Sender<Terms>>,
}

/// On which terms peers are let in, and stay.
#[derive(Clone)]
struct Terms {
    tls: TlsAcceptor,
    revoked: Option<Arc<RevocationList>>,
}

impl Terms {
    fn new(identity: &Identity, revoked: Option<RevocationList>) -> Result<Terms, Error> {
        Ok(Terms {
            tls: TlsAcceptor::from(tls::server_config(identity, revoked.as_ref())?),
            revoked: revoked.map(Arc::new),
        })
    }

    fn refuse(&self, serial: &Serial) -> bool {
        let revoked = self.revoked.as_ref();
        revoked.is_some_and(|list| list.holds(serial))
    }
}

/// A peer whose certificate has been verified.
pub struct Incoming {
    pub subject: Subject,
    pub address: SocketAddr,
    serial: Serial,
    terms: watch::Receiver<Terms>,
    stream: TlsStream<Wire>,
    line: std::rc::Rc<Line>,
}

impl Acceptor {
    /// `revoked`: certificates that are refused from the first connection on.
    ///
    /// *Errors*: an identity that is not a coordinator's, which no client would talk to.
    pub fn new(identity: &Identity, revoked: Option<RevocationList>) -> Result<Acceptor, Error> {
        if identity.subject.role != Role::Coordinator {
            return Err(Error::Malformed {
                path: identity.dir.display().to_string(),
                what: "coordinator's certificate",
                reason: format!("it is that of {}", identity.subject),
            });
        }
        let terms = Terms::new(identity, revoked)?;
        Ok(Acceptor {
            identity: Arc::new(identity.clone()),
            terms: Arc::new(watch::Sender::new(terms)),
        })
    }

    /// Puts another list of revoked certificates in force: they are refused from here on, and live
    /// connections of theirs are cut at once.
    ///
    /// *Errors*: [`Error::OlderList`] unless it is newer than the one in force, or that very one.
    pub fn revoke(&self, list: RevocationList) -> Result<(), Error> {
        if let Some(ours) = self.terms.borrow().revoked.as_deref() {
            if *ours == list {
                return Ok(());
            }
            if list.number <= ours.number {
                return Err(Error::OlderList {
                    ours: ours.number,
                    theirs: list.number,
                });
            }
        }
        let terms = Terms::new(&self.identity, Some(list))?;
        self.terms.send_replace(terms);
        Ok(())
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
        let terms = self.terms.subscribe();
        let tls = terms.borrow().tls.clone();
        let handshake = tls.accept(Wire::new(stream, line.clone()));
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
        let identified = leaf.and_then(|leaf| Some((Subject::of(leaf)?, Serial::of(leaf)?)));
        let Some((subject, serial)) = identified else {
            return Err(refuse(Rejection::NoIdentity));
        };
        Ok(Incoming {
            subject,
            address,
            serial,
            terms,
            stream,
            line,
        })
    }
}

impl Incoming {
    /// Serves the object that `bootstrap` makes, until the connection ends. Call it inside a
    /// `LocalSet`.
    pub fn serve(self, policy: Policy, bootstrap: impl FnOnce(&Cutter) -> Client) -> Connection {
        let Incoming {
            subject: _,
            address: _,
            serial,
            terms,
            stream,
            line,
        } = self;
        let cutter = Cutter::of(line.clone());
        // Now that it is known who it is. A socket that takes no settings fails by itself.
        let _ = connection::give_up_after(stream.get_ref().0.stream(), policy.heartbeat.silence);
        spawn_local(cut_when_revoked(cutter.clone(), serial, terms));
        let bootstrap = bootstrap(&cutter);
        let (connection, system) =
            Connection::start(stream, line, Side::Server, Some(bootstrap), policy);
        connection.drive(system);
        connection
    }
}

/// Also what was revoked while hands were shaken: the first look is at the newest list.
async fn cut_when_revoked(cutter: Cutter, serial: Serial, mut terms: watch::Receiver<Terms>) {
    let revoked = terms.wait_for(|terms| terms.refuse(&serial));
    tokio::select! {
        // Once nobody can make a new list, nothing more will be revoked.
        Ok(_) = revoked => cutter.cut("the certificate was revoked"),
        _ = cutter.ended() => {}
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
