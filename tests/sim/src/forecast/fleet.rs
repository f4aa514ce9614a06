//! The machines of a profile, and what each is at.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::SessionId;
use froben_engine::input::{Input, Ticket};
use froben_model::{
    Assignment, BlobRef, CallId, DeviceSpec, ErrorClass, ItemError, ItemReport, Kind, LeaseToken,
    MachineId, MachineSpec, OperatorId, TimeMs, Value, WorkflowId,
};

use super::profile::{Profile, Takes};

/// What is to happen on a machine.
#[derive(Debug)]
pub(super) enum Due {
    /// It connects, with nothing loaded.
    Connect(usize),
    /// A task reaches it.
    Task(SessionId, Box<Assignment>),
    /// It is done with the item at this position of what it owes.
    Item(LeaseToken, usize),
    /// It is lost, together with this attempt.
    Lost(LeaseToken),
    /// Its message reaches the coordinator.
    Arrive(SessionId, Box<Input>),
    /// It is told to drop an attempt.
    Drop(LeaseToken),
}

/// How many machines, and perhaps one more of a class that somebody chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) machines: usize,
    /// The class of the one that comes after them.
    pub(super) added: Option<usize>,
}

pub(super) struct Fleet<'a> {
    profile: &'a Profile,
    seed: u64,
    machines: Vec<Machine>,
    sessions: BTreeMap<SessionId, usize>,
    attempts: BTreeMap<LeaseToken, Attempt>,
    next_session: u64,
}

struct Machine {
    id: MachineId,
    spec: MachineSpec,
    class: usize,
    slow: bool,
    speed: f64,
    session: Option<SessionId>,
    /// Setups that it has loaded.
    loaded: BTreeSet<(Kind, String)>,
    busy_ms: u64,
    /// For CPU tasks beside that.
    cpu_busy_ms: u64,
}

struct Attempt {
    machine: usize,
    task: Assignment,
    begun: TimeMs,
}

