//! Reading every journal at a start, on several threads.
//!
//! What a workflow that is over leaves is in its first record and its last two, so its journal is not
//! read whole, but if it was moved to another revision. The others are read to the end: their delegations are handed out again. Their scripts
//! are rebuilt only if they may owe a call; the others wait for something, and are rebuilt when it
//! comes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use froben_journal::{Account, Balance, Body, Error, Record, Seq, Store};
use froben_model::{Amount, TimeMs, WorkflowId};

use crate::engine::{Engine, Step};
use crate::history::History;
use crate::ledger::Totals;
use crate::recover::Recovered;
use crate::workflow::{Misfit, Workflow};

/// Records that are read at once.
const PAGE: usize = 4096;
/// Records of one workflow that are kept for its history; those of a longer journal are read again.
const KEPT_RECORDS: usize = 8 * PAGE;
/// Histories that are kept from the reading until the scripts are rebuilt, by weight; those beyond
/// are read again.
const HISTORY_BYTES: usize = 128 << 20;

/// Takes every workflow of the journal into the engine.
pub(crate) fn recover(
    engine: &mut Engine,
    store: &dyn Store,
    now: TimeMs,
    threads: usize,
) -> Result<Vec<Step>, Error> {
    engine.ledger.follow(store.newest_posting()?);
    let workflows: Vec<_> = store.workflows()?.into_iter().collect();
    let (next, room) = (AtomicUsize::new(0), AtomicUsize::new(HISTORY_BYTES));
    let read_some = || {
        let mut read = Vec::new();
        while let Some((id, over)) = workflows.get(next.fetch_add(1, Ordering::Relaxed)) {
            read.push(read_one(store, *id, *over, &room)?);
        }
        Ok(read)
    };
    let read = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(read_some)).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, Error>>()
    })?;
    let mut read: Vec<_> = read.into_iter().flatten().flatten().collect();
    // Whoever came first goes first, however the threads shared the work.
    read.sort_by_key(Recovered::order);
    let steps = read.into_iter().map(|found| engine.recover(now, found));
    let mut steps: Vec<_> = steps.collect();
    steps.push(engine.settle_children(now));
    Ok(steps)
}

/// `None` for a workflow of whose journal not even the beginning can be read.
fn read_one(
    store: &dyn Store,
    id: WorkflowId,
    over: bool,
    room: &AtomicUsize,
) -> Result<Option<Recovered>, Error> {
    let read = match over {
        true => read_over(store, id),
        false => read_live(store, id, room),
    };
    let why = match read {
        Ok(Ok(found)) => return Ok(Some(found)),
        Ok(Err(misfit)) => misfit.to_string(),
        Err(damage @ Error::Damaged { .. }) => damage.to_string(),
        Err(error) => return Err(error),
    };
    // One damaged workflow must not keep the others from going on: it is shown as failed, its journal
    // stays as it is.
    tracing::error!(workflow = %id, why, "a workflow is set aside");
    let first = store.read(id, 0, 1).unwrap_or_default();
    let (_, first) = match first.into_iter().next() {
        Some(first) => first,
        None => return Ok(None),
    };
    Ok(Recovered::damaged(id, &first, &why))
}

fn read_over(store: &dyn Store, id: WorkflowId) -> Result<Result<Recovered, Misfit>, Error> {
    let first = store.read(id, 0, 1)?;
    let tail = store.tail(id, 2)?;
    if let ([(_, first)], [(_, before), (_, last)]) = (&first[..], &tail[..])
        && let (Body::Tallied(tallies), Body::Finished(_)) = (&before.body, &last.body)
    {
        return Ok(Recovered::over(id, first, tallies.clone(), last));
    }
    // Formats 1 and 2 left no tallies, nor does one that was moved to another revision.
    let mut workflow = Reading::new(id);
    let read = each_page(store, id, |page| {
        page.iter()
            .try_for_each(|(_, record)| workflow.take(record))
    })?;
    Ok(read.and_then(|()| workflow.end().map(Recovered::ended)))
}

