//! What kinds of tasks are known to take, by kind, device and machine.
//!
//! It is told of every item with a value, and what it tells is used in three ways: a machine that takes
//! longer than others comes behind them (its *pace*); a task whose script names no timeout gets one that
//! suits its kind; and a task has at least the memory reserved that its kind is known to need. It counts
//! only what came: an item that never comes is a matter of deadlines and of reputation.

use std::collections::BTreeMap;

use froben_model::view::ProfileView;
use froben_model::{Kind, MachineId, OperatorId, TimeBucket, TimeMs, Usage, limits};
use rustc_hash::FxHashMap;

use crate::Policy;
use crate::capacity::{Class, Demand, Offer};
use crate::sketch::Sketch;

/// Kinds, and devices of a kind, that are told apart; of more the least known are forgotten. Operators
/// name them.
const KINDS: usize = 4096;
const DEVICES: usize = 64;
/// Operators whose word on the memory of a kind, on one sort of device, is remembered.
const OPERATORS: usize = 64;
/// Items that are remembered of a kind, and of a machine at a kind.
const WINDOW: u32 = 4096;
const MACHINE_WINDOW: u32 = 64;
/// An eighth of a second: times below it say more about the network than about machines.
const SHORT: TimeBucket = TimeBucket(40);
/// Buckets for each doubling.
const DOUBLING: i32 = 8;
/// A timeout that was too short counts as so many of a hundred items, so that the next one is longer.
const LESSON: u64 = 2;
/// For how many half-lives of reputation an absent machine's pace is remembered.
const REMEMBERED: u64 = 8;

/// How many times a machine takes twice as long as is usual for a kind; negative for one that is faster.
/// Machines of one pace are as fast as each other.
pub(crate) type Pace = i8;

const FASTEST: i32 = -3;
const SLOWEST: i32 = 6;

/// How much longer a machine takes than is usual for a kind, by the medians, in buckets of time; nothing for
/// a machine or a kind that is not known well enough, or a kind that takes no time to speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lag(Option<i32>);

impl Lag {
    const UNKNOWN: Lag = Lag(None);

    /// By whole doublings. Of a machine that was seen at another pace it has to be off from that by three
    /// quarters of a doubling, so that one between two paces does not go back and forth. What is not known is
    /// as fast as any.
    pub(crate) fn pace(self, was: Option<Pace>) -> Pace {
        let Some(buckets) = self.0 else {
            return 0;
        };
        match was {
            Some(was) if (buckets - i32::from(was) * DOUBLING).abs() <= DOUBLING * 3 / 4 => was,
            _ => {
                let doublings = (buckets + DOUBLING / 2).div_euclid(DOUBLING);
                doublings.clamp(FASTEST, SLOWEST) as Pace
            }
        }
    }
}

/// What items told of their machine and their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) lag: Lag,
    /// The kind is known well enough from here on.
    pub(crate) learned: bool,
}

/// Items of one kind on one sort of device.
#[derive(Debug, Default)]
struct Known {
    times: Sketch,
    /// By operator: what one says of its memory shall not shut out another one's machines.
    memory: FxHashMap<OperatorId, Memory>,
    /// Items of operators that are not among these, since one of them last got in.
    passed_over: usize,
    /// By the word of who says least, of those that have done enough.
    needed: Needed,
}

/// Memory of an item, in KiB, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Needed {
    ram: Option<TimeBucket>,
    vram: Option<TimeBucket>,
}

/// What an operator's machines say that items take.
#[derive(Debug, Default)]
struct Memory {
    /// In KiB.
    ram: Sketch,
    vram: Sketch,
}

impl Memory {
    fn add(&mut self, usage: Usage) {
        let Usage {
            ram_bytes,
            vram_bytes,
        } = usage;
        for (sketch, bytes) in [(&mut self.ram, ram_bytes), (&mut self.vram, vram_bytes)] {
            if bytes > 0 {
                sketch.add(TimeBucket::of_ms(bytes >> 10), 1, WINDOW);
            }
        }
    }

    /// What 99 of a hundred items stay within, if there are `enough`.
    fn within(&self, enough: u64) -> Needed {
        let within = |sketch: &Sketch| match sketch.total() >= enough {
            true => sketch.quantile(99),
            false => None,
        };
        Needed {
            ram: within(&self.ram),
            vram: within(&self.vram),
        }
    }
}

