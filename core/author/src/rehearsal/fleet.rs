//! The scripted operators' machines, and what each is at.

use std::collections::{BTreeMap, BTreeSet};

use froben_engine::SessionId;
use froben_engine::input::{Input, Ticket};
use froben_model::{
    Assignment, DeviceSpec, ErrorClass, HeldKey, ItemError, ItemReport, Kind, LeaseToken,
    MachineId, MachineSpec, TimeMs, limits,
};
use froben_script::spec::{Deed, Operator, Question, Reply, Unmet};

use super::Halt;
use super::agenda::{Agenda, Due, drop_attempts};

pub(super) struct Fleet {
    machines: Vec<Machine>,
    attempts: BTreeMap<LeaseToken, Attempt>,
    next_session: u64,
    next_ticket: u64,
}

struct Machine {
    /// Position among the simulation's operators.
    operator: usize,
    takes_ms: u64,
    id: MachineId,
    spec: MachineSpec,
    session: Option<SessionId>,
    gone: bool,
}

struct Attempt {
    machine: usize,
    key: String,
    task: Assignment,
    accepted: bool,
}

impl Fleet {
    /// Nobody is connected yet; the agenda says when they do.
    pub(super) fn new(
        operators: &[Operator],
        kinds: &BTreeSet<Kind>,
        start: TimeMs,
        agenda: &mut Agenda,
    ) -> Fleet {
        let mut machines = Vec::new();
        for (position, operator) in operators.iter().enumerate() {
            for number in 1..=operator.machines {
                let Ok(machine) = machine(position, operator, number, kinds) else {
                    continue;
                };
                agenda.add(start + operator.joins_ms, Due::Join(machines.len()));
                if let Some(leaves_ms) = operator.leaves_ms {
                    agenda.add(start + leaves_ms, Due::Leave(machines.len()));
                }
                machines.push(machine);
            }
        }
        Fleet {
            machines,
            attempts: BTreeMap::new(),
            next_session: 1,
            next_ticket: 1,
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(super) fn join(&mut self, position: usize) -> Option<Input> {
        let machine = self.machines.get_mut(position)?;
        if machine.gone || machine.session.is_some() {
            return None;
        }
        let session = SessionId(self.next_session);
        self.next_session += 1;
        machine.session = Some(session);
        Some(Input::MachineJoined {
            session,
            machine: machine.id.clone(),
            spec: machine.spec.clone(),
        })
    }

    pub(super) fn leave(&mut self, position: usize) -> Option<Input> {
        self.machines.get_mut(position)?.gone = true;
        self.hang_up(position)
    }

    fn hang_up(&mut self, position: usize) -> Option<Input> {
        let session = self.machines.get_mut(position)?.session.take()?;
        self.attempts
            .retain(|_, attempt| attempt.machine != position);
        Some(Input::MachineLeft {
            session,
            reason: "the connection was lost".to_string(),
        })
    }

    /// The coordinator is gone: every connection is, and everything that was done over it. Those that
    /// were connected come again at `back`.
    pub(super) fn lose_coordinator(&mut self, back: TimeMs, agenda: &mut Agenda) {
        self.attempts.clear();
        drop_attempts(agenda);
        for (position, machine) in self.machines.iter_mut().enumerate() {
            if machine.session.take().is_some() {
                agenda.add(back, Due::Join(position));
            }
        }
    }

    /// A machine is given a task.
    pub(super) fn assign(
        &mut self,
        now: TimeMs,
        session: SessionId,
        key: String,
        task: Assignment,
        agenda: &mut Agenda,
    ) {
        let holder = |machine: &Machine| machine.session == Some(session);
        let Some(machine) = self.machines.iter().position(holder) else {
            return;
        };
        let token = task.token;
        let attempt = Attempt {
            machine,
            key,
            task,
            accepted: false,
        };
        self.attempts.insert(token, attempt);
        agenda.add(now, Due::Work { token, position: 0 });
    }

    pub(super) fn cancel(&mut self, token: LeaseToken) {
        self.attempts.remove(&token);
    }

    /// An attempt comes to its next item: the operator is asked about it.
    pub(super) fn work(
        &mut self,
        now: TimeMs,
        token: LeaseToken,
        position: usize,
        ask: &mut dyn FnMut(&Question<'_>) -> Result<Reply, Unmet>,
        agenda: &mut Agenda,
    ) -> Result<Option<Input>, Halt> {
        let ticket = self.ticket();
        let Some(attempt) = self.attempts.get_mut(&token) else {
            return Ok(None);
        };
        let task = &attempt.task;
        let machine = &self.machines[attempt.machine];
        let Some((index, item)) = task.items.get(position) else {
            self.attempts.remove(&token);
            let failure = None;
            return Ok(Some(Input::Finish {
                ticket,
                token,
                failure,
            }));
        };
        let question = Question {
            operator: machine.operator,
            machine: machine.id.as_str(),
            kind: &task.kind,
            key: &attempt.key,
            input: &task.input,
            items: task.items.len(),
            attempt: token.attempt,
            item,
            index: *index,
        };
        let Reply { deed, after_ms } = ask(&question).map_err(Halt::Operator)?;
        if let Deed::Refuse(reason) = deed {
            let (key, index, accepted) = (attempt.key.clone(), *index, attempt.accepted);
            self.attempts.remove(&token);
            return match accepted {
                false => Ok(Some(Input::Refused { token, reason })),
                true => Err(Halt::Stuck(format!(
                    "refuse() came for item {} of {key}, which the machine had taken already",
                    index + 1
                ))),
            };
        }
        if deed != Deed::Hang {
            let at = now + after_ms.unwrap_or(machine.takes_ms);
            let report = Due::Report {
                token,
                position,
                deed,
            };
            agenda.add(at, report);
        }
        let accepted = std::mem::replace(&mut attempt.accepted, true);
        Ok((!accepted).then_some(Input::Accepted { token }))
    }

    /// What came of an item reaches the coordinator.
    pub(super) fn report(
        &mut self,
        now: TimeMs,
        token: LeaseToken,
        position: usize,
        deed: Deed,
        agenda: &mut Agenda,
    ) -> Option<Input> {
        let ticket = self.ticket();
        let attempt = self.attempts.get(&token)?;
        let machine = attempt.machine;
        let (index, _) = *attempt.task.items.get(position)?;
        let outcome = match deed {
            Deed::Ok(value) => Ok(value),
            Deed::Fail(class, message) => Err(error(class, &message)),
            Deed::Die(message) => {
                self.attempts.remove(&token);
                let failure = Some(error(ErrorClass::WorkerFailed, &message));
                return Some(Input::Finish {
                    ticket,
                    token,
                    failure,
                });
            }
            Deed::Disconnect { back_ms } => {
                if let Some(back_ms) = back_ms {
                    agenda.add(now + back_ms, Due::Join(machine));
                }
                return self.hang_up(machine);
            }
            Deed::Hang | Deed::Refuse(_) => return None,
        };
        let session = self.machines[machine].session?;
        let position = position + 1;
        agenda.add(now, Due::Work { token, position });
        Some(Input::Item {
            ticket,
            session,
            token,
            report: ItemReport::new(index, outcome),
        })
    }
}

fn error(class: ErrorClass, message: &str) -> ItemError {
    ItemError {
        class,
        message: limits::one_line(message),
        operator: None,
    }
}

fn machine(
    position: usize,
    operator: &Operator,
    number: u32,
    kinds: &BTreeSet<Kind>,
) -> Result<Machine, froben_model::Error> {
    let label = format!("m{number}");
    let id = MachineId::of(&operator.name, &label)?;
    let device = |number| DeviceSpec {
        id: format!("device-{number}"),
        name: "a simulated device".to_string(),
        vendor: "froben".to_string(),
        driver: "1".to_string(),
        vram_bytes: operator.vram_bytes,
    };
    let kinds: Vec<Kind> = match &operator.kinds {
        Some(kinds) => kinds.clone(),
        None => kinds.iter().cloned().collect(),
    };
    Ok(Machine {
        operator: position,
        takes_ms: operator.takes_ms,
        id,
        spec: MachineSpec {
            operator: operator.name.clone(),
            label,
            cpu_cores: operator.cpu_cores,
            ram_bytes: operator.ram_bytes,
            devices: (1..=operator.devices).map(device).collect(),
            cpu_kinds: kinds.clone(),
            device_kinds: if operator.devices > 0 {
                kinds
            } else {
                Vec::new()
            },
            keys: operator
                .keys
                .iter()
                .map(|key| HeldKey {
                    key: key.clone(),
                    bytes: 0,
                })
                .collect(),
            prices: Vec::new(),
        },
        session: None,
        gone: false,
    })
}
