//! The scheduler's decisions become records and messages to machines.

use froben_journal::{Assigned, Body, End, Ended, Item};
use froben_model::view::MachineView;
use froben_model::{
    Assignment, CallId, ErrorClass, ItemError, ItemOutcome, ItemReport, LeaseToken, MachineId,
    MachineSpec, WorkflowId, limits,
};
use froben_scheduler::planted::{Bug, planted};
use froben_scheduler::{Decision, DelegationKey, Input, SessionId};

use crate::effect::{Answer, Effect, MachineCommand, Receipt};
use crate::engine::Engine;
use crate::input::Ticket;
use crate::workflow::Delegation;

/// Lines of log that one workflow's journal takes.
const LOG_LINES: usize = 10_000;

/// What an input that reports on an attempt brings along: the scheduler sees only that it came.
#[derive(Default)]
struct Report {
    item: Option<ItemReport>,
}

impl Engine {
    /// A machine is there. If it was already, the newer session holds and the older one is cut.
    pub(crate) fn joined(&mut self, session: SessionId, machine: MachineId, spec: MachineSpec) {
        if let Some(older) = self.sessions.insert(machine.clone(), session) {
            let reason = format!("{machine} has connected again");
            let command = MachineCommand::Cut { reason };
            self.step.effects.push(Effect::Machine {
                session: older,
                command,
            });
        }
        self.schedule(Input::MachineJoined {
            session,
            machine,
            spec,
        });
    }

    /// Tells the scheduler, and carries its decisions into the step.
    pub(crate) fn schedule(&mut self, input: Input) {
        self.schedule_report(input, Report::default());
    }

    /// The same for a report; says whether it counted.
    fn schedule_report(&mut self, input: Input, mut report: Report) -> Receipt {
        let decisions = self.scheduler.handle(self.now, input);
        let mut receipt = Receipt::Recorded;
        for decision in decisions {
            if matches!(decision, Decision::Stale { .. }) {
                receipt = Receipt::Stale;
            }
            self.decided(decision, &mut report);
        }
        receipt
    }

    fn decided(&mut self, decision: Decision, report: &mut Report) {
        match decision {
            Decision::Assign {
                key,
                token,
                machine,
                session,
                device,
                cpu_cores,
                ram_bytes,
                vram_bytes,
                deadline_ms,
                price,
                owed,
            } => {
                let DelegationKey { workflow, call } = key;
                let Some(task) = self.delegation(workflow, call).map(|d| d.spec.clone()) else {
                    return;
                };
                let assigned = Assigned {
                    call,
                    attempt: token.attempt,
                    epoch: token.epoch,
                    machine,
                    device: device.clone(),
                    deadline_ms,
                    cpu_cores,
                    ram_bytes,
                    vram_bytes,
                    price,
                };
                if !planted(Bug::AssignUnwritten) {
                    self.record(workflow, Body::Assigned(assigned));
                }
                let items = owed
                    .into_iter()
                    .filter_map(|index| Some((index, task.items.get(index as usize)?.clone())));
                // Machines end a worker that takes more. Who asks for nothing is not limited, also where
                // something is reserved because the kind is known to need it.
                let ram_bytes = if task.needs.ram_bytes > 0 {
                    ram_bytes
                } else {
                    0
                };
                let command = MachineCommand::Assign(Assignment {
                    token,
                    kind: task.kind.clone(),
                    input: task.input.clone(),
                    items: items.collect(),
                    device,
                    cpu_cores,
                    ram_bytes,
                    vram_bytes,
                    timeout_ms: deadline_ms.saturating_sub(self.now),
                });
                self.step.effects.push(Effect::Machine { session, command });
            }
            Decision::Start { key, attempt } => {
                let body = Body::Started {
                    call: key.call,
                    attempt,
                };
                self.record(key.workflow, body);
            }
            Decision::AcceptItem {
                key,
                attempt,
                index,
            } => {
                let Some(report) = report.item.take() else {
                    return;
                };
                let ItemReport {
                    index: _,
                    outcome,
                    device,
                    usage,
                } = report;
                let item = Item {
                    call: key.call,
                    attempt,
                    index,
                    outcome,
                    device,
                    usage,
                };
                if planted(Bug::AcknowledgeUnwritten) {
                    return;
                }
                self.record(key.workflow, Body::Item(item));
                self.wake(key.workflow);
            }
            Decision::Requeue {
                key,
                attempt,
                reason,
                fault,
            } => {
                let reason = limits::one_line(&reason);
                let fault = fault || planted(Bug::BlameRefusal);
                let body = Body::Requeued {
                    call: key.call,
                    attempt,
                    reason,
                    fault,
                };
                self.record(key.workflow, body);
            }
            Decision::End {
                key,
                attempt,
                end,
                failure,
            } => {
                let end = match end {
                    froben_scheduler::End::Succeeded => End::Succeeded,
                    froben_scheduler::End::Failed => End::Failed,
                    froben_scheduler::End::TimedOut => End::TimedOut,
                    froben_scheduler::End::Cancelled => End::Cancelled,
                };
                let ended = Ended {
                    call: key.call,
                    attempt,
                    end,
                    failure,
                };
                self.record(key.workflow, Body::Ended(ended));
                if !planted(Bug::TellNobody) {
                    self.wake(key.workflow);
                }
            }
            Decision::Stop { session, token } => {
                let command = MachineCommand::Cancel(token);
                self.step.effects.push(Effect::Machine { session, command });
            }
            Decision::Stale { token: _ } | Decision::Duplicate { token: _, index: _ } => {}
        }
    }

