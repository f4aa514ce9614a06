//! The scheduler's decisions become records and messages to machines.

use froben_journal::{Assigned, Body, End, Ended, Item};
use froben_model::view::MachineView;
use froben_model::{
    Assignment, CallId, ErrorClass, ItemError, ItemOutcome, ItemReport, LeaseToken, MachineId,
    MachineSpec, OperatorId, WorkflowId, limits,
};
use froben_scheduler::planted::{Bug, planted};
use froben_scheduler::{Decision, DelegationKey, Input, SessionId, Verdict};

use crate::checks;
use crate::effect::{Answer, Effect, MachineCommand, Receipt};
use crate::engine::Engine;
use crate::input::Ticket;
use crate::workflow::{Assignee, Delegation};

/// Lines of log that one workflow's journal takes.
const LOG_LINES: usize = 10_000;

/// What an input that reports on an attempt brings along: the scheduler sees only that it came.
#[derive(Default)]
struct Report {
    item: Option<ItemReport>,
}

impl Report {
    /// The item that counts, or is to be checked, as a record tells it.
    fn item(&mut self, key: DelegationKey, attempt: u32, index: u32) -> Option<Item> {
        let ItemReport {
            index: _,
            outcome,
            device,
            usage,
        } = self.item.take()?;
        Some(Item {
            call: key.call,
            attempt,
            index,
            outcome,
            device,
            usage,
        })
    }
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
        let mut receipt = Receipt::Recorded;
        let mut next = Some(input);
        while let Some(input) = next {
            for decision in self.scheduler.handle(self.now, input) {
                if matches!(decision, Decision::Stale { .. }) {
                    receipt = Receipt::Stale;
                }
                self.decided(decision, &mut report);
            }
            next = self.follow_ups.pop_front();
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
                    keys: task.keys.clone(),
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
                let Some(item) = report.item(key, attempt, index) else {
                    return;
                };
                if planted(Bug::AcknowledgeUnwritten) {
                    return;
                }
                if key.call.checked().is_some()
                    && let Ok(value) = &item.outcome
                    && let Ok(verdict) = checks::verdict(value)
                {
                    self.tell_checked(key.workflow, key.call, verdict);
                }
                self.record(key.workflow, Body::Item(item));
                self.wake(key.workflow);
            }
            Decision::ClaimItem {
                key,
                attempt,
                index,
            } => {
                let Some(item) = report.item(key, attempt, index) else {
                    return;
                };
                self.record(key.workflow, Body::Claimed(item));
                let check = self.queued(key.workflow, key.call.check(index));
                self.follow_ups.extend(check);
            }
            Decision::SettleItem {
                key,
                attempt: _,
                index,
                error,
            } => self.settle(key, index, error),
            Decision::Lose {
                key,
                attempt,
                failure,
            } => {
                let body = Body::Lost {
                    call: key.call,
                    attempt,
                    failure,
                };
                self.record(key.workflow, body);
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
                if key.call.checked().is_some() {
                    let unchecked = matches!(end, End::Failed | End::TimedOut);
                    if let Some(failure) = failure.as_ref().filter(|_| unchecked) {
                        let verdict = Verdict::Unchecked(failure.message.clone());
                        self.tell_checked(key.workflow, key.call, verdict);
                    }
                } else {
                    self.cancel_checks(key.workflow, key.call);
                }
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

    /// An item came. Only the machine that an attempt was given to may speak of it; if the attempt is over,
    /// a value still counts while its item is missing.
    pub(crate) fn item(
        &mut self,
        ticket: Ticket,
        session: SessionId,
        token: LeaseToken,
        report: ItemReport,
    ) {
        // What is due by now happens first: an attempt that it ends may still be told of.
        if self.scheduler.next_timer().is_some_and(|at| at <= self.now) {
            self.schedule(Input::Tick);
        }
        let receipt = match self.attempt_of(session, &token) {
            Some(assignee) => self.item_of(assignee, token, report),
            None => Receipt::Stale,
        };
        self.reply(ticket, Answer::Receipt(receipt));
    }

    /// The attempt that the token names, if the machine of the session was given it.
    fn attempt_of(&self, session: SessionId, token: &LeaseToken) -> Option<Assignee> {
        let delegation = self.delegation(token.workflow, token.call)?;
        let assignee = delegation.assignees.get(&token.attempt)?;
        let its_own =
            self.sessions.get(&assignee.machine) == Some(&session) || planted(Bug::SkipLateFence);
        (assignee.epoch == token.epoch && its_own).then(|| assignee.clone())
    }

    fn item_of(&mut self, assignee: Assignee, token: LeaseToken, report: ItemReport) -> Receipt {
        let operator = assignee.machine.operator();
        let report = ItemReport {
            outcome: self.attributed(&token, report.index, operator, report.outcome),
            device: report.device.map(|name| limits::one_line(&name)),
            ..report
        };
        let (index, usage) = (report.index, report.usage);
        let delegation = self.delegation(token.workflow, token.call);
        let open = delegation.is_some_and(|d| d.open(token.attempt).is_some());
        let open = open || planted(Bug::SkipFence);
        let input = match &report.outcome {
            // A checker that cannot say is no answer to the script: another one is asked.
            Err(error) if open && token.call.checked().is_some() => Input::Finish {
                token,
                failure: Some(error.clone()),
            },
            outcome if open => Input::Item {
                token,
                index,
                error: outcome.as_ref().err().map(|error| error.class),
                usage,
            },
            Ok(_) => Input::Late {
                token,
                machine: assignee.machine,
                price: assignee.price,
                index,
            },
            Err(_) => return Receipt::Stale,
        };
        self.schedule_report(input, Report { item: Some(report) })
    }

    /// A delegation of a live workflow.
    fn delegation(&self, workflow: WorkflowId, call: CallId) -> Option<&Delegation> {
        let delegations = &self.live.get(&workflow)?.delegations;
        delegations.get(&call).map(AsRef::as_ref)
    }

    /// An outcome as the script may see it: an error is that of the operator who had the item,
    /// whatever the message says, and a value that no script can hold is none.
    fn attributed(
        &self,
        token: &LeaseToken,
        index: u32,
        operator: OperatorId,
        outcome: ItemOutcome,
    ) -> ItemOutcome {
        let operator = Some(operator);
        let value = outcome.map_err(|error| ItemError {
            operator: operator.clone(),
            ..from_a_machine(error)
        })?;
        let refused = |class, message| {
            Err(ItemError {
                class,
                message,
                operator,
            })
        };
        if let Err(message) = froben_script::holdable(&value) {
            return refused(ErrorClass::InvalidResult, message);
        }
        if token.call.checked().is_some()
            && let Err(message) = checks::verdict(&value)
        {
            return refused(ErrorClass::InvalidResult, message);
        }
        let delegation = self.delegation(token.workflow, token.call);
        if let Some(spec) = delegation
            .map(|d| &d.spec)
            .filter(|spec| spec.check.is_some())
        {
            let question = checks::question(spec, index, &value);
            if let Err(error) = question.check_limits("what a check of it would be sent") {
                return refused(ErrorClass::BadRequest, error.to_string());
            }
        }
        Ok(value)
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

    /// Keeps a worker's line, if its attempt goes on or is the delegation's latest, and there is room.
    pub(crate) fn worker_line(&mut self, token: LeaseToken, line: String) {
        let Some(workflow) = self.live.get(&token.workflow) else {
            return;
        };
        let Some(delegation) = workflow.delegations.get(&token.call) else {
            return;
        };
        let open = delegation.open(token.attempt).is_some();
        let machine = match delegation.assignees.get(&token.attempt) {
            Some(assignee) if open => Some(&assignee.machine),
            _ if delegation.attempt == token.attempt => delegation.machine.as_ref(),
            _ => None,
        };
        let room = token.epoch == self.epoch && workflow.log_lines < LOG_LINES;
        let Some(machine) = machine.filter(|_| room) else {
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
                    draining: machine.draining,
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
