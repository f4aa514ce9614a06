//! Random networks under random input, watched from outside.
//!
//! The watcher knows what was sent in and what came out, and the promises; it does not look inside. The
//! scheduler's own audit runs beside it after each step.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{
    Amount, CallId, ErrorClass, HeldKey, LeaseToken, MachineId, MachineSpec, OperatorId, SeekerId,
    SetupKey, TimeBucket, Usage, WorkflowId, limits,
};
use froben_scheduler::{
    Decision, DelegationKey, End, Input, Past, Policy, Scheduler, SessionId, Task, Trust, Urgency,
    Verdict,
};

use crate::net::{GIB, avoiding, cpu, error, gpu, items, kind, shared, spec};

/// How many workflows share the calls.
const WORKFLOWS: u64 = 4;

fn key(call: u64) -> DelegationKey {
    DelegationKey {
        workflow: WorkflowId([(call % WORKFLOWS) as u8; 16]),
        call: CallId(call),
    }
}

fn setup_key(n: u8) -> SetupKey {
    SetupKey {
        name: "crs".into(),
        sha256: [n; 32],
    }
}

/// Everything that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // xorshift64*: any generator will do that is not the scheduler's own.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let len = u64::try_from(from.len()).ok().filter(|len| *len > 0)?;
        from.get(self.below(len) as usize)
    }
}

struct Attempt {
    seeker: SeekerId,
    session: SessionId,
    started: bool,
    cores: u32,
    ram_bytes: u64,
    device: Option<String>,
    deadline_ms: u64,
    owed: BTreeSet<u32>,
    price: Amount,
}

/// A value that waits for its check.
struct Claimed {
    attempt: u32,
    price: Amount,
}

struct Delegation {
    seeker: SeekerId,
    task: Task,
    items: BTreeSet<u32>,
    attempts: u32,
    /// How long it may take from when it begins to wait.
    within_ms: u64,
    /// By when it must be over: the wait, then the longest attempt that can follow it.
    by_ms: u64,
    claims: BTreeMap<u32, Claimed>,
    checking: bool,
    ended: bool,
}

/// No policy here tries a check more often.
const CHECK_ATTEMPTS: u32 = 5;

/// How long a delegation waits for checks, at most: as long as all tries of one may take, and a moment.
fn checked_within(task: &Task) -> u64 {
    (task.queue_timeout_ms + task.timeout_ms) * u64::from(CHECK_ATTEMPTS) + 1000
}

/// Holds decisions against the promises.
#[derive(Default)]
struct Watcher {
    machines: BTreeMap<SessionId, MachineSpec>,
    delegations: BTreeMap<DelegationKey, Delegation>,
    live: BTreeMap<LeaseToken, Attempt>,
    used: BTreeSet<LeaseToken>,
    paused: BTreeSet<WorkflowId>,
    trusted: BTreeSet<OperatorId>,
    /// Machines that are about to leave.
    draining: BTreeSet<SessionId>,
    /// Who had each attempt, and for what.
    assigned: BTreeMap<LeaseToken, (MachineId, Amount)>,
    /// What each workflow may spend yet, and what it has spent.
    purses: BTreeMap<WorkflowId, (Amount, Amount)>,
    ends: BTreeMap<&'static str, u64>,
}

impl Watcher {
    fn live_of(&self, key: DelegationKey) -> Vec<LeaseToken> {
        let of = self.live.keys().copied();
        of.filter(|token| DelegationKey::of(token) == key).collect()
    }

    fn attempt_over(&mut self, key: DelegationKey, attempt: u32) -> Option<Attempt> {
        let mut of = self.live_of(key).into_iter();
        let token = of.find(|token| token.attempt == attempt)?;
        self.live.remove(&token)
    }

