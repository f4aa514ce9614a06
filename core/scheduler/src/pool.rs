//! The machines that may take a task of one shape, by rank.
//!
//! Machines of one rank are as good as each other: who is drawn among them is chance. Everybody who has
//! room is here; some are here who have none any more, until they are drawn and withdrawn: most machines
//! have room again before anybody asks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::SessionId;
use crate::profile::Pace;
use crate::reputation::Tier;

/// What a machine is worth to a kind of task; the lower the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Newcomers are drawn from apart from those that are known.
    pub(crate) newcomer: bool,
    pub(crate) tier: Reverse<Tier>,
    /// As of the machine's last item: it hangs on what others have done since.
    pub(crate) pace: Pace,
}

/// When newcomers are looked at that are as good as the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newcomers {
    First,
    Last,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Pool {
    /// No bin is empty.
    bins: BTreeMap<Rank, Vec<SessionId>>,
    /// Where each machine is: its bin, and its position there.
    places: FxHashMap<SessionId, (Rank, usize)>,
}

impl Pool {
    pub(crate) fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    pub(crate) fn rank(&self, session: SessionId) -> Option<Rank> {
        self.places.get(&session).map(|(rank, _)| *rank)
    }

    pub(crate) fn insert(&mut self, session: SessionId, rank: Rank) {
        let bin = self.bins.entry(rank).or_default();
        let before = self.places.insert(session, (rank, bin.len()));
        assert!(before.is_none(), "invariant: a machine is in a pool once");
        bin.push(session);
    }

    pub(crate) fn remove(&mut self, session: SessionId) {
        let Some((rank, at)) = self.places.remove(&session) else {
            return;
        };
        let bin = self.bins.get_mut(&rank);
        let bin = bin.expect("invariant: a place is in a bin");
        bin.swap_remove(at);
        match bin.get(at) {
            Some(moved) => {
                self.places.insert(*moved, (rank, at));
            }
            None if bin.is_empty() => {
                self.bins.remove(&rank);
            }
            None => {}
        }
    }

    /// The best machine that `take` takes, at random among equals, of the best `most`.
    pub(crate) fn draw<T>(
        &self,
        newcomers: Newcomers,
        random: u64,
        most: usize,
        mut take: impl FnMut(SessionId, Rank) -> Option<T>,
    ) -> Option<(SessionId, Rank, T)> {
        let of = |newcomer: bool| {
            let bins = self.bins.iter();
            bins.filter(move |(rank, _)| rank.newcomer == newcomer)
        };
        let best = self.bins.keys().find(|rank| !rank.newcomer);
        // It is never the turn of one who is known to be worse.
        let ahead = of(true).filter(|(rank, _)| {
            newcomers == Newcomers::First && best.is_none_or(|best| rank.tier <= best.tier)
        });
        let bins = ahead.chain(of(false)).chain(of(true));
        let in_turn = bins.flat_map(|(rank, bin)| {
            // 32 random bits are plenty for a fleet: the others decide other things.
            let start = (random as u32 as usize) % bin.len();
            let around = bin[start..].iter().chain(&bin[..start]);
            around.map(move |session| (*session, *rank))
        });
        let mut best = in_turn.take(most);
        best.find_map(|(session, rank)| Some((session, rank, take(session, rank)?)))
    }

    /// The newcomers, in no order that means anything.
    pub(crate) fn newcomers(&self) -> impl Iterator<Item = (SessionId, Rank)> {
        let bins = self.bins.iter().filter(|(rank, _)| rank.newcomer);
        bins.flat_map(|(rank, bin)| bin.iter().map(|session| (*session, *rank)))
    }

    /// Everybody in it, by session.
    pub(crate) fn sorted(&self) -> Vec<(SessionId, Rank)> {
        let mut all: Vec<_> = self
            .places
            .iter()
            .map(|(s, (rank, _))| (*s, *rank))
            .collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(tier: Tier, newcomer: bool) -> Rank {
        let tier = Reverse(tier);
        Rank {
            newcomer,
            tier,
            pace: 0,
        }
    }

    fn pool(machines: &[(u64, Tier, bool)]) -> Pool {
        let mut pool = Pool::default();
        for (session, tier, newcomer) in machines {
            pool.insert(SessionId(*session), rank(*tier, *newcomer));
        }
        pool
    }

    fn drawn(pool: &Pool, newcomers: Newcomers, random: u64) -> Option<u64> {
        let drawn = pool.draw(newcomers, random, usize::MAX, |_, _| Some(()));
        drawn.map(|(session, _, ())| session.0)
    }

    #[test]
    fn the_best_are_drawn_evenly_and_newcomers_when_it_is_their_turn() {
        let mixed = pool(&[
            (1, 16, false),
            (2, 9, false),
            (3, 16, false),
            (4, 16, true),
            (5, 8, true),
        ]);
        let worse = pool(&[(1, 9, false), (2, 8, true)]);
        for (pool, newcomers, expected) in [
            (&mixed, Newcomers::Last, &[1, 3][..]),
            (&mixed, Newcomers::First, &[4]),
            (&worse, Newcomers::First, &[1]),
        ] {
            let mut counts = BTreeMap::new();
            for random in 0..600 {
                *counts.entry(drawn(pool, newcomers, random)).or_insert(0) += 1;
            }
            let each = 600 / expected.len();
            let even: Vec<_> = expected
                .iter()
                .map(|session| (Some(*session), each))
                .collect();
            assert_eq!(counts.into_iter().collect::<Vec<_>>(), even);
        }
    }

    #[test]
    fn who_does_not_take_it_is_passed_over_down_to_the_last() {
        let pool = pool(&[(1, 16, false), (2, 16, false), (3, 4, false), (4, 16, true)]);
        for left in 1..=4 {
            let only = |session: SessionId, _| (session.0 == left).then_some(());
            let (session, _, ()) = pool.draw(Newcomers::Last, 7, 4, only).unwrap();
            assert_eq!(session.0, left);
        }
        let drawn = |most, take: fn(SessionId, Rank) -> Option<()>| {
            pool.draw(Newcomers::First, 7, most, take).is_some()
        };
        assert!(!drawn(4, |_, _| None));
        let last = |session: SessionId, _| (session.0 == 3).then_some(());
        assert!(drawn(4, last) && !drawn(3, last), "newcomers go first");
    }

    #[test]
    fn whoever_leaves_is_gone_and_the_others_stay() {
        let mut pool = pool(&[(1, 16, false), (2, 16, false), (3, 16, false)]);
        pool.remove(SessionId(1));
        pool.remove(SessionId(9));
        let left = [2, 3].map(|session| (SessionId(session), rank(16, false)));
        assert_eq!(pool.sorted(), left);
        pool.remove(SessionId(3));
        assert_eq!(drawn(&pool, Newcomers::Last, 5), Some(2));
        pool.remove(SessionId(2));
        assert!(pool.is_empty() && drawn(&pool, Newcomers::Last, 0).is_none());
    }
}
