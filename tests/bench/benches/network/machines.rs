//! Machines that take every task, wait as long as they are told to, and send its items.
//!
//! They compute on the coordinator's cores, so they are played as cheaply as an honest machine can be: one
//! task each, and the few messages that it needs, by hand. All that comes at once is answered at once.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capnp_rpc::rpc_capnp::payload;
use froben_model::{Kind, LeaseToken, MachineSpec, OperatorId, TimeMs, Value};
use froben_schema::convert;
use froben_schema::operator_capnp::{Receipt, machine, registration};
use froben_wire::{Identity, Policy, Role};
use futures::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;

use crate::host::Coordinator;
use crate::rpc::{self, Import, Inbox, Outbox, Said};
use crate::tls::{self, Stream};

/// Handshakes at once.
const HANDSHAKES: usize = 16;
const MACHINES_OF_ONE: usize = 10;
/// Having written nothing for so long, a machine says that it lives.
const QUIET: Duration = Policy::OPERATOR.heartbeat.every;

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

/// Dropping them disconnects them.
pub(crate) struct Machines {
    pub(crate) seen: Rc<Seen>,
    _running: JoinSet<()>,
}

pub(crate) fn now_ms() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_millis() as TimeMs
}

/// Connects so many machines of so many cores, each by a connection of its own.
pub(crate) async fn connect(coordinator: &Coordinator, count: usize, cores: u32) -> Machines {
    let seen = Rc::<Seen>::default();
    let operators: Vec<_> = (0..count.div_ceil(MACHINES_OF_ONE))
        .map(|n| coordinator.identity(Role::Operator, &format!("op-{n}")))
        .map(|identity| (tls::connector(&identity), identity))
        .collect();
    let address = coordinator.address();
    let machines = (0..count).map(|number| {
        let (connector, identity) = &operators[number / MACHINES_OF_ONE];
        let spec = spec(identity, number, cores);
        Machine::register(&address, connector, spec, seen.clone())
    });
    let mut running = JoinSet::new();
    let registered = futures::stream::iter(machines).buffer_unordered(HANDSHAKES);
    let run = registered.for_each(|machine| {
        running.spawn_local(machine.run());
        std::future::ready(())
    });
    run.await;
    Machines {
        seen,
        _running: running,
    }
}

fn spec(identity: &Identity, number: usize, cores: u32) -> MachineSpec {
    MachineSpec {
        operator: OperatorId::new(identity.subject.name.clone()).expect("a name"),
        label: format!("m{number}"),
        cpu_cores: cores,
        ram_bytes: 1 << 40,
        devices: Vec::new(),
        cpu_kinds: vec![Kind::new("bench.noop/1").expect("a kind")],
        device_kinds: Vec::new(),
        prices: Vec::new(),
        keys: Vec::new(),
    }
}

/// A machine, with its connection.
struct Machine {
    stream: Stream,
    inbox: Inbox,
    hands: Hands,
    /// When it last had something to say.
    written: Instant,
    /// Goes off when there may be something to do, or earlier.
    alarm: Pin<Box<Sleep>>,
}

impl Machine {
    async fn register(
        address: &str,
        connector: &TlsConnector,
        spec: MachineSpec,
        seen: Rc<Seen>,
    ) -> Machine {
        let now = Instant::now();
        let mut machine = Machine {
            stream: tls::dial(address, connector).await,
            inbox: Inbox::new(),
            hands: Hands::new(spec, seen),
            written: now,
            alarm: Box::pin(tokio::time::sleep_until(now + QUIET)),
        };
        while machine.hands.registration.is_none() {
            machine.turn().await;
        }
        machine
    }

    /// A machine that fails ends the process: the rest would be measured without it.
    async fn run(mut self) {
        let turns = async {
            loop {
                self.turn().await;
            }
        };
        let Err(_) = AssertUnwindSafe(turns).catch_unwind().await;
        std::process::exit(1);
    }

    /// Sends what waits to be sent, and waits until something comes or is due.
    async fn turn(&mut self) {
        let hands = &mut self.hands;
        if !hands.outbox.bytes.is_empty() {
            let sent = self.stream.write_all(&hands.outbox.bytes).await;
            sent.expect("the coordinator takes it");
            self.stream.flush().await.expect("the coordinator takes it");
            hands.outbox.bytes.clear();
            self.written = Instant::now();
        }
        let quiet_until = self.written + QUIET;
        let due = hands.work.iter().map(|work| work.due);
        let due = due.fold(quiet_until, Instant::min);
        if due < self.alarm.deadline() || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            read = self.stream.read(self.inbox.room()) => {
                let bytes = read.expect("the coordinator goes on");
                assert!(bytes > 0, "the coordinator closed the connection");
                self.inbox.came(bytes, |message| hands.take(rpc::read(message)));
            }
            () = &mut self.alarm => {
                let now = Instant::now();
                hands.report_due(now);
                if hands.outbox.bytes.is_empty() && quiet_until <= now {
                    hands.ping();
                    self.written = now;
                }
            }
        }
    }
}

