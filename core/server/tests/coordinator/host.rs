//! A coordinator in this process, and who connects to it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use froben_blobs::Blobs;
use froben_engine::{Capacity, Config, Rules, Running};
use froben_journal::{MemoryStore, ScriptSet};
use froben_model::trail::TrailPage;
use froben_model::view::{WorkflowDetail, WorkflowState};
use froben_model::{
    Assignment, ItemOutcome, Kind, LeaseToken, MachineSpec, OperatorId, Value, WorkflowId,
};
use froben_schema::admin_capnp::admin_session;
use froben_schema::common_capnp::{PROTOCOL_VERSION, blob_store};
use froben_schema::convert;
use froben_schema::operator_capnp::{Receipt, machine, operator_session, registration};
use froben_schema::seeker_capnp::seeker_session::{self, submit_answer, trail_answer};
use froben_server::{Options, Server, serve_with};
use froben_wire::{Ca, Error, Identity, Link, Request, Role, Validity, call, dial};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SQUARES: &str = r#"
return workflow("squares", { input = { n = "integer" }, output = { total = "number" } },
  function(ctx, input)
    local d = ctx:delegate {
      kind = "test.square/1", key = "square", items = { input.n, input.n + 1 },
      needs = { cpu_cores = 1, ram = "1MiB", shared = true }, timeout = "1m" }
    local total = 0
    for _, item in ctx:stream { d } do
      if item.ok then total = total + item.value end
    end
    ctx:log("added up")
    return { total = total }
  end)
"#;

const KEEP: &str = r#"
return workflow("keep", { input = { data = "blob" }, output = { data = "blob" } },
  function(ctx, input)
    return { data = input.data }
  end)
"#;

pub(crate) struct Coordinator {
    dir: tempfile::TempDir,
    ca: Ca,
    server: Option<Server>,
    running: Option<Running>,
    address: String,
}

impl Coordinator {
    pub(crate) fn start() -> Coordinator {
        Coordinator::start_with(Options::default())
    }

    pub(crate) fn start_with(options: Options) -> Coordinator {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        let scripts = ScriptSet {
            files: BTreeMap::from([
                ("pipelines/squares.lua".to_owned(), SQUARES.to_owned()),
                ("pipelines/keep.lua".to_owned(), KEEP.to_owned()),
            ]),
        };
        let config = Config {
            rules: Rules::default(),
            seed: 1,
            scripts,
            capacity: Capacity::default(),
        };
        let running = Running::start(Arc::new(MemoryStore::new()), config).unwrap();
        let blobs = run(Blobs::open(&dir.path().join("blobs"))).unwrap();
        let mut coordinator = Coordinator {
            dir,
            ca,
            server: None,
            running: None,
            address: String::new(),
        };
        let identity = coordinator.identity(Role::Coordinator, "coordinator");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let handle = running.handle.clone();
        let server = serve_with(listener, &identity, handle, blobs, options).unwrap();
        coordinator.address = server.address().to_string();
        coordinator.server = Some(server);
        coordinator.running = Some(running);
        coordinator
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        let to: PathBuf = self.dir.path().join(format!("{role}-{name}"));
        if !to.exists() {
            let request = Request {
                role,
                name: name.to_owned(),
                dns: Vec::new(),
                ips: Vec::new(),
                validity: Validity::lasting(Duration::from_secs(3600)),
            };
            self.ca.issue(&request, &to).unwrap();
        }
        Identity::load(&to).unwrap()
    }

    pub(crate) async fn dial(&self, role: Role, name: &str) -> Link {
        let policy = froben_wire::Policy::OPERATOR;
        dial(&self.address, &self.identity(role, name), policy)
            .await
            .unwrap()
    }

    pub(crate) async fn seeker(&self, name: &str) -> Seeker {
        let link = self.dial(Role::Seeker, name).await;
        let mut request = link.coordinator.seeker_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let session = request.send().pipeline.get_session();
        let store = session.blobs_request().send().pipeline.get_blobs();
        Seeker {
            link,
            session,
            store,
        }
    }

