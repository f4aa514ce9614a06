//! What a machine is known for: items that came good and items that failed by its operator's fault,
//! for each kind, recent ones more.
//!
//! Whole numbers only, so that an order never depends on rounding modes. Outcomes may come in any order
//! (recovery reads one workflow's journal after the other): each is weighed by its own age. It knows
//! nothing of quarantine, which is about the last minute and not about the record.

use std::collections::BTreeMap;

use froben_model::{Kind, MachineId, TimeMs};

use crate::Policy;

/// A machine's standing for a kind, 0 to [`TIERS`]; machines in one tier are as good as each other.
pub(crate) type Tier = u8;

/// The tier of the flawless. The share of good items, rounded to the nearest of so many steps.
pub(crate) const TIERS: Tier = 16;

/// The weight of an item that has just ended.
const ONE: u64 = 1 << 16;

/// Time in which a weight falls by the factor 2^(-1/16): a sixteenth of the half-life.
const STEPS_PER_HALF_LIFE: u64 = 16;

/// round(2^16 * 2^(-i/16)).
const DECAY: [u64; STEPS_PER_HALF_LIFE as usize] = [
    65_536, 62_757, 60_097, 57_549, 55_109, 52_773, 50_535, 48_393, 46_341, 44_376, 42_495, 40_693,
    38_968, 37_316, 35_734, 34_219,
];

fn decayed(weight: u64, steps: u64) -> u64 {
    let halvings = u32::try_from(steps / STEPS_PER_HALF_LIFE).unwrap_or(u32::MAX);
    let halved = weight.checked_shr(halvings).unwrap_or(0);
    let factor = DECAY[(steps % STEPS_PER_HALF_LIFE) as usize];
    ((u128::from(halved) * u128::from(factor)) >> 16) as u64
}

/// Items counted without decay, for people to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Weights as of the start of `step`.
    ok: u64,
    failed: u64,
    step: u64,
    totals: Totals,
}

impl Account {
    fn add(&mut self, ok: bool, items: u32, at_step: u64) {
        if at_step > self.step {
            (self.ok, self.failed) = self.at(at_step);
            self.step = at_step;
        }
        let fresh = u64::from(items) * ONE;
        let weight = decayed(fresh, self.step - at_step);
        let (sum, total) = match ok {
            true => (&mut self.ok, &mut self.totals.ok),
            false => (&mut self.failed, &mut self.totals.failed),
        };
        *sum = sum.saturating_add(weight);
        *total = total.saturating_add(u64::from(items));
    }

    fn at(&self, step: u64) -> (u64, u64) {
        let steps = step.saturating_sub(self.step);
        (decayed(self.ok, steps), decayed(self.failed, steps))
    }
}

#[derive(Debug)]
pub(crate) struct Reputation {
    step_ms: u64,
    prior: u64,
    accounts: BTreeMap<MachineId, BTreeMap<Kind, Account>>,
}

impl Reputation {
    pub(crate) fn new(policy: &Policy) -> Self {
        Reputation {
            step_ms: (policy.half_life_ms / STEPS_PER_HALF_LIFE).max(1),
            prior: u64::from(policy.prior_items) * ONE,
            accounts: BTreeMap::new(),
        }
    }

    /// The step that a moment lies in. Tiers change with an outcome and from one step to the next, and
    /// at no other time.
    pub(crate) fn step(&self, now: TimeMs) -> u64 {
        now / self.step_ms
    }

    pub(crate) fn record(
        &mut self,
        machine: &MachineId,
        kind: &Kind,
        ok: bool,
        items: u32,
        at: TimeMs,
    ) {
        if items == 0 {
            return;
        }
        let step = self.step(at);
        if !self.accounts.contains_key(machine) {
            self.accounts.insert(machine.clone(), BTreeMap::new());
        }
        let kinds = self
            .accounts
            .get_mut(machine)
            .expect("invariant: just inserted");
        match kinds.get_mut(kind) {
            Some(account) => account.add(ok, items, step),
            None => kinds.entry(kind.clone()).or_default().add(ok, items, step),
        }
    }

    pub(crate) fn tier(&self, machine: &MachineId, kind: &Kind, now: TimeMs) -> Tier {
        let account = self.accounts.get(machine).and_then(|kinds| kinds.get(kind));
        let (ok, failed) = account.map_or((0, 0), |account| account.at(self.step(now)));
        let good = u128::from(ok) + u128::from(self.prior);
        let all = good + u128::from(failed);
        match all {
            0 => TIERS,
            _ => ((2 * u128::from(TIERS) * good + all) / (2 * all)) as Tier,
        }
    }

    /// Over all kinds.
    pub(crate) fn totals(&self, machine: &MachineId) -> Totals {
        let accounts = self.accounts.get(machine).into_iter().flatten();
        accounts.fold(Totals::default(), |sum, (_, account)| Totals {
            ok: sum.ok.saturating_add(account.totals.ok),
            failed: sum.failed.saturating_add(account.totals.failed),
        })
    }

