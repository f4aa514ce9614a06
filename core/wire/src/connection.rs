//! A live connection: capnp-rpc on a TLS stream, watched, and cut when its peer is gone.
//!
//! Everything here lives on one thread, inside a `LocalSet`: RPC objects are `Rc`.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use capnp::capability::Client;
use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{Disconnector, RpcSystem};
use futures::AsyncReadExt;
use futures::io::{BufReader, BufWriter};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::gate::{CountedRead, CountedWrite, Gated, Table};
use crate::line::Line;
use crate::{Error, Policy};

const BUFFER_BYTES: usize = 16 << 10;
/// Pings that may be without an answer at a time: at two a second, round trips of 8 s.
const PINGS: usize = 16;
/// How long a clean close waits for the peer to take what is queued.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Ends a connection from wherever it is held. Clones are cheap.
#[derive(Clone)]
pub struct Cutter {
    line: Rc<Line>,
}

impl Cutter {
    pub(crate) fn of(line: Rc<Line>) -> Cutter {
        Cutter { line }
    }

    /// Cuts at once: calls that wait fail with `reason`, objects of the connection are dropped.
    pub fn cut(&self, reason: &str) {
        self.line.cut(reason);
    }

    /// Why the connection ended or is about to; `None` while it lives.
    pub fn end_reason(&self) -> Option<String> {
        self.line.end_reason()
    }

    /// Waits until the connection has ended, and says why.
    pub fn ended(&self) -> impl Future<Output = String> + use<> {
        self.line.wait_end()
    }

    /// Pings the other side `every` so often, also while answers are on their way, and cuts the
    /// connection when one takes longer than `within`. Ends with the connection, or when `ping` has
    /// nothing more to send.
    ///
    /// The pings keep bytes flowing, which is what the silence of [`crate::Heartbeat`] is measured by: while
    /// others go both ways, most pings are left out. `within` is for a peer whose socket lives and whose
    /// program does not answer, so twice in that time one is sent whatever else goes.
    pub fn beat<F, P>(&self, every: Duration, within: Duration, mut ping: F)
    where
        F: FnMut() -> Option<P> + 'static,
        P: Future<Output = Result<(), capnp::Error>> + 'static,
    {
        let cutter = self.clone();
        spawn_local(async move {
            let beats = async {
                let mut answers = FuturesUnordered::new();
                let mut last = Instant::now();
                let mut next = last + every;
                loop {
                    tokio::select! {
                        Some(answer) = answers.next() => match answer {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => {
                                let error: capnp::Error = error;
                                return Some(format!("a ping failed: {}", error.extra));
                            }
                            Err(_) => return Some(format!("no answer to a ping for {within:?}")),
                        },
                        () = sleep_until(next) => {
                            let now = Instant::now();
                            next = (cutter.line.busy_since() + every).min(last + within / 2);
                            if next > now {
                                continue;
                            }
                            (last, next) = (now, now + every);
                            if answers.len() < PINGS {
                                answers.push(timeout(within, ping()?));
                            }
                        }
                    }
                }
            };
            tokio::select! {
                reason = beats => reason.iter().for_each(|reason| cutter.cut(reason)),
                _ = cutter.ended() => {}
            }
        });
    }
}

/// A live connection. Dropping it does not end it.
pub struct Connection {
    cutter: Cutter,
    disconnector: Cell<Option<Disconnector<Side>>>,
}

