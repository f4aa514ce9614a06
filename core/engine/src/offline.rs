//! What is found out from a journal beside the engine: where another revision would differ, what a fork
//! carries over, what an export holds.
//!
//! A replay may take as long as the script's CPU time, so none of this runs on the engine's thread. It
//! changes nothing; what it finds, the engine decides on.

use std::collections::BTreeSet;
use std::sync::Arc;

use froben_journal::{
    Body, CallOp, Called, End, Export, ExportError, Finish, ForkedFrom, Record, RevisionHash, Seq,
    Store,
};
use froben_model::view::Failure;
use froben_model::{CallId, RevisionPrefix, WorkflowId};
use froben_script::{Code, Limits, Revision, State};

use crate::engine::refusal;
use crate::history::History;
use crate::pseudonyms;
use crate::replay::{Divergence, Replayed, replay};
use crate::revisions::Revisions;
use crate::step;
use crate::workflow::Workflow;

/// Which revision somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The one that the workflow keeps.
    Kept,
    /// The one that new workflows get.
    Newest,
    /// The one whose name begins like this.
    Named(RevisionPrefix),
}

/// How a workflow did on another revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    pub revision: RevisionHash,
    /// Calls of its journal, which the revision makes again.
    pub calls: u64,
    /// Calls that the revision makes beyond them at once.
    pub beyond: u64,
    /// Whether it keeps the revision from here on; no if it was only tried.
    pub switched: bool,
}

/// Why a workflow does not move to a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub why: Failure,
    /// From where on a fork could go on, if the revision makes another call than the journal holds.
    pub parting: Option<Parting>,
}

/// The first call that differs, and the revision that makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parting {
    pub call: CallId,
    pub revision: RevisionHash,
}

impl From<Failure> for Unfit {
    fn from(why: Failure) -> Self {
        let parting = None;
        Unfit { why, parting }
    }
}

/// A question that was answered, or refused with a reason for whoever asked.
pub(crate) type Answered<T> = Result<Result<T, Failure>, froben_journal::Error>;

/// The whole of a journal.
pub(crate) fn records(
    store: &dyn Store,
    workflow: WorkflowId,
) -> Result<Vec<Record>, froben_journal::Error> {
    let read: Vec<(Seq, Record)> = store.read(workflow, 0, usize::MAX)?;
    Ok(read.into_iter().map(|(_, record)| record).collect())
}

/// The revision that is meant by `want`, for a workflow with these records.
pub(crate) fn wanted(
    store: &dyn Store,
    want: &Want,
    newest: RevisionHash,
    records: &[Record],
) -> Answered<RevisionHash> {
    const SHOWN: usize = 8;
    let prefix = match want {
        Want::Newest => return Ok(Ok(newest)),
        Want::Kept => return Ok(Ok(froben_journal::kept_revision(records).unwrap_or(newest))),
        Want::Named(prefix) => prefix,
    };
    let found = store.find_revisions(prefix, SHOWN)?;
    let why = match found[..] {
        [hash] => return Ok(Ok(hash)),
        [] => format!("no revision begins with {prefix}"),
        _ => {
            let names: Vec<_> = found.iter().map(RevisionHash::short).collect();
            let names = names.join(", ");
            format!("several revisions begin with {prefix}: {names}; give more digits")
        }
    };
    Ok(Err(refusal("FRB-WFL-005", why)))
}

/// A revision of the store, or why it can't be had.
pub(crate) fn revision(revisions: &Revisions, hash: RevisionHash) -> Answered<Arc<Revision>> {
    let checked = revisions.get(hash)?;
    Ok(checked.map_err(|why| refusal("FRB-WFL-005", format!("revision {hash}: {why}"))))
}

/// Tries a journal on a revision.
pub(crate) fn try_revision(
    workflow: WorkflowId,
    records: &[Record],
    hash: RevisionHash,
    revision: &Revision,
) -> Result<Migrated, Unfit> {
    let history = follow(workflow, records)?;
    let replayed = catch_up(&history, revision).map_err(|divergence| {
        let call = divergence.call();
        let why = apart(divergence);
        // A script that fails would fail there again.
        let differs = why.code == Code::Divergence.as_str();
        let parting = differs.then_some(Parting {
            call,
            revision: hash,
        });
        Unfit { why, parting }
    })?;
    if let State::Failed(failure) = replayed.beyond.state {
        let froben_script::Failure { code, message } = failure;
        let calls = history.calls.len();
        let why = format!("after all {calls} calls of the journal it fails: {message}");
        return Err(refusal(code.as_str(), why).into());
    }
    Ok(Migrated {
        revision: hash,
        calls: history.calls.len() as u64,
        beyond: replayed.beyond.calls.len() as u64,
        switched: false,
    })
}