impl Known {
    fn note(&mut self, operator: &OperatorId, usage: Usage, enough: u64) {
        let new = !self.memory.contains_key(operator);
        if new && self.memory.len() >= OPERATORS && !self.makes_room() {
            return;
        }
        let memory = self.memory.entry(operator.clone()).or_default();
        let before = memory.within(enough);
        memory.add(usage);
        if new || memory.within(enough) != before {
            self.needed = self.least(enough);
        }
    }

    /// Now and then another operator takes the place of the one that has said least.
    fn makes_room(&mut self) -> bool {
        self.passed_over += 1;
        if self.passed_over < OPERATORS {
            return false;
        }
        self.passed_over = 0;
        let least = self.memory.iter();
        let least = least.min_by_key(|(operator, memory)| (memory.ram.total(), *operator));
        if let Some(least) = least.map(|(operator, _)| operator.clone()) {
            self.memory.remove(&least);
        }
        true
    }

    /// What items need by the word of the operator that says least, of those that have done `enough`.
    fn least(&self, enough: u64) -> Needed {
        let all = self.memory.values().map(|memory| memory.within(enough));
        all.fold(Needed::default(), |least, own| Needed {
            ram: least.ram.into_iter().chain(own.ram).min(),
            vram: least.vram.into_iter().chain(own.vram).min(),
        })
    }
}

#[derive(Debug, Default)]
struct OfKind {
    /// On whatever device; also those of which the device is not known any more.
    times: Sketch,
    cpu: Known,
    /// By their names.
    devices: BTreeMap<String, Known>,
}

impl OfKind {
    /// Whether `enough` items of it have come.
    fn is_known(&self, enough: u64) -> bool {
        self.times.total() >= enough
    }

    /// Of a machine whose times these are. `enough` items of the kind make it known.
    fn lag(&self, own: &Sketch, enough: u64) -> Lag {
        if !self.is_known(enough) {
            return Lag::UNKNOWN;
        }
        let all = self.times.quantile(50).filter(|all| *all >= SHORT);
        let both = all.zip(own.quantile(50));
        Lag(both.map(|(all, own)| i32::from(own.0) - i32::from(all.0)))
    }

    fn known(&mut self, device: Option<&str>) -> Option<&mut Known> {
        let Some(device) = device else {
            return Some(&mut self.cpu);
        };
        if !self.devices.contains_key(device) {
            if self.devices.len() == DEVICES {
                let items = |(_, known): &(&String, &Known)| known.times.total();
                let least = self.devices.iter().min_by_key(items);
                let least = least.map(|(device, _)| device.clone());
                self.devices.remove(&least?);
            }
            self.devices.insert(device.to_owned(), Known::default());
        }
        self.devices.get_mut(device)
    }

    fn of_class(&self, class: Class) -> Vec<&Known> {
        match class {
            Class::Cpu => vec![&self.cpu],
            Class::Device => self.devices.values().collect(),
        }
    }
}

/// A machine's items of one kind.
#[derive(Debug, Default)]
struct OfMachine {
    times: Sketch,
    last_ms: TimeMs,
}

impl OfMachine {
    fn add(&mut self, bucket: TimeBucket, times: u32, at: TimeMs) {
        self.times.add(bucket, times, MACHINE_WINDOW);
        self.last_ms = self.last_ms.max(at);
    }
}

/// An item with a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done<'a> {
    pub(crate) machine: &'a MachineId,
    pub(crate) operator: &'a OperatorId,
    pub(crate) kind: &'a Kind,
    /// The device's name; `None` for CPU tasks.
    pub(crate) device: Option<&'a str>,
    pub(crate) took_ms: u64,
    pub(crate) usage: Usage,
}

#[derive(Debug)]
pub(crate) struct Profiles {
    learn_after: u64,
    timeout_times: u64,
    timeout_floor_ms: u64,
    remembered_ms: u64,
    kinds: FxHashMap<Kind, OfKind>,
    /// In one table: it is looked into with every item.
    machines: FxHashMap<(MachineId, Kind), OfMachine>,
}

