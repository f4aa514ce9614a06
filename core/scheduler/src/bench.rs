//! Machines that are not offered a kind for a while.
//!
//! *Quarantine* follows several failed attempts in a row with little time between them: a machine that fails
//! fast would otherwise be free, and chosen, again and again, and one that is silent would sit on a task
//! until its timeout each time. What follows is a trial: the next failure is enough for a longer
//! quarantine, until an attempt is good. It can be lifted, when nobody else offers the kind. A *pause*
//! follows a refusal or an offer that was not answered: short, and never lifted, since such a machine takes
//! nothing. Neither is part of the record that reputation keeps, and neither is rebuilt at recovery.

use std::hash::{Hash, Hasher};

use froben_model::{Kind, MachineId, TimeMs};
use rustc_hash::{FxHashMap, FxHasher};

use crate::Policy;
use crate::policy::doubled;
use crate::timers::Alarm;

#[derive(Debug, Clone, Default)]
struct Entry {
    /// When the last attempts failed, in a row, and how long each had taken; at most `quarantine_after`.
    failed_ms: Vec<(TimeMs, u64)>,
    /// Quarantines without a good attempt between.
    quarantines: u32,
    quarantined_until: Option<TimeMs>,
    /// Offers in a row that were not accepted.
    refusals: u32,
    paused_until: Option<TimeMs>,
    touched_ms: TimeMs,
    /// When either is over.
    alarm: Alarm,
}

impl Entry {
    fn until(&self) -> Option<TimeMs> {
        self.quarantined_until.max(self.paused_until)
    }
}

/// Why and until when a machine is benched for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Benched {
    Quarantined { until: TimeMs },
    Paused { until: TimeMs },
}

#[derive(Debug)]
pub(crate) struct Bench {
    policy: Policy,
    entries: FxHashMap<MachineId, FxHashMap<Kind, Entry>>,
}

impl Bench {
    pub(crate) fn new(policy: &Policy) -> Self {
        Bench {
            policy: *policy,
            entries: FxHashMap::default(),
        }
    }

