//! Streams: the items of several delegations in the order in which they came.

use std::collections::BTreeSet;

use froben_model::CallId;
use rustc_hash::FxHashMap;

use super::{Host, Refusal, quota};

#[derive(Default)]
pub(super) struct Stream {
    /// Each delegation's position in the script's list, from 1.
    members: FxHashMap<CallId, usize>,
    /// Arrivals that are not taken yet.
    pub(super) ready: BTreeSet<usize>,
    /// Items of the members that are not taken yet, come or not.
    owed: usize,
}

/// An item taken from a stream.
pub(crate) struct Taken {
    /// The delegation's position in the script's list, from 1.
    pub(crate) position: usize,
    pub(crate) call: CallId,
    pub(crate) index: u32,
}

/// What a stream gives next.
pub(crate) enum Next {
    Item(Taken),
    /// It has not come yet.
    Later,
    /// Every item of every member was taken. The stream is forgotten.
    Over,
}

impl Host {
    pub(crate) fn open_stream(&mut self) -> Result<usize, Refusal> {
        self.check_watched()?;
        self.next_stream += 1;
        self.streams.insert(self.next_stream, Stream::default());
        Ok(self.next_stream)
    }

    fn check_watched(&self) -> Result<(), Refusal> {
        let limit = self.limits.watched;
        match self.joined + self.streams.len() < limit {
            true => Ok(()),
            false => Err(quota(format!(
                "streams that were not read to their end hold more than {limit} delegations"
            ))),
        }
    }

    /// Lets a delegation join, with what it has delivered already.
    pub(crate) fn join_stream(&mut self, number: usize, call: CallId) -> Result<(), Refusal> {
        self.check_watched()?;
        let Some(delegation) = self.delegations.get_mut(&call) else {
            let stranger = format!("ctx:stream: call {call} is not a delegation");
            return Err(Refusal::Misuse(stranger));
        };
        let Some(stream) = self.streams.get_mut(&number) else {
            return Err(Refusal::Misuse("ctx:stream: it is over".to_owned()));
        };
        let position = stream.members.len() + 1;
        if stream.members.insert(call, position).is_some() {
            let twice = format!("ctx:stream: the delegation of call {call} is in the list twice");
            return Err(Refusal::Misuse(twice));
        }
        stream.owed += delegation.outcomes.len();
        stream.ready.extend(delegation.arrived.iter().copied());
        delegation.streams.push(number);
        self.joined += 1;
        Ok(())
    }

    pub(crate) fn next_item(&mut self, number: usize) -> Next {
        let Some(stream) = self.streams.get_mut(&number) else {
            return Next::Over;
        };
        if stream.owed == 0 {
            self.forget_stream(number);
            return Next::Over;
        }
        let Some(arrival) = stream.ready.pop_first() else {
            return Next::Later;
        };
        stream.owed -= 1;
        let (call, index) = self.arrivals[arrival];
        let position = stream.members.get(&call).copied().unwrap_or_default();
        Next::Item(Taken {
            position,
            call,
            index,
        })
    }

    /// Whether an item can be taken now.
    pub(super) fn has_item(&self, number: usize) -> bool {
        let stream = self.streams.get(&number);
        stream.is_none_or(|stream| !stream.ready.is_empty())
    }

    fn forget_stream(&mut self, number: usize) {
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        self.joined -= stream.members.len();
        for call in stream.members.keys() {
            if let Some(delegation) = self.delegations.get_mut(call) {
                delegation.streams.retain(|known| *known != number);
            }
        }
    }
}
