//! A small network around the scheduler, with short names for what tests say often.

use froben_model::{
    Amount, CallId, DeviceSpec, ErrorClass, ItemError, Kind, LeaseToken, MachineId, MachineSpec,
    Needs, OperatorId, SeekerId, Usage, WorkflowId,
};
use froben_scheduler::{
    Decision, DelegationKey, End, Input, Past, Policy, Reason, Scheduler, SessionId, Task, Trust,
    Urgency, Verdict,
};

const EPOCH: u64 = 5;
pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const TIMEOUT_MS: u64 = 60_000;
pub(crate) const QUEUE_TIMEOUT_MS: u64 = 30_000;

pub(crate) struct Net {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: u64,
    sessions: u64,
}

pub(crate) fn key(call: u64) -> DelegationKey {
    DelegationKey {
        workflow: WorkflowId([7; 16]),
        call: CallId(call),
    }
}

pub(crate) fn kind(text: &str) -> Kind {
    Kind::new(text).unwrap()
}

pub(crate) fn cpu() -> Task {
    Task {
        kind: kind("work/1"),
        needs: Needs::default(),
        items: 1,
        timeout_ms: TIMEOUT_MS,
        queue_timeout_ms: QUEUE_TIMEOUT_MS,
        avoid: vec![],
        keys: Vec::new(),
        max_price: None,
        trust: Trust::Anybody,
    }
}

pub(crate) fn shared(cores: u32) -> Task {
    let mut task = cpu();
    task.needs.cpu_cores = cores;
    task.needs.shared = true;
    task
}

pub(crate) fn gpu(vram_gib: u64) -> Task {
    let mut task = cpu();
    task.needs.vram_bytes = vram_gib * GIB;
    task
}

/// A task whose values count once a check approves them.
pub(crate) fn checked(mut task: Task) -> Task {
    task.trust = Trust::Checked;
    task
}

/// A check.
pub(crate) fn check() -> Task {
    let mut task = shared(1);
    task.trust = Trust::Trusted;
    task
}

pub(crate) fn items(mut task: Task, items: u32) -> Task {
    task.items = items;
    task
}

pub(crate) fn avoiding(mut task: Task, operators: &[&str]) -> Task {
    let operators = operators.iter().map(|name| OperatorId::new(*name).unwrap());
    task.avoid = operators.collect();
    task
}

/// A machine that offers `work/1` on CPU and devices.
pub(crate) fn spec(name: &str, cores: u32, ram_gib: u64, vram_gib: &[u64]) -> MachineSpec {
    let (operator, label) = name.split_once('/').unwrap();
    let device = |(index, gib): (usize, &u64)| DeviceSpec {
        id: format!("gpu{index}"),
        name: "gpu".into(),
        vendor: "any".into(),
        driver: "1".into(),
        vram_bytes: gib * GIB,
    };
    MachineSpec {
        operator: OperatorId::new(operator).unwrap(),
        label: label.into(),
        cpu_cores: cores,
        ram_bytes: ram_gib * GIB,
        devices: vram_gib.iter().enumerate().map(device).collect(),
        cpu_kinds: vec![kind("work/1")],
        device_kinds: vec![kind("work/1")],
        keys: Vec::new(),
        prices: Vec::new(),
    }
}

pub(crate) fn error(class: ErrorClass) -> ItemError {
    ItemError {
        class,
        message: "it broke".into(),
        operator: None,
    }
}

impl Net {
    pub(crate) fn new() -> Self {
        Net::with(Policy::default(), 1)
    }

    pub(crate) fn with(policy: Policy, seed: u64) -> Self {
        Net {
            scheduler: Scheduler::new(policy, EPOCH, seed),
            now: 1_000_000,
            sessions: 0,
        }
    }

