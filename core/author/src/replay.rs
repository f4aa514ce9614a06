//! `froben workflow replay`: goes through an exported journal, step by step, and shows where the script
//! stands.
//!
//! A step is what the script was told by one record, and the calls that it made then. Forwards is one
//! more completion into the same VM; backwards is a new VM and all steps but the last: a script's past
//! cannot be undone, but it can be made again. Nothing is carried out.

mod show;

use std::collections::BTreeMap;

use froben_engine::{History, Misfit, describe};
use froben_journal::{Body, Export, Record, Seq};
use froben_model::{TimeMs, WorkflowId};
use froben_script::{
    Call, Completion, Event, Failure, Limits, Problem, Progress, Revision, Standing, State, Vm,
};

pub use show::{json, locals, step_lines};

/// Why nothing can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] Misfit),
    #[error("the scripts do not check")]
    Scripts(Vec<Problem>),
}

/// What the script was told at once, and by which record.
struct Told {
    seq: Seq,
    time_ms: TimeMs,
    completions: Vec<Completion>,
}

/// A journal, a revision, and how far the one has been followed on the other.
pub struct Replay {
    history: History,
    revision: Revision,
    told: Vec<Told>,
    /// For each call of the journal, how many completions the script had been told at most when it made
    /// it.
    due: Vec<usize>,
    begun_ms: TimeMs,
    vm: Option<Vm>,
    /// Steps that were taken; the first is the start.
    at: usize,
    /// Calls of the journal that were made again.
    calls: usize,
    last: Option<Step>,
}

/// One step of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// 0 is the start.
    pub number: usize,
    /// The record that told the script; the submit for the start.
    pub seq: Seq,
    /// Since the submit.
    pub since_ms: TimeMs,
    pub fed: Vec<String>,
    pub calls: Vec<Made>,
    /// Where its fibers wait, if they do.
    pub standings: Vec<Standing>,
    pub end: End,
}

/// A call that the script made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub id: u64,
    pub line: u32,
    pub what: String,
    /// The record that holds it; `None` for one that the journal does not have.
    pub seq: Option<Seq>,
}

/// How a step left the script.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Waits,
    /// In few words.
    Returned(String),
    Failed(Failure),
    /// It did not make the call that the journal holds there.
    Diverged {
        seq: Seq,
        expected: String,
        got: String,
    },
}

impl Replay {
    /// Of an export, on the scripts in it or on others: `files`.
    ///
    /// *Errors*: records that do not follow each other; scripts that do not check.
    pub fn new(export: &Export, files: &BTreeMap<String, String>) -> Result<Replay, ReplayError> {
        Self::of(export.workflow, &export.records, files)
    }

    pub fn of(
        workflow: WorkflowId,
        records: &[Record],
        files: &BTreeMap<String, String>,
    ) -> Result<Replay, ReplayError> {
        let history = History::read(workflow, records)?;
        let revision = Revision::check_for_replay(files, &Limits::default());
        let revision = revision.map_err(ReplayError::Scripts)?;
        let mut told: Vec<Told> = Vec::new();
        for (seq, completion) in &history.completions {
            let completion = completion.clone();
            match told.last_mut().filter(|last| last.seq == *seq) {
                Some(last) => last.completions.push(completion),
                None => told.push(Told {
                    seq: *seq,
                    time_ms: records
                        .get(*seq as usize)
                        .map_or(0, |record| record.time_ms),
                    completions: vec![completion],
                }),
            }
        }
        Ok(Replay {
            begun_ms: history.begun_ms,
            due: due(&history, records),
            history,
            revision,
            told,
            vm: None,
            at: 0,
            calls: 0,
            last: None,
        })
    }

    /// How many steps there are, the start included.
    pub fn steps(&self) -> usize {
        self.told.len() + 1
    }

    /// The last step that ends no later than the record `seq`.
    pub fn step_at(&self, seq: Seq) -> usize {
        self.told.partition_point(|told| told.seq <= seq)
    }

    /// The step that was taken last.
    pub fn last(&self) -> Option<&Step> {
        self.last.as_ref()
    }

    /// Takes the next step; `None` if there is none, or if the script has come to an end.
    pub fn forward(&mut self) -> Option<&Step> {
        if self
            .last
            .as_ref()
            .is_some_and(|step| step.end != End::Waits)
            || self.at >= self.steps()
        {
            return None;
        }
        let step = match self.at {
            0 => self.start(),
            at => self.feed(at - 1),
        };
        self.at += 1;
        self.last = Some(step);
        self.last.as_ref()
    }

    /// Goes to the step of this number, or as far as the script gets: forwards from here, or from the
    /// beginning if it lies behind.
    pub fn go_to(&mut self, number: usize) -> Option<&Step> {
        if number < self.at.saturating_sub(1) {
            self.vm = None;
            self.last = None;
            (self.at, self.calls) = (0, 0);
        }
        while self.at <= number && self.forward().is_some() {}
        self.last.as_ref()
    }

