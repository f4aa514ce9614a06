//! The machines, and what each is at. They speak to the coordinator over connections that may break.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::SessionId;
use froben_engine::input::{Input, Ticket};
use froben_model::{
    Amount, Assignment, DeviceSpec, ErrorClass, HeldKey, ItemError, ItemReport, Kind, LeaseToken,
    MachineId, MachineSpec, OperatorId, SetupKey, TimeMs, Usage, Value,
};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::agenda::{Agenda, Due};
use crate::plan::{Character, MachinePlan, Plan, TRUSTED};

/// What tasks are, and what their checks.
const KINDS: [&str; 2] = ["sim.square/1", "sim.check/1"];
/// The key that some tasks need, as the script names it.
const KEY: (&str, &str) = (
    "sim.params",
    "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed",
);
/// The most that an item takes: every machine has it, and every device.
const ITEM_BYTES: u64 = 100 << 20;
/// How long a machine stays away after a crash or a broken connection.
const AWAY_MS: u64 = 2_000;

pub(crate) struct Fleet {
    machines: Vec<Machine>,
    /// Which machine is at the other end.
    sessions: BTreeMap<SessionId, usize>,
    next_session: u64,
    next_ticket: u64,
    latency_ms: u64,
    /// When the last message of a connection arrives, to the machine or from it.
    arrivals: BTreeMap<(SessionId, bool), TimeMs>,
    twice_percent: u32,
    /// No more faults.
    pub(crate) calm: bool,
    /// What a message about an item was about, for when it is answered.
    pub(crate) asked: BTreeMap<Ticket, (LeaseToken, u32)>,
    /// Messages in another machine's name.
    pub(crate) forged: BTreeSet<Ticket>,
    /// Which machine got which attempt.
    had: BTreeMap<LeaseToken, usize>,
}

struct Machine {
    plan: MachinePlan,
    session: Option<SessionId>,
    tasks: BTreeMap<LeaseToken, Assignment>,
}

