//! A coordinator as it runs in earnest: journal in RocksDB, mutual TLS, its own threads; and a seeker.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use froben_blobs::Blobs;
use froben_engine::{Capacity, Config, Rules, Running};
use froben_journal::{Record, ScriptSet, Store};
use froben_model::view::WorkflowState;
use froben_model::{Value, WorkflowId};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session::{self, submit_answer};
use froben_server::{Options, Server, serve_with};
use froben_store::RocksStore;
use froben_wire::{Ca, Identity, Link, Request, Role, Validity, call, dial};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Records of a journal that are read at once.
const PAGE: usize = 4096;

pub(crate) struct Coordinator {
    dir: tempfile::TempDir,
    ca: Ca,
    store: Arc<RocksStore>,
    server: Server,
    running: Running,
}

impl Coordinator {
    pub(crate) async fn start(pipelines: &[(&str, &str)]) -> Coordinator {
        let dir = tempfile::tempdir().expect("a folder");
        let ca = Ca::init(&dir.path().join("ca")).expect("a CA");
        let files = pipelines
            .iter()
            .map(|(name, source)| (format!("pipelines/{name}.lua"), (*source).to_owned()));
        let config = Config {
            rules: Rules::default(),
            seed: 1,
            scripts: ScriptSet {
                files: files.collect(),
            },
            capacity: Capacity::default(),
        };
        let store = Arc::new(RocksStore::open(&dir.path().join("journal")).expect("a store"));
        let running = Running::start(store.clone(), config).expect("it starts");
        let blobs = Blobs::open(&dir.path().join("blobs")).await.expect("blobs");
        let identity = issue(&ca, &dir, Role::Coordinator, "coordinator");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let handle = running.handle.clone();
        let server = serve_with(listener, &identity, handle, blobs, Options::default());
        Coordinator {
            server: server.expect("it serves"),
            dir,
            ca,
            store,
            running,
        }
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        issue(&self.ca, &self.dir, role, name)
    }

    pub(crate) fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// The whole journal of a workflow.
    pub(crate) fn journal(&self, id: WorkflowId) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let from = records.len() as u64;
            let page = self.store.read(id, from, PAGE).expect("a read");
            if page.is_empty() {
                return records;
            }
            records.extend(page.into_iter().map(|(_, record)| record));
        }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.running.stop();
    }
}

fn issue(ca: &Ca, dir: &tempfile::TempDir, role: Role, name: &str) -> Identity {
    let to = dir.path().join(format!("{role}-{name}"));
    let request = Request {
        role,
        name: name.to_owned(),
        dns: Vec::new(),
        ips: Vec::new(),
        validity: Validity::lasting(Duration::from_secs(3600)),
    };
    ca.issue(&request, &to).expect("a certificate");
    Identity::load(&to).expect("an identity")
}

pub(crate) struct Seeker {
    /// Holds the connection open.
    _link: Link,
    session: seeker_session::Client,
}

impl Seeker {
    pub(crate) async fn connect(coordinator: &Coordinator, name: &str) -> Seeker {
        let identity = coordinator.identity(Role::Seeker, name);
        let policy = froben_wire::Policy::SEEKER;
        let link = dial(&coordinator.address(), &identity, policy).await;
        let link = link.expect("it is let in");
        let mut request = link.coordinator.seeker_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let session = request.send().pipeline.get_session();
        Seeker {
            _link: link,
            session,
        }
    }

    pub(crate) async fn submit(&self, pipeline: &str, input: Value) -> WorkflowId {
        let mut request = self.session.submit_request();
        request.get().set_pipeline(pipeline);
        convert::write_value(&input, request.get().init_input());
        let answer = call("submitting", PATIENCE, request.send().promise).await;
        let answer = answer.expect("an answer");
        let answer = answer.get().and_then(|a| a.get_answer()).expect("it reads");
        match answer.which().expect("it reads") {
            submit_answer::Id(id) => {
                let id = id.expect("it reads").to_str().expect("text");
                id.parse().expect("an id")
            }
            submit_answer::Refused(_) => panic!("it is refused"),
        }
    }

    /// Waits until all of them are over, and well.
    pub(crate) async fn wait(&self, ids: &[WorkflowId]) {
        loop {
            let mut request = self.session.list_request();
            request.get().set_limit(1000);
            let answer = call("asking", PATIENCE, request.send().promise).await;
            let answer = answer.expect("an answer");
            let list = answer.get().and_then(|a| a.get_workflows());
            let list = list.expect("it reads");
            let mut over = 0;
            for summary in list {
                let summary = convert::read_summary(summary).expect("it reads");
                if ids.contains(&summary.id) && summary.state.ended() {
                    assert_eq!(summary.state, WorkflowState::Succeeded, "{summary:?}");
                    over += 1;
                }
            }
            if over == ids.len() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
