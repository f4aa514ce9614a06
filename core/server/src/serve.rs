//! The listener and its shards.
//!
//! One thread accepts; N threads, each with a runtime and a `LocalSet` of its own, shake hands and
//! serve. A connection stays on its thread for life. The acceptor takes a connection from the kernel
//! only when there is room for one more, so that a flood waits in the kernel's backlog.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use froben_blobs::Blobs;
use froben_engine::EngineHandle;
use froben_schema::seeker_capnp::coordinator;
use froben_wire::{Acceptor, Identity, Incoming, Policy, RevocationList, Role};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use crate::admission::Admission;
use crate::door::{Door, Held, Peer};

/// Accepted connections that may wait for their shard.
const WAITING: usize = 16;
/// After an error of `accept`, such as too many open files, before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve.
    pub shards: usize,
    /// Connections at once, in all.
    pub connections: usize,
    /// Connections at once of one identity.
    pub connections_of_one: usize,
    pub operator: Policy,
    pub seeker: Policy,
    /// Certificates that are refused from the start; [`Server::revoke`] puts a newer list in force.
    pub revoked: Option<RevocationList>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shards: 2,
            connections: 4096,
            connections_of_one: 256,
            operator: Policy::OPERATOR,
            seeker: Policy::SEEKER,
            revoked: None,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] froben_wire::Error),
    #[error("cannot use the listener: {0}")]
    Listener(std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running server. Dropping it stops it without waiting.
pub struct Server {
    address: SocketAddr,
    acceptor: Acceptor,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Serves on `listener` with `shards` threads, until [`Server::stop`].
pub fn serve(
    listener: TcpListener,
    identity: &Identity,
    engine: EngineHandle,
    blobs: Blobs,
    shards: usize,
) -> Result<Server, Error> {
    let options = Options {
        shards,
        ..Options::default()
    };
    serve_with(listener, identity, engine, blobs, options)
}

pub fn serve_with(
    listener: TcpListener,
    identity: &Identity,
    engine: EngineHandle,
    blobs: Blobs,
    options: Options,
) -> Result<Server, Error> {
    let Options {
        shards: threads_wanted,
        connections,
        connections_of_one,
        operator,
        seeker,
        revoked,
    } = options;
    let acceptor = Acceptor::new(identity, revoked)?;
    listener.set_nonblocking(true).map_err(Error::Listener)?;
    let address = listener.local_addr().map_err(Error::Listener)?;
    let (stop, stopped) = watch::channel(false);
    let shard = Shard {
        acceptor: acceptor.clone(),
        admission: Admission::default(),
        engine,
        blobs,
        connections_of_one,
        operator,
        seeker,
    };
    let mut threads = Vec::new();
    let mut shards = Vec::new();
    for number in 0..threads_wanted.max(1) {
        let (sender, connections) = mpsc::channel(WAITING);
        let (shard, stopped) = (shard.clone(), stopped.clone());
        let body = move || run_local(shard.run(connections, stopped));
        threads.push(spawn(&format!("rpc-{number}"), body)?);
        shards.push(sender);
    }
    let body = move || run_local(accept(listener, shards, connections, stopped));
    threads.push(spawn("accept", body)?);
    Ok(Server {
        address,
        acceptor,
        stop,
        threads,
    })
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a list of revoked certificates in force, and cuts their live connections at once.
    ///
    /// *Errors*: [`froben_wire::Error::OlderList`]: the one in force stays.
    pub fn revoke(&self, list: RevocationList) -> Result<(), froben_wire::Error> {
        self.acceptor.revoke(list)
    }

    /// Closes every connection and waits for the threads: about a second at most.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let join = move || {
            for thread in self.threads {
                let _ = thread.join();
            }
        };
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(Error::Thread)
}

fn run_local(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, future),
        Err(error) => tracing::error!(%error, "a thread has no runtime"),
    }
}

/// A connection on its way to a shard, and its place among all.
struct Accepted {
    stream: std::net::TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
}

async fn accept(
    listener: TcpListener,
    shards: Vec<mpsc::Sender<Accepted>>,
    connections: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(connections));
    let accepting = async {
        for shard in shards.iter().cycle() {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let (stream, address) = loop {
                let accepted = listener.accept().await;
                match accepted.and_then(|(stream, address)| Ok((stream.into_std()?, address))) {
                    Ok(accepted) => break accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            };
            let accepted = Accepted {
                stream,
                address,
                place,
            };
            if shard.send(accepted).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// What a serving thread knows.
#[derive(Clone)]
struct Shard {
    acceptor: Acceptor,
    admission: Admission,
    engine: EngineHandle,
    blobs: Blobs,
    connections_of_one: usize,
    operator: Policy,
    seeker: Policy,
}

impl Shard {
    async fn run(
        self,
        mut connections: mpsc::Receiver<Accepted>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let shard = Rc::new(self);
        let mut live = JoinSet::new();
        let theirs = stopped.clone();
        loop {
            tokio::select! {
                accepted = connections.recv() => match accepted {
                    Some(accepted) => {
                        live.spawn_local(shard.clone().attend(accepted, theirs.clone()));
                    }
                    None => break,
                },
                Some(_) = live.join_next() => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        while live.join_next().await.is_some() {}
    }

    /// One connection, from handshake to end.
    async fn attend(self: Rc<Self>, accepted: Accepted, mut stopped: watch::Receiver<bool>) {
        let Accepted {
            stream,
            address,
            place: _place,
        } = accepted;
        let greeted = tokio::select! {
            greeted = self.greet(stream, address) => greeted,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        if let Some(incoming) = greeted {
            self.serve(incoming, stopped).await;
        }
    }

    async fn greet(&self, stream: std::net::TcpStream, address: SocketAddr) -> Option<Incoming> {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot serve a connection");
                return None;
            }
        };
        match self.acceptor.accept(stream, address, &self.operator).await {
            Ok(incoming) => Some(incoming),
            Err(error) => {
                tracing::info!(%error, "a peer is not let in");
                None
            }
        }
    }

    async fn serve(&self, incoming: Incoming, mut stopped: watch::Receiver<bool>) {
        let (subject, address) = (incoming.subject.clone(), incoming.address);
        let limit = self.connections_of_one;
        let Some(_admitted) = self.admission.admit(&subject, limit) else {
            tracing::warn!(%subject, %address, limit, "too many connections of one identity");
            return;
        };
        let policy = match subject.role {
            Role::Operator => self.operator,
            Role::Seeker | Role::Admin | Role::Coordinator => self.seeker,
        };
        tracing::debug!(%subject, %address, "connected");
        let connection = incoming.serve(policy, |cutter| {
            let peer = Peer {
                subject: subject.clone(),
                cutter: cutter.clone(),
                engine: self.engine.clone(),
                blobs: self.blobs.clone(),
                policy,
                readers: Held::at_most(256, "open blobs"),
                writers: Held::at_most(64, "uploads"),
                machines: Held::at_most(64, "machines"),
                exports: Held::at_most(2, "exports"),
            };
            let door = Door {
                peer: Rc::new(peer),
            };
            capnp_rpc::new_client::<coordinator::Client, _>(door).client
        });
        let cutter = connection.cutter();
        tokio::select! {
            reason = cutter.ended() => tracing::debug!(%subject, %address, reason, "disconnected"),
            _ = stopped.wait_for(|stopped| *stopped) => connection.close().await,
        }
    }
}