    /// A second attempt may be: beside one that has started, by another operator, of a seeker who has had not
    /// more of them than are granted, and while nothing else of its workflow waits.
    fn check_second(&self, key: DelegationKey, session: SessionId, deadline_ms: u64, share: u64) {
        let others = self.live_of(key);
        let [first] = &others[..] else {
            panic!("{key} is handed out a third time");
        };
        let first = &self.live[first];
        let operator = |session| &self.machines[session].operator;
        assert!(first.started, "{key} is hedged before it runs");
        assert!(
            deadline_ms <= first.deadline_ms,
            "{key} is hedged for longer"
        );
        assert_ne!(operator(&first.session), operator(&session), "{key}");
        assert!(self.delegations[&key].task.trust != Trust::Trusted);
        let own = self.live.iter().filter(|(_, a)| a.seeker == first.seeker);
        let keys: Vec<_> = own.map(|(token, _)| DelegationKey::of(token)).collect();
        let distinct: BTreeSet<_> = keys.iter().collect();
        let hedges = keys.len() - distinct.len();
        let handed_out = self.assigned.keys().filter(|token| {
            let of = self.delegations.get(&DelegationKey::of(token));
            of.is_some_and(|of| of.seeker == first.seeker)
        });
        let most = (handed_out.count() as u64 * share / 100).max(1);
        assert!(
            (hedges as u64) < most && share > 0,
            "{key} is over the budget"
        );
        let waits = self.delegations.iter().any(|(other, delegation)| {
            let waits = !delegation.ended && !delegation.checking;
            other.workflow == key.workflow && waits && self.live_of(*other).is_empty()
        });
        assert!(
            !waits,
            "{key} is hedged before its workflow's last is handed out"
        );
    }

    /// An item is in, of an attempt that runs or of an earlier one. Gives its price.
    fn came(
        &mut self,
        key: DelegationKey,
        attempt: u32,
        index: u32,
        late: Option<Amount>,
    ) -> Amount {
        let delegation = self.delegations.get_mut(&key).expect("it was queued");
        assert!(delegation.items.remove(&index), "{key} has it already");
        let mut price = late;
        for (token, of) in &mut self.live {
            if DelegationKey::of(token) != key {
                continue;
            }
            assert!(of.owed.remove(&index));
            match late {
                Some(_) => assert_ne!(token.attempt, attempt),
                None if token.attempt == attempt => {
                    assert!(of.started);
                    price = Some(of.price);
                }
                None => {}
            }
        }
        price.expect("an item is of a live attempt, or late")
    }

    /// An attempt is over if nothing is missing, and claims are left.
    fn checks_if_complete(&mut self, now: u64, key: DelegationKey) {
        let delegation = &self.delegations[&key];
        let goes_on = !delegation.items.is_empty() && !delegation.checking;
        if goes_on || delegation.claims.is_empty() {
            return;
        }
        self.live.retain(|token, _| DelegationKey::of(token) != key);
        self.checking(now, key);
    }

    fn checking(&mut self, now: u64, key: DelegationKey) {
        let delegation = self.delegations.get_mut(&key).expect("it was queued");
        assert!(!delegation.claims.is_empty(), "{key} waits for nothing");
        delegation.checking = true;
        delegation.within_ms = checked_within(&delegation.task);
        if delegation.by_ms < u64::MAX {
            delegation.by_ms = now + delegation.within_ms;
        }
    }