    /// From here on; what is benched stays so until then.
    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        self.policy = *policy;
    }

    fn get(&self, machine: &MachineId, kind: &Kind) -> Option<&Entry> {
        self.entries.get(machine)?.get(kind)
    }

    fn get_mut(&mut self, machine: &MachineId, kind: &Kind) -> Option<&mut Entry> {
        self.entries.get_mut(machine)?.get_mut(kind)
    }

    fn entry(&mut self, machine: &MachineId, kind: &Kind, now: TimeMs) -> &mut Entry {
        let kinds = self.entries.entry(machine.clone()).or_default();
        let entry = kinds.entry(kind.clone()).or_default();
        entry.touched_ms = now;
        entry
    }

    /// An attempt brought good items and no fault.
    pub(crate) fn good_attempt(&mut self, machine: &MachineId, kind: &Kind) {
        if let Some(entry) = self.get_mut(machine, kind) {
            entry.failed_ms.clear();
            entry.quarantines = 0;
        }
    }

    /// An attempt failed by the operator's fault. True if the machine is quarantined for it.
    pub(crate) fn failed_attempt(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        (now, took_ms): (TimeMs, u64),
    ) -> bool {
        let policy = self.policy;
        let entry = self.entry(machine, kind, now);
        let streak = match entry.quarantines {
            0 => policy.quarantine_after.clamp(1, 1024) as usize,
            _ => 1,
        };
        entry.failed_ms.push((now, took_ms));
        let surplus = entry.failed_ms.len().saturating_sub(streak);
        entry.failed_ms.drain(..surplus);
        let first = entry.failed_ms.first().map_or(now, |(at, _)| *at);
        // Between them, that is: not while they ran.
        let ran_ms: u64 = entry.failed_ms.iter().skip(1).map(|(_, ms)| ms).sum();
        let between_ms = now.saturating_sub(first).saturating_sub(ran_ms);
        let fast = between_ms <= policy.quarantine_window_ms;
        if entry.failed_ms.len() < streak || !fast {
            return false;
        }
        let length = doubled(
            policy.quarantine_ms,
            entry.quarantines,
            policy.quarantine_max_ms,
        );
        entry.quarantines = entry.quarantines.saturating_add(1);
        entry.failed_ms.clear();
        let spread = length / 1024 * spread(machine);
        entry.quarantined_until = Some(now.saturating_add(length).saturating_add(spread));
        true
    }

    /// The machine took an offer.
    pub(crate) fn accepted(&mut self, machine: &MachineId, kind: &Kind) {
        if let Some(entry) = self.get_mut(machine, kind) {
            entry.refusals = 0;
        }
    }

    /// The machine refused an offer, or did not answer it.
    pub(crate) fn refused(&mut self, machine: &MachineId, kind: &Kind, now: TimeMs) {
        let policy = self.policy;
        let entry = self.entry(machine, kind, now);
        let length = doubled(policy.pause_ms, entry.refusals, policy.pause_max_ms);
        entry.refusals = entry.refusals.saturating_add(1);
        entry.paused_until = Some(now.saturating_add(length));
    }

    /// Ends a quarantine before its time.
    pub(crate) fn lift(&mut self, machine: &MachineId, kind: &Kind) {
        if let Some(entry) = self.get_mut(machine, kind) {
            entry.quarantined_until = None;
        }
    }

    /// Ends what is over at `now`.
    pub(crate) fn expire(&mut self, machine: &MachineId, kind: &Kind, now: TimeMs) {
        if let Some(entry) = self.get_mut(machine, kind) {
            entry.quarantined_until = entry.quarantined_until.filter(|until| *until > now);
            entry.paused_until = entry.paused_until.filter(|until| *until > now);
        }
    }

    /// When the machine is offered the kind again; `None` if it is now.
    pub(crate) fn until(&self, machine: &MachineId, kind: &Kind) -> Option<TimeMs> {
        self.get(machine, kind)?.until()
    }

    pub(crate) fn quarantined_until(&self, machine: &MachineId, kind: &Kind) -> Option<TimeMs> {
        self.get(machine, kind)?.quarantined_until
    }

    pub(crate) fn benched(&self, machine: &MachineId, kind: &Kind) -> Option<Benched> {
        let entry = self.get(machine, kind)?;
        let until = entry.until()?;
        Some(match entry.quarantined_until == Some(until) {
            true => Benched::Quarantined { until },
            false => Benched::Paused { until },
        })
    }

    /// Forgets machines that are not `here` and have done nothing for a long time.
    pub(crate) fn prune(&mut self, now: TimeMs, here: impl Fn(&MachineId) -> bool) {
        let Policy {
            quarantine_window_ms,
            quarantine_max_ms,
            pause_max_ms,
            ..
        } = self.policy;
        let long_ms = quarantine_window_ms
            .max(quarantine_max_ms)
            .max(pause_max_ms);
        self.entries.retain(|machine, kinds| {
            if !here(machine) {
                let idle_ms = |entry: &Entry| now.saturating_sub(entry.touched_ms);
                kinds.retain(|_, entry| entry.until().is_some() || idle_ms(entry) <= long_ms);
            }
            !kinds.is_empty()
        });
    }

    /// The kinds that the machine is not offered now, and until when.
    pub(crate) fn of(&self, machine: &MachineId) -> Vec<(&Kind, TimeMs)> {
        let kinds = self.entries.get(machine).into_iter().flatten();
        let benched = kinds.filter_map(|(kind, entry)| Some((kind, entry.until()?)));
        let mut benched: Vec<_> = benched.collect();
        benched.sort();
        benched
    }

    /// How many machines and kinds there are entries of.
    pub(crate) fn len(&self) -> usize {
        self.entries.values().map(FxHashMap::len).sum()
    }

    pub(crate) fn alarm_mut(&mut self, machine: &MachineId, kind: &Kind) -> Option<&mut Alarm> {
        self.get_mut(machine, kind).map(|entry| &mut entry.alarm)
    }

    /// Of all machines and kinds, set or not.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = (Alarm, &MachineId, &Kind)> {
        self.entries.iter().flat_map(|(machine, kinds)| {
            let kinds = kinds.iter();
            kinds.map(move |(kind, entry)| (entry.alarm, machine, kind))
        })
    }
}

