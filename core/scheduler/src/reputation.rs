//! What a machine is known for: items that came good and items that failed by its operator's fault,
//! for each kind, recent ones more. Where a machine has little of a record, its operator's others speak
//! for it.
//!
//! Whole numbers only, so that an order never depends on rounding modes. Outcomes may come in any order
//! (recovery reads one workflow's journal after the other): each is weighed by its own age. Only where a
//! share lies between two tiers the order decides which of the two it is in. It knows nothing of quarantine,
//! which is about the last minute and not about the record.

use std::collections::BTreeSet;

use froben_model::{Kind, MachineId, OperatorId, TimeMs};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::Policy;

/// A machine's standing for a kind, 0 to [`TIERS`]; machines in one tier are as good as each other.
pub(crate) type Tier = u8;

/// The tier of the flawless. The share of good items in so many steps, the nearest or the one it was in.
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

#[derive(Debug, Clone, Copy)]
struct Account {
    /// Weights as of the start of `step`.
    ok: u64,
    failed: u64,
    step: u64,
    totals: Totals,
    /// Where it stood after its last item.
    tier: Tier,
}

impl Default for Account {
    fn default() -> Self {
        Account {
            ok: 0,
            failed: 0,
            step: 0,
            totals: Totals::default(),
            tier: TIERS,
        }
    }
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

    /// Of an operator's account: what a machine of his is believed to be. He himself is credited with
    /// four times the prior.
    fn mean(&self, prior_items: u64, step: u64) -> Tier {
        let (ok, failed) = self.at(step);
        let good = 4 * u128::from(prior_items * ONE) + u128::from(ok);
        self.tier_at(good, good + u128::from(failed))
    }

    /// Of a machine's account, whose operator's machines are believed to be as good as `mean`.
    fn tier(&self, mean: Tier, prior_items: u64, step: u64) -> Tier {
        let (ok, failed) = self.at(step);
        let prior = u128::from(prior_items * ONE);
        let good = u128::from(ok) + prior * u128::from(mean) / u128::from(TIERS);
        self.tier_at(good, u128::from(ok) + u128::from(failed) + prior)
    }

    /// The share `good` of `all` in sixteenths, if it is off by five eighths of one from where it stood:
    /// one between two tiers does not go back and forth with each item.
    fn tier_at(&self, good: u128, all: u128) -> Tier {
        if all == 0 {
            return TIERS;
        }
        let off = (u128::from(TIERS) * good).abs_diff(u128::from(self.tier) * all);
        match 8 * off <= 5 * all {
            true => self.tier,
            false => ((2 * u128::from(TIERS) * good + all) / (2 * all)) as Tier,
        }
    }

    /// Counts steps of another length from here on.
    fn rebase(&mut self, before: u64, after: u64) {
        (self.ok, self.failed) = self.at(before);
        self.step = after;
    }

    fn at(&self, step: u64) -> (u64, u64) {
        let steps = step.saturating_sub(self.step);
        (decayed(self.ok, steps), decayed(self.failed, steps))
    }
}

#[derive(Debug, Default)]
struct Operator {
    /// Of all its machines together.
    record: FxHashMap<Kind, Account>,
    /// Good items of all kinds and times, and those of them that a check approved.
    good: u64,
    checked: u64,
}

impl Operator {
    fn counted(&self, checked_only: bool) -> u64 {
        match checked_only {
            true => self.checked,
            false => self.good,
        }
    }
}

/// How items of one machine and kind ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) ok: bool,
    pub(crate) items: u32,
    /// Of those that are good, so many were approved by a check.
    pub(crate) checked: u32,
}

impl Outcome {
    /// Values that count, as nobody wants them checked.
    pub(crate) fn good(items: u32) -> Self {
        Outcome {
            ok: true,
            items,
            checked: 0,
        }
    }

    /// A value that a check approved.
    pub(crate) fn approved() -> Self {
        Outcome {
            ok: true,
            items: 1,
            checked: 1,
        }
    }

