//! Machines that take every task, wait as long as they are told to, and send its items.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use froben_model::{Kind, LeaseToken, MachineSpec, OperatorId, TimeMs, Value};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_schema::operator_capnp::{Receipt, machine, operator_session, registration};
use froben_wire::{Identity, Link, Role, dial};
use futures::StreamExt;
use tokio::task::spawn_local;

use crate::host::Coordinator;

/// Handshakes at once.
const HANDSHAKES: usize = 16;
const MACHINES_OF_ONE: usize = 10;

/// What all machines share.
#[derive(Default)]
pub(crate) struct Seen {
    /// How long a task takes: from, to.
    pub(crate) work_ms: Cell<(u64, u64)>,
    /// Which task came when.
    pub(crate) tasks: RefCell<Vec<(LeaseToken, TimeMs)>>,
    /// Items whose receipt says that they are in the journal.
    pub(crate) recorded: Cell<u64>,
}

pub(crate) struct Machines {
    pub(crate) seen: Rc<Seen>,
    _links: Vec<Link>,
}

pub(crate) fn now_ms() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_millis() as TimeMs
}

/// Connects so many machines of so many cores, each by a connection of its own.
pub(crate) async fn connect(coordinator: &Coordinator, count: usize, cores: u32) -> Machines {
    let seen = Rc::<Seen>::default();
    let operators = count.div_ceil(MACHINES_OF_ONE);
    let identities: Vec<_> = (0..operators)
        .map(|n| coordinator.identity(Role::Operator, &format!("op-{n}")))
        .collect();
    let address = coordinator.address();
    let machines = (0..count).map(|number| {
        let identity = &identities[number / MACHINES_OF_ONE];
        register(&address, identity, number, cores, seen.clone())
    });
    let links = futures::stream::iter(machines).buffer_unordered(HANDSHAKES);
    Machines {
        _links: links.collect().await,
        seen,
    }
}

async fn register(
    address: &str,
    identity: &Identity,
    number: usize,
    cores: u32,
    seen: Rc<Seen>,
) -> Link {
    let policy = froben_wire::Policy::OPERATOR;
    let link = dial(address, identity, policy).await.expect("it is let in");
    let mut request = link.coordinator.operator_request();
    request.get().set_protocol_version(PROTOCOL_VERSION);
    let session: operator_session::Client = request.send().pipeline.get_session();
    let spec = MachineSpec {
        operator: OperatorId::new(identity.subject.name.clone()).expect("a name"),
        label: format!("m{number}"),
        cpu_cores: cores,
        ram_bytes: 1 << 40,
        devices: Vec::new(),
        cpu_kinds: vec![Kind::new("bench.noop/1").expect("a kind")],
        device_kinds: Vec::new(),
        prices: Vec::new(),
        keys: Vec::new(),
    };
    let registration = Rc::new(RefCell::new(None));
    let hands = Hands {
        registration: registration.clone(),
        seen,
    };
    let mut request = session.register_request();
    convert::write_machine(&spec, request.get().init_spec());
    request.get().set_machine(capnp_rpc::new_client(hands));
    let answer = request.send().promise.await.expect("it is registered");
    let held = answer.get().and_then(|a| a.get_registration());
    *registration.borrow_mut() = Some(held.expect("it reads"));
    link
}

struct Hands {
    registration: Rc<RefCell<Option<registration::Client>>>,
    seen: Rc<Seen>,
}

impl machine::Server for Hands {
    async fn assign(
        self: Rc<Self>,
        params: machine::AssignParams,
        mut results: machine::AssignResults,
    ) -> Result<(), capnp::Error> {
        let task = params.get()?.get_task()?;
        let token = convert::read_token(task.get_token()?)?;
        self.seen.tasks.borrow_mut().push((token, now_ms()));
        let owed: Vec<u32> = task.get_items()?.iter().map(|i| i.get_index()).collect();
        results.get().init_answer().set_accepted(());
        let hands = self.clone();
        spawn_local(async move { hands.work(token, owed).await });
        Ok(())
    }

    async fn cancel(
        self: Rc<Self>,
        _params: machine::CancelParams,
        _results: machine::CancelResults,
    ) -> Result<(), capnp::Error> {
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

impl Hands {
    async fn work(&self, token: LeaseToken, owed: Vec<u32>) {
        let (from, to) = self.seen.work_ms.get();
        if to > 0 {
            // Spread evenly; by the call, so that each run is alike.
            let spread = token.call.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let ms = from + spread % (to - from).max(1);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let registration = self.registration.borrow().clone();
        let registration = registration.expect("nothing is assigned before it is registered");
        for index in owed {
            let mut request = registration.item_request();
            convert::write_token(&token, request.get().init_token());
            request.get().set_index(index);
            convert::write_outcome(&Ok(Value::Int(1)), request.get().init_outcome());
            let answer = request.send().promise.await.expect("a receipt");
            let receipt = answer.get().and_then(|a| Ok(a.get_receipt()?));
            if receipt.expect("it reads") == Receipt::Recorded {
                self.seen.recorded.set(self.seen.recorded.get() + 1);
            }
        }
    }
}