    pub(crate) async fn admin(&self, name: &str) -> Admin {
        let link = self.dial(Role::Admin, name).await;
        let mut request = link.coordinator.admin_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let session = request.send().pipeline.get_session();
        Admin {
            _link: link,
            session,
        }
    }

    /// An operator's connection with a machine `label` registered.
    pub(crate) async fn machine(&self, operator: &str, label: &str) -> Machine {
        let link = self.dial(Role::Operator, operator).await;
        Machine::register(link, operator, label).await.unwrap()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

pub(crate) struct Admin {
    /// Holds the connection open.
    _link: Link,
    pub(crate) session: admin_session::Client,
}

pub(crate) struct Seeker {
    pub(crate) link: Link,
    pub(crate) session: seeker_session::Client,
    pub(crate) store: blob_store::Client,
}

impl Seeker {
    /// The id, or the code of the refusal.
    pub(crate) async fn submit(
        &self,
        pipeline: &str,
        input: Value,
        key: &str,
    ) -> Result<Result<WorkflowId, String>, Error> {
        let mut request = self.session.submit_request();
        request.get().set_pipeline(pipeline);
        convert::write_value(&input, request.get().init_input());
        request.get().set_idempotency_key(key);
        let answer = call("submitting", PATIENCE, request.send().promise).await?;
        match answer.get().unwrap().get_answer().unwrap().which().unwrap() {
            submit_answer::Id(id) => Ok(Ok(id.unwrap().to_str().unwrap().parse().unwrap())),
            submit_answer::Refused(failure) => {
                Ok(Err(convert::read_failure(failure.unwrap()).unwrap().code))
            }
        }
    }

    pub(crate) async fn status(&self, id: WorkflowId) -> Result<WorkflowDetail, Error> {
        let mut request = self.session.status_request();
        request.get().set_id(id.to_string());
        let answer = call("asking", PATIENCE, request.send().promise).await?;
        Ok(convert::read_detail(answer.get().unwrap().get_detail().unwrap()).unwrap())
    }

    /// What became of the delegations that are called `which`, or the code of the refusal.
    pub(crate) async fn trail(&self, id: WorkflowId, which: &str) -> Result<TrailPage, String> {
        let mut request = self.session.trail_request();
        request.get().set_id(id.to_string());
        request.get().set_which(which);
        request.get().set_limit(10);
        let answer = call("asking", PATIENCE, request.send().promise)
            .await
            .unwrap();
        match answer.get().unwrap().get_answer().unwrap().which().unwrap() {
            trail_answer::Page(page) => Ok(convert::read_trails(page.unwrap()).unwrap()),
            trail_answer::Refused(failure) => {
                Err(convert::read_failure(failure.unwrap()).unwrap().code)
            }
        }
    }

    pub(crate) async fn wait(&self, id: WorkflowId, state: WorkflowState) -> WorkflowDetail {
        eventually(async || {
            let detail = self.status(id).await.unwrap();
            (detail.summary.state == state).then_some(detail)
        })
        .await
    }

    pub(crate) async fn machines(&self) -> Vec<String> {
        let sent = self.session.machines_request().send().promise;
        let answer = call("asking", PATIENCE, sent).await.unwrap();
        let list = answer.get().unwrap().get_machines().unwrap();
        let name = |machine| {
            convert::read_machine_view(machine)
                .unwrap()
                .name
                .to_string()
        };
        list.iter().map(name).collect()
    }
}

/// What the coordinator asks of a machine.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    Assign(Assignment),
    Cancel(LeaseToken),
}

/// A machine that does nothing by itself.
pub(crate) struct Machine {
    pub(crate) link: Link,
    pub(crate) registration: registration::Client,
    asked: mpsc::UnboundedReceiver<Asked>,
    /// What it answers to a task: `None` takes it.
    pub(crate) refusal: Rc<std::cell::RefCell<Option<String>>>,
}

struct Ears {
    asked: mpsc::UnboundedSender<Asked>,
    refusal: Rc<std::cell::RefCell<Option<String>>>,
}

impl machine::Server for Ears {
    async fn assign(
        self: Rc<Self>,
        params: machine::AssignParams,
        mut results: machine::AssignResults,
    ) -> Result<(), capnp::Error> {
        let task = convert::read_assignment(params.get()?.get_task()?)?;
        let _ = self.asked.send(Asked::Assign(task));
        let mut answer = results.get().init_answer();
        match self.refusal.borrow().as_deref() {
            None => answer.set_accepted(()),
            Some(why) => answer.set_refused(why),
        }
        Ok(())
    }