    fn see(&mut self, now: u64, decision: &Decision, input: &Input, share: u64) {
        let paid = matches!(input, Input::Item { error: None, .. } | Input::Late { .. });
        let late = match input {
            Input::Late { price, .. } => Some(*price),
            _ => None,
        };
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
                let delegation = self.delegations.get_mut(key).expect("it was queued");
                assert!(!delegation.ended, "{key} goes on after its end");
                assert!(!delegation.checking, "{key} goes on while it is checked");
                let draining = self.draining.contains(session);
                assert!(!draining, "{key} is given to a machine that leaves");
                let paused = self.paused.contains(&key.workflow);
                assert!(!paused, "{key} is handed out while its workflow is paused");
                delegation.attempts += 1;
                assert_eq!(token.attempt, delegation.attempts);
                assert!(self.used.insert(*token), "{token} is used twice");
                let seeker = delegation.seeker.clone();
                if !self.live_of(*key).is_empty() {
                    self.check_second(*key, *session, *deadline_ms, share);
                }
                let delegation = &self.delegations[key];
                let owed: BTreeSet<u32> = owed.iter().copied().collect();
                assert_eq!(owed, delegation.items);
                let spec = self.machines.get(session).expect("it has not left");
                let task = &delegation.task;
                assert!(!task.avoid.contains(&spec.operator), "{machine} is avoided");
                assert!(
                    task.trust != Trust::Trusted || self.trusted.contains(&spec.operator),
                    "{machine} is not trusted"
                );
                let had = (machine.clone(), *price);
                self.assigned.insert(*token, had);
                assert_eq!(*price, spec.price(&task.kind));
                assert!(
                    task.max_price.is_none_or(|most| *price <= most),
                    "{machine} is too dear"
                );
                let keys: Vec<_> = spec.keys.iter().map(|held| held.key.sha256).collect();
                assert!(task.keys.iter().all(|key| keys.contains(&key.sha256)));
                let kinds = match device {
                    None => &spec.cpu_kinds,
                    Some(id) => {
                        let mut devices = spec.devices.iter();
                        let device = devices.find(|device| device.id == *id).unwrap();
                        assert!(device.vram_bytes >= *vram_bytes);
                        &spec.device_kinds
                    }
                };
                assert!(kinds.contains(&task.kind), "{machine} does not offer it");
                assert_eq!(device.is_some(), task.needs.device());
                // More than it asks for if its kind is known to need more.
                assert!(*ram_bytes >= task.needs.ram_bytes);
                assert!(*vram_bytes >= task.needs.vram_bytes);
                let attempt = Attempt {
                    seeker,
                    session: *session,
                    started: false,
                    cores: *cpu_cores,
                    ram_bytes: *ram_bytes,
                    device: device.clone(),
                    deadline_ms: *deadline_ms,
                    owed,
                    price: *price,
                };
                self.live.insert(*token, attempt);
                self.check_capacity(*session);
                self.check_purse(key.workflow);
            }
            Decision::Start { key, attempt } => {
                let mut live = self.live.iter_mut();
                let of = live.find(|(token, _)| {
                    DelegationKey::of(token) == *key && token.attempt == *attempt
                });
                let (token, of) = of.expect("only what is assigned starts");
                assert!(!of.started, "{token} starts twice");
                of.started = true;
            }
            Decision::AcceptItem {
                key,
                attempt,
                index,
            } => {
                let price = self.came(*key, *attempt, *index, late);
                let trust = self.delegations[key].task.trust;
                assert!(!paid || trust != Trust::Checked, "{key} is to be checked");
                assert!(late.is_none() || trust == Trust::Anybody);
                if paid && let Some((_, spent)) = self.purses.get_mut(&key.workflow) {
                    *spent = spent.saturating_add(price);
                }
                self.check_purse(key.workflow);
                self.checks_if_complete(now, *key);
            }
            Decision::ClaimItem {
                key,
                attempt,
                index,
            } => {
                let price = self.came(*key, *attempt, *index, late);
                let delegation = self.delegations.get_mut(key).expect("it was queued");
                assert!(paid && delegation.task.trust == Trust::Checked);
                let claimed = Claimed {
                    attempt: *attempt,
                    price,
                };
                delegation.claims.insert(*index, claimed);
                self.check_purse(key.workflow);
                self.checks_if_complete(now, *key);
            }
            Decision::SettleItem {
                key,
                attempt,
                index,
                error,
            } => {
                let delegation = self.delegations.get_mut(key).expect("it was queued");
                let claimed = delegation.claims.remove(index).expect("it was claimed");
                assert_eq!(claimed.attempt, *attempt);
                if let Input::Verdict { verdict, .. } = input {
                    assert_eq!(error.is_none(), *verdict == Verdict::Approved);
                }
                if error.is_none()
                    && let Some((_, spent)) = self.purses.get_mut(&key.workflow)
                {
                    *spent = spent.saturating_add(claimed.price);
                }
            }
            Decision::Lose {
                key,
                attempt,
                failure: _,
            } => {
                let over = self.attempt_over(*key, *attempt);
                assert!(over.is_none_or(|over| now <= over.deadline_ms));
                assert!(!self.delegations[key].items.is_empty());
                match self.live_of(*key).len() {
                    0 => self.checking(now, *key),
                    goes_on => assert_eq!(goes_on, 1),
                }
            }
            Decision::Stale { token } => {
                assert!(!self.live.contains_key(token), "{token} is not stale");
            }
            Decision::Duplicate { token, index } => {
                let delegation = &self.delegations[&DelegationKey::of(token)];
                assert!(late.is_some() || self.live.contains_key(token));
                assert!(!delegation.items.contains(index));
            }
            Decision::Requeue { key, attempt, .. } => {
                let over = self.attempt_over(*key, *attempt);
                let over = over.expect("only what is assigned comes back");
                let delegation = self.delegations.get_mut(key).expect("it was queued");
                let check = delegation.task.trust == Trust::Trusted;
                assert!(!over.started || check);
                if check && delegation.by_ms < u64::MAX {
                    delegation.by_ms = now + delegation.within_ms;
                }
            }
            Decision::End {
                key,
                attempt,
                end,
                failure,
            } => {
                let over = self.attempt_over(*key, *attempt);
                for beside in self.live_of(*key) {
                    // It is ended by its last item, which may be late, or by a cancel.
                    assert!(over.is_some() || late.is_some(), "{beside} is not over");
                    assert!(!matches!(end, End::Failed | End::TimedOut) || failure.is_none());
                    self.live.remove(&beside);
                }
                let delegation = self.delegations.get_mut(key).expect("it was queued");
                assert!(!delegation.ended, "{key} ends twice");
                delegation.ended = true;
                assert!(*attempt <= delegation.attempts);
                let whole = delegation.items.is_empty() && delegation.claims.is_empty();
                assert_eq!(failure.is_none(), whole, "{key}");
                assert!(delegation.claims.is_empty() || *end == End::Cancelled);
                delegation.claims.clear();
                assert!(now <= delegation.by_ms, "{key} ends late");
                if let Some(over) = over {
                    assert!(now <= over.deadline_ms, "{key} ends after its deadline");
                }
                let name = match end {
                    End::Succeeded => "succeeded",
                    End::Failed => "failed",
                    End::TimedOut => "timed out",
                    End::Cancelled => "cancelled",
                };
                *self.ends.entry(name).or_default() += 1;
            }
            Decision::Stop { session, token } => {
                assert!(!self.live.contains_key(token), "{token} is stopped alive");
                assert!(self.machines.contains_key(session), "{session:?} has left");
            }
        }
    }

    /// What is spent and what attempts could still cost are within the limit.
    fn check_purse(&self, workflow: WorkflowId) {
        let Some((limit, spent)) = self.purses.get(&workflow) else {
            return;
        };
        let live = self
            .live
            .iter()
            .filter(|(token, _)| token.workflow == workflow);
        let owed: u64 = live.map(|(_, a)| a.price.0 * a.owed.len() as u64).sum();
        let all = self.delegations.iter();
        let own = all.filter(|(key, _)| key.workflow == workflow);
        let claims = own.flat_map(|(_, delegation)| delegation.claims.values());
        let held = owed + claims.map(|claimed| claimed.price.0).sum::<u64>();
        assert!(spent.0 + held <= limit.0, "{workflow} is overdrawn");
    }

    fn check_capacity(&self, session: SessionId) {
        let spec = &self.machines[&session];
        let on = || self.live.values().filter(|a| a.session == session);
        assert!(on().map(|a| a.cores).sum::<u32>() <= spec.cpu_cores);
        assert!(on().map(|a| a.ram_bytes).sum::<u64>() <= spec.ram_bytes);
        let devices: Vec<_> = on().filter_map(|a| a.device.as_ref()).collect();
        let distinct: BTreeSet<_> = devices.iter().collect();
        assert_eq!(
            devices.len(),
            distinct.len(),
            "a device is handed out twice"
        );
        assert!(
            devices
                .iter()
                .all(|id| spec.devices.iter().any(|d| d.id == **id))
        );
    }
}