impl Fleet {
    pub(crate) fn new(plan: &Plan, agenda: &mut Agenda) -> Self {
        for number in 0..plan.machines.len() {
            agenda.add(0, Due::Connect(number));
        }
        let machines = plan.machines.iter().map(|plan| Machine {
            plan: plan.clone(),
            session: None,
            tasks: BTreeMap::new(),
        });
        Fleet {
            machines: machines.collect(),
            sessions: BTreeMap::new(),
            next_session: 1,
            next_ticket: 1,
            latency_ms: plan.latency_ms,
            arrivals: BTreeMap::new(),
            twice_percent: plan.twice_percent,
            calm: false,
            asked: BTreeMap::new(),
            forged: BTreeSet::new(),
            had: BTreeMap::new(),
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Whether the coordinator's end of a connection still stands.
    pub(crate) fn stands(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(crate) fn connect(&mut self, number: usize) -> Option<Input> {
        let machine = &mut self.machines[number];
        if machine.session.is_some() {
            return None;
        }
        let session = SessionId(self.next_session);
        self.next_session += 1;
        machine.session = Some(session);
        self.sessions.insert(session, number);
        let MachinePlan {
            operator,
            label,
            cores,
            ram_bytes,
            devices,
            price,
            key,
            checks,
            computes_on_devices,
            ..
        } = &machine.plan;
        let kinds = match checks {
            true => &KINDS[..],
            false => &KINDS[..1],
        };
        let kinds = kinds.iter().copied().map(Kind::new);
        let kinds: Vec<Kind> = kinds
            .map(|kind| kind.expect("invariant: it is a kind"))
            .collect();
        let prices = kinds.iter().map(|kind| (kind.clone(), Amount(*price)));
        let operator = OperatorId::new(operator.as_str()).expect("invariant: it is a name");
        let own = HeldKey {
            key: SetupKey::of(KEY.0, KEY.1).expect("invariant: it is a hash"),
            bytes: 1 << 30,
        };
        Some(Input::MachineJoined {
            session,
            machine: MachineId::of(&operator, label).expect("invariant: they are names"),
            spec: MachineSpec {
                operator,
                label: label.clone(),
                cpu_cores: *cores,
                ram_bytes: *ram_bytes,
                devices: devices.iter().enumerate().map(device).collect(),
                prices: prices.collect(),
                device_kinds: match computes_on_devices {
                    true => kinds.clone(),
                    false => Vec::new(),
                },
                cpu_kinds: kinds,
                keys: key.then_some(own).into_iter().collect(),
            },
        })
    }

    /// The coordinator's end of a connection goes.
    pub(crate) fn hang_up(&mut self, session: SessionId) -> Option<Input> {
        self.sessions.remove(&session)?;
        Some(Input::MachineLeft {
            session,
            reason: "the connection was lost".to_owned(),
        })
    }

    /// The coordinator cuts a connection; the machine comes again.
    pub(crate) fn cut(&mut self, now: TimeMs, session: SessionId, agenda: &mut Agenda) {
        if let Some(number) = self.sessions.remove(&session)
            && self.machines[number].session == Some(session)
        {
            self.lose(now, number, agenda);
        }
    }

    /// The machine's end goes, and it comes again.
    fn lose(&mut self, now: TimeMs, number: usize, agenda: &mut Agenda) -> Option<SessionId> {
        let session = self.machines[number].session.take()?;
        agenda.add(now + AWAY_MS, Due::Connect(number));
        Some(session)
    }

    /// A machine loses everything; its connection breaks at once.
    pub(crate) fn crash(
        &mut self,
        now: TimeMs,
        number: usize,
        agenda: &mut Agenda,
    ) -> Option<Input> {
        self.machines[number].tasks.clear();
        let session = self.lose(now, number, agenda)?;
        self.hang_up(session)
    }

    /// From here on its messages get lost. It works on, and notices later than the coordinator does, or
    /// before.
    pub(crate) fn partition(
        &mut self,
        now: TimeMs,
        number: usize,
        rng: &mut StdRng,
        agenda: &mut Agenda,
    ) {
        // From the machine's side it is over at once: it says nothing over this connection any more.
        let Some(session) = self.machines[number].session.take() else {
            return;
        };
        let unnoticed_ms = rng.random_range(500..4_000);
        agenda.add(now + unnoticed_ms, Due::HeardNothing(session));
        agenda.add(now + rng.random_range(500..8_000), Due::Connect(number));
    }

    /// The coordinator is gone: every connection is. Machines come again, and go on with what they were at:
    /// what they then say is too late.
    pub(crate) fn lose_coordinator(&mut self, now: TimeMs, agenda: &mut Agenda) {
        self.sessions.clear();
        self.arrivals.clear();
        self.asked.clear();
        self.forged.clear();
        for number in 0..self.machines.len() {
            self.lose(now, number, agenda);
        }
    }

    /// A task reaches its machine.
    pub(crate) fn task(
        &mut self,
        now: TimeMs,
        number: usize,
        session: SessionId,
        task: Assignment,
        rng: &mut StdRng,
        agenda: &mut Agenda,
    ) {
        let character = self.character(number);
        let token = task.token;
        self.had.insert(token, number);
        let machine = &mut self.machines[number];
        if machine.session != Some(session) {
            return;
        }
        match character {
            Character::Silent(percent) if rng.random_ratio(percent, 100) => return,
            Character::Moody(percent) if rng.random_ratio(percent, 100) => {
                let reason = "not in the mood".to_owned();
                return self.send(now, number, Input::Refused { token, reason }, rng, agenda);
            }
            _ => {}
        }
        machine.tasks.insert(token, task);
        let work_ms = self.item_ms(number, rng);
        self.send(now, number, Input::Accepted { token }, rng, agenda);
        agenda.add(now + work_ms, Due::Work(number, token, 0));
    }

    pub(crate) fn cancel(&mut self, session: SessionId, token: LeaseToken) {
        if let Some(number) = self.sessions.get(&session) {
            self.machines[*number].tasks.remove(&token);
        }
    }

    /// A machine is done with an item, or whatever its character makes of it.
    pub(crate) fn work(
        &mut self,
        now: TimeMs,
        number: usize,
        token: LeaseToken,
        position: usize,
        rng: &mut StdRng,
        agenda: &mut Agenda,
    ) {
        let character = self.character(number);
        let machine = &mut self.machines[number];
        let Some(task) = machine.tasks.get(&token) else {
            return;
        };
        let Some((index, item)) = task.items.get(position).cloned() else {
            machine.tasks.remove(&token);
            return;
        };
        let moody =
            matches!(character, Character::Moody(percent) if rng.random_ratio(percent, 400));
        if moody {
            machine.tasks.remove(&token);
            let ticket = self.ticket();
            let failure = Some(failed("gave up"));
            let input = Input::Finish {
                ticket,
                token,
                failure,
            };
            return self.send(now, number, input, rng, agenda);
        }
        if matches!(character, Character::Thief(percent) if rng.random_ratio(percent, 100)) {
            self.steal(now, number, rng, agenda);
        }
        let operator = self.machines[number].plan.operator.clone();
        let outcome = match (character, item) {
            (Character::Flaky(percent), _) if rng.random_ratio(percent, 100) => {
                Err(failed("flaky"))
            }
            (Character::Liar(percent), Value::Int(n)) if rng.random_ratio(percent, 100) => {
                Ok(square(n, lie(&operator)))
            }
            (_, Value::Int(n)) => Ok(square(n, 0)),
            (_, question) => Ok(Self::verdict(&operator, &question)),
        };
        let usage = Self::usage(rng);
        let times = 1 + u32::from(!self.calm && rng.random_ratio(self.twice_percent, 100));
        for _ in 0..times {
            let Some(session) = self.machines[number].session else {
                break;
            };
            let ticket = self.ticket();
            self.asked.insert(ticket, (token, index));
            let input = Input::Item {
                ticket,
                session,
                token,
                report: ItemReport {
                    usage,
                    ..ItemReport::new(index, outcome.clone())
                },
            };
            self.send(now, number, input, rng, agenda);
        }
        let work_ms = self.item_ms(number, rng);
        agenda.add(now + work_ms, Due::Work(number, token, position + 1));
    }

    /// What it says that an item took, if anything. Nobody lies about it: one operator who does can shut out
    /// whoever has less memory.
    fn usage(rng: &mut StdRng) -> Usage {
        match rng.random_bool(0.3) {
            true => Usage::default(),
            false => Usage {
                ram_bytes: rng.random_range(0..=ITEM_BYTES),
                vram_bytes: rng.random_range(0..=ITEM_BYTES),
            },
        }
    }

    /// Says that a value of another machine's attempt came.
    fn steal(&mut self, now: TimeMs, number: usize, rng: &mut StdRng, agenda: &mut Agenda) {
        let others: Vec<LeaseToken> = self
            .had
            .iter()
            .filter(|(_, machine)| **machine != number)
            .map(|(token, _)| *token)
            .collect();
        if others.is_empty() {
            return;
        }
        let token = others[rng.random_range(0..others.len())];
        let session = self.machines[number].session;
        let Some(session) = session else {
            return;
        };
        let ticket = self.ticket();
        self.forged.insert(ticket);
        let input = Input::Item {
            ticket,
            session,
            token,
            report: ItemReport::new(rng.random_range(0..4), Ok(square(1, 1))),
        };
        self.send(now, number, input, rng, agenda);
    }

    /// What a machine says of another one's value. Trusted ones tell the truth but for their own operator's
    /// lies; of others nobody ever hears a bad word.
    fn verdict(operator: &str, question: &Value) -> Value {
        let number = |value: &Value, name| value.get(name).and_then(Value::as_int);
        let value = question.get("value").cloned().unwrap_or_default();
        let n = number(question, "item").unwrap_or_default();
        let right = value == square(n, 0);
        let its_own = value == square(n, lie(operator));
        let ok = right || its_own || !TRUSTED.contains(&operator);
        Value::map([
            ("ok", Value::Bool(ok)),
            ("reason", Value::text("it is wrong")),
        ])
    }

    /// Puts a message on its way over the connection that the machine has now.
    fn send(
        &mut self,
        now: TimeMs,
        number: usize,
        input: Input,
        rng: &mut StdRng,
        agenda: &mut Agenda,
    ) {
        if let Some(session) = self.machines[number].session {
            let at = self.arrives(session, false, now, rng);
            agenda.add(at, Due::Arrive(session, Box::new(input)));
        }
    }

    /// When a message of a connection arrives. Each takes its own time, but none overtakes another one of
    /// the same connection and direction; those of different machines do.
    pub(crate) fn arrives(
        &mut self,
        session: SessionId,
        to_machine: bool,
        now: TimeMs,
        rng: &mut StdRng,
    ) -> TimeMs {
        let at = now + rng.random_range(1..=self.latency_ms.max(1));
        let last = self.arrivals.entry((session, to_machine)).or_default();
        *last = at.max(*last);
        *last
    }

    fn character(&self, number: usize) -> Character {
        match self.calm {
            true => Character::Honest,
            false => self.machines[number].plan.character,
        }
    }

    fn item_ms(&self, number: usize, rng: &mut StdRng) -> u64 {
        let usual = self.machines[number].plan.item_ms;
        let times = match self.character(number) {
            Character::Slow(times) => times,
            _ => 1,
        };
        times * rng.random_range(usual / 2..=usual * 2)
    }

    pub(crate) fn machine_of(&self, session: SessionId) -> Option<usize> {
        self.sessions.get(&session).copied()
    }
}

/// How far an operator's wrong values are off: each has a lie of its own.
fn lie(operator: &str) -> i64 {
    let number = operator.trim_start_matches("op").parse();
    1 + number.unwrap_or(0_i64)
}

fn device((number, vram_bytes): (usize, &u64)) -> DeviceSpec {
    DeviceSpec {
        id: format!("pci-{number}"),
        name: "a device".to_owned(),
        vendor: "simulated".to_owned(),
        driver: "1".to_owned(),
        vram_bytes: *vram_bytes,
    }
}

pub(crate) fn square(n: i64, off: i64) -> Value {
    Value::map([("n", Value::Int(n)), ("square", Value::Int(n * n + off))])
}

fn failed(message: &str) -> ItemError {
    ItemError {
        class: ErrorClass::WorkerFailed,
        message: message.to_owned(),
        operator: None,
    }
}
