//! Workflows that other workflows run.
//!
//! A child is a workflow like any other: a journal, a VM and limits of its own, under an id that follows
//! from its parent's and the call, so that after a crash the same child is found again. How it ends
//! is written into its own journal and into its parent's in one batch: neither can be without the
//! other.
//!
//! Of one seeker so many children run at once *on each level*; more wait for a place, the oldest call
//! first. A workflow that waits for its children never holds a place of their level, and on the deepest
//! level there are no children to wait for, so some child can always go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use froben_journal::{Body, Finish, Parent, Submitted};
use froben_model::view::WorkflowState;
use froben_model::{BlobHash, CallId, SeekerId, TimeMs, WorkflowId};
use froben_scheduler::planted::{Bug, planted};

use crate::effect::{Effect, Launch, ScriptCommand};
use crate::engine::{Engine, Step, refusal};

/// Children of one seeker that run at once on one level.
const RUNNING: usize = 200;
/// Levels below a workflow that was submitted.
pub(crate) const DEPTH: u32 = 4;

/// The children of a seeker on one level.
type Level = (SeekerId, u32);

#[derive(Default)]
pub(crate) struct Children {
    running: BTreeMap<Level, usize>,
    /// Calls that wait for a place. One whose workflow has ended is passed over when its turn comes.
    waiting: BTreeMap<Level, VecDeque<(WorkflowId, CallId)>>,
}

impl Children {
    /// A workflow is live.
    pub(crate) fn began(&mut self, seeker: &SeekerId, parent: Option<&Parent>) {
        if let Some(parent) = parent {
            let level = (seeker.clone(), parent.depth);
            *self.running.entry(level).or_default() += 1;
        }
    }

    fn ended(&mut self, level: &Level) {
        if let Some(running) = self.running.get_mut(level) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(level);
            }
        }
    }

    fn has_place(&self, level: &Level) -> bool {
        self.running.get(level).copied().unwrap_or(0) < RUNNING
    }
}

/// The id of the child that `parent` runs by `call`.
pub(crate) fn child_id(parent: WorkflowId, call: CallId) -> WorkflowId {
    let digest = derived("froben child", &parent.0, call);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    WorkflowId(id)
}