fn read_live(
    store: &dyn Store,
    id: WorkflowId,
    room: &AtomicUsize,
) -> Result<Result<Recovered, Misfit>, Error> {
    let mut workflow = Reading::new(id);
    // Kept until it is known whether the script has to be rebuilt; only if it is not too much.
    let mut kept = Some(Vec::new());
    let read = each_page(store, id, |page| {
        for (_, record) in &page {
            workflow.take(record)?;
        }
        match &mut kept {
            Some(records) if records.len() < KEPT_RECORDS => records.extend(page),
            _ => kept = None,
        }
        Ok(())
    })?;
    let workflow = match read.and_then(|()| workflow.end()) {
        Ok(workflow) => workflow,
        Err(misfit) => return Ok(Err(misfit)),
    };
    // What a child draws on is posted of its root.
    let totals = match workflow.parent {
        None => posted(store, id)?,
        Some(_) => Totals::default(),
    };
    let owes = !workflow.state().ended() && workflow.owes();
    let history = match kept.filter(|_| owes) {
        Some(records) => history(id, records),
        None => Ok(None),
    };
    Ok(history.map(|history| {
        let history = history.filter(|history| take_room(room, history.weight()));
        Recovered::live(workflow, history, totals)
    }))
}

/// What the ledger says that a workflow has spent, with its children, and holds.
fn posted(store: &dyn Store, id: WorkflowId) -> Result<Totals, Error> {
    let amount = |balance: Balance| {
        let micros = u64::try_from(balance);
        let why = |_| {
            Error::Read(format!(
                "the accounts of {id} hold what they cannot: {balance}"
            ))
        };
        micros.map(Amount).map_err(why)
    };
    let held = store.balance(&Account::Held(id))?;
    let drawn = -store.balance(&Account::Budget(id))?;
    Ok(Totals {
        spent: amount(drawn - held)?,
        held: amount(held)?,
    })
}

fn history(id: WorkflowId, records: Vec<(Seq, Record)>) -> Result<Option<Box<History>>, Misfit> {
    let mut records = records.into_iter().map(|(_, record)| record);
    let Some(first) = records.next() else {
        return Ok(None);
    };
    let mut history = Box::new(History::begin(id, &first)?);
    for record in records {
        history.follow(record)?;
    }
    Ok(Some(history))
}

/// Gives a page of records after the other to `take`, until it refuses one.
fn each_page(
    store: &dyn Store,
    id: WorkflowId,
    mut take: impl FnMut(Vec<(Seq, Record)>) -> Result<(), Misfit>,
) -> Result<Result<(), Misfit>, Error> {
    let mut from = 0;
    loop {
        let page = store.read(id, from, PAGE)?;
        let end = page.len() < PAGE;
        from += page.len() as Seq;
        if let Err(misfit) = take(page) {
            return Ok(Err(misfit));
        }
        if end {
            return Ok(Ok(()));
        }
    }
}

fn take_room(room: &AtomicUsize, bytes: usize) -> bool {
    let take = |left: usize| left.checked_sub(bytes);
    room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
}

/// A workflow that is read record by record.
struct Reading {
    id: WorkflowId,
    workflow: Option<Workflow>,
}

impl Reading {
    fn new(id: WorkflowId) -> Self {
        Reading { id, workflow: None }
    }

    fn take(&mut self, record: &Record) -> Result<(), Misfit> {
        match &mut self.workflow {
            Some(workflow) => workflow.apply(record),
            None => {
                self.workflow = Some(Workflow::replay(self.id, [record])?);
                Ok(())
            }
        }
    }

    fn end(self) -> Result<Workflow, Misfit> {
        match self.workflow {
            Some(workflow) => Ok(workflow),
            None => Workflow::replay(self.id, []),
        }
    }
}
