//! After a restart: the journal's workflows go on.
//!
//! Every machine's session ended with the old process, so an attempt that was in flight is over; the
//! platform, not the operator, is at fault, so its delegation is queued again at once with the items
//! that had come kept, and the script never learns of it. Scripts are rebuilt by replay.

use froben_journal::{Body, Finish, Record, Tally};
use froben_model::view::{DelegationState, WorkflowSummary};
use froben_model::{Amount, ErrorClass, ItemError, SeekerId, TimeMs, WorkflowId};

use froben_scheduler::planted::{Bug, planted};

use crate::effect::{Effect, ScriptCommand};
use crate::engine::{Engine, Step, refusal};
use crate::history::History;
use crate::ledger::Totals;
use crate::workflow::{Misfit, Workflow};

/// A workflow as its journal tells it, before the engine has it. Read on any thread.
pub struct Recovered(What);

enum What {
    Live {
        workflow: Box<Workflow>,
        /// What its script has been through, if it has to be rebuilt and there was room to keep it.
        history: Option<Box<History>>,
        /// What is posted of it, if no other workflow runs it.
        totals: Totals,
    },
    Over {
        seeker: SeekerId,
        idempotency_key: String,
        summary: Box<WorkflowSummary>,
        tallies: Vec<Tally>,
    },
}

impl Recovered {
    pub(crate) fn live(workflow: Workflow, history: Option<Box<History>>, totals: Totals) -> Self {
        if workflow.state().ended() {
            return Recovered::ended(workflow);
        }
        Recovered(What::Live {
            workflow: Box::new(workflow),
            history,
            totals,
        })
    }

    /// Of all its records. Its tallies are those that its end left, or what it counted itself.
    pub(crate) fn ended(workflow: Workflow) -> Self {
        let summary = Box::new(workflow.summary());
        let tallies = workflow.tallies();
        Recovered(What::Over {
            seeker: workflow.seeker,
            idempotency_key: workflow.idempotency_key,
            summary,
            tallies,
        })
    }

    /// Of its first and its last record, and of what the last but one says.
    pub(crate) fn over(
        id: WorkflowId,
        first: &Record,
        tallies: Vec<Tally>,
        last: &Record,
    ) -> Result<Self, Misfit> {
        // A workflow takes its end at any time.
        let workflow = Workflow::replay(id, [first, last])?;
        let Recovered(mut what) = Recovered::ended(workflow);
        if let What::Over { tallies: known, .. } = &mut what {
            *known = tallies;
        }
        Ok(Recovered(what))
    }

    /// A workflow whose journal can't be followed: shown as failed, and its key stays taken.
    pub(crate) fn damaged(id: WorkflowId, first: &Record, why: &str) -> Option<Self> {
        let failed = Finish::Failed(refusal("FRB-WFL-003", why));
        let last = Record {
            time_ms: first.time_ms,
            body: Body::Finished(failed),
        };
        Recovered::over(id, first, Vec::new(), &last).ok()
    }

    /// By when they were submitted; who runs another one comes before it.
    pub(crate) fn order(&self) -> (TimeMs, u32, WorkflowId) {
        match &self.0 {
            What::Live { workflow, .. } => {
                let depth = workflow.parent.map_or(0, |parent| parent.depth);
                (workflow.submitted_ms, depth, workflow.id)
            }
            What::Over { summary, .. } => (summary.submitted_ms, 0, summary.id),
        }
    }
}

impl Engine {
    /// Takes in a workflow of the journal.
    pub fn recover(&mut self, now: TimeMs, found: Recovered) -> Step {
        self.now = self.now.max(now);
        match found.0 {
            What::Over {
                seeker,
                idempotency_key,
                summary,
                tallies,
            } => {
                if !planted(Bug::ForgetRecord) {
                    self.credit(tallies);
                }
                if !planted(Bug::ForgetKeys) {
                    self.remember_key(&seeker, &idempotency_key, summary.id);
                }
                self.ended.insert(summary.id, (seeker, *summary));
            }
            What::Live {
                workflow,
                history,
                totals,
            } => {
                let spent = match planted(Bug::ForgetSpent) {
                    true => Amount::ZERO,
                    false => totals.spent,
                };
                let totals = Totals { spent, ..totals };
                self.ledger.open(workflow.id, totals);
                self.recover_live(*workflow, history);
            }
        }
        std::mem::take(&mut self.step)
    }

