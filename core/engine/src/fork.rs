//! What is done to a workflow as a whole: paused, resumed, forked, moved to another revision.
//!
//! Each is a record, so it holds after a crash, and each is the workflow's own: nothing here waits for
//! a machine or a script.

use froben_journal::{Body, RevisionHash};
use froben_model::view::{Failure, WorkflowState};
use froben_model::{SeekerId, WorkflowId};

use crate::children::child_id;
use crate::effect::{Answer, Effect, Migration, ScriptCommand};
use crate::engine::Engine;
use crate::input::Fork;

impl Engine {
    /// Pauses a workflow or lets it go on; gives the state that holds then. What runs may finish; what
    /// comes meanwhile is kept for the script.
    pub(crate) fn pause(
        &mut self,
        seeker: &SeekerId,
        id: WorkflowId,
        paused: bool,
    ) -> Option<WorkflowState> {
        let state = self.state_of(seeker, id)?;
        let wanted = match paused {
            true => WorkflowState::Paused,
            false => WorkflowState::Running,
        };
        if state.ended() || state == wanted {
            return Some(state);
        }
        self.set_paused(id, paused);
        Some(wanted)
    }

    /// Pauses or resumes a live workflow, and those that it runs.
    pub(crate) fn set_paused(&mut self, id: WorkflowId, paused: bool) {
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        if workflow.paused != paused {
            let workflow = id;
            match paused {
                true => {
                    self.record(id, Body::Paused);
                    self.schedule(froben_scheduler::Input::Pause { workflow });
                }
                false => {
                    self.record(id, Body::Resumed);
                    self.schedule(froben_scheduler::Input::Resume { workflow });
                    self.wake(id);
                }
            }
        }
        let children: Vec<_> = match self.live.get(&id) {
            Some(workflow) => workflow.open_children().collect(),
            None => return,
        };
        for call in children {
            self.set_paused(child_id(id, call), paused);
        }
    }

    /// Begins a workflow with what was carried over from another, unless its key has begun one.
    pub(crate) fn fork(&mut self, fork: Fork) {
        let ticket = fork.ticket;
        let answer = self.try_fork(fork);
        self.reply(ticket, Answer::Submitted(answer));
    }

    fn try_fork(&mut self, fork: Fork) -> Result<WorkflowId, Failure> {
        let Fork {
            ticket: _,
            workflow: id,
            seeker,
            idempotency_key,
            records,
        } = fork;
        if let Some(started) = self.started_by(&seeker, &idempotency_key)? {
            return Ok(started);
        }
        self.check_room(&seeker)?;
        let mut records = records.into_iter();
        let first = records.next().map(|record| record.body);
        let Some(Body::Submitted(mut submitted)) = first else {
            unreachable!("invariant: a fork is cut with its submit");
        };
        submitted.idempotency_key = idempotency_key;
        self.begin(id, Body::Submitted(submitted));
        if let Some(workflow) = self.live.get_mut(&id) {
            workflow.behind = true;
        }
        for record in records {
            self.carry(id, record);
        }
        self.take_up(id, "the workflow was forked");
        let children: Vec<_> = match self.live.get(&id) {
            Some(workflow) => workflow.open_children().collect(),
            None => Vec::new(),
        };
        for call in children {
            self.run_child(id, call);
        }
        self.wake(id);
        Ok(id)
    }

    /// Moves a workflow to `revision`, which makes its first `calls` calls again. The script goes on
    /// there with whatever has come.
    ///
    /// Only as long as there are no more calls than that: those were not held against the revision.
    pub(crate) fn migrate(
        &mut self,
        seeker: &SeekerId,
        id: WorkflowId,
        revision: RevisionHash,
        calls: u64,
    ) -> Migration {
        match self.state_of(seeker, id) {
            None => return Migration::Nowhere,
            Some(state) if state.ended() => return Migration::Over,
            Some(_) => {}
        }
        let Some(workflow) = self.live.get_mut(&id) else {
            return Migration::Over;
        };
        if workflow.script_runs || workflow.calls != calls {
            return Migration::MovedOn;
        }
        if workflow.revision == revision {
            return Migration::Done;
        }
        workflow.fall_behind();
        self.record(id, Body::Migrated { revision });
        // The VM of the old revision must not be resumed.
        let drop = ScriptCommand::Drop { workflow: id };
        self.step.effects.push(Effect::Script(drop));
        self.wake(id);
        Migration::Done
    }
}