/// What a fleet has cost and done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Use {
    pub(super) devices: u64,
    pub(super) device_busy_ms: u64,
    /// Of machine-milliseconds, at each machine's price an hour.
    pub(super) busy_cost: f64,
    /// All machines, for one hour.
    pub(super) hourly: f64,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(profile: &'a Profile, size: Size, seed: u64) -> Self {
        let by_share = (0..size.machines).map(|number| class_of(profile, number));
        let classes = by_share.chain(size.added).enumerate();
        let machines = classes.map(|(number, class)| machine(profile, number, class, seed));
        Fleet {
            profile,
            seed,
            machines: machines.collect(),
            sessions: BTreeMap::new(),
            attempts: BTreeMap::new(),
            next_session: 1,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.machines.len()
    }

    pub(super) fn connect(&mut self, number: usize) -> Option<Input> {
        let machine = &mut self.machines[number];
        if machine.session.is_some() {
            return None;
        }
        let session = SessionId(self.next_session);
        self.next_session += 1;
        machine.session = Some(session);
        self.sessions.insert(session, number);
        Some(Input::MachineJoined {
            session,
            machine: machine.id.clone(),
            spec: machine.spec.clone(),
        })
    }

    /// A task has come: the machine takes it, and what will become of it is known.
    pub(super) fn task(
        &mut self,
        now: TimeMs,
        session: SessionId,
        task: Assignment,
        mut later: impl FnMut(TimeMs, Due),
    ) -> Option<Input> {
        let number = *self.sessions.get(&session)?;
        let token = task.token;
        let Some(takes) = self.profile.kinds.get(&task.kind) else {
            let reason = format!("the profile has no kind {}", task.kind);
            return Some(Input::Refused { token, reason });
        };
        let machine = &mut self.machines[number];
        let profile = self.profile;
        let jitter = |position: usize| {
            let drawn = draw(self.seed, &[2, number as u64, of(&token), position as u64]);
            1.0 + profile.jitter * (2.0 * drawn - 1.0)
        };
        // The machine does the items in their order, as many side by side as it can; before the first of
        // a case it loads what that needs.
        let mut lanes = vec![0.0_f64; takes.width];
        let (mut loading, mut ready) = (0.0_f64, BTreeMap::new());
        let mut end = 0.0_f64;
        for (position, (_, item)) in task.items.iter().enumerate() {
            let case = case(takes, item, &task.input);
            let ms = case.as_ref().and_then(|case| takes.cases.get(case));
            let ms = *ms.unwrap_or(&takes.item_ms) * jitter(position) / machine.speed;
            let name = (task.kind.clone(), case.unwrap_or_default());
            let ready = *ready.entry(name.clone()).or_insert_with(|| {
                if takes.setup_ms > 0.0 && machine.loaded.insert(name) {
                    loading += takes.setup_ms / machine.speed;
                }
                loading
            });
            let lane = lanes.iter_mut().min_by(|a, b| a.total_cmp(b));
            let lane = lane.expect("invariant: a width is at least 1");
            *lane = lane.max(ready) + ms;
            end = end.max(*lane);
            later(now + *lane as u64, Due::Item(token, position));
        }
        if draw(self.seed, &[3, number as u64, of(&token)]) < profile.killed_share {
            let when = draw(self.seed, &[4, number as u64, of(&token)]);
            later(now + (end * when) as u64, Due::Lost(token));
        }
        let attempt = Attempt {
            machine: number,
            task,
            begun: now,
        };
        self.attempts.insert(token, attempt);
        Some(Input::Accepted { token })
    }

    /// Everybody: who is trusted with checks, a profile does not say.
    pub(super) fn operators(&self) -> BTreeSet<OperatorId> {
        let specs = self.machines.iter().map(|machine| &machine.spec);
        specs.map(|spec| spec.operator.clone()).collect()
    }

    /// An item is done.
    pub(super) fn item(
        &self,
        ticket: Ticket,
        token: LeaseToken,
        position: usize,
    ) -> Option<(SessionId, Input)> {
        let attempt = self.attempts.get(&token)?;
        let machine = &self.machines[attempt.machine];
        let session = machine.session?;
        let (index, _) = *attempt.task.items.get(position)?;
        let takes = self.profile.kinds.get(&attempt.task.kind)?;
        let device = attempt.task.device.as_ref();
        let device =
            device.and_then(|id| machine.spec.devices.iter().find(|device| device.id == *id));
        let outcome = match device {
            Some(device) if device.vram_bytes < takes.memory_bytes => Err(ItemError {
                class: ErrorClass::OutOfMemory,
                message: format!(
                    "the profile says that {} takes {} MiB, the device has {} MiB",
                    attempt.task.kind,
                    takes.memory_bytes >> 20,
                    device.vram_bytes >> 20
                ),
                operator: None,
            }),
            _ => Ok(made_up(&takes.result, &token, index)),
        };
        let mut report = ItemReport::new(index, outcome);
        report.device = device.map(|device| device.name.clone());
        report.usage.vram_bytes = device.map_or(0, |_| takes.memory_bytes);
        let input = Input::Item {
            ticket,
            session,
            token,
            report,
        };
        Some((session, input))
    }

    /// The attempt is over, by the coordinator's word.
    pub(super) fn over(&mut self, now: TimeMs, token: LeaseToken) {
        let Some(attempt) = self.attempts.remove(&token) else {
            return;
        };
        let machine = &mut self.machines[attempt.machine];
        let took = now.saturating_sub(attempt.begun);
        match attempt.task.device {
            Some(_) => machine.busy_ms += took,
            None => machine.cpu_busy_ms += took,
        }
    }

    /// Every attempt at a delegation is.
    pub(super) fn all_over(&mut self, now: TimeMs, workflow: WorkflowId, call: CallId) {
        let token = |attempt, epoch| LeaseToken {
            workflow,
            call,
            attempt,
            epoch,
        };
        let range = token(0, 0)..=token(u32::MAX, u64::MAX);
        let tokens: Vec<_> = self
            .attempts
            .range(range)
            .map(|(token, _)| *token)
            .collect();
        tokens.into_iter().for_each(|token| self.over(now, token));
    }

    /// How many are slow.
    pub(super) fn slow(&self) -> usize {
        self.machines.iter().filter(|machine| machine.slow).count()
    }

    /// A machine is lost, with all that it was at.
    pub(super) fn lose(
        &mut self,
        now: TimeMs,
        token: LeaseToken,
        mut later: impl FnMut(TimeMs, Due),
    ) -> Option<Input> {
        let number = self.attempts.get(&token)?.machine;
        let machine = &mut self.machines[number];
        let session = machine.session.take()?;
        machine.loaded.clear();
        self.sessions.remove(&session);
        let tokens: Vec<_> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.machine == number)
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            self.over(now, token);
        }
        later(now + self.profile.away_ms, Due::Connect(number));
        Some(Input::MachineLeft {
            session,
            reason: "it was lost".to_owned(),
        })
    }

    /// Whether the coordinator can still hear what came over a session.
    pub(super) fn stands(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(super) fn is_slow(&self, machine: &MachineId) -> bool {
        // The label is the number.
        let number = machine
            .as_str()
            .rsplit_once('m')
            .map(|(_, n)| n.parse::<usize>());
        matches!(number, Some(Ok(number)) if self.machines.get(number).is_some_and(|m| m.slow))
    }

    /// What all of it has come to, with `price` for a device hour if it is given.
    pub(super) fn used(&self, price: Option<f64>) -> Use {
        let mut sum = Use::default();
        for machine in &self.machines {
            let devices = machine.spec.devices.len();
            let hourly = match price {
                Some(price) => price * devices.max(1) as f64,
                None => self.profile.classes[machine.class].price,
            };
            sum.devices += devices as u64;
            sum.device_busy_ms += machine.busy_ms;
            sum.hourly += hourly;
            let busy_ms = machine.busy_ms / devices.max(1) as u64 + machine.cpu_busy_ms;
            sum.busy_cost += hourly * busy_ms as f64 / 3_600_000.0;
        }
        sum
    }
}