impl Profiles {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut profiles = Profiles {
            learn_after: 0,
            timeout_times: 0,
            timeout_floor_ms: 0,
            remembered_ms: 0,
            kinds: FxHashMap::default(),
            machines: FxHashMap::default(),
        };
        profiles.set_policy(policy);
        profiles
    }

    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        self.learn_after = u64::from(policy.learn_after.max(1));
        self.timeout_times = u64::from(policy.timeout_times);
        self.timeout_floor_ms = policy.timeout_floor_ms;
        self.remembered_ms = policy.half_life_ms.saturating_mul(REMEMBERED);
        let enough = self.learn_after;
        for of_kind in self.kinds.values_mut() {
            for known in of_kind.devices.values_mut().chain([&mut of_kind.cpu]) {
                known.needed = known.least(enough);
            }
        }
    }

    pub(crate) fn record(&mut self, now: TimeMs, done: Done<'_>) -> Told {
        let Done {
            machine,
            operator,
            kind,
            device,
            took_ms,
            usage,
        } = done;
        let took = TimeBucket::of_ms(took_ms);
        let enough = self.learn_after;
        let (told, of_kind) = self.add(machine, kind, &[(took, 1)], now);
        if let Some(known) = of_kind.known(device) {
            known.times.add(took, 1, WINDOW);
            if usage != Usage::default() {
                known.note(operator, usage, enough);
            }
        }
        told
    }

    /// Items of which only the times are known.
    pub(crate) fn record_times(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        times: &[(TimeBucket, u32)],
        at: TimeMs,
    ) -> Told {
        self.add(machine, kind, times, at).0
    }

    fn add(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        times: &[(TimeBucket, u32)],
        at: TimeMs,
    ) -> (Told, &mut OfKind) {
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(kind) {
            self.forget_a_kind();
        }
        let enough = self.learn_after;
        let of_kind = self.kinds.entry(kind.clone()).or_default();
        let own = self.machines.entry((machine.clone(), kind.clone()));
        let own = own.or_default();
        let knew = of_kind.is_known(enough);
        for (bucket, count) in times {
            of_kind.times.add(*bucket, *count, WINDOW);
            own.add(*bucket, *count, at);
        }
        let told = Told {
            lag: of_kind.lag(&own.times, enough),
            learned: !knew && of_kind.is_known(enough),
        };
        (told, of_kind)
    }

    /// Makes room for a kind that is new: the one that least is known of goes.
    fn forget_a_kind(&mut self) {
        let least = self.kinds.iter();
        let least = least.min_by_key(|(kind, of_kind)| (of_kind.times.total(), *kind));
        if let Some(kind) = least.map(|(kind, _)| kind.clone()) {
            self.kinds.remove(&kind);
            self.machines.retain(|(_, of), _| *of != kind);
        }
    }

    /// An item takes the machine so long at least: it was stopped at it.
    pub(crate) fn at_least(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        ms: u64,
        at: TimeMs,
    ) -> Lag {
        let own = self.machines.entry((machine.clone(), kind.clone()));
        own.or_default().add(TimeBucket::of_ms(ms), 1, at);
        self.lag(machine, kind)
    }

    /// An attempt was broken off after so long, by a timeout that its kind's profile gave it. True if the kind
    /// is known well enough from here on.
    pub(crate) fn too_short(&mut self, kind: &Kind, after_ms: u64) -> bool {
        let enough = self.learn_after;
        let Some(of_kind) = self.kinds.get_mut(kind) else {
            return false;
        };
        let (knew, items) = (of_kind.is_known(enough), of_kind.times.total());
        let times = u32::try_from(items * LESSON / 100 + 1).unwrap_or(u32::MAX);
        let after = TimeBucket::of_ms(after_ms);
        of_kind.times.add(after, times, WINDOW);
        !knew && of_kind.is_known(enough)
    }

    /// Of a machine at a kind.
    pub(crate) fn lag(&self, machine: &MachineId, kind: &Kind) -> Lag {
        let own = self.machines.get(&(machine.clone(), kind.clone()));
        match own.zip(self.kinds.get(kind)) {
            Some((own, of_kind)) => of_kind.lag(&own.times, self.learn_after),
            None => Lag::UNKNOWN,
        }
    }

    /// Whether the machine's own times at the kind are known.
    pub(crate) fn has_done(&self, machine: &MachineId, kind: &Kind) -> bool {
        self.machines.contains_key(&(machine.clone(), kind.clone()))
    }

    /// What `percent` of the items of a kind stay within, if it is known well enough.
    pub(crate) fn within_ms(&self, kind: &Kind, percent: u32) -> Option<u64> {
        let of_kind = self.kinds.get(kind)?;
        let known = of_kind.is_known(self.learn_after);
        let within = of_kind.times.quantile(percent).filter(|_| known);
        within.map(TimeBucket::middle_ms)
    }

    /// How long an attempt that owes so many items may take if its task's script named no timeout.
    pub(crate) fn timeout_ms(&self, kind: &Kind, owed: u32) -> u64 {
        let most = limits::DEFAULT_TIMEOUT_MS;
        let Some(item_ms) = self.within_ms(kind, 99) else {
            return most;
        };
        let all_ms = item_ms.saturating_mul(u64::from(owed));
        let suits = all_ms.saturating_mul(self.timeout_times);
        suits.max(self.timeout_floor_ms).min(most)
    }

    /// Raises a demand to what is known of its kind: to what 99 of a hundred items stay within on the
    /// device that needs least, by the word of the operator that says least, rounded down to an eighth. So
    /// no operator's machines are shut out that have done it, whatever others say, and tasks that ask for
    /// the same go on having one shape.
    pub(crate) fn raise(&self, offer: &Offer, demand: &mut Demand) {
        let Some(of_kind) = self.kinds.get(&offer.kind) else {
            return;
        };
        let known = of_kind.of_class(offer.class);
        let least = |get: fn(&Needed) -> Option<TimeBucket>| {
            known.iter().filter_map(|known| get(&known.needed)).min()
        };
        let bytes = |bucket: Option<TimeBucket>| bucket.map_or(0, |kib| kib.floor_ms() << 10);
        demand.ram_bytes = demand.ram_bytes.max(bytes(least(|needed| needed.ram)));
        if offer.class == Class::Device {
            demand.vram_bytes = demand.vram_bytes.max(bytes(least(|needed| needed.vram)));
        }
    }

    /// By kind, all devices together first.
    pub(crate) fn views(&self) -> impl Iterator<Item = ProfileView> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, _)| *kind);
        kinds.into_iter().flat_map(|(kind, of_kind)| {
            let cpu = Some(("cpu", &of_kind.cpu)).filter(|(_, cpu)| cpu.times.total() > 0);
            let devices = of_kind.devices.iter();
            let devices = devices.map(|(device, known)| (device.as_str(), known));
            let each = cpu.into_iter().chain(devices);
            let each = each.map(|(device, known)| ProfileView {
                device: Some(device.to_owned()),
                ram_bytes: memory(known.least(1).ram),
                vram_bytes: memory(known.least(1).vram),
                ..view(kind, &known.times)
            });
            std::iter::once(view(kind, &of_kind.times)).chain(each)
        })
    }

    /// Forgets machines that are not `here` and have not been for long.
    pub(crate) fn prune(&mut self, now: TimeMs, here: impl Fn(&MachineId) -> bool) {
        let remembered_ms = self.remembered_ms;
        self.machines.retain(|(machine, _), own| {
            now.saturating_sub(own.last_ms) <= remembered_ms || here(machine)
        });
    }
}