struct Walk {
    dice: Dice,
    policy: Policy,
    scheduler: Scheduler,
    watcher: Watcher,
    now: u64,
    calls: u64,
    sessions: u64,
    /// Every token ever given out: also the dead ones speak.
    tokens: Vec<LeaseToken>,
    trace: Vec<Decision>,
}

const SEEKERS: [&str; 3] = ["s1", "s2", "s3"];
const MACHINES: [&str; 7] = ["a/1", "a/2", "b/1", "c/1", "d/1", "e/1", "e/2"];

impl Walk {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let policy = Policy {
            accept_timeout_ms: [1, 500, 10_000][dice.below(3) as usize],
            patience_ms: [0, 200, 10_000][dice.below(3) as usize],
            half_life_ms: [0, 1000, 3_600_000][dice.below(3) as usize],
            prior_items: dice.below(4) as u32,
            quarantine_after: dice.below(4) as u32,
            quarantine_window_ms: dice.below(5000),
            quarantine_ms: dice.below(5000),
            quarantine_max_ms: dice.below(20_000),
            pause_ms: dice.below(1000),
            pause_max_ms: dice.below(5000),
            learn_after: dice.below(30) as u32,
            timeout_times: dice.below(5) as u32,
            timeout_floor_ms: dice.below(5000),
            hedge_quantile: 50 + dice.below(51) as u32,
            hedge_percent: [0, 100, 300][dice.below(3) as usize],
            hedge_floor_ms: dice.below(500),
            hedge_share: [0, 5, 50][dice.below(3) as usize],
            hedge_again_ms: dice.below(500),
            newcomer_items: [0, 2, 10][dice.below(3) as usize],
            newcomer_percent: [0, 10, 50, 100][dice.below(4) as usize],
            newcomer_every_ms: [0, 500, 20_000][dice.below(3) as usize],
            check_attempts: dice.below(4) as u32,
        };
        let mut scheduler = Scheduler::new(policy, 3, dice.below(1 << 30));
        let mut watcher = Watcher::default();
        // Some are rich, one is poor, and one may spend whatever it takes.
        for (call, limit) in [(0, 1000), (1, 5 + dice.below(60)), (2, 300)] {
            let (purse, limit, spent) = (key(call).workflow, Amount(limit), Amount(3));
            watcher.purses.insert(purse, (limit, spent));
            let open = Input::OpenPurse {
                purse,
                limit,
                spent,
            };
            scheduler.handle(0, open);
        }
        Walk {
            scheduler,
            policy,
            dice,
            watcher,
            now: 1_700_000_000_000,
            calls: 0,
            sessions: 0,
            tokens: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        let decisions = self.scheduler.handle(self.now, input.clone());
        for decision in &decisions {
            let share = u64::from(self.policy.hedge_share);
            self.watcher.see(self.now, decision, &input, share);
            if let Decision::Assign { token, .. } = decision {
                self.tokens.push(*token);
            }
        }
        if let Err(what) = self.scheduler.check_invariants() {
            panic!("{what}");
        }
        for token in self.watcher.live.keys() {
            let why = self.scheduler.why(DelegationKey::of(token));
            assert_eq!(why.len(), self.watcher.machines.len());
        }
        self.trace.extend(decisions);
    }

