//! Who is new, and how much newcomers get beside those that are known.
//!
//! An operator is *established* with its first so many good items. Until then it has one attempt at a
//! time, and all newcomers together have a small share of what is in flight: a thousand fresh identities
//! get no more than one. An operator that comes when nobody is established is a *founder*, and free: a
//! network that begins is not held up by this.

use std::collections::BTreeSet;

use froben_model::OperatorId;
use rustc_hash::FxHashMap;

use crate::{Policy, SessionId};

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
    /// So many of a hundred attempts newcomers may have.
    share_percent: u32,
}

impl Operators {
    pub(crate) fn new(policy: &Policy) -> Self {
        Operators {
            share_percent: policy.newcomer_percent,
            ..Operators::default()
        }
    }

    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        self.share_percent = policy.newcomer_percent;
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

    pub(crate) fn began(&mut self, id: &OperatorId) {
        self.count(id, |n| *n += 1);
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
    pub(crate) fn admits(&self, id: &OperatorId) -> bool {
        match self.by_id.get(id) {
            Some(operator) if operator.newcomer => {
                operator.in_flight == 0 && self.admits_newcomers()
            }
            _ => true,
        }
    }

    /// Whether newcomers have less than their share. One at least may always have an attempt.
    pub(crate) fn admits_newcomers(&self) -> bool {
        let all = u64::from(self.in_flight) + 1;
        let share = all * u64::from(self.share_percent) / 100;
        u64::from(self.of_newcomers) < share.max(1)
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
            assert!(operators.admits(&id("a")));
            operators.began(&id("a"));
        }
    }

    #[test]
    fn a_newcomer_has_one_attempt_and_all_of_them_a_tenth() {
        let mut operators = mixed();
        assert!(operators.admits(&id("new")), "one may always");
        operators.began(&id("new"));
        assert!(!operators.admits(&id("new")) && !operators.admits(&id("newer")));
        for _ in 0..17 {
            operators.began(&id("a"));
        }
        assert!(
            !operators.admits(&id("newer")),
            "2 of 19 are more than a tenth"
        );
        operators.began(&id("b"));
        assert!(operators.admits(&id("newer")) && !operators.admits(&id("new")));
        operators.ended(&id("new"));
        assert!(operators.admits(&id("new")));
    }

    #[test]
    fn who_becomes_established_counts_no_more() {
        let mut operators = mixed();
        operators.began(&id("new"));
        assert_eq!(operators.in_flight(), (1, 1));
        assert!(operators.set_established(&id("new"), true));
        assert!(!operators.set_established(&id("new"), true));
        assert_eq!(operators.in_flight(), (1, 0));
        assert!(operators.admits(&id("new")) && operators.admits(&id("newer")));
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