fn view(kind: &Kind, times: &Sketch) -> ProfileView {
    let within = |percent| times.quantile(percent).map_or(0, TimeBucket::middle_ms);
    ProfileView {
        kind: kind.clone(),
        device: None,
        items: times.total(),
        p50_ms: within(50),
        p90_ms: within(90),
        p99_ms: within(99),
        ram_bytes: None,
        vram_bytes: None,
    }
}

fn memory(kib: Option<TimeBucket>) -> Option<u64> {
    Some(kib?.middle_ms() << 10)
}

#[cfg(test)]
mod tests {
    use froben_model::Needs;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn kind() -> Kind {
        Kind::new("x/1").unwrap()
    }

    fn machine(name: &str) -> MachineId {
        MachineId::new(name).unwrap()
    }

    fn policy() -> Policy {
        Policy {
            learn_after: 10,
            timeout_times: 4,
            timeout_floor_ms: 30_000,
            half_life_ms: 1000,
            ..Policy::default()
        }
    }

    fn pace_of(profiles: &Profiles, name: &str) -> Pace {
        profiles.lag(&machine(name), &kind()).pace(None)
    }

    fn learn(profiles: &mut Profiles, name: &str, device: Option<&str>, items: u32, took_ms: u64) {
        learn_usage(profiles, name, device, items, took_ms, Usage::default());
    }