    async fn cancel(
        self: Rc<Self>,
        params: machine::CancelParams,
        _results: machine::CancelResults,
    ) -> Result<(), capnp::Error> {
        let token = convert::read_token(params.get()?.get_token()?)?;
        let _ = self.asked.send(Asked::Cancel(token));
        Ok(())
    }

    async fn ping(
        self: Rc<Self>,
        _params: machine::PingParams,
        _results: machine::PingResults,
    ) -> Result<(), capnp::Error> {
        Ok(())
    }
}

impl Machine {
    pub(crate) async fn register(
        link: Link,
        operator: &str,
        label: &str,
    ) -> Result<Machine, Error> {
        let mut request = link.coordinator.operator_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let session: operator_session::Client = request.send().pipeline.get_session();
        let spec = MachineSpec {
            operator: OperatorId::new(operator).unwrap(),
            label: label.to_owned(),
            cpu_cores: 4,
            ram_bytes: 1 << 30,
            devices: Vec::new(),
            cpu_kinds: vec![Kind::new("test.square/1").unwrap()],
            device_kinds: Vec::new(),
            keys: Vec::new(),
            prices: Vec::new(),
        };
        let (sender, asked) = mpsc::unbounded_channel();
        let refusal = Rc::default();
        let mut request = session.register_request();
        convert::write_machine(&spec, request.get().init_spec());
        let ears = Ears {
            asked: sender,
            refusal: Rc::clone(&refusal),
        };
        request.get().set_machine(capnp_rpc::new_client(ears));
        let answer = call("registering", PATIENCE, request.send().promise).await?;
        Ok(Machine {
            link,
            registration: answer.get().unwrap().get_registration().unwrap(),
            asked,
            refusal,
        })
    }

    pub(crate) async fn asked(&mut self) -> Asked {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked.expect("in time").expect("the machine is held")
    }

    pub(crate) async fn task(&mut self) -> Assignment {
        match self.asked().await {
            Asked::Assign(task) => task,
            Asked::Cancel(token) => panic!("{token} was cancelled"),
        }
    }

    pub(crate) async fn item(
        &self,
        token: LeaseToken,
        index: u32,
        outcome: ItemOutcome,
    ) -> Receipt {
        let mut request = self.registration.item_request();
        convert::write_token(&token, request.get().init_token());
        request.get().set_index(index);
        convert::write_outcome(&outcome, request.get().init_outcome());
        let answer = call("reporting", PATIENCE, request.send().promise)
            .await
            .unwrap();
        answer.get().unwrap().get_receipt().unwrap()
    }

    pub(crate) async fn finish(&self, token: LeaseToken) -> Receipt {
        let mut request = self.registration.finish_request();
        convert::write_token(&token, request.get().init_token());
        let answer = call("reporting", PATIENCE, request.send().promise)
            .await
            .unwrap();
        answer.get().unwrap().get_receipt().unwrap()
    }

    /// Does a task: squares.
    pub(crate) async fn work(&self, task: &Assignment) {
        for (index, input) in &task.items {
            let n = input.as_int().unwrap();
            let told = self.item(task.token, *index, Ok(Value::Int(n * n))).await;
            assert_eq!(told, Receipt::Recorded);
        }
        // The last item ended the attempt already.
        self.finish(task.token).await;
    }
}

pub(crate) async fn eventually<T>(mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
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