fn follow(workflow: WorkflowId, records: &[Record]) -> Result<History, Failure> {
    let damaged = |misfit: crate::Misfit| refusal("FRB-WFL-003", misfit.to_string());
    History::read(workflow, records).map_err(damaged)
}

fn catch_up(history: &History, revision: &Revision) -> Result<Replayed, Box<Divergence>> {
    replay(history, usize::MAX, revision, Limits::default())
}

fn caught_up(history: &History, revision: &Revision) -> Result<Replayed, Failure> {
    catch_up(history, revision).map_err(apart)
}

fn apart(divergence: Box<Divergence>) -> Failure {
    let froben_script::Failure { code, message } = divergence.failure();
    refusal(code.as_str(), message)
}

/// The records of a fork: a submit of its own, then what is carried over from `source`.
///
/// Carried are all calls before `step`, and what came of them, also after `step` was made. What the
/// source's own end took away goes on in the fork. Claims and checks are not carried: an item that was
/// being checked is made again, for the fork's account.
///
/// *Errors*: a step that is none; a revision that does not make the carried calls again.
pub(crate) fn cut(
    source: WorkflowId,
    records: &[Record],
    step: &str,
    hash: RevisionHash,
    revision: &Revision,
) -> Result<Vec<Record>, Failure> {
    let Some((first, rest)) = records.split_first() else {
        return Err(refusal("FRB-WFL-003", "it has no records"));
    };
    let Body::Submitted(mut submitted) = first.body.clone() else {
        return Err(refusal("FRB-WFL-003", "it does not begin with a submit"));
    };
    let step = step::find(rest, step)?;
    let cancels = rest.iter().filter_map(cancel_target);
    let (kept, later): (Vec<_>, Vec<_>) = cancels.partition(|(cancel, _)| *cancel < step);
    let cancelled = |by: &[(CallId, CallId)], call| by.iter().any(|(_, target)| *target == call);
    let last = rest.len() - what_its_end_wrote(rest);
    let over = |call| {
        let mut ends = rest.iter().filter_map(|record| match &record.body {
            Body::Ended(ended) if ended.call == call => Some(ended.end),
            _ => None,
        });
        ends.any(|end| end != End::Cancelled || cancelled(&kept, call))
    };
    let one_of_two = lost_beside_another(rest);
    let carried = rest.iter().enumerate().filter(|(at, record)| {
        let unsettled = match &record.body {
            Body::Claimed(_) => true,
            Body::Lost { call, .. } => !over(*call) && !one_of_two.contains(at),
            body => call_of(body).is_some_and(|call| call.checked().is_some()),
        };
        let by_its_end = match &record.body {
            Body::Ended(ended) => ended.end == End::Cancelled && !cancelled(&kept, ended.call),
            // Its seeker may have cancelled it too.
            Body::ChildEnded { call, finish } => {
                *finish == Finish::Cancelled
                    && !cancelled(&kept, *call)
                    && (*at >= last || cancelled(&later, *call))
            }
            _ => false,
        };
        call_of(&record.body).is_some_and(|call| call < step) && !by_its_end && !unsettled
    });
    let carried: Vec<Record> = carried.map(|(_, record)| record.clone()).collect();
    let begun_ms = match &submitted.forked_from {
        Some(from) => from.begun_ms,
        None => first.time_ms,
    };
    submitted.idempotency_key = String::new();
    submitted.parent = None;
    submitted.revision = hash;
    submitted.forked_from = Some(ForkedFrom {
        workflow: source,
        step,
        carried: carried.len() as u64,
        begun_ms,
    });
    let first = Record {
        time_ms: first.time_ms,
        body: Body::Submitted(submitted),
    };
    let fork: Vec<Record> = std::iter::once(first).chain(carried).collect();
    let misfit = |misfit: crate::Misfit| refusal("FRB-WFL-003", misfit.to_string());
    Workflow::replay(source, &fork).map_err(misfit)?;
    caught_up(&follow(source, &fork)?, revision)?;
    Ok(fork)
}