    /// Lets time pass as the engine does: no alarm is slept through.
    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        let mut rings = 0;
        while let Some(due) = self.scheduler.next_timer().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
            rings += 1;
            assert!(rings < 10_000, "an alarm rings for ever");
        }
        self.now = until;
    }

    fn join(&mut self) {
        let name = MACHINES[self.dice.below(MACHINES.len() as u64) as usize];
        let vram: Vec<u64> = (0..self.dice.below(4))
            .map(|_| 4 << self.dice.below(3))
            .collect();
        let cores = self.dice.below(9) as u32;
        let mut spec = spec(name, cores, 4 + self.dice.below(13), &vram);
        for (kinds, odds) in [(&mut spec.cpu_kinds, 4), (&mut spec.device_kinds, 3)] {
            kinds.clear();
            for name in ["work/1", "work/2"] {
                if self.dice.below(odds) > 0 {
                    kinds.push(kind(name));
                }
            }
        }
        for kind in spec.cpu_kinds.clone() {
            if self.dice.below(2) == 0 {
                spec.prices.push((kind, Amount(self.dice.below(4))));
            }
        }
        let keys = (0..self.dice.below(3) as u8).map(setup_key);
        let held = keys.map(|key| HeldKey {
            key,
            bytes: self.dice.below(3),
        });
        spec.keys = held.collect();
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let machine: MachineId = name.parse().unwrap();
        self.watcher.machines.insert(session, spec.clone());
        let older: Vec<_> = self
            .scheduler
            .machines()
            .filter(|view| view.machine == &machine)
            .map(|view| view.session)
            .collect();
        let joined = Input::MachineJoined {
            session,
            machine,
            spec,
        };
        for session in older {
            self.watcher.machines.remove(&session);
        }
        self.input(joined);
    }

    fn queue(&mut self) {
        self.calls += 1;
        let mut task = match self.dice.below(4) {
            0 => cpu(),
            1 => shared(self.dice.below(6) as u32),
            _ => gpu(1 << self.dice.below(5)),
        };
        if self.dice.below(4) == 0 {
            task.kind = kind("work/2");
        }
        if self.dice.below(4) == 0 {
            let operator = ["a", "b", "e"][self.dice.below(3) as usize];
            task = avoiding(task, &[operator]);
        }
        task = items(task, self.dice.below(5) as u32);
        task.needs.ram_bytes = self.dice.below(8) * GIB;
        task.timeout_ms = match self.dice.below(4) {
            0 => limits::DEFAULT_TIMEOUT_MS,
            _ => 1 + self.dice.below(20_000),
        };
        task.queue_timeout_ms = self.dice.below(20_000);
        if self.dice.below(5) == 0 {
            task.max_price = Some(Amount(self.dice.below(4)));
        }
        if self.dice.below(6) == 0 {
            task.keys = vec![setup_key(self.dice.below(2) as u8)];
        }
        task.trust = match self.dice.below(8) {
            0..=1 => Trust::Checked,
            2 => Trust::Trusted,
            _ => Trust::Anybody,
        };
        let recovered = self.dice.below(8) == 0;
        let attempts = if recovered {
            1 + self.dice.below(3) as u32
        } else {
            0
        };
        let done: Vec<(u32, bool)> = match recovered {
            true => (0..task.items)
                .filter(|i| i % 2 == 0)
                .map(|i| (i, i != 2))
                .collect(),
            false => vec![],
        };
        let mut missing: BTreeSet<u32> = (0..task.items).collect();
        missing.retain(|index| done.iter().all(|(i, _)| i != index));
        let key = key(self.calls);
        let longest_ms = task.timeout_ms.max(self.policy.accept_timeout_ms);
        let seeker = SEEKERS[self.dice.below(3) as usize];
        let seeker = SeekerId::new(seeker).unwrap();
        let delegation = Delegation {
            seeker: seeker.clone(),
            task: task.clone(),
            items: missing,
            attempts,
            within_ms: task.queue_timeout_ms + longest_ms,
            by_ms: match self.watcher.paused.contains(&key.workflow) {
                true => u64::MAX,
                false => self.now + task.queue_timeout_ms + longest_ms,
            },
            claims: BTreeMap::new(),
            checking: false,
            ended: false,
        };
        self.watcher.delegations.insert(key, delegation);
        let urgency = self.urgency();
        self.input(Input::Queue {
            key,
            seeker,
            task,
            queued_ms: self.now,
            past: Past {
                attempts,
                done,
                ..Past::default()
            },
            purse: Some(key.workflow),
            urgency,
        });
    }

    fn urgency(&mut self) -> Urgency {
        let wanted = self.dice.below(3) == 0;
        Urgency {
            wanted_by_ms: wanted.then(|| self.now + self.dice.below(20_000)),
            begun_ms: self.now - self.dice.below(3),
            ahead_ms: self.dice.below(3) * 1000,
        }
    }

    /// The rules change while the network runs.
    fn rule(&mut self) {
        let mut weights = BTreeMap::new();
        for seeker in SEEKERS {
            weights.insert(SeekerId::new(seeker).unwrap(), self.dice.below(4) as u32);
        }
        self.input(Input::Weights { weights });
        self.policy.newcomer_percent = self.dice.below(101) as u32;
        self.policy.newcomer_items = self.dice.below(12) as u32;
        self.policy.half_life_ms = 1000 << self.dice.below(12);
        self.policy.prior_items = self.dice.below(4) as u32;
        self.input(Input::Policy(self.policy));
    }

    /// A message of some machine about some attempt, most often a live one.
    fn message(&mut self) {
        let live: Vec<LeaseToken> = self.watcher.live.keys().copied().collect();
        let token = match self.dice.below(5) {
            0 => self.dice.pick(&self.tokens).copied(),
            _ => self.dice.pick(&live).copied(),
        };
        let Some(mut token) = token else {
            return;
        };
        if self.dice.below(30) == 0 {
            token.epoch += 1;
        }
        let class = ErrorClass::ALL[self.dice.below(8) as usize];
        let index = self.dice.below(5) as u32;
        let usage = Usage {
            ram_bytes: self.dice.below(6) * GIB,
            vram_bytes: self.dice.below(6) * GIB,
        };
        let input = match self.dice.below(16) {
            0 => Input::Refused {
                token,
                reason: "no".into(),
            },
            1 => Input::Finish {
                token,
                failure: None,
            },
            2 => Input::Finish {
                token,
                failure: Some(error(class)),
            },
            3 => Input::Item {
                token,
                index,
                error: Some(class),
                usage,
            },
            4..=6 => Input::Accepted { token },
            _ => Input::Item {
                token,
                index,
                error: None,
                usage,
            },
        };
        self.input(input);
    }

    /// An attempt that is over brings a value after all.
    fn late(&mut self) {
        let Some(token) = self.dice.pick(&self.tokens).copied() else {
            return;
        };
        if self.watcher.live.contains_key(&token) {
            return;
        }
        let (machine, price) = self.watcher.assigned[&token].clone();
        let index = self.dice.below(5) as u32;
        self.input(Input::Late {
            token,
            machine,
            price,
            index,
        });
    }

    /// Somebody has looked at a claimed item, or at one that is not claimed.
    fn verdict(&mut self) {
        let all = self.watcher.delegations.iter();
        let claimed = all.flat_map(|(key, d)| d.claims.keys().map(|index| (*key, *index)));
        let claimed: Vec<_> = claimed.collect();
        let any = key(1 + self.dice.below(self.calls + 1));
        let (key, index) = match self.dice.below(8) {
            0 => (any, 0),
            _ => self.dice.pick(&claimed).copied().unwrap_or((any, 0)),
        };
        let verdict = match self.dice.below(4) {
            0 => Verdict::Rejected("it does not hold".into()),
            1 => Verdict::Unchecked("nobody could say".into()),
            _ => Verdict::Approved,
        };
        self.input(Input::Verdict {
            key,
            index,
            verdict,
        });
    }

    fn trust(&mut self) {
        let names = ["a", "b", "c", "d", "e"].map(|name| OperatorId::new(name).unwrap());
        let operators: BTreeSet<_> = names
            .into_iter()
            .filter(|_| self.dice.below(2) == 0)
            .collect();
        self.watcher.trusted.clone_from(&operators);
        self.input(Input::Trust { operators });
    }

    fn step(&mut self) {
        match self.dice.below(44) {
            0..=1 => self.join(),
            2 => {
                let sessions: Vec<_> = self.watcher.machines.keys().copied().collect();
                if let Some(session) = self.dice.pick(&sessions).copied() {
                    if self.dice.below(2) == 0 {
                        self.watcher.draining.insert(session);
                        return self.input(Input::Drain { session });
                    }
                    let reason = "gone".into();
                    self.watcher.machines.remove(&session);
                    self.input(Input::MachineLeft { session, reason });
                }
            }
            3..=12 => self.queue(),
            13 => {
                let key = key(1 + self.dice.below(self.calls + 1));
                self.input(Input::Cancel { key });
            }
            14 => {
                let outcome = Input::RecordOutcome {
                    machine: MACHINES[self.dice.below(7) as usize].parse().unwrap(),
                    kind: kind("work/1"),
                    ok: self.dice.below(2) == 0,
                    items: self.dice.below(9) as u32,
                    checked: 0,
                    at: self.now - self.dice.below(10_000),
                };
                self.input(outcome);
                let times = Input::RecordTimes {
                    machine: MACHINES[self.dice.below(7) as usize].parse().unwrap(),
                    kind: kind("work/1"),
                    times: vec![(TimeBucket::of_ms(self.dice.below(60_000)), 7)],
                    at: self.now,
                };
                self.input(times);
            }
            15 if self.dice.below(2) == 0 => self.rule(),
            15 => {
                let workflow = key(self.dice.below(WORKFLOWS)).workflow;
                let paused = self.dice.below(2) == 0;
                self.set_paused(workflow, paused);
            }
            20 => self.late(),
            21..=23 => self.verdict(),
            24 if self.dice.below(4) == 0 => self.trust(),
            16..=19 => {
                let ms = 1 << self.dice.below(13);
                self.pass(ms);
            }
            _ => self.message(),
        }
    }

    /// Pausing what is paused, or resuming what is not, changes nothing.
    fn set_paused(&mut self, workflow: WorkflowId, paused: bool) {
        let changes = match paused {
            true => self.watcher.paused.insert(workflow),
            false => self.watcher.paused.remove(&workflow),
        };
        for (key, delegation) in &mut self.watcher.delegations {
            if changes && key.workflow == workflow {
                delegation.by_ms = match paused {
                    true => u64::MAX,
                    false => self.now + delegation.within_ms,
                };
            }
        }
        self.input(match paused {
            true => Input::Pause { workflow },
            false => Input::Resume { workflow },
        });
    }

    /// No more work and no more faults: everything must come to its end by itself.
    fn settle(&mut self) {
        for call in 0..WORKFLOWS {
            self.set_paused(key(call).workflow, false);
        }
        // The longest: a wait, an attempt, and as long again for each try of its checks.
        let tries = 1 + u64::from(CHECK_ATTEMPTS);
        self.pass(tries * (limits::DEFAULT_TIMEOUT_MS + 60_000));
        assert!(self.watcher.live.is_empty(), "attempts live on");
        let open = self.watcher.delegations.iter().filter(|(_, d)| !d.ended);
        let open: Vec<_> = open.map(|(key, d)| (key, &d.task, d.by_ms)).collect();
        assert!(
            open.is_empty(),
            "delegations live on at {}: {open:?}",
            self.now
        );
        assert!(
            self.scheduler
                .machines()
                .all(|machine| machine.attempts == 0)
        );
    }
}