    fn learn_usage(
        profiles: &mut Profiles,
        name: &str,
        device: Option<&str>,
        items: u32,
        took_ms: u64,
        usage: Usage,
    ) {
        let machine = machine(name);
        for _ in 0..items {
            let done = Done {
                machine: &machine,
                operator: &machine.operator(),
                kind: &kind(),
                device,
                took_ms,
                usage,
            };
            profiles.record(0, done);
        }
    }

    #[test]
    fn paces_are_doublings_of_the_median() {
        let mut profiles = Profiles::new(&policy());
        learn(&mut profiles, "op/slow", None, 1, 60_000);
        assert_eq!(pace_of(&profiles, "op/slow"), 0, "too few");
        for n in 0..20 {
            learn(&mut profiles, &format!("op/m{n}"), None, 5, 20_000);
        }
        learn(&mut profiles, "op/fast", None, 5, 4000);
        learn(&mut profiles, "op/dead", None, 5, 86_400_000);
        learn(&mut profiles, "op/zero", None, 5, 0);
        for (name, pace) in [
            ("op/slow", 2),
            ("op/m3", 0),
            ("op/fast", -2),
            ("op/dead", 6),
            ("op/zero", -3),
            ("op/new", 0),
        ] {
            assert_eq!(pace_of(&profiles, name), pace, "{name}");
        }
    }

    #[test]
    fn a_machine_between_two_paces_keeps_the_one_it_has() {
        let mut profiles = Profiles::new(&policy());
        for n in 0..20 {
            learn(&mut profiles, &format!("op/m{n}"), None, 5, 20_000);
        }
        let pace = |profiles: &Profiles, was| {
            let lag = profiles.lag(&machine("op/x"), &kind());
            lag.pace(Some(was))
        };
        assert_eq!(pace(&profiles, 3), 0, "nothing is known of it");
        learn(&mut profiles, "op/x", None, 1, 31_000);
        let paces = [-1, 0, 1, 2].map(|was| pace(&profiles, was));
        assert_eq!(paces, [1, 0, 1, 1]);
    }

    #[test]
    fn short_times_make_no_pace() {
        let mut profiles = Profiles::new(&policy());
        learn(&mut profiles, "op/a", None, 50, 20);
        learn(&mut profiles, "op/b", None, 10, 400);
        assert_eq!(pace_of(&profiles, "op/b"), 0);
    }

    #[test]
    fn a_pace_is_known_again_from_times_alone_and_forgotten_in_the_end() {
        let mut profiles = Profiles::new(&policy());
        let times = |ms, n| [(TimeBucket::of_ms(ms), n)];
        profiles.record_times(&machine("op/a"), &kind(), &times(1000, 50), 500);
        profiles.record_times(&machine("op/b"), &kind(), &times(4000, 5), 500);
        assert_eq!(pace_of(&profiles, "op/b"), 2);
        profiles.prune(9000, |machine| machine.as_str() == "op/a");
        assert_eq!(pace_of(&profiles, "op/b"), 0);
        assert_eq!(profiles.machines.len(), 1);
    }

    #[test]
    fn a_timeout_suits_the_kind_and_stays_between_its_bounds() {
        let mut profiles = Profiles::new(&policy());
        let most = limits::DEFAULT_TIMEOUT_MS;
        assert_eq!(profiles.timeout_ms(&kind(), 1), most);
        learn(&mut profiles, "op/a", None, 9, 10_000);
        assert_eq!(profiles.timeout_ms(&kind(), 1), most, "too few");
        learn(&mut profiles, "op/a", None, 1, 10_000);
        let item_ms = TimeBucket::of_ms(10_000).middle_ms();
        assert_eq!(profiles.timeout_ms(&kind(), 1), 4 * item_ms);
        assert_eq!(profiles.timeout_ms(&kind(), 5), 20 * item_ms);
        assert_eq!(profiles.timeout_ms(&kind(), 100), most);
        assert_eq!(profiles.timeout_ms(&kind(), u32::MAX), most);
        assert_eq!(profiles.timeout_ms(&kind(), 0), 30_000);
    }

