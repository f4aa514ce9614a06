//! A coordinator that greets and does little else, on a thread of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::operator_capnp::operator_session;
use froben_schema::seeker_capnp::coordinator;
use froben_wire::{Acceptor, Ca, Error, Heartbeat, Identity, Policy, Request, Role, Validity};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Quick to give up.
pub(crate) const QUICK: Policy = Policy {
    heartbeat: Heartbeat {
        every: Duration::from_millis(40),
        silence: Duration::from_secs(1),
    },
    handshake: Duration::from_secs(10),
    ..Policy::OPERATOR
};

/// A folder with a CA.
pub(crate) struct Network {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) ca: Ca,
}

impl Network {
    pub(crate) fn new() -> Network {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        Network { dir, ca }
    }

    pub(crate) fn issue(&self, role: Role, name: &str) -> PathBuf {
        self.issue_valid(role, name, Validity::lasting(Duration::from_secs(3600)))
    }

    pub(crate) fn issue_valid(&self, role: Role, name: &str, validity: Validity) -> PathBuf {
        let request = Request {
            role,
            name: name.to_owned(),
            dns: Vec::new(),
            ips: Vec::new(),
            validity,
        };
        let to = self.dir.path().join(name);
        self.ca.issue(&request, &to).unwrap();
        to
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        Identity::load(&self.issue(role, name)).unwrap()
    }
}

/// Greets; its `operator` waits for a permit of `gate`.
#[derive(Clone)]
pub(crate) struct Greeter {
    pub(crate) version: Arc<str>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) running: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Greeter {
    pub(crate) fn new(permits: usize) -> Greeter {
        Greeter {
            version: "test".into(),
            gate: Arc::new(Semaphore::new(permits)),
            running: Arc::default(),
            most: Arc::default(),
        }
    }
}

struct Session;
impl operator_session::Server for Session {}

impl coordinator::Server for Greeter {
    async fn operator(
        self: Rc<Self>,
        _params: coordinator::OperatorParams,
        mut results: coordinator::OperatorResults,
    ) -> Result<(), capnp::Error> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        results.get().set_session(capnp_rpc::new_client(Session));
        Ok(())
    }

    /// Stops the whole thread until there is a permit.
    async fn seeker(
        self: Rc<Self>,
        _params: coordinator::SeekerParams,
        _results: coordinator::SeekerResults,
    ) -> Result<(), capnp::Error> {
        while self.gate.try_acquire().is_err() {
            std::thread::yield_now();
        }
        Ok(())
    }

    async fn ping(
        self: Rc<Self>,
        _params: coordinator::PingParams,
        mut results: coordinator::PingResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_protocol_version(PROTOCOL_VERSION);
        results.get().set_server_version(&*self.version);
        Ok(())
    }
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum Event {
    In(String),
    Refused(Error),
    Ended(String),
}

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    /// Stops the host when dropped.
    _stop: oneshot::Sender<()>,
}

impl Host {
    pub(crate) fn start(identity: &Path, policy: Policy, greeter: Greeter) -> Host {
        let acceptor = Acceptor::new(&Identity::load(identity).unwrap(), None).unwrap();
        Host::accept(acceptor, policy, greeter)
    }

    pub(crate) fn accept(acceptor: Acceptor, policy: Policy, greeter: Greeter) -> Host {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            run(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                spawn_local(async move {
                    loop {
                        let (stream, address) = listener.accept().await.unwrap();
                        let (acceptor, greeter) = (acceptor.clone(), greeter.clone());
                        let events = sender.clone();
                        spawn_local(async move {
                            let incoming = match acceptor.accept(stream, address, &policy).await {
                                Ok(incoming) => incoming,
                                Err(error) => {
                                    let _ = events.send(Event::Refused(error));
                                    return;
                                }
                            };
                            let _ = events.send(Event::In(incoming.subject.to_string()));
                            let connection = incoming.serve(policy, |_| {
                                capnp_rpc::new_client::<coordinator::Client, _>(greeter).client
                            });
                            let reason = connection.cutter().ended().await;
                            let _ = events.send(Event::Ended(reason));
                        });
                    }
                });
                let _ = stopped.await;
            });
        });
        Host {
            address,
            events,
            _stop: stop,
        }
    }

    /// The next event that `pick` takes; others are passed over.
    pub(crate) async fn event<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.events.recv().await.expect("the host runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, picked)
            .await
            .expect("an event")
    }

    pub(crate) async fn refusal(&mut self) -> Error {
        self.event(|event| match event {
            Event::Refused(error) => Some(error),
            _ => None,
        })
        .await
    }

    pub(crate) async fn end(&mut self) -> String {
        self.event(|event| match event {
            Event::Ended(reason) => Some(reason),
            _ => None,
        })
        .await
    }
}

/// Runs a future where RPC objects may live.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, future)
}