/// Where one of two attempts was lost and the other went on: nothing waits for a check by that.
fn lost_beside_another(records: &[Record]) -> BTreeSet<usize> {
    let mut open: BTreeSet<(CallId, u32)> = BTreeSet::new();
    let mut lost = BTreeSet::new();
    for (at, record) in records.iter().enumerate() {
        match &record.body {
            Body::Assigned(assigned) => {
                open.insert((assigned.call, assigned.attempt));
            }
            Body::Requeued { call, attempt, .. } => {
                open.remove(&(*call, *attempt));
            }
            Body::Lost { call, attempt, .. } => {
                open.remove(&(*call, *attempt));
                if open.range((*call, 0)..=(*call, u32::MAX)).next().is_some() {
                    lost.insert(at);
                }
            }
            _ => {}
        }
    }
    lost
}

/// How many of the last records a workflow's own end led to; none if it is not over.
fn what_its_end_wrote(records: &[Record]) -> usize {
    let Some(Body::Finished(_)) = records.last().map(|record| &record.body) else {
        return 0;
    };
    let led_to = |record: &&Record| match &record.body {
        Body::Finished(_) | Body::Tallied(_) => true,
        Body::Ended(ended) => ended.end == End::Cancelled,
        Body::ChildEnded { call: _, finish } => *finish == Finish::Cancelled,
        _ => false,
    };
    records.iter().rev().take_while(led_to).count()
}

/// The call that cancels another, and the other.
fn cancel_target(record: &Record) -> Option<(CallId, CallId)> {
    match &record.body {
        Body::Called(Called {
            call,
            op: CallOp::Cancel { target },
            ..
        }) => Some((*call, *target)),
        _ => None,
    }
}

/// The call that a record is about, which may be a check.
fn call_of(body: &Body) -> Option<CallId> {
    match body {
        Body::Called(called) => Some(called.call),
        Body::Assigned(assigned) => Some(assigned.call),
        Body::Item(item) | Body::Claimed(item) => Some(item.call),
        Body::Ended(ended) => Some(ended.call),
        Body::Started { call, .. }
        | Body::Requeued { call, .. }
        | Body::Lost { call, .. }
        | Body::Slept { call }
        | Body::ChildEnded { call, .. } => Some(*call),
        Body::Submitted(_)
        | Body::CancelRequested
        | Body::Finished(_)
        | Body::Logged { .. }
        | Body::Tallied(_)
        | Body::Paused
        | Body::Resumed
        | Body::Migrated { .. } => None,
    }
}

/// A workflow as the bytes of a file that replays anywhere. Without `keep_names`, people and machines
/// are called by pseudonyms and secrets have stand-ins; the idempotency key is left out in any case.
pub(crate) fn export(
    store: &dyn Store,
    revisions: &Revisions,
    workflow: WorkflowId,
    keep_names: bool,
) -> Answered<Vec<u8>> {
    let mut records = records(store, workflow)?;
    let Some(hash) = froben_journal::kept_revision(&records) else {
        return Ok(Err(refusal("FRB-WFL-003", "it has no records")));
    };
    let Some(scripts) = store.revision(hash)? else {
        let why = format!("revision {hash}: its scripts are not in the store");
        return Ok(Err(refusal("FRB-WFL-002", why)));
    };
    if let Some(Record {
        body: Body::Submitted(submitted),
        ..
    }) = records.first_mut()
    {
        submitted.idempotency_key = String::new();
    }
    if !keep_names {
        let named = records.clone();
        pseudonyms::replace(&mut records, &scripts);
        if let Ok(revision) = revision(revisions, hash)?
            && replays(workflow, &named, &revision)
            && !replays(workflow, &records, &revision)
        {
            let why = "what the script does depends on the names of operators or on a secret, so it \
                       would not replay under pseudonyms; export it with the names";
            return Ok(Err(refusal("FRB-WFL-007", why)));
        }
    }
    let export = Export {
        workflow,
        pseudonyms: !keep_names,
        written_by: env!("CARGO_PKG_VERSION").to_string(),
        scripts,
        records,
    };
    Ok(export.write().map_err(|error| {
        let code = match error {
            ExportError::TooLarge { .. } => "FRB-WFL-007",
            _ => "FRB-WFL-003",
        };
        refusal(code, error.to_string())
    }))
}

fn replays(workflow: WorkflowId, records: &[Record], revision: &Revision) -> bool {
    follow(workflow, records).is_ok_and(|history| caught_up(&history, revision).is_ok())
}