/// The seed of a child's random numbers.
fn child_seed(seed: u64, call: CallId) -> u64 {
    let digest = derived("froben child seed", &seed.to_le_bytes(), call);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

fn derived(what: &str, of: &[u8], call: CallId) -> [u8; 32] {
    let text = [what.as_bytes(), &[0], of, &call.0.to_le_bytes()].concat();
    BlobHash::of(&text).0
}

impl Engine {
    /// A script has called `ctx:run`; the record of it is in the step.
    pub(crate) fn run_child(&mut self, parent: WorkflowId, call: CallId) {
        let Some(level) = self.level_below(parent) else {
            return;
        };
        if level.1 > DEPTH {
            let why = format!("children nest at most {DEPTH} levels deep");
            let failed = Finish::Failed(refusal("FRB-WFL-011", why));
            return self.child_ended(parent, call, failed);
        }
        self.queue_child(level, parent, call);
    }

    fn queue_child(&mut self, level: Level, parent: WorkflowId, call: CallId) {
        let waiting = self.children.waiting.entry(level.clone()).or_default();
        waiting.push_back((parent, call));
        self.start_children(&level);
    }

    fn level_below(&self, parent: WorkflowId) -> Option<Level> {
        let workflow = self.live.get(&parent)?;
        let depth = workflow.parent.map_or(0, |parent| parent.depth);
        Some((workflow.seeker.clone(), depth + 1))
    }

    /// Gives free places to those that wait.
    fn start_children(&mut self, level: &Level) {
        while self.children.has_place(level) {
            let waiting = self.children.waiting.get_mut(level);
            let Some((parent, call)) = waiting.and_then(VecDeque::pop_front) else {
                self.children.waiting.remove(level);
                return;
            };
            self.start_child(parent, call, level.1);
        }
    }

    fn start_child(&mut self, parent: WorkflowId, call: CallId, depth: u32) {
        let Some(above) = self.live.get_mut(&parent) else {
            return;
        };
        let Some(spec) = above.begin_child(call) else {
            return;
        };
        let (seeker, revision, paused) = (above.seeker.clone(), above.revision, above.paused);
        let wanted_by_ms = above.wanted_by_ms;
        let seed = child_seed(above.seed, call);
        let workflow = child_id(parent, call);
        let submitted = Submitted {
            pipeline: spec.pipeline.clone(),
            revision,
            seeker,
            idempotency_key: String::new(),
            input: spec.input.clone(),
            seed,
            parent: Some(Parent {
                workflow: parent,
                call,
                depth,
            }),
            forked_from: None,
            budget: None,
            wanted_by_ms,
        };
        self.begin(workflow, Body::Submitted(submitted));
        if let Some(begun) = self.live.get_mut(&workflow) {
            // Its script begins when the parent is resumed.
            (begun.script_runs, begun.behind) = (!paused, paused);
        }
        if paused {
            return self.set_paused(workflow, true);
        }
        let launch = Launch {
            workflow,
            revision,
            pipeline: spec.pipeline,
            input: spec.input,
            seed,
            started_ms: self.now,
        };
        let start = ScriptCommand::Start(launch);
        self.step.effects.push(Effect::Script(start));
    }

    /// Tells a parent how its child ended.
    fn child_ended(&mut self, parent: WorkflowId, call: CallId, finish: Finish) {
        self.record(parent, Body::ChildEnded { call, finish });
        self.wake(parent);
    }

    /// Gives a child up because its parent asks for it.
    pub(crate) fn cancel_child(&mut self, parent: WorkflowId, call: CallId) {
        let child = child_id(parent, call);
        if self.live.contains_key(&child) {
            self.record(child, Body::CancelRequested);
            self.end_workflow(child, Finish::Cancelled);
        } else if self.waits_for(parent, call) {
            self.child_ended(parent, call, Finish::Cancelled);
        }
    }

    /// Ends every child of a workflow that is about to end.
    pub(crate) fn end_children(&mut self, parent: WorkflowId) {
        let Some(workflow) = self.live.get_mut(&parent) else {
            return;
        };
        // What comes of them is written down, but its script is not run for it.
        workflow.script_runs = true;
        let mut open: Vec<CallId> = workflow.open_children().collect();
        // Those that wait go first, or a place that another one frees would be theirs for a moment.
        open.sort_by_key(|call| self.live.contains_key(&child_id(parent, *call)));
        for call in open {
            if planted(Bug::LeaveChildren) {
                continue;
            }
            self.cancel_child(parent, call);
        }
    }

    /// A workflow has ended and is live no more: its parent hears of it, and its place is free.
    pub(crate) fn child_is_over(&mut self, seeker: &SeekerId, parent: &Parent, finish: Finish) {
        let Parent {
            workflow,
            call,
            depth,
        } = *parent;
        if self.waits_for(workflow, call) && !planted(Bug::ForgetParent) {
            self.child_ended(workflow, call, finish);
        }
        let level = (seeker.clone(), depth);
        self.children.ended(&level);
        self.start_children(&level);
    }

    fn waits_for(&self, parent: WorkflowId, call: CallId) -> bool {
        let workflow = self.live.get(&parent);
        workflow.is_some_and(|workflow| workflow.has_open_child(call))
    }

    /// After every workflow was recovered: parents and children find each other. A child that had not
    /// begun begins; one without a parent, which can only be because the parent's journal is damaged, is
    /// given up.
    pub fn settle_children(&mut self, now: TimeMs) -> Step {
        self.now = self.now.max(now);
        let mut orphans = BTreeSet::new();
        let mut missing = Vec::new();
        for (id, workflow) in &self.live {
            if let Some(Parent { workflow, call, .. }) = workflow.parent
                && !self.waits_for(workflow, call)
            {
                orphans.insert(*id);
            }
            let open = workflow.open_children().map(|call| (*id, call));
            missing
                .extend(open.filter(|(id, call)| !self.live.contains_key(&child_id(*id, *call))));
        }
        for orphan in orphans {
            self.end_workflow(orphan, Finish::Cancelled);
        }
        for (parent, call) in missing {
            match self.ended.get(&child_id(parent, call)) {
                Some((_, summary)) => {
                    let finish = match (summary.state, &summary.failure) {
                        (WorkflowState::Succeeded, _) => Finish::Output(summary.output.clone()),
                        (_, Some(failure)) => Finish::Failed(failure.clone()),
                        (_, None) => Finish::Cancelled,
                    };
                    self.child_ended(parent, call, finish);
                }
                None => self.run_child(parent, call),
            }
        }
        std::mem::take(&mut self.step)
    }
}