    #[test]
    fn a_timeout_that_was_too_short_is_longer_the_next_time() {
        let mut profiles = Profiles::new(&policy());
        learn(&mut profiles, "op/a", None, 2000, 10_000);
        let mut timeouts = vec![profiles.timeout_ms(&kind(), 1)];
        while *timeouts.last().unwrap() < limits::DEFAULT_TIMEOUT_MS {
            profiles.too_short(&kind(), *timeouts.last().unwrap());
            timeouts.push(profiles.timeout_ms(&kind(), 1));
        }
        assert!(timeouts.len() <= 4, "{timeouts:?}");
    }

    #[test]
    fn memory_is_raised_to_what_the_least_demanding_device_needs() {
        let usage = |ram, vram| Usage {
            ram_bytes: ram * GIB,
            vram_bytes: vram * GIB,
        };
        let raised = |profiles: &Profiles, vram_bytes: u64| {
            let needs = Needs {
                vram_bytes,
                ..Needs::default()
            };
            let mut demand = Demand::from(&needs);
            let offer = Offer {
                kind: kind(),
                class: demand.class,
            };
            profiles.raise(&offer, &mut demand);
            (demand.ram_bytes / GIB, demand.vram_bytes / GIB)
        };
        let mut profiles = Profiles::new(&policy());
        learn_usage(&mut profiles, "op/a", Some("large"), 20, 5, usage(8, 16));
        learn_usage(&mut profiles, "op/b", None, 20, 5, usage(32, 0));
        assert_eq!(raised(&profiles, GIB), (8, 16));
        assert_eq!(raised(&profiles, 20 * GIB), (8, 20), "it asks for more");
        assert_eq!(raised(&profiles, 0), (32, 0), "CPU tasks are apart");
        learn_usage(&mut profiles, "op/c", Some("small"), 9, 5, usage(4, 6));
        assert_eq!(raised(&profiles, GIB), (8, 16), "too few");
        learn_usage(&mut profiles, "op/c", Some("small"), 1, 5, usage(4, 6));
        assert_eq!(raised(&profiles, GIB), (4, 6));
    }

    #[test]
    fn who_says_that_a_kind_takes_all_memory_speaks_for_himself() {
        let usage = |ram| Usage {
            ram_bytes: ram * GIB,
            vram_bytes: 0,
        };
        let offer = Offer {
            kind: kind(),
            class: Class::Cpu,
        };
        let mut profiles = Profiles::new(&policy());
        let raised = |profiles: &Profiles| {
            let mut demand = Demand::from(&Needs::default());
            profiles.raise(&offer, &mut demand);
            demand.ram_bytes / GIB
        };
        learn_usage(&mut profiles, "liar/m", None, 20, 5, usage(64));
        assert_eq!(raised(&profiles), 64, "nobody else has said anything");
        learn_usage(&mut profiles, "op/a", None, 10, 5, usage(2));
        assert_eq!(raised(&profiles), 2);
        for n in 0..2 * OPERATORS {
            let name = format!("more{n}/m");
            learn_usage(&mut profiles, &name, None, 1, 5, usage(64));
        }
        assert_eq!(raised(&profiles), 2);
        assert_eq!(profiles.kinds[&kind()].cpu.memory.len(), OPERATORS);
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut profiles = Profiles::new(&policy());
        for n in 0..2 * DEVICES {
            let device = format!("d{n}");
            learn(&mut profiles, "op/a", Some(&device), 1, 1000);
        }
        assert_eq!(profiles.views().count(), 1 + DEVICES);
        let newest = format!("d{}", 2 * DEVICES - 1);
        let devices: Vec<_> = profiles.views().filter_map(|view| view.device).collect();
        assert!(devices.contains(&newest), "who is new has room");
        for n in 0..2 * KINDS {
            let kind = Kind::new(format!("k{n}/1")).unwrap();
            profiles.record_times(&machine("op/a"), &kind, &[(TimeBucket(9), 1)], 0);
        }
        assert_eq!(profiles.kinds.len(), KINDS);
        assert!(
            profiles.kinds.contains_key(&kind()),
            "what is known best stays"
        );
    }
}
