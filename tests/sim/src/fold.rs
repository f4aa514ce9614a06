//! I7, I9: what the coordinator shows is what its journal says.
//!
//! A second coordinator is made of what is on the disk, as after a crash, and both are asked the same: every
//! workflow, also those that are over; what was spent; how many items of each machine were good and bad.
//!
//! By design some of what a coordinator knows is not rebuilt, and is not compared: quarantines and pauses; how
//! long workflows take; what memory kinds take; and the age of outcomes, which counts by the hour afterwards.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::SessionId;
use froben_engine::effect::{Answer, Effect, Found};
use froben_engine::engine::Engine;
use froben_engine::input::{Input, Ticket};
use froben_model::view::{DelegationState, WorkflowDetail, WorkflowSummary};
use froben_model::{MachineId, MachineSpec, SeekerId, TimeMs, WorkflowId};

/// Compares what both show.
///
/// *Errors*: the first that they do not agree on.
pub(crate) fn compare<'a>(
    live: &mut Engine,
    recovered: &mut Engine,
    now: TimeMs,
    workflows: &'a [(SeekerId, WorkflowId)],
    machines: impl Iterator<Item = (&'a MachineId, &'a MachineSpec)>,
) -> Result<(), String> {
    let mut seekers = BTreeSet::new();
    for (seeker, workflow) in workflows {
        let shown = show(live, now, seeker, *workflow);
        let told = show(recovered, now, seeker, *workflow);
        if shown != told {
            return Err(format!(
                "I7: {workflow} is shown as {shown:?}, its journal says {told:?}"
            ));
        }
        seekers.insert(seeker);
    }
    for seeker in seekers {
        let shown = list(live, now, seeker);
        let told = list(recovered, now, seeker);
        if shown != told {
            let first = shown.iter().zip(&told).find(|(shown, told)| shown != told);
            return Err(format!(
                "I7: {} are listed, {} are in the journal; the first that differs: {first:?}",
                shown.len(),
                told.len()
            ));
        }
    }
    let (shown, told) = (live.spent(), recovered.spent());
    if shown != told {
        return Err(format!("I7: {shown:?} is spent, the ledger says {told:?}"));
    }
    let shown = records(live, now);
    let there = machines.filter(|(machine, _)| shown.contains_key(*machine));
    for (session, (machine, spec)) in (0..).zip(there) {
        let joined = Input::MachineJoined {
            session: SessionId(session),
            machine: machine.clone(),
            spec: spec.clone(),
        };
        recovered.handle(now, joined);
    }
    let told = records(recovered, now);
    match shown == told {
        true => recovered.check_invariants(),
        false => Err(format!(
            "I9: machines are known for {shown:?}, by the journal for {told:?}"
        )),
    }
}

/// Good and bad items of each machine that is there.
fn records(engine: &mut Engine, now: TimeMs) -> BTreeMap<MachineId, (u64, u64)> {
    let input = Input::Machines { ticket: Ticket(0) };
    let answers = engine.handle(now, input).effects.into_iter();
    let machines = answers.filter_map(|effect| match effect {
        Effect::Reply {
            ticket: _,
            answer: Answer::Machines(machines),
        } => Some(machines),
        _ => None,
    });
    let machines = machines.flatten();
    machines
        .map(|machine| (machine.name, (machine.succeeded, machine.failed)))
        .collect()
}

/// All that a seeker has.
fn list(engine: &mut Engine, now: TimeMs, seeker: &SeekerId) -> Vec<WorkflowSummary> {
    let input = Input::List {
        ticket: Ticket(0),
        seeker: seeker.clone(),
        limit: usize::MAX,
    };
    let answers = engine.handle(now, input).effects.into_iter();
    let list = answers.filter_map(|effect| match effect {
        Effect::Reply {
            ticket: _,
            answer: Answer::List(list),
        } => Some(list),
        _ => None,
    });
    list.flatten().collect()
}

/// What is the same before and after a crash: an attempt that runs is waiting again then. `None` for a
/// workflow that is over, of which only the journal tells.
fn show(
    engine: &mut Engine,
    now: TimeMs,
    seeker: &SeekerId,
    workflow: WorkflowId,
) -> Option<WorkflowDetail> {
    let step = engine.handle(
        now,
        Input::Status {
            ticket: Ticket(0),
            seeker: seeker.clone(),
            workflow,
        },
    );
    let found = step.effects.into_iter().find_map(|effect| match effect {
        Effect::Reply {
            ticket: _,
            answer: Answer::Detail(Found::Live(detail)),
        } => Some(*detail),
        _ => None,
    });
    found.map(|mut detail| {
        detail.waiting.clear();
        for delegation in &mut detail.delegations {
            if !delegation.state.ended() {
                delegation.state = DelegationState::Queued;
            }
        }
        detail
    })
}