/// The class of a machine that nobody chose: evenly by its number, so that every fleet of a size has the
/// same classes.
pub(super) fn class_of(profile: &Profile, number: usize) -> usize {
    let place = (number as f64 * 0.618_033_988_749_895).fract();
    let class = profile.classes.iter().position(|class| place < class.upto);
    class.unwrap_or(profile.classes.len() - 1)
}

fn machine(profile: &Profile, number: usize, class: usize, seed: u64) -> Machine {
    let found = &profile.classes[class];
    let slow = draw(seed, &[1, number as u64]) < profile.slow_share;
    let operator = format!("op{}", number / profile.machines_per_operator);
    let operator = OperatorId::new(operator).expect("invariant: it is a name");
    let label = format!("m{number}");
    let device = |(index, vram_bytes): (usize, &u64)| DeviceSpec {
        id: format!("pci-{index}"),
        name: found.name.clone(),
        vendor: "simulated".to_owned(),
        driver: "1".to_owned(),
        vram_bytes: *vram_bytes,
    };
    let of_class = |device: bool| {
        let kinds = profile
            .kinds
            .iter()
            .filter(|(_, takes)| takes.device == device);
        kinds.map(|(kind, _)| kind.clone()).collect()
    };
    Machine {
        id: MachineId::of(&operator, &label).expect("invariant: they are names"),
        spec: MachineSpec {
            operator,
            label,
            cpu_cores: found.cpu_cores,
            ram_bytes: found.ram_bytes,
            devices: found.devices.iter().enumerate().map(device).collect(),
            cpu_kinds: of_class(false),
            device_kinds: of_class(true),
            prices: Vec::new(),
            keys: Vec::new(),
        },
        class,
        slow,
        speed: found.speed * if slow { profile.slow_speed } else { 1.0 },
        session: None,
        loaded: BTreeSet::new(),
        busy_ms: 0,
        cpu_busy_ms: 0,
    }
}

/// What tells an item's time: the field of the item, or of the task's input.
fn case(takes: &Takes, item: &Value, input: &Value) -> Option<String> {
    let field = takes.case_of.as_ref()?;
    match item.get(field).or_else(|| input.get(field))? {
        Value::Int(int) => Some(int.to_string()),
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The profile's result, with blobs that nobody has and that differ from item to item.
fn made_up(value: &Value, token: &LeaseToken, index: u32) -> Value {
    match value {
        Value::Blob(blob) => {
            let mut made = BlobRef::of(format!("{token} {index}").as_bytes());
            made.size_bytes = blob.size_bytes;
            Value::Blob(made)
        }
        Value::List(list) => {
            let list = list.iter().map(|value| made_up(value, token, index));
            Value::List(list.collect())
        }
        Value::Map(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| (key.clone(), made_up(value, token, index)));
            Value::Map(entries.collect())
        }
        plain => plain.clone(),
    }
}

/// An attempt as a number: the same from run to run, whoever else is there.
fn of(token: &LeaseToken) -> u64 {
    let workflow = u128::from_be_bytes(token.workflow.0) as u64;
    mix(mix(workflow, token.call.0), u64::from(token.attempt))
}

/// A number from 0 up to 1 that hangs on what it is for, and on nothing else.
fn draw(seed: u64, what: &[u64]) -> f64 {
    let mixed = what
        .iter()
        .fold(mix(seed, 0), |state, word| mix(state, *word));
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// One round of SplitMix64 (Steele, Lea, Flood 2014) over both words.
fn mix(state: u64, word: u64) -> u64 {
    let mut z =
        (state ^ word.wrapping_mul(0xff51_afd7_ed55_8ccd)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_class_comes_after_the_others_and_leaves_them_as_they_are() {
        let profile = Profile::shipped("era").expect("it is shipped");
        let told = |added| {
            let machines = 33;
            let fleet = Fleet::new(&profile, Size { machines, added }, 7);
            let machines = fleet.machines.into_iter();
            let told = machines.map(|it| (it.id, it.spec, it.class, it.slow, it.speed));
            told.collect::<Vec<_>>()
        };
        let own = told(None);
        assert_eq!(own.len(), 33);
        for (class, of) in profile.classes.iter().enumerate() {
            let mut more = told(Some(class));
            let (id, spec, its, ..) = more.pop().expect("there are machines");
            assert_eq!(more, own, "{}", of.name);
            assert!(own.iter().all(|other| other.0 != id), "{id}");
            assert_eq!((its, &spec.devices[0].name), (class, &of.name));
        }
    }
}