    fn recover_live(&mut self, workflow: Workflow, history: Option<Box<History>>) {
        let (id, paused) = (workflow.id, workflow.paused);
        self.credit(workflow.tallies());
        if !planted(Bug::ForgetKeys) {
            self.remember_key(&workflow.seeker, &workflow.idempotency_key, id);
        }
        let (cancelled, owes) = (workflow.cancel_requested, workflow.owes());
        self.hold(workflow);
        self.take_up(id, "the coordinator was restarted");
        if cancelled {
            return self.end_workflow(id, Finish::Cancelled);
        }
        let Some(workflow) = self.live.get_mut(&id) else {
            return;
        };
        if !owes {
            // Something must come for it first. What does finds no VM and rebuilds it.
            workflow.behind = false;
        } else if !paused && !planted(Bug::ForgetScripts) {
            (workflow.behind, workflow.script_runs) = (false, true);
            let command = ScriptCommand::Rebuild {
                workflow: id,
                upto: workflow.fed(),
                history,
            };
            self.step.effects.push(Effect::Script(command));
        }
    }

    /// Sets the timers of a workflow that comes with a past, and queues its delegations.
    pub(crate) fn take_up(&mut self, id: WorkflowId, why: &str) {
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        let sleeps = workflow.sleeps.iter().map(|(call, due)| (*due, id, *call));
        if !planted(Bug::ForgetSleeps) {
            self.sleeps.extend(sleeps);
        }
        let open = workflow.open_delegations();
        if workflow.paused && !planted(Bug::ForgetPaused) {
            self.schedule(froben_scheduler::Input::Pause { workflow: id });
        }
        for call in open {
            let delegation = self.live.get(&id).and_then(|w| w.delegations.get(&call));
            let Some(delegation) = delegation else {
                continue;
            };
            let state = delegation.state;
            let mut open: Vec<_> = delegation.attempts.iter().map(|a| a.number).collect();
            // An old journal's, or a planted bug's, has none that is known.
            let attempt = open.pop().unwrap_or(delegation.attempt);
            if state == DelegationState::Queued && planted(Bug::ForgetQueued) {
                continue;
            }
            let held = !matches!(state, DelegationState::Queued | DelegationState::Checking);
            if held && !planted(Bug::KeepOldAttempts) {
                for attempt in open {
                    let failure = ItemError {
                        class: ErrorClass::NoCapacity,
                        message: why.to_string(),
                        operator: None,
                    };
                    let body = Body::Lost {
                        call,
                        attempt,
                        failure,
                    };
                    self.record(id, body);
                }
                let body = Body::Requeued {
                    call,
                    attempt,
                    reason: why.to_string(),
                    fault: false,
                };
                self.record(id, body);
            }
            self.enqueue(id, call);
        }
    }

    /// Rebuilds the reputation and the profiles that tallies tell of.
    fn credit(&mut self, tallies: Vec<Tally>) {
        for tally in tallies {
            let Tally {
                machine,
                kind,
                ok,
                failed,
                at_ms: at,
                times,
                checked,
            } = tally;
            for (ok, items, checked) in [(true, ok, checked), (false, failed, 0)] {
                if items == 0 {
                    continue;
                }
                let (machine, kind) = (machine.clone(), kind.clone());
                let outcome = froben_scheduler::Input::RecordOutcome {
                    machine,
                    kind,
                    ok,
                    items,
                    checked,
                    at,
                };
                self.scheduler.handle(self.now, outcome);
            }
            let times = froben_scheduler::Input::RecordTimes {
                machine,
                kind,
                times,
                at,
            };
            self.scheduler.handle(self.now, times);
        }
    }
}
