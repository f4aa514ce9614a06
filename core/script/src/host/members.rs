//! What a script can wait for the end of: delegations, children and fibers, alone or in a race.
//!
//! Ends are numbered in the order in which the host learns of them. That order follows from the
//! journal: completions enter one at a time, and the fibers that one of them wakes run in a fixed order
//! before the next.

use std::collections::BTreeMap;

use froben_model::CallId;
use froben_model::Value;
use froben_model::view::Failure as ChildFailure;

use super::{Host, Refusal, Wait, quota};

/// Something that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Member {
    Delegation(CallId),
    Child(CallId),
    Fiber(usize),
}

/// When it ended, among all that ended.
type Over = Option<u64>;

/// A workflow that this one runs.
#[derive(Default)]
pub(super) struct Child {
    pub(super) outcome: Option<Result<Value, ChildFailure>>,
    pub(super) over: Over,
    pub(super) cancelled: bool,
}

/// Ends, and who waits for the first of several.
#[derive(Default)]
pub(super) struct Members {
    ended: u64,
    /// Fibers by number, from 1; `None` while one runs.
    fibers: Vec<Over>,
    races: BTreeMap<usize, Race>,
    next_race: usize,
    /// The races that wait for a member.
    racing: BTreeMap<(Member, usize), ()>,
}

struct Race {
    members: Vec<Member>,
    /// The position of the first that ended, from 1.
    winner: Option<usize>,
}

/// What `ctx:race` is told.
pub(crate) enum RaceStart {
    /// One is over: its position in the list, from 1.
    Won(usize),
    /// The script waits for this race.
    Running(usize),
}

impl Members {
    pub(super) fn next_end(&mut self) -> u64 {
        self.ended += 1;
        self.ended
    }

    /// Notes that `member` is over: the waits that this may satisfy.
    pub(super) fn over(&mut self, member: Member, touched: &mut Vec<Wait>) {
        touched.push(Wait::Over(member));
        let races: Vec<usize> = self
            .racing
            .range((member, 0)..=(member, usize::MAX))
            .map(|((_, race), ())| *race)
            .collect();
        for number in races {
            let Some(race) = self.races.get_mut(&number) else {
                continue;
            };
            let position = race.members.iter().position(|known| *known == member);
            race.winner = position.map(|position| position + 1);
            for member in std::mem::take(&mut race.members) {
                self.racing.remove(&(member, number));
            }
            touched.push(Wait::Race(number));
        }
    }

    /// About what it occupies.
    pub(super) fn bytes(&self) -> usize {
        16 * self.fibers.len() + 96 * self.racing.len()
    }
}

impl Host {
    /// Gives a new fiber its number.
    pub(crate) fn begin_fiber(&mut self) -> Result<usize, Refusal> {
        let limit = self.limits.fibers;
        if self.members.fibers.len() >= limit {
            return Err(quota(format!("a workflow spawns at most {limit} fibers")));
        }
        self.members.fibers.push(None);
        Ok(self.members.fibers.len())
    }

    /// A fiber has returned: the waits that this may satisfy.
    pub(crate) fn end_fiber(&mut self, number: usize) -> Vec<Wait> {
        let end = self.members.next_end();
        let mut touched = Vec::new();
        if let Some(over) = self.members.fibers.get_mut(number.wrapping_sub(1)) {
            *over = Some(end);
            self.members.over(Member::Fiber(number), &mut touched);
        }
        touched
    }

    /// When `member` ended, if it has.
    pub(crate) fn over(&self, member: Member) -> Result<Option<u64>, Refusal> {
        let over = match member {
            Member::Delegation(call) => self.delegations.get(&call).map(|known| known.over),
            Member::Child(call) => self.children.get(&call).map(|known| known.over),
            Member::Fiber(number) => self.members.fibers.get(number.wrapping_sub(1)).copied(),
        };
        match (over, member) {
            (Some(None), Member::Fiber(number)) if number == self.running => {
                Err(Refusal::Misuse("a fiber waits for itself".to_owned()))
            }
            (Some(over), _) => Ok(over),
            (None, _) => Err(Refusal::Misuse("it is not of this workflow".to_owned())),
        }
    }

    /// Finds the first that is over, or begins to wait for it.
    pub(crate) fn race(&mut self, list: Vec<Member>) -> Result<RaceStart, Refusal> {
        let mut first: Option<(u64, usize)> = None;
        for (index, member) in list.iter().enumerate() {
            if let Some(end) = self.over(*member)? {
                first = Some(first.map_or((end, index), |first| first.min((end, index))));
            }
        }
        if let Some((_, index)) = first {
            return Ok(RaceStart::Won(index + 1));
        }
        let members = &mut self.members;
        if members.racing.len() + list.len() > self.limits.watched {
            let limit = self.limits.watched;
            return Err(quota(format!(
                "races have more than {limit} members at once"
            )));
        }
        members.next_race += 1;
        let number = members.next_race;
        members
            .racing
            .extend(list.iter().map(|member| ((*member, number), ())));
        let race = Race {
            members: list,
            winner: None,
        };
        members.races.insert(number, race);
        Ok(RaceStart::Running(number))
    }

    /// The position of the member that won a race, from 1. The race is forgotten.
    pub(crate) fn finish_race(&mut self, number: usize) -> Option<usize> {
        self.members.races.remove(&number)?.winner
    }

    pub(super) fn race_is_won(&self, number: usize) -> bool {
        let race = self.members.races.get(&number);
        race.is_none_or(|race| race.winner.is_some())
    }

    /// How a child ended.
    pub(crate) fn child_outcome(
        &self,
        call: CallId,
    ) -> Result<&Result<Value, ChildFailure>, Refusal> {
        let outcome = self
            .children
            .get(&call)
            .and_then(|child| child.outcome.as_ref());
        outcome.ok_or_else(|| Refusal::Misuse(format!("call {call} is not a child that is over")))
    }
}