fn walk(seed: u64, steps: u32) -> Walk {
    let mut walk = Walk::new(seed);
    for _ in 0..steps {
        walk.step();
    }
    walk.settle();
    walk
}

#[test]
fn promises_hold_whatever_happens() {
    for seed in 0..100 {
        println!("seed {seed}");
        walk(seed, 400);
    }
}

#[test]
fn the_same_inputs_give_the_same_decisions() {
    for seed in 0..5 {
        assert_eq!(walk(seed, 400).trace, walk(seed, 400).trace, "seed {seed}");
    }
    assert_ne!(walk(1, 400).trace, walk(2, 400).trace);
}

#[test]
fn the_walk_goes_everywhere() {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen = [0u64; 11];
    for seed in 0..30 {
        let walk = walk(seed, 400);
        for (end, n) in walk.watcher.ends {
            *ends.entry(end).or_default() += n;
        }
        for decision in &walk.trace {
            seen[match decision {
                Decision::Assign { .. } => 0,
                Decision::Start { .. } => 1,
                Decision::AcceptItem { .. } => 2,
                Decision::Stale { .. } => 3,
                Decision::Duplicate { .. } => 4,
                Decision::Requeue { .. } => 5,
                Decision::End { .. } => 6,
                Decision::Stop { .. } => 7,
                Decision::ClaimItem { .. } => 8,
                Decision::SettleItem { .. } => 9,
                Decision::Lose { .. } => 10,
            }] += 1;
        }
    }
    assert!(
        ends.len() == 4 && ends.values().all(|n| *n > 20),
        "{ends:?}"
    );
    assert!(seen.iter().all(|n| *n > 30), "{seen:?}");
}
