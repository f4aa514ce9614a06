//! Other names for people and machines, the same everywhere in a journal, and stand-ins for secrets.
//!
//! A script hears of operators by name and may answer with them (`avoid`), so a name is replaced in what
//! it was told and in what it asked alike, also where it stands in a text; then it replays as before.
//! Pseudonyms sort as the names do, because scripts sort. What somebody wrote into an input or a log
//! without it being a name that the journal knows, or a secret by its own name, stays.

mod secrets;

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Body, CallOp, Finish, Record, ScriptSet};
use froben_model::{ItemError, MachineId, OperatorId, SeekerId, TaskSpec, Value};

use secrets::{Secrets, StandIns};

/// `scripts` are those of the workflow: what stands in them is no secret of its input, and must stay for the
/// replay.
pub(crate) fn replace(records: &mut [Record], scripts: &ScriptSet) {
    let mut found = Found::default();
    for record in records.iter() {
        found.look_at(&record.body);
    }
    let names = found.names(scripts);
    for record in records {
        names.replace_in(&mut record.body);
    }
}

#[derive(Default)]
struct Found {
    seekers: BTreeSet<SeekerId>,
    operators: BTreeSet<OperatorId>,
    machines: BTreeSet<MachineId>,
    secrets: Secrets,
}

impl Found {
    fn look_at(&mut self, body: &Body) {
        match body {
            Body::Submitted(submitted) => {
                self.seekers.insert(submitted.seeker.clone());
                self.secrets.look_at(&submitted.input);
            }
            Body::Called(called) => match &called.op {
                CallOp::Delegate(spec) => {
                    self.operators.extend(spec.avoid.iter().cloned());
                    self.secrets.look_at(&spec.input);
                    spec.items
                        .iter()
                        .for_each(|item| self.secrets.look_at(item));
                }
                CallOp::Run { input, .. } => self.secrets.look_at(input),
                CallOp::Log { text } => self.secrets.look_at_text(text),
                CallOp::Sleep { .. } | CallOp::Cancel { .. } | CallOp::Status(_) => {}
            },
            Body::Assigned(assigned) => self.machine(&assigned.machine),
            Body::Item(item) | Body::Claimed(item) => {
                self.error(item.outcome.as_ref().err());
                if let Ok(value) = &item.outcome {
                    self.secrets.look_at(value);
                }
            }
            Body::Ended(ended) => self.error(ended.failure.as_ref()),
            Body::Lost { failure, .. } => self.error(Some(failure)),
            Body::Tallied(tallies) => {
                tallies
                    .iter()
                    .for_each(|tally| self.machine(&tally.machine));
            }
            Body::Logged {
                source,
                text,
                of: _,
            } => {
                self.secrets.look_at_text(text);
                if let Ok(machine) = MachineId::new(source.as_str()) {
                    self.machine(&machine);
                }
            }
            Body::Finished(finish) | Body::ChildEnded { call: _, finish } => {
                if let Finish::Output(output) = finish {
                    self.secrets.look_at(output);
                }
            }
            Body::Started { .. }
            | Body::Requeued { .. }
            | Body::Slept { .. }
            | Body::CancelRequested
            | Body::Paused
            | Body::Resumed
            | Body::Migrated { .. } => {}
        }
    }

    fn machine(&mut self, machine: &MachineId) {
        self.operators.insert(machine.operator());
        self.machines.insert(machine.clone());
    }

    fn error(&mut self, error: Option<&ItemError>) {
        self.operators
            .extend(error.and_then(|error| error.operator.clone()));
    }

    fn names(self, scripts: &ScriptSet) -> Names {
        let mut words = BTreeMap::new();
        for (number, seeker) in (1..).zip(&self.seekers) {
            words.insert(seeker.as_str().to_string(), format!("seeker-{number:04}"));
        }
        for (number, operator) in (1..).zip(&self.operators) {
            words.insert(
                operator.as_str().to_string(),
                format!("operator-{number:04}"),
            );
        }
        for (number, machine) in (1..).zip(&self.machines) {
            let operator = &words[machine.operator().as_str()];
            let pseudonym = format!("{operator}/machine-{number:04}");
            words.insert(machine.as_str().to_string(), pseudonym);
        }
        Names {
            words,
            secrets: self.secrets.stand_ins(scripts),
        }
    }
}