    /// Forgets records that have faded to nothing, of machines that are not `here`.
    pub(crate) fn prune(&mut self, now: TimeMs, here: impl Fn(&MachineId) -> bool) {
        let step = self.step(now);
        self.accounts.retain(|machine, kinds| {
            if !here(machine) {
                kinds.retain(|_, account| account.at(step) != (0, 0));
            }
            !kinds.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE_MS: u64 = 16_000;

    fn policy() -> Policy {
        Policy {
            half_life_ms: HALF_LIFE_MS,
            ..Policy::default()
        }
    }

    fn names() -> (MachineId, Kind) {
        (MachineId::new("op/m").unwrap(), Kind::new("x/1").unwrap())
    }

    /// The tier at `now` after outcomes (ok, items, at).
    fn tier(outcomes: &[(bool, u32, TimeMs)], now: TimeMs) -> Tier {
        let (machine, kind) = names();
        let mut reputation = Reputation::new(&policy());
        for (ok, items, at) in outcomes {
            reputation.record(&machine, &kind, *ok, *items, *at);
        }
        reputation.tier(&machine, &kind, now)
    }

    #[test]
    fn the_decay_table_is_a_power_of_two() {
        for (i, factor) in DECAY.iter().enumerate() {
            let exact = 65_536.0 * (-(i as f64) / 16.0).exp2();
            assert_eq!(*factor, exact.round() as u64, "{i}");
        }
        assert_eq!(decayed(ONE, 16), ONE / 2);
        assert_eq!(decayed(ONE, 24), ONE * 46_341 / 65_536 / 2);
        assert_eq!(decayed(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn tiers_follow_the_share_of_good_items() {
        for (outcomes, expected) in [
            (&[][..], 16),
            (&[(true, 100, 0)], 16),
            (&[(false, 1, 0)], 12),
            (&[(false, 3, 0)], 8),
            (&[(false, 45, 0)], 1),
            (&[(true, 97, 0), (false, 3, 0)], 16),
            (&[(true, 90, 0), (false, 10, 0)], 14),
            (&[(true, 0, 0), (false, 0, 0)], 16),
        ] {
            assert_eq!(tier(outcomes, 0), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn recent_outcomes_weigh_more_and_old_ones_are_forgiven() {
        let old_fault = [(false, 20, 0), (true, 20, 5 * HALF_LIFE_MS)];
        let new_fault = [(true, 20, 0), (false, 20, 5 * HALF_LIFE_MS)];
        let now = 5 * HALF_LIFE_MS;
        assert!(tier(&old_fault, now) > tier(&new_fault, now));
        assert_eq!(tier(&[(false, 20, 0)], 0), 2);
        assert_eq!(tier(&[(false, 20, 0)], 3 * HALF_LIFE_MS), 9);
        assert_eq!(tier(&[(false, 20, 0)], 100 * HALF_LIFE_MS), TIERS);
    }

    #[test]
    fn the_order_of_the_reports_does_not_matter() {
        let mut outcomes = vec![
            (true, 7, 0),
            (false, 5, 40_000),
            (true, 3, 90_000),
            (false, 2, 3),
        ];
        let forward = tier(&outcomes, 100_000);
        outcomes.reverse();
        assert_eq!(tier(&outcomes, 100_000), forward);
    }

    #[test]
    fn kinds_are_apart_and_totals_are_not_decayed() {
        let (machine, kind) = names();
        let other = Kind::new("y/1").unwrap();
        let mut reputation = Reputation::new(&policy());
        reputation.record(&machine, &kind, false, 9, 0);
        reputation.record(&machine, &other, true, 4, 90 * HALF_LIFE_MS);
        assert_eq!(reputation.tier(&machine, &kind, 0), 4);
        assert_eq!(reputation.tier(&machine, &other, 0), TIERS);
        assert_eq!(reputation.totals(&machine), Totals { ok: 4, failed: 9 });
    }

    #[test]
    fn faded_records_of_absent_machines_are_forgotten() {
        let (machine, kind) = names();
        let mut reputation = Reputation::new(&policy());
        reputation.record(&machine, &kind, false, 9, 0);
        reputation.prune(100 * HALF_LIFE_MS, |_| true);
        assert_eq!(reputation.accounts.len(), 1);
        reputation.prune(HALF_LIFE_MS, |_| false);
        assert_eq!(reputation.accounts.len(), 1, "not faded yet");
        reputation.prune(100 * HALF_LIFE_MS, |_| false);
        assert_eq!(reputation.accounts.len(), 0);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let (machine, kind) = names();
        let mut reputation = Reputation::new(&Policy {
            half_life_ms: 0,
            prior_items: u32::MAX,
            ..Policy::default()
        });
        for at in [0, u64::MAX, 5] {
            reputation.record(&machine, &kind, false, u32::MAX, at);
            reputation.record(&machine, &kind, true, u32::MAX, at);
        }
        assert!(reputation.tier(&machine, &kind, u64::MAX) <= TIERS);
        let doubtful = Policy {
            prior_items: 0,
            ..policy()
        };
        assert_eq!(Reputation::new(&doubtful).tier(&machine, &kind, 0), TIERS);
    }
}
