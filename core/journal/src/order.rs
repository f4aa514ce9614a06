//! What a store takes: the one place where the order of records is decided.
//!
//! Every store calls [`admit`] before it writes, so that none of them can hold a gap, a record twice
//! or two workflows under one idempotency key, or two entries of the history under one index. It looks at positions only; what the records say is
//! for the engine to judge.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{SeekerId, WorkflowId};

use crate::{Batch, Error, Seq, Started};

/// What is durable already.
pub trait Known {
    /// The seq that comes next; `None` for a workflow that has not started.
    fn next_seq(&self, workflow: WorkflowId) -> Result<Option<Seq>, Error>;

    /// The workflow that holds a key.
    fn key_holder(&self, seeker: &SeekerId, key: &str) -> Result<Option<WorkflowId>, Error>;

    /// The index of the newest entry of the history; 0 before the first.
    fn newest_index(&self) -> Result<u64, Error>;

    /// The index of the newest entry of the ledger; 0 before the first.
    fn newest_posting(&self) -> Result<u64, Error>;
}

/// Gives the seq that comes next for every workflow of the batch, once it is written.
///
/// *Errors*: [`Error::OutOfOrder`] for a workflow that starts twice or without a record, or under a
/// key that is taken; for a record of a workflow that has not started; for one that is not the next.
/// [`Error::HistoryMoved`] for an entry of the history that is not the next, [`Error::LedgerMoved`] for
/// one of the ledger.
pub fn admit(batch: &Batch, known: &impl Known) -> Result<BTreeMap<WorkflowId, Seq>, Error> {
    let Batch {
        records,
        started,
        finished,
        served,
        postings,
    } = batch;
    let mut next = BTreeMap::new();

    let mut keys = BTreeSet::new();
    for started in started {
        let Started {
            workflow,
            seeker,
            idempotency_key: key,
        } = started;
        let refuse = |reason| Err(out_of_order(*workflow, 0, reason));
        if next.insert(*workflow, 0).is_some() || known.next_seq(*workflow)?.is_some() {
            return refuse("it has started already");
        }
        if !key.is_empty()
            && (!keys.insert((seeker, key)) || known.key_holder(seeker, key)?.is_some())
        {
            return refuse("its idempotency key has started another workflow");
        }
    }

    for (workflow, seq, _) in records {
        let expected = match next.get_mut(workflow) {
            Some(expected) => expected,
            None => {
                let expected = started_next(*workflow, *seq, known)?;
                next.entry(*workflow).or_insert(expected)
            }
        };
        if *seq != *expected {
            let reason = match *seq < *expected {
                true => "that place is taken",
                false => "it would leave a gap",
            };
            return Err(out_of_order(*workflow, *seq, reason));
        }
        *expected += 1;
    }

    if let Some(empty) = started.iter().find(|started| next[&started.workflow] == 0) {
        let reason = "it starts without a record";
        return Err(out_of_order(empty.workflow, 0, reason));
    }
    for workflow in finished {
        if !next.contains_key(workflow) {
            started_next(*workflow, 0, known)?;
        }
    }
    if !served.is_empty() {
        let mut newest = known.newest_index()?;
        for entry in served {
            let index = entry.index;
            if newest.checked_add(1) != Some(index) {
                return Err(Error::HistoryMoved { index, newest });
            }
            newest = index;
        }
    }
    if !postings.is_empty() {
        let mut newest = known.newest_posting()?;
        for posting in postings {
            let index = posting.index;
            if newest.checked_add(1) != Some(index) {
                return Err(Error::LedgerMoved { index, newest });
            }
            newest = index;
        }
    }
    Ok(next)
}

fn started_next(workflow: WorkflowId, seq: Seq, known: &impl Known) -> Result<Seq, Error> {
    known
        .next_seq(workflow)?
        .ok_or_else(|| out_of_order(workflow, seq, "it has not started"))
}

fn out_of_order(workflow: WorkflowId, seq: Seq, reason: &'static str) -> Error {
    Error::OutOfOrder {
        workflow,
        seq,
        reason,
    }
}