/// What a machine does with what it hears.
struct Hands {
    spec: MachineSpec,
    seen: Rc<Seen>,
    outbox: Outbox,
    /// What waits for its answer, by the number of the question.
    questions: Vec<Option<Question>>,
    /// What comes first on a connection, and answers pings.
    door: Option<Import>,
    registration: Option<Import>,
    /// Tasks that it works on.
    work: Vec<Work>,
}

enum Question {
    Door,
    Session,
    Registration,
    Ping,
    Item(Task),
}

struct Work {
    due: Instant,
    task: Task,
}

struct Task {
    token: LeaseToken,
    /// Items that are not sent yet.
    owed: std::vec::IntoIter<u32>,
}

impl Hands {
    fn new(spec: MachineSpec, seen: Rc<Seen>) -> Hands {
        let mut hands = Hands {
            spec,
            seen,
            outbox: Outbox::default(),
            questions: Vec::new(),
            door: None,
            registration: None,
            work: Vec::new(),
        };
        let question = hands.ask(Question::Door);
        hands.outbox.bootstrap(question);
        hands
    }

    /// A number for a question: the lowest that is free, as the protocol wishes.
    fn ask(&mut self, question: Question) -> u32 {
        let free = self.questions.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.questions.push(None);
            self.questions.len() - 1
        });
        self.questions[number] = Some(question);
        number as u32
    }

    fn take(&mut self, said: Said<'_>) {
        match said {
            Said::Call(answer, rpc::Asked::Assign(params)) => {
                self.outbox.accept(answer);
                self.assigned(params).expect("a task reads");
            }
            Said::Call(answer, rpc::Asked::Cancel | rpc::Asked::Ping) => self.outbox.done(answer),
            Said::Return(done) => {
                let number = done.get_answer_id();
                let question = self
                    .questions
                    .get_mut(number as usize)
                    .and_then(Option::take);
                if !done.get_no_finish_needed() {
                    self.outbox.finish(number);
                }
                self.answered(question.expect("it was asked"), rpc::results(done));
            }
            Said::LetGo => {}
        }
    }

    fn answered(&mut self, question: Question, results: payload::Reader<'_>) {
        match question {
            Question::Door => {
                let door = rpc::object(results);
                self.door = Some(door);
                let question = self.ask(Question::Session);
                self.outbox.operator(question, door);
            }
            Question::Session => {
                let question = self.ask(Question::Registration);
                self.outbox
                    .register(question, rpc::object(results), &self.spec);
            }
            Question::Registration => self.registration = Some(rpc::object(results)),
            Question::Ping => {}
            Question::Item(task) => {
                let results: registration::item_results::Reader<'_> = rpc::content(results);
                if results.get_receipt().expect("it reads") == Receipt::Recorded {
                    self.seen.recorded.set(self.seen.recorded.get() + 1);
                }
                self.report(task);
            }
        }
    }

    fn assigned(&mut self, params: machine::assign_params::Reader<'_>) -> Result<(), capnp::Error> {
        let task = params.get_task()?;
        let token = convert::read_token(task.get_token()?)?;
        self.seen.tasks.borrow_mut().push((token, now_ms()));
        let owed: Vec<u32> = task.get_items()?.iter().map(|i| i.get_index()).collect();
        let task = Task {
            token,
            owed: owed.into_iter(),
        };
        let (from, to) = self.seen.work_ms.get();
        if to == 0 {
            self.report(task);
            return Ok(());
        }
        // Spread evenly; by the call, so that each run is alike.
        let spread = token.call.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let takes = Duration::from_millis(from + spread % (to - from).max(1));
        self.work.push(Work {
            due: Instant::now() + takes,
            task,
        });
        Ok(())
    }

    /// Sends the next item of a task, if there is one.
    fn report(&mut self, mut task: Task) {
        let Some(index) = task.owed.next() else {
            return;
        };
        let registration = self
            .registration
            .expect("nothing is assigned before it is registered");
        let token = task.token;
        let question = self.ask(Question::Item(task));
        let outcome = Ok(Value::Int(1));
        self.outbox
            .item(question, registration, &token, index, &outcome);
    }

    fn report_due(&mut self, now: Instant) {
        while let Some(done) = self.work.iter().position(|work| work.due <= now) {
            let work = self.work.swap_remove(done);
            self.report(work.task);
        }
    }

    /// Says that it lives, as soon as there is somebody to say it to.
    fn ping(&mut self) {
        if let Some(door) = self.door {
            let question = self.ask(Question::Ping);
            self.outbox.ping(question, door);
        }
    }
}
