//! Streams: the items of several delegations in the order in which they came.

use std::collections::{BTreeSet, HashMap};

use froben_model::CallId;

use super::{Host, Refusal};

pub(super) struct Stream {
    /// Each delegation's position in the script's list, from 1.
    members: HashMap<CallId, usize>,
    /// Every arrival before this was looked at.
    cursor: usize,
    /// Arrivals before the cursor that are not taken yet.
    ready: BTreeSet<usize>,
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

impl Host {
    pub(crate) fn open_stream(&mut self) -> usize {
        self.streams.push(Stream {
            members: HashMap::new(),
            cursor: self.arrivals.len(),
            ready: BTreeSet::new(),
            owed: 0,
        });
        self.streams.len() - 1
    }

    /// Lets a delegation join, with what it has delivered already.
    pub(crate) fn join_stream(&mut self, stream: usize, call: CallId) -> Result<(), Refusal> {
        let Some(delegation) = self.delegations.get(&call) else {
            let stranger = format!("ctx:stream: call {call} is not a delegation");
            return Err(Refusal::Misuse(stranger));
        };
        let Some(stream) = self.streams.get_mut(stream) else {
            return Err(Refusal::Misuse("ctx:stream: no such stream".to_owned()));
        };
        let position = stream.members.len() + 1;
        if stream.members.insert(call, position).is_some() {
            let twice = format!("ctx:stream: the delegation of call {call} is in the list twice");
            return Err(Refusal::Misuse(twice));
        }
        stream.owed += delegation.items.len();
        let come = delegation.arrived.iter().copied();
        stream
            .ready
            .extend(come.filter(|arrival| *arrival < stream.cursor));
        Ok(())
    }

    /// Whether every item of every member was taken.
    pub(crate) fn stream_is_over(&self, stream: usize) -> bool {
        let stream = self.streams.get(stream);
        stream.is_none_or(|stream| stream.owed == 0)
    }

    pub(crate) fn next_item(&mut self, stream: usize) -> Option<Taken> {
        if !self.has_item(stream) {
            return None;
        }
        let stream = self.streams.get_mut(stream)?;
        let (call, index) = self.arrivals[stream.ready.pop_first()?];
        stream.owed -= 1;
        let position = *stream.members.get(&call)?;
        Some(Taken {
            position,
            call,
            index,
        })
    }

    /// Whether an item can be taken now.
    pub(super) fn has_item(&mut self, stream: usize) -> bool {
        let Some(stream) = self.streams.get_mut(stream) else {
            return false;
        };
        while stream.ready.is_empty() && stream.cursor < self.arrivals.len() {
            let (call, _) = self.arrivals[stream.cursor];
            if stream.members.contains_key(&call) {
                stream.ready.insert(stream.cursor);
            }
            stream.cursor += 1;
        }
        !stream.ready.is_empty()
    }
}