    pub(crate) fn item(&mut self, ticket: Ticket, token: LeaseToken, report: ItemReport) {
        let report = ItemReport {
            outcome: self.attributed(&token, report.outcome),
            device: report.device.map(|name| limits::one_line(&name)),
            ..report
        };
        let input = Input::Item {
            token,
            index: report.index,
            error: report.outcome.as_ref().err().map(|error| error.class),
            usage: report.usage,
        };
        let report = Report { item: Some(report) };
        let receipt = self.schedule_report(input, report);
        self.reply(ticket, Answer::Receipt(receipt));
    }

    /// A delegation of a live workflow.
    fn delegation(&self, workflow: WorkflowId, call: CallId) -> Option<&Delegation> {
        let delegations = &self.live.get(&workflow)?.delegations;
        delegations.get(&call).map(AsRef::as_ref)
    }

    /// An outcome as the script may see it: an error is that of the operator who had the item,
    /// whatever the message says, and a value that no script can hold is none.
    fn attributed(&self, token: &LeaseToken, outcome: ItemOutcome) -> ItemOutcome {
        let delegation = self.delegation(token.workflow, token.call);
        let machine = delegation.and_then(|delegation| delegation.machine_of(token.attempt));
        let operator = machine.map(MachineId::operator);
        let error = match outcome {
            Ok(value) => match froben_script::holdable(&value) {
                Ok(()) => return Ok(value),
                Err(message) => ItemError {
                    class: ErrorClass::InvalidResult,
                    message,
                    operator,
                },
            },
            Err(error) => ItemError {
                operator,
                ..from_a_machine(error)
            },
        };
        Err(error)
    }

    pub(crate) fn finish_attempt(
        &mut self,
        ticket: Ticket,
        token: LeaseToken,
        failure: Option<ItemError>,
    ) {
        let failure = failure.map(from_a_machine);
        let receipt = self.schedule_report(Input::Finish { token, failure }, Report::default());
        self.reply(ticket, Answer::Receipt(receipt));
    }

    /// Keeps a worker's line, if its attempt is the delegation's latest and there is room.
    pub(crate) fn worker_line(&mut self, token: LeaseToken, line: String) {
        let Some(workflow) = self.live.get(&token.workflow) else {
            return;
        };
        let Some(delegation) = workflow.delegations.get(&token.call) else {
            return;
        };
        let latest = token.epoch == self.epoch && delegation.attempt == token.attempt;
        let (true, Some(machine)) = (
            latest && workflow.log_lines < LOG_LINES,
            &delegation.machine,
        ) else {
            return;
        };
        let source = machine.to_string();
        let text = limits::one_line(&line);
        self.record(
            token.workflow,
            Body::Logged {
                source,
                text,
                of: Some((token.call, token.attempt)),
            },
        );
    }

    pub(crate) fn machine_views(&self) -> Vec<MachineView> {
        let machines = self.scheduler.machines();
        machines
            .map(|machine| {
                let MachineSpec {
                    operator: _,
                    label: _,
                    cpu_cores,
                    ram_bytes,
                    devices,
                    cpu_kinds,
                    device_kinds,
                    prices: _,
                    keys: _,
                } = machine.spec.clone();
                let mut kinds = [cpu_kinds, device_kinds].concat();
                kinds.sort();
                kinds.dedup();
                MachineView {
                    name: machine.machine.clone(),
                    cpu_cores,
                    ram_bytes,
                    devices,
                    kinds,
                    attempts: machine.attempts as u32,
                    succeeded: machine.succeeded,
                    failed: machine.failed,
                }
            })
            .collect()
    }
}

/// What only the coordinator can know, a machine can't say: that nobody has capacity, that somebody
/// cancelled. A script's retry policy acts on these.
fn from_a_machine(error: ItemError) -> ItemError {
    let class = match error.class {
        ErrorClass::NoCapacity | ErrorClass::Cancelled => ErrorClass::WorkerFailed,
        class @ (ErrorClass::Timeout
        | ErrorClass::Disconnected
        | ErrorClass::OutOfMemory
        | ErrorClass::InvalidResult
        | ErrorClass::WorkerFailed
        | ErrorClass::BadRequest) => class,
    };
    ItemError { class, ..error }
}
