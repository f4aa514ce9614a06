//! Who is new, and how much newcomers get beside those that are known.
//!
//! An operator is *established* with its first so many good items. Until then it has one attempt at a
//! time, and all newcomers together have a small share of what is in flight, and of what is handed out:
//! a thousand fresh identities get no more than one, and no more for answering at once. An operator that comes when nobody is established is a *founder*, and free: a
//! network that begins is not held up by this.

use std::collections::BTreeSet;

use froben_model::{OperatorId, TimeMs};
use rustc_hash::FxHashMap;

use crate::timers::Alarm;
use crate::{Policy, SessionId};

/// So many hand-outs are remembered, those of before half as well.
const LATELY: u32 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) sessions: BTreeSet<SessionId>,
    pub(crate) in_flight: u32,
    /// Its machines are bounded while it has few good items.
    pub(crate) newcomer: bool,
    founder: bool,
}

/// Those that have machines connected.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    by_id: FxHashMap<OperatorId, Operator>,
    /// Attempts, of all operators.
    in_flight: u32,
    /// Attempts, of newcomers.
    of_newcomers: u32,
    /// Attempts that were handed out lately, and of them those to newcomers.
    handed_out: u32,
    to_newcomers: u32,
    /// When a newcomer got the last one.
    last_ms: TimeMs,
    /// So many of a hundred attempts newcomers may have.
    share_percent: u32,
    /// Besides that, so many to begin with, and one in this time.
    first: u32,
    every_ms: u64,
    /// Of newcomers who wait for that time.
    pub(crate) again: Alarm,
}