    /// By the operator's fault.
    pub(crate) fn failed(items: u32) -> Self {
        Outcome {
            ok: false,
            items,
            checked: 0,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reputation {
    step_ms: u64,
    prior_items: u64,
    /// In one table: it is looked into with every item.
    machines: FxHashMap<(MachineId, Kind), Account>,
    operators: FxHashMap<OperatorId, Operator>,
    /// So many good items establish an operator.
    newcomer_items: u64,
    /// Whether only those count that a check approved.
    checked_only: bool,
    /// How many are.
    established: usize,
}

/// Whose tiers an outcome may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    Nothing,
    /// Its own, for the kind: to this one.
    Machine(Tier),
    /// All machines of its operator.
    Operator,
}

impl Reputation {
    pub(crate) fn new(policy: &Policy) -> Self {
        Reputation {
            step_ms: step_ms(policy),
            prior_items: u64::from(policy.prior_items),
            machines: FxHashMap::default(),
            operators: FxHashMap::default(),
            newcomer_items: u64::from(policy.newcomer_items),
            checked_only: false,
            established: 0,
        }
    }

    /// All tiers may be others, and others be established. With another half-life, what was recorded
    /// ages from here on as if it had just happened.
    pub(crate) fn set_policy(&mut self, policy: &Policy, now: TimeMs) {
        let before = self.step(now);
        self.step_ms = step_ms(policy);
        self.prior_items = u64::from(policy.prior_items);
        self.newcomer_items = u64::from(policy.newcomer_items);
        let after = self.step(now);
        let operators = self.operators.values_mut();
        let operators = operators.flat_map(|operator| operator.record.values_mut());
        for account in self.machines.values_mut().chain(operators) {
            account.rebase(before, after);
        }
        self.count_established();
    }

    /// From here on only items that a check approved establish an operator, or any good ones.
    pub(crate) fn set_checked_only(&mut self, checked_only: bool) {
        self.checked_only = checked_only;
        self.count_established();
    }

    fn count_established(&mut self) {
        let operators = self.operators.values();
        self.established = operators.filter(|o| self.establishes(o)).count();
    }

    fn establishes(&self, operator: &Operator) -> bool {
        operator.counted(self.checked_only) >= self.newcomer_items
    }

    /// The step that a moment lies in. Tiers change with an outcome and from one step to the next, and
    /// at no other time.
    pub(crate) fn step(&self, now: TimeMs) -> u64 {
        now / self.step_ms
    }

    pub(crate) fn record(
        &mut self,
        machine: &MachineId,
        operator: &OperatorId,
        kind: &Kind,
        outcome: Outcome,
        (at, now): (TimeMs, TimeMs),
    ) -> Changed {
        let Outcome { ok, items, checked } = outcome;
        if items == 0 {
            return Changed::Nothing;
        }
        let step = self.step(at);
        let own = self.machines.entry((machine.clone(), kind.clone()));
        let own = own.or_default();
        let newcomer_items = self.newcomer_items;
        let checked_only = self.checked_only;
        let operator = self.operators.entry(operator.clone()).or_default();
        let account = operator.record.entry(kind.clone()).or_default();
        let now_step = now / self.step_ms;
        let prior_items = self.prior_items;
        let mean_before = account.mean(prior_items, now_step);
        account.tier = mean_before;
        account.add(ok, items, step);
        account.tier = account.mean(prior_items, now_step);
        let mean = account.tier;
        let tier_before = own.tier(mean_before, prior_items, now_step);
        own.tier = tier_before;
        own.add(ok, items, step);
        own.tier = own.tier(mean, prior_items, now_step);
        let tier = own.tier;
        let before_items = operator.counted(checked_only);
        let good = u64::from(items) * u64::from(ok);
        operator.good = operator.good.saturating_add(good);
        operator.checked = operator.checked.saturating_add(u64::from(checked));
        let new = before_items < newcomer_items && operator.counted(checked_only) >= newcomer_items;
        self.established += usize::from(new);
        match new || mean != mean_before {
            true => Changed::Operator,
            false if tier != tier_before => Changed::Machine(tier),
            false => Changed::Nothing,
        }
    }

    pub(crate) fn tier(
        &self,
        machine: &MachineId,
        operator: &OperatorId,
        kind: &Kind,
        now: TimeMs,
    ) -> Tier {
        let step = self.step(now);
        let own = self.machines.get(&(machine.clone(), kind.clone()));
        let operator = self.operators.get(operator);
        let all = operator.and_then(|operator| operator.record.get(kind));
        let mean = all.map_or(TIERS, |account| account.mean(self.prior_items, step));
        let own = own.copied().unwrap_or_default();
        own.tier(mean, self.prior_items, step)
    }

    pub(crate) fn is_established(&self, operator: &OperatorId) -> bool {
        let operator = self.operators.get(operator);
        operator.map_or(self.newcomer_items == 0, |operator| {
            self.establishes(operator)
        })
    }

    /// Whether any operator is, connected or not.
    pub(crate) fn anybody_is_established(&self) -> bool {
        self.established > 0
    }

    /// By machine, over all kinds.
    pub(crate) fn totals(&self) -> FxHashMap<&MachineId, Totals> {
        let mut all = FxHashMap::<_, Totals>::default();
        for ((machine, _), account) in &self.machines {
            let Totals { ok, failed } = all.entry(machine).or_default();
            *ok = ok.saturating_add(account.totals.ok);
            *failed = failed.saturating_add(account.totals.failed);
        }
        all
    }

    /// Forgets records that have faded to nothing, of machines that are not `here`.
    pub(crate) fn prune(&mut self, now: TimeMs, here: impl Fn(&MachineId) -> bool) {
        let step = self.step(now);
        self.machines
            .retain(|(machine, _), account| account.at(step) != (0, 0) || here(machine));
        let machines: FxHashSet<_> = self.machines.keys().map(|(machine, _)| machine).collect();
        let mut kept = BTreeSet::new();
        kept.extend(machines.into_iter().map(MachineId::operator));
        self.operators.retain(|operator, _| kept.contains(operator));
        self.count_established();
    }
}

fn step_ms(policy: &Policy) -> u64 {
    (policy.half_life_ms / STEPS_PER_HALF_LIFE).max(1)
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

    fn names() -> (MachineId, OperatorId, Kind) {
        let machine = MachineId::new("op/m").unwrap();
        let operator = machine.operator();
        (machine, operator, Kind::new("x/1").unwrap())
    }

    fn outcome(ok: bool, items: u32) -> Outcome {
        match ok {
            true => Outcome::good(items),
            false => Outcome::failed(items),
        }
    }

    /// The tier at `now` after outcomes (ok, items, at).
    fn tier(outcomes: &[(bool, u32, TimeMs)], now: TimeMs) -> Tier {
        let (machine, operator, kind) = names();
        let mut reputation = Reputation::new(&policy());
        for (ok, items, at) in outcomes {
            let when = (*at, now);
            reputation.record(&machine, &operator, &kind, outcome(*ok, *items), when);
        }
        reputation.tier(&machine, &operator, &kind, now)
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
            (&[(false, 1, 0)], 11),
            (&[(false, 3, 0)], 7),
            (&[(false, 45, 0)], 0),
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
        assert_eq!(tier(&[(false, 20, 0)], 0), 1);
        assert_eq!(tier(&[(false, 20, 0)], 3 * HALF_LIFE_MS), 7);
        assert_eq!(tier(&[(false, 20, 0)], 100 * HALF_LIFE_MS), TIERS);
    }

    #[test]
    fn the_order_of_the_reports_does_not_matter_but_between_two_tiers() {
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
        let (machine, operator, kind) = names();
        let other = Kind::new("y/1").unwrap();
        let mut reputation = Reputation::new(&policy());
        reputation.record(&machine, &operator, &kind, outcome(false, 9), (0, 0));
        let late = 90 * HALF_LIFE_MS;
        reputation.record(&machine, &operator, &other, outcome(true, 4), (late, late));
        assert_eq!(reputation.tier(&machine, &operator, &kind, 0), 2);
        assert_eq!(reputation.tier(&machine, &operator, &other, 0), TIERS);
        assert_eq!(reputation.totals()[&machine], Totals { ok: 4, failed: 9 });
    }

    #[test]
    fn faded_records_of_absent_machines_are_forgotten() {
        let (machine, operator, kind) = names();
        let mut reputation = Reputation::new(&policy());
        reputation.record(&machine, &operator, &kind, outcome(false, 9), (0, 0));
        reputation.prune(100 * HALF_LIFE_MS, |_| true);
        assert_eq!(reputation.machines.len(), 1);
        reputation.prune(HALF_LIFE_MS, |_| false);
        assert_eq!(reputation.machines.len(), 1, "not faded yet");
        reputation.prune(100 * HALF_LIFE_MS, |_| false);
        assert_eq!(reputation.machines.len(), 0);
    }

    #[test]
    fn an_operator_s_other_machines_speak_for_a_new_one() {
        let (machine, operator, kind) = names();
        let other = MachineId::new("op/other").unwrap();
        let mut reputation = Reputation::new(&policy());
        let mut fail = |items| {
            let when = (0, 0);
            let changed =
                reputation.record(&machine, &operator, &kind, outcome(false, items), when);
            (changed, reputation.tier(&other, &operator, &kind, 0))
        };
        // He is credited with 12 good items: 12 of 13 are 15 sixteenths.
        assert_eq!(fail(1), (Changed::Operator, 15));
        assert_eq!(fail(11), (Changed::Operator, 8));
        assert_eq!(fail(1), (Changed::Nothing, 8), "of none is it the best");
        let stranger = MachineId::new("b/other").unwrap();
        assert_eq!(
            reputation.tier(&stranger, &stranger.operator(), &kind, 0),
            TIERS
        );
        let much_later = 40 * HALF_LIFE_MS;
        assert_eq!(reputation.tier(&other, &operator, &kind, much_later), TIERS);
    }

    #[test]
    fn an_operator_between_two_tiers_keeps_the_one_he_has() {
        let (machine, operator, kind) = names();
        let other = MachineId::new("op/other").unwrap();
        let mut reputation = Reputation::new(&policy());
        let mut record = |ok, items| {
            let when = (0, 0);
            reputation.record(&machine, &operator, &kind, outcome(ok, items), when);
            reputation.tier(&other, &operator, &kind, 0)
        };
        record(true, 88);
        // With his credit 15.53 sixteenths, 15.24, 15.29, 15.54 and 15.79.
        let falling = [record(false, 3), record(false, 2)];
        let rising = [record(true, 8), record(true, 60), record(true, 200)];
        assert_eq!((falling, rising), ([16, 15], [15, 15, 16]));
    }

    #[test]
    fn ten_good_items_establish_an_operator_whatever_the_machine_and_kind() {
        let (machine, operator, kind) = names();
        let other = (
            MachineId::new("op/other").unwrap(),
            Kind::new("y/1").unwrap(),
        );
        let mut reputation = Reputation::new(&policy());
        let mut record = |(machine, kind): (&MachineId, &Kind), ok, items| {
            reputation.record(machine, &operator, kind, outcome(ok, items), (0, 0));
            let anybody = reputation.anybody_is_established();
            assert_eq!(reputation.is_established(&operator), anybody);
            anybody
        };
        assert!(!record((&machine, &kind), false, 100));
        assert!(!record((&machine, &kind), true, 9));
        assert!(record((&other.0, &other.1), true, 1));
        reputation.prune(100 * HALF_LIFE_MS, |_| false);
        assert!(!reputation.anybody_is_established());
    }

    #[test]
    fn where_checks_are_to_be_had_only_what_they_approve_establishes() {
        let (machine, operator, kind) = names();
        let mut reputation = Reputation::new(&policy());
        let mut record = |outcome, times| {
            for _ in 0..times {
                reputation.record(&machine, &operator, &kind, outcome, (0, 0));
            }
            let was = reputation.is_established(&operator);
            reputation.set_checked_only(true);
            let is = reputation.is_established(&operator);
            assert_eq!(is, reputation.anybody_is_established());
            (was, is)
        };
        assert_eq!(record(Outcome::good(100), 1), (true, false));
        assert_eq!(record(Outcome::approved(), 9), (false, false));
        assert_eq!(record(Outcome::approved(), 1), (true, true));
        reputation.set_checked_only(false);
        assert!(reputation.is_established(&operator));
    }

    #[test]
    fn another_half_life_keeps_what_is_recorded() {
        let (machine, operator, kind) = names();
        let mut reputation = Reputation::new(&policy());
        let now = 7 * HALF_LIFE_MS;
        reputation.record(&machine, &operator, &kind, outcome(false, 20), (now, now));
        let before = reputation.tier(&machine, &operator, &kind, now);
        let shorter = Policy {
            half_life_ms: HALF_LIFE_MS / 16,
            ..policy()
        };
        reputation.set_policy(&shorter, now);
        assert_eq!(reputation.tier(&machine, &operator, &kind, now), before);
        let later = now + HALF_LIFE_MS;
        assert_eq!(reputation.tier(&machine, &operator, &kind, later), TIERS);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let (machine, operator, kind) = names();
        let mut reputation = Reputation::new(&Policy {
            half_life_ms: 0,
            prior_items: u32::MAX,
            ..Policy::default()
        });
        for at in [0, u64::MAX, 5] {
            reputation.record(
                &machine,
                &operator,
                &kind,
                outcome(false, u32::MAX),
                (at, at),
            );
            reputation.record(
                &machine,
                &operator,
                &kind,
                outcome(true, u32::MAX),
                (at, at),
            );
        }
        assert!(reputation.tier(&machine, &operator, &kind, u64::MAX) <= TIERS);
        let doubtful = Policy {
            prior_items: 0,
            ..policy()
        };
        let mut reputation = Reputation::new(&doubtful);
        let mut tiers = vec![reputation.tier(&machine, &operator, &kind, 0)];
        reputation.record(&machine, &operator, &kind, outcome(false, 3), (0, 0));
        let later = 100 * HALF_LIFE_MS;
        tiers.extend([0, later].map(|now| reputation.tier(&machine, &operator, &kind, now)));
        assert_eq!(tiers, [TIERS, 0, TIERS], "what has faded is forgiven");
    }
}