struct Names {
    words: BTreeMap<String, String>,
    secrets: StandIns,
}

impl Names {
    fn replace_in(&self, body: &mut Body) {
        match body {
            Body::Submitted(submitted) => {
                if let Some(name) = self.words.get(submitted.seeker.as_str())
                    && let Ok(seeker) = SeekerId::new(name.as_str())
                {
                    submitted.seeker = seeker;
                }
                self.value(&mut submitted.input);
            }
            Body::Called(called) => match &mut called.op {
                CallOp::Delegate(spec) => self.task(spec),
                CallOp::Status(status) => self.text(&mut status.phase),
                CallOp::Log { text } => self.text(text),
                CallOp::Run { input, key, .. } => {
                    self.value(input);
                    self.text(key);
                }
                CallOp::Sleep { .. } | CallOp::Cancel { .. } => {}
            },
            Body::Assigned(assigned) => self.machine(&mut assigned.machine),
            Body::Item(item) | Body::Claimed(item) => match &mut item.outcome {
                Ok(value) => self.value(value),
                Err(error) => self.error(error),
            },
            Body::Lost { failure, .. } => self.error(failure),
            Body::Requeued { reason, .. } => self.text(reason),
            Body::Ended(ended) => ended.failure.iter_mut().for_each(|error| self.error(error)),
            Body::Finished(finish) | Body::ChildEnded { call: _, finish } => match finish {
                Finish::Output(output) => self.value(output),
                Finish::Failed(failure) => self.text(&mut failure.message),
                Finish::Cancelled => {}
            },
            Body::Logged {
                source,
                text,
                of: _,
            } => {
                self.text(source);
                self.text(text);
            }
            Body::Tallied(tallies) => {
                for tally in tallies {
                    self.machine(&mut tally.machine);
                }
            }
            Body::Started { .. }
            | Body::Slept { .. }
            | Body::CancelRequested
            | Body::Paused
            | Body::Resumed
            | Body::Migrated { .. } => {}
        }
    }

    fn task(&self, spec: &mut TaskSpec) {
        self.value(&mut spec.input);
        spec.items.iter_mut().for_each(|item| self.value(item));
        spec.avoid.iter_mut().for_each(|name| self.operator(name));
        self.text(&mut spec.key);
    }

    fn error(&self, error: &mut ItemError) {
        self.text(&mut error.message);
        error
            .operator
            .iter_mut()
            .for_each(|name| self.operator(name));
    }

    fn operator(&self, operator: &mut OperatorId) {
        if let Some(name) = self.words.get(operator.as_str())
            && let Ok(name) = OperatorId::new(name.as_str())
        {
            *operator = name;
        }
    }

    fn machine(&self, machine: &mut MachineId) {
        if let Some(name) = self.words.get(machine.as_str())
            && let Ok(name) = MachineId::new(name.as_str())
        {
            *machine = name;
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Text(text) => self.text(text),
            Value::List(list) => list.iter_mut().for_each(|value| self.value(value)),
            Value::Map(map) => {
                let entries = std::mem::take(map).into_iter().map(|(mut key, mut value)| {
                    StandIns::hide_short(&key, &mut value);
                    self.text(&mut key);
                    self.value(&mut value);
                    (key, value)
                });
                *map = entries.collect();
            }
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Blob(_) => {}
        }
    }

    /// Replaces secrets, and names where they stand as words of their own.
    fn text(&self, text: &mut String) {
        self.secrets.replace_in(text);
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find(in_name) {
            let (before, word) = rest.split_at(start);
            let end = word.find(|c| !in_name(c)).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            // A name may end a sentence.
            let name = word.trim_end_matches('.');
            replaced.push_str(before);
            replaced.push_str(self.words.get(name).map_or(name, String::as_str));
            replaced.push_str(&word[name.len()..]);
            rest = after;
        }
        replaced.push_str(rest);
        *text = replaced;
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./".contains(c)
}