    /// A network with machines as [`spec`] makes them: 8 cores, 16 GiB, one 8 GiB device each.
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut net = Net::new();
        for name in names {
            net.join(name);
        }
        net
    }

    pub(crate) fn input(&mut self, input: Input) -> Vec<Decision> {
        let decisions = self.scheduler.handle(self.now, input);
        self.scheduler.check_invariants().unwrap();
        decisions
    }

    pub(crate) fn join(&mut self, name: &str) -> Vec<Decision> {
        self.join_as(spec(name, 8, 16, &[8]))
    }

    pub(crate) fn join_as(&mut self, spec: MachineSpec) -> Vec<Decision> {
        self.sessions += 1;
        self.input(Input::MachineJoined {
            session: SessionId(self.sessions),
            machine: MachineId::of(&spec.operator, &spec.label).unwrap(),
            spec,
        })
    }

    pub(crate) fn session(&self, name: &str) -> SessionId {
        let mut machines = self.scheduler.machines();
        let machine = machines.find(|view| view.machine.as_str() == name);
        machine.expect("it is connected").session
    }

    pub(crate) fn leave(&mut self, name: &str) -> Vec<Decision> {
        let session = self.session(name);
        self.input(Input::MachineLeft {
            session,
            reason: "connection lost".into(),
        })
    }

    pub(crate) fn queue(&mut self, call: u64, task: Task) -> Vec<Decision> {
        self.queue_for("s", call, task)
    }

    /// Queues a task that the purse of its workflow pays for.
    pub(crate) fn queue_paid(&mut self, call: u64, task: Task) -> Vec<Decision> {
        let (key, queued_ms) = (key(call), self.now);
        self.input(Input::Queue {
            key,
            seeker: SeekerId::new("s").unwrap(),
            task,
            queued_ms,
            past: Past::default(),
            purse: Some(key.workflow),
            urgency: Urgency::default(),
        })
    }

    /// Gives the workflow of all calls so much to spend.
    pub(crate) fn fund(&mut self, limit: u64) {
        self.input(Input::OpenPurse {
            purse: key(0).workflow,
            limit: Amount(limit),
            spent: Amount::ZERO,
        });
    }

    /// A machine as [`Net::join`] makes it, that asks `micros` for an item.
    pub(crate) fn join_at(&mut self, name: &str, micros: u64) -> Vec<Decision> {
        let mut spec = spec(name, 8, 16, &[8]);
        spec.prices = vec![(kind("work/1"), Amount(micros))];
        self.join_as(spec)
    }

    pub(crate) fn queue_for(&mut self, seeker: &str, call: u64, task: Task) -> Vec<Decision> {
        let queued_ms = self.now;
        self.input(Input::Queue {
            key: key(call),
            seeker: SeekerId::new(seeker).unwrap(),
            task,
            queued_ms,
            past: Past::default(),
            purse: None,
            urgency: Urgency::default(),
        })
    }

    pub(crate) fn queue_urgent(
        &mut self,
        call: u64,
        task: Task,
        wanted_by_ms: Option<u64>,
        begun_ms: u64,
        ahead_ms: u64,
    ) -> Vec<Decision> {
        let queued_ms = self.now;
        self.input(Input::Queue {
            key: key(call),
            seeker: SeekerId::new("s").unwrap(),
            task,
            queued_ms,
            past: Past::default(),
            purse: None,
            urgency: Urgency {
                wanted_by_ms,
                begun_ms,
                ahead_ms,
            },
        })
    }

    /// Queues a task that some machine gets at once and takes.
    pub(crate) fn run(&mut self, call: u64, task: Task) -> LeaseToken {
        let token = token(&self.queue(call, task));
        self.accept(token);
        token
    }

    /// The token of the first attempt of a call.
    pub(crate) fn token_of(&self, call: u64) -> LeaseToken {
        let DelegationKey { workflow, call } = key(call);
        LeaseToken {
            workflow,
            call,
            attempt: 1,
            epoch: EPOCH,
        }
    }

    pub(crate) fn accept(&mut self, token: LeaseToken) -> Vec<Decision> {
        self.input(Input::Accepted { token })
    }

    pub(crate) fn refuse(&mut self, token: LeaseToken) -> Vec<Decision> {
        let reason = "not now".into();
        self.input(Input::Refused { token, reason })
    }

    pub(crate) fn item(&mut self, token: LeaseToken, index: u32) -> Vec<Decision> {
        self.input(Input::Item {
            token,
            index,
            error: None,
            usage: Usage::default(),
        })
    }

    pub(crate) fn bad_item(
        &mut self,
        token: LeaseToken,
        index: u32,
        class: ErrorClass,
    ) -> Vec<Decision> {
        self.input(Input::Item {
            token,
            index,
            error: Some(class),
            usage: Usage::default(),
        })
    }

    pub(crate) fn fail(&mut self, token: LeaseToken, class: ErrorClass) -> Vec<Decision> {
        let failure = Some(error(class));
        self.input(Input::Finish { token, failure })
    }

    pub(crate) fn trust(&mut self, operators: &[&str]) -> Vec<Decision> {
        let operators = operators.iter().map(|name| OperatorId::new(*name).unwrap());
        let operators = operators.collect();
        self.input(Input::Trust { operators })
    }

    pub(crate) fn verdict(&mut self, call: u64, index: u32, verdict: Verdict) -> Vec<Decision> {
        let key = key(call);
        self.input(Input::Verdict {
            key,
            index,
            verdict,
        })
    }

    /// A value of an attempt that is over, from `machine`, which asked `micros` for it.
    pub(crate) fn late(
        &mut self,
        token: LeaseToken,
        machine: &str,
        micros: u64,
        index: u32,
    ) -> Vec<Decision> {
        self.input(Input::Late {
            token,
            machine: machine.parse().unwrap(),
            price: Amount(micros),
            index,
        })
    }

    pub(crate) fn cancel(&mut self, call: u64) -> Vec<Decision> {
        self.input(Input::Cancel { key: key(call) })
    }

    /// Lets time pass, ringing every timer when it is due.
    pub(crate) fn pass(&mut self, ms: u64) -> Vec<Decision> {
        let until = self.now + ms;
        let mut decisions = Vec::new();
        while let Some(due) = self.scheduler.next_timer().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            decisions.extend(self.input(Input::Tick));
        }
        self.now = until;
        decisions.extend(self.input(Input::Tick));
        decisions
    }

    pub(crate) fn why(&self, call: u64, machine: &str) -> Reason {
        let reasons = self.scheduler.why(key(call)).into_iter();
        let mut of_machine = reasons.filter(|(id, _)| id.as_str() == machine);
        of_machine.next().expect("a reason for each machine").1
    }
}