impl Operators {
    pub(crate) fn new(policy: &Policy) -> Self {
        Operators {
            share_percent: policy.newcomer_percent,
            first: policy.newcomer_items,
            every_ms: policy.newcomer_every_ms,
            ..Operators::default()
        }
    }

    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        self.share_percent = policy.newcomer_percent;
        self.first = policy.newcomer_items;
        self.every_ms = policy.newcomer_every_ms;
    }

    pub(crate) fn get(&self, id: &OperatorId) -> Option<&Operator> {
        self.by_id.get(id)
    }

    pub(crate) fn is_newcomer(&self, id: &OperatorId) -> bool {
        self.by_id.get(id).is_some_and(|operator| operator.newcomer)
    }

    /// A machine of the operator's is there. `anybody`: whether some operator is established.
    pub(crate) fn join(
        &mut self,
        id: &OperatorId,
        session: SessionId,
        established: bool,
        anybody: bool,
    ) {
        let operator = self.by_id.entry(id.clone()).or_insert_with(|| {
            let founder = !anybody;
            Operator {
                sessions: BTreeSet::new(),
                in_flight: 0,
                newcomer: !established && !founder,
                founder,
            }
        });
        operator.sessions.insert(session);
    }

    /// The machine has no attempts any more, and is gone.
    pub(crate) fn leave(&mut self, id: &OperatorId, session: SessionId) {
        if let Some(operator) = self.by_id.get_mut(id) {
            operator.sessions.remove(&session);
            if operator.sessions.is_empty() {
                self.by_id.remove(id);
            }
        }
    }

    /// Whether it changes anything that the operator is established or not now.
    pub(crate) fn set_established(&mut self, id: &OperatorId, established: bool) -> bool {
        let Some(operator) = self.by_id.get_mut(id) else {
            return false;
        };
        let newcomer = !established && !operator.founder;
        let changed = std::mem::replace(&mut operator.newcomer, newcomer) != newcomer;
        match (changed, newcomer) {
            (true, false) => self.of_newcomers -= operator.in_flight,
            (true, true) => self.of_newcomers += operator.in_flight,
            (false, _) => {}
        }
        changed
    }

    pub(crate) fn began(&mut self, id: &OperatorId, now: TimeMs) {
        self.count(id, |n| *n += 1);
        self.handed_out += 1;
        if self.is_newcomer(id) {
            self.to_newcomers += 1;
            self.last_ms = now;
        }
        if self.handed_out >= LATELY {
            self.handed_out /= 2;
            self.to_newcomers /= 2;
        }
    }

    pub(crate) fn ended(&mut self, id: &OperatorId) {
        self.count(id, |n| *n -= 1);
    }

    fn count(&mut self, id: &OperatorId, change: impl Fn(&mut u32)) {
        let operator = self.by_id.get_mut(id);
        let operator = operator.expect("invariant: attempts are of connected operators");
        change(&mut operator.in_flight);
        change(&mut self.in_flight);
        if operator.newcomer {
            change(&mut self.of_newcomers);
        }
    }

    /// Whether the bounds leave room for an attempt of the operator's.
    pub(crate) fn admits(&self, id: &OperatorId, now: TimeMs) -> bool {
        match self.by_id.get(id) {
            Some(operator) if operator.newcomer => {
                operator.in_flight == 0 && self.admits_newcomers(now)
            }
            _ => true,
        }
    }

    /// Whether newcomers have less than their share. Now and then one at least may have an attempt.
    pub(crate) fn admits_newcomers(&self, now: TimeMs) -> bool {
        let share = |all: u32| (u64::from(all) + 1) * u64::from(self.share_percent) / 100;
        let lately = share(self.handed_out) + u64::from(self.first);
        let turn = u64::from(self.to_newcomers) < lately || now >= self.again_ms();
        u64::from(self.of_newcomers) < share(self.in_flight).max(1) && turn
    }

    /// When a newcomer may have an attempt whatever was handed out.
    pub(crate) fn again_ms(&self) -> TimeMs {
        self.last_ms.saturating_add(self.every_ms)
    }

    /// By name.
    pub(crate) fn sorted(&self) -> Vec<(&OperatorId, &Operator)> {
        let mut all: Vec<_> = self.by_id.iter().collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Attempts of all, and of newcomers.
    pub(crate) fn in_flight(&self) -> (u32, u32) {
        (self.in_flight, self.of_newcomers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> OperatorId {
        OperatorId::new(name).unwrap()
    }

    /// Two established operators and two newcomers, one machine each.
    fn mixed() -> Operators {
        let mut operators = Operators::new(&Policy::default());
        for (session, (name, established)) in
            (1..).zip([("a", true), ("b", true), ("new", false), ("newer", false)])
        {
            operators.join(&id(name), SessionId(session), established, true);
        }
        operators
    }

    #[test]
    fn whoever_comes_first_is_free() {
        let mut operators = Operators::new(&Policy::default());
        operators.join(&id("a"), SessionId(1), false, false);
        operators.join(&id("b"), SessionId(2), false, true);
        assert!(!operators.is_newcomer(&id("a")) && operators.is_newcomer(&id("b")));
        for _ in 0..5 {
            assert!(operators.admits(&id("a"), 0));
            operators.began(&id("a"), 0);
        }
    }

    #[test]
    fn a_newcomer_has_one_attempt_and_all_of_them_a_tenth() {
        let mut operators = mixed();
        assert!(operators.admits(&id("new"), 0), "one may always");
        operators.began(&id("new"), 0);
        assert!(!operators.admits(&id("new"), 0) && !operators.admits(&id("newer"), 0));
        for _ in 0..17 {
            operators.began(&id("a"), 0);
        }
        assert!(
            !operators.admits(&id("newer"), 0),
            "2 of 19 are more than a tenth"
        );
        operators.began(&id("b"), 0);
        assert!(operators.admits(&id("newer"), 0) && !operators.admits(&id("new"), 0));
        operators.ended(&id("new"));
        assert!(operators.admits(&id("new"), 0));
    }

    #[test]
    fn who_answers_at_once_gets_no_more_than_a_share_of_what_is_handed_out() {
        let mut operators = mixed();
        let mut hand_out = |to: &str, now| {
            let admitted = operators.admits(&id(to), now);
            if admitted {
                operators.began(&id(to), now);
                operators.ended(&id(to));
            }
            admitted
        };
        let first = (0..100).filter(|_| hand_out("new", 0)).count();
        assert!((10..=12).contains(&first), "{first} to begin with");
        for _ in 0..1000 {
            hand_out("a", 0);
        }
        let then = (0..1000).filter(|_| hand_out("new", 0)).count();
        assert!((100..=113).contains(&then), "{then}");
        assert!(!hand_out("new", 9_999) && hand_out("new", 10_000));
        assert!(!hand_out("new", 10_001) && hand_out("new", 20_000));
    }

    #[test]
    fn who_becomes_established_counts_no_more() {
        let mut operators = mixed();
        operators.began(&id("new"), 0);
        assert_eq!(operators.in_flight(), (1, 1));
        assert!(operators.set_established(&id("new"), true));
        assert!(!operators.set_established(&id("new"), true));
        assert_eq!(operators.in_flight(), (1, 0));
        assert!(operators.admits(&id("new"), 0));
        assert!(operators.admits(&id("newer"), 0));
        assert!(
            operators.set_established(&id("new"), false),
            "its record has faded"
        );
        assert_eq!(operators.in_flight(), (1, 1));
        operators.ended(&id("new"));
        operators.leave(&id("new"), SessionId(3));
        assert_eq!(operators.get(&id("new")), None);
    }
}