impl Connection {
    /// Starts capnp-rpc on `stream`, whose bottom is the [`crate::line::Wire`] of `line`.
    pub(crate) fn start<S>(
        stream: S,
        line: Rc<Line>,
        side: Side,
        bootstrap: Option<Client>,
        policy: Policy,
    ) -> (Connection, RpcSystem<Side>)
    where
        S: AsyncRead + AsyncWrite + 'static,
    {
        let table = Table::new(policy.limits, line.clone());
        let mut options = ReaderOptions::new();
        options
            .traversal_limit_in_words(Some(policy.limits.message_bytes / 8))
            .nesting_limit(policy.limits.nesting);
        let (read, write) = stream.compat().split();
        let read = CountedRead {
            inner: BufReader::with_capacity(BUFFER_BYTES, read),
            table: table.clone(),
        };
        let write = CountedWrite {
            inner: BufWriter::with_capacity(BUFFER_BYTES, write),
            table: table.clone(),
        };
        let network = Gated {
            network: VatNetwork::new(read, write, side, options),
            table: table.clone(),
        };
        let system = RpcSystem::new(Box::new(network), bootstrap);
        watch(line.clone(), table, policy);
        let connection = Connection {
            cutter: Cutter { line },
            disconnector: Cell::new(Some(system.get_disconnector())),
        };
        (connection, system)
    }

    /// Runs `system` until the connection ends.
    pub(crate) fn drive(&self, system: RpcSystem<Side>) {
        /// Says that the connection has ended, also when capnp-rpc panics over what it was sent.
        struct End(Rc<Line>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.end("capnp-rpc gave up");
            }
        }
        let end = End(self.cutter.line.clone());
        spawn_local(async move {
            let reason = match system.await {
                Ok(()) => "the other side closed it".to_owned(),
                Err(error) => error.to_string(),
            };
            end.0.end(&reason);
        });
    }

    pub fn cutter(&self) -> Cutter {
        self.cutter.clone()
    }

    /// Closes cleanly: what is queued is sent, if the peer takes it within a second.
    pub async fn close(&self) {
        if let Some(disconnector) = self.disconnector.take() {
            let _ = timeout(CLOSE_WITHIN, disconnector).await;
        }
        self.cutter.cut("closed");
        let _ = timeout(CLOSE_WITHIN, self.cutter.ended()).await;
    }

    pub(crate) fn line(&self) -> &Rc<Line> {
        &self.cutter.line
    }
}

/// Cuts the connection when its peer has been silent for too long.
///
/// It sleeps for as long as nothing can be due. If the silence is up then, it looks once more, after a
/// moment: what came while this process stood still, as it does while its machine sleeps, is read by then.
fn watch(line: Rc<Line>, table: Rc<Table>, policy: Policy) {
    let silence = policy.heartbeat.silence;
    let moment = silence / 16;
    spawn_local(async move {
        let watching = async {
            loop {
                let due = line.due(silence);
                sleep_until(due).await;
                if line.overdue(Instant::now(), silence).is_none() {
                    continue;
                }
                let again = Instant::now() + moment;
                sleep_until(again).await;
                let now = Instant::now();
                // It is we who do not read: the peer waits for its turn, or we have stood still, and perhaps
                // he with us.
                if table.closed() || now.saturating_duration_since(due + moment) > 2 * moment {
                    line.touch();
                }
                if let Some(reason) = line.overdue(now, silence) {
                    return reason;
                }
            }
        };
        tokio::select! {
            reason = watching => line.cut(&format!("the other side is silent: {reason}")),
            _ = line.wait_end() => {}
        }
    });
}

/// Settings of every TCP stream that a connection is built on.
pub(crate) fn prepare(stream: &tokio::net::TcpStream, policy: &Policy) -> Result<(), Error> {
    stream.set_nodelay(true).map_err(unprepared)?;
    give_up_after(stream, policy.handshake)
}

/// Makes the kernel give up on a peer that acknowledges nothing, too, so that what it holds for a dead
/// one is freed in time.
pub(crate) fn give_up_after(
    stream: &tokio::net::TcpStream,
    silence: Duration,
) -> Result<(), Error> {
    socket2::SockRef::from(stream)
        .set_tcp_user_timeout(Some(silence))
        .map_err(unprepared)
}

fn unprepared(error: std::io::Error) -> Error {
    Error::Io {
        action: "set up a TCP connection".to_owned(),
        reason: error.to_string(),
    }
}