/// The token of the one assignment among the decisions.
pub(crate) fn token(decisions: &[Decision]) -> LeaseToken {
    let mut tokens = decisions.iter().filter_map(|decision| match decision {
        Decision::Assign { token, .. } => Some(*token),
        _ => None,
    });
    let token = tokens
        .next()
        .unwrap_or_else(|| panic!("no assignment in {decisions:?}"));
    assert_eq!(tokens.next(), None, "one assignment in {decisions:?}");
    token
}

/// Who got what: (call, machine).
pub(crate) fn assigned(decisions: &[Decision]) -> Vec<(u64, &str)> {
    let assigned = decisions.iter().filter_map(|decision| match decision {
        Decision::Assign { key, machine, .. } => Some((key.call.0, machine.as_str())),
        _ => None,
    });
    assigned.collect()
}

/// The one end among the decisions.
pub(crate) fn ended(decisions: &[Decision]) -> (End, Option<ItemError>) {
    let mut ends = decisions.iter().filter_map(|decision| match decision {
        Decision::End { end, failure, .. } => Some((*end, failure.clone())),
        _ => None,
    });
    let end = ends
        .next()
        .unwrap_or_else(|| panic!("no end in {decisions:?}"));
    assert!(ends.next().is_none(), "one end in {decisions:?}");
    end
}

fn failure_words(failure: &ItemError) -> String {
    let of = failure.operator.as_ref();
    let of = of.map_or(String::new(), |operator| format!(" of {operator}"));
    format!(": {}{of}: {}", failure.class, failure.message)
}

/// Decisions as short words, one a line: what tests compare.
pub(crate) fn words(decisions: &[Decision]) -> String {
    let mut lines = String::new();
    for decision in decisions {
        lines += &match decision {
            Decision::Assign {
                token,
                machine,
                device,
                cpu_cores,
                owed,
                ..
            } => format!(
                "assign {}.{} to {machine}{} with {cpu_cores} cores, owed {owed:?}",
                token.call,
                token.attempt,
                device.as_ref().map_or(String::new(), |id| format!(" {id}"))
            ),
            Decision::Start { key, attempt } => format!("start {}.{attempt}", key.call),
            Decision::AcceptItem {
                key,
                attempt,
                index,
            } => format!("accept {}.{attempt} item {index}", key.call),
            Decision::ClaimItem {
                key,
                attempt,
                index,
            } => format!("claim {}.{attempt} item {index}", key.call),
            Decision::SettleItem {
                key,
                attempt,
                index,
                error,
            } => {
                let error = error.as_ref().map_or(String::new(), failure_words);
                format!("settle {}.{attempt} item {index}{error}", key.call)
            }
            Decision::Lose {
                key,
                attempt,
                failure,
            } => format!("lose {}.{attempt}{}", key.call, failure_words(failure)),
            Decision::Stale { token } => format!("stale {}.{}", token.call, token.attempt),
            Decision::Duplicate { token, index } => {
                format!("duplicate {}.{} item {index}", token.call, token.attempt)
            }
            Decision::Requeue {
                key,
                attempt,
                reason,
                fault,
            } => {
                let fault = if *fault { ", its fault" } else { "" };
                format!("requeue {}.{attempt}: {reason}{fault}", key.call)
            }
            Decision::End {
                key,
                attempt,
                end,
                failure,
            } => {
                let failure = failure.as_ref().map_or(String::new(), failure_words);
                format!("end {}.{attempt} {end:?}{failure}", key.call)
            }
            Decision::Stop { token, .. } => format!("stop {}.{}", token.call, token.attempt),
        };
        lines.push('\n');
    }
    lines
}