    fn start(&mut self) -> Step {
        let history = &self.history;
        let (pipeline, seed) = (&history.pipeline, history.seed);
        let vm = Vm::start(
            &self.revision,
            pipeline,
            history.input.clone(),
            seed,
            self.begun_ms,
            Limits::default().relaxed(),
        );
        let fed = vec![format!("the start of {pipeline}")];
        let progress = match vm {
            Ok(mut vm) => {
                let progress = vm.resume(Vec::new());
                self.vm = Some(vm);
                progress
            }
            Err(failure) => Progress {
                calls: Vec::new(),
                state: State::Failed(failure),
            },
        };
        self.step(0, self.begun_ms, fed, progress)
    }

    fn feed(&mut self, position: usize) -> Step {
        let Told {
            seq,
            time_ms,
            completions,
        } = &self.told[position];
        let (seq, time_ms) = (*seq, *time_ms);
        let fed = completions.iter().map(describe_completion).collect();
        let progress = match &mut self.vm {
            Some(vm) => vm.resume(completions.clone()),
            None => Progress {
                calls: Vec::new(),
                state: State::Blocked,
            },
        };
        self.step(seq, time_ms, fed, progress)
    }

    fn step(&mut self, seq: Seq, time_ms: TimeMs, fed: Vec<String>, progress: Progress) -> Step {
        let Progress { calls, state } = progress;
        let mut made = Vec::new();
        let mut diverged = None;
        for call in calls {
            match self.history.calls.get(self.calls) {
                // Lines do not matter, or no edit could be tried on a journal.
                Some((seq, expected)) if expected.id == call.id && expected.op == call.op => {
                    made.push(make(&call, Some(*seq)));
                    self.calls += 1;
                }
                Some((seq, expected)) => {
                    diverged = Some(divergence(*seq, expected, Some(&call), &state));
                    made.push(make(&call, None));
                    break;
                }
                None => made.push(make(&call, None)),
            }
        }
        // What was told since the script last waited is told together, so a call may come early.
        let so_far: usize = self.told[..self.at]
            .iter()
            .map(|told| told.completions.len())
            .sum();
        // A script that has come to its end owes all that is left.
        let owed =
            state != State::Blocked || self.due.get(self.calls).is_some_and(|due| *due <= so_far);
        let owed = self.history.calls.get(self.calls).filter(|_| owed);
        if let (None, Some((seq, expected))) = (&diverged, owed) {
            diverged = Some(divergence(*seq, expected, None, &state));
        }
        let end = match (diverged, state) {
            (Some(diverged), _) => diverged,
            (None, State::Blocked) => End::Waits,
            (None, State::Returned(value)) => End::Returned(show::value(&value)),
            (None, State::Failed(failure)) => End::Failed(failure),
        };
        let standings = self.vm.as_ref().map_or(Vec::new(), Vm::standings);
        Step {
            number: self.at,
            seq,
            since_ms: time_ms.saturating_sub(self.begun_ms),
            fed,
            calls: made,
            standings,
            end,
        }
    }
}

fn due(history: &History, records: &[Record]) -> Vec<usize> {
    let all = history.completions.len();
    let first = history
        .completions
        .first()
        .map_or(Seq::MAX, |(seq, _)| *seq);
    let due = history.calls.iter().map(|(seq, _)| {
        let fed = match records.get(*seq as usize).map(|record| &record.body) {
            Some(Body::Called(called)) => called.fed,
            _ => 0,
        };
        match usize::try_from(fed) {
            // Old journals do not tell.
            Ok(0) if *seq > first => all,
            Ok(fed) => fed.min(all),
            Err(_) => all,
        }
    });
    due.collect()
}

fn make(call: &Call, seq: Option<Seq>) -> Made {
    Made {
        id: call.id.0,
        line: call.line,
        what: describe(&call.op),
        seq,
    }
}

fn divergence(seq: Seq, expected: &Call, got: Option<&Call>, state: &State) -> End {
    let place = |call: &Call| format!("{} {} at line {}", call.id, describe(&call.op), call.line);
    let (expected_text, mut got_text) = (place(expected), String::new());
    match (got, state) {
        (Some(call), _) => {
            got_text = place(call);
            if describe(&call.op) == describe(&expected.op) && call.id == expected.id {
                got_text += ", with other input, items, needs or times";
            }
        }
        (None, State::Blocked) => got_text += "no call: the script waits",
        (None, State::Returned(_)) => got_text += "no call: the script has returned",
        (None, State::Failed(failure)) => got_text += &format!("a failure: {failure}"),
    }
    End::Diverged {
        seq,
        expected: expected_text,
        got: got_text,
    }
}

fn describe_completion(completion: &Completion) -> String {
    let call = completion.call;
    match &completion.event {
        Event::Item {
            index,
            outcome,
            operator: _,
        } => match outcome {
            Ok(value) => format!("{call} item {}: {}", index + 1, show::value(value)),
            Err(error) => format!(
                "{call} item {}: {}: {}",
                index + 1,
                error.class,
                error.message
            ),
        },
        Event::Ended => format!("{call} is over"),
        Event::Slept => format!("{call} has slept"),
        Event::ChildEnded { outcome } => match outcome {
            Ok(value) => format!("{call} is over: {}", show::value(value)),
            Err(failure) => format!("{call} is over: {failure}"),
        },
    }
}

#[cfg(test)]
mod tests;