/// From 0 to 255, for each machine its own: those that failed together are not to be tried together.
fn spread(machine: &MachineId) -> u64 {
    let mut hasher = FxHasher::default();
    machine.hash(&mut hasher);
    hasher.finish() >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            quarantine_after: 3,
            quarantine_window_ms: 100,
            quarantine_ms: 1000,
            quarantine_max_ms: 3000,
            pause_ms: 10,
            pause_max_ms: 30,
            ..Policy::default()
        }
    }

    fn names() -> (MachineId, Kind) {
        (MachineId::new("op/m").unwrap(), Kind::new("x/1").unwrap())
    }

    /// At which of the failures, in order, the machine is quarantined. A negative time is a good
    /// attempt.
    fn quarantined(times: &[i64]) -> Vec<usize> {
        let (machine, kind) = names();
        let mut bench = Bench::new(&policy());
        let mut hits = Vec::new();
        for (index, at) in times.iter().enumerate() {
            match u64::try_from(*at) {
                Ok(at) => {
                    if bench.failed_attempt(&machine, &kind, (at, 0)) {
                        hits.push(index);
                    }
                }
                Err(_) => bench.good_attempt(&machine, &kind),
            }
        }
        hits
    }

    #[test]
    fn only_fast_failures_in_a_row_quarantine() {
        for (times, expected) in [
            (&[0, 1][..], &[][..]),
            (&[0, 1, 2], &[2]),
            (&[0, 50, 100], &[2]),
            (&[0, 50, 101], &[]),
            (&[0, 60, 120, 150], &[3]),
            (&[0, 1, -1, 2, 3], &[]),
            // The last three are trials.
            (&[0, 1, 2, 3, 4, 5], &[2, 3, 4, 5]),
            (&[0, 1, 2, 3, -1, 4, 5], &[2, 3]),
        ] {
            assert_eq!(quarantined(times), expected, "{times:?}");
        }
    }

    #[test]
    fn the_time_of_the_attempts_themselves_does_not_count() {
        let (machine, kind) = names();
        let mut bench = Bench::new(&policy());
        let mut failed = |at, took_ms| bench.failed_attempt(&machine, &kind, (at, took_ms));
        assert!(!failed(1000, 1000) && !failed(2050, 1000));
        assert!(failed(3100, 1000), "a hundred between them");
        bench.good_attempt(&machine, &kind);
        let mut failed = |at, took_ms| bench.failed_attempt(&machine, &kind, (at, took_ms));
        assert!(!failed(1000, 1000) && !failed(2050, 1000) && !failed(3101, 1000));
    }

    #[test]
    fn quarantine_grows_until_a_good_attempt_and_can_be_lifted() {
        let (machine, kind) = names();
        let mut bench = Bench::new(&policy());
        let mut lengths = Vec::new();
        for round in 0..5 {
            let now = round * 10_000;
            while !bench.failed_attempt(&machine, &kind, (now, 0)) {}
            lengths.push(bench.until(&machine, &kind).unwrap() - now);
            if round == 3 {
                bench.good_attempt(&machine, &kind);
            }
        }
        for (length, base) in lengths.into_iter().zip([1000, 2000, 3000, 3000, 1000]) {
            assert!(
                (base..=base + base / 4).contains(&length),
                "{length} for {base}"
            );
        }
        bench.lift(&machine, &kind);
        assert_eq!(bench.benched(&machine, &kind), None);
    }

    #[test]
    fn pauses_grow_with_refusals_until_one_is_accepted() {
        let (machine, kind) = names();
        let mut bench = Bench::new(&policy());
        let mut lengths = Vec::new();
        for round in 0..5 {
            bench.refused(&machine, &kind, 0);
            lengths.push(bench.until(&machine, &kind).unwrap());
            if round == 3 {
                bench.accepted(&machine, &kind);
            }
        }
        assert_eq!(lengths, [10, 20, 30, 30, 10]);
        let until = 10;
        assert_eq!(
            bench.benched(&machine, &kind),
            Some(Benched::Paused { until })
        );
        bench.lift(&machine, &kind);
        assert_eq!(
            bench.until(&machine, &kind),
            Some(10),
            "a pause is not lifted"
        );
        bench.expire(&machine, &kind, 10);
        assert_eq!(bench.until(&machine, &kind), None);
    }

    #[test]
    fn an_idle_stranger_is_forgotten() {
        let (machine, kind) = names();
        let mut bench = Bench::new(&policy());
        bench.refused(&machine, &kind, 0);
        bench.prune(1_000_000, |_| false);
        assert_eq!(bench.entries.len(), 1, "its pause has not ended");
        bench.expire(&machine, &kind, 1_000_000);
        bench.prune(1_000_000, |_| true);
        assert_eq!(bench.entries.len(), 1, "it is here");
        bench.prune(1_000_000, |_| false);
        assert_eq!(bench.entries.len(), 0);
    }
}
