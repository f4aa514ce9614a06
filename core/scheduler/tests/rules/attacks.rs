//! Operators that want more than their work is worth, on a clock of their own: what is in flight is on a heap by
//! when it ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use froben_model::{LeaseToken, OperatorId, SeekerId, Usage};
use froben_scheduler::{Decision, End, Input, Past, Policy, Scheduler, SessionId, Urgency};

use crate::net::{cpu, key, kind, spec};

const TASK_MS: u64 = 10_000;

/// What an operator does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Takes the time that it takes.
    Honest,
    /// Sends a value at once, whatever it is worth.
    Hasty,
    /// Accepts, and never says anything more.
    Silent,
}

struct Network {
    scheduler: Scheduler,
    now: u64,
    manners: BTreeMap<String, Manner>,
    /// Attempts, by when their machine sends a value.
    due: BinaryHeap<Reverse<(u64, LeaseToken)>>,
    calls: u64,
    open: BTreeSet<u64>,
    /// Attempts handed out, and items that counted, by manner.
    handed: BTreeMap<&'static str, u64>,
    counted: BTreeMap<&'static str, u64>,
    of: BTreeMap<LeaseToken, Manner>,
}

fn name(manner: Manner) -> &'static str {
    match manner {
        Manner::Honest => "honest",
        Manner::Hasty => "hasty",
        Manner::Silent => "silent",
    }
}

impl Network {
    /// Operators of one machine each; all but the hasty ones are known to be good.
    fn new(operators: &[(Manner, u64)]) -> Network {
        let mut network = Network {
            scheduler: Scheduler::new(Policy::default(), 1, 1),
            now: 1_000_000,
            manners: BTreeMap::new(),
            due: BinaryHeap::new(),
            calls: 0,
            open: BTreeSet::new(),
            handed: BTreeMap::new(),
            counted: BTreeMap::new(),
            of: BTreeMap::new(),
        };
        // Somebody checks in this network, so that values alone establish nobody.
        network.input(Input::Trust {
            operators: [OperatorId::new("judge").unwrap()].into(),
        });
        for (manner, count) in operators {
            for n in 0..*count {
                let machine = format!("{}{n}/1", name(*manner));
                if *manner != Manner::Hasty {
                    network.input(Input::RecordOutcome {
                        machine: machine.parse().unwrap(),
                        kind: kind("work/1"),
                        ok: true,
                        items: 20,
                        checked: 20,
                        at: 0,
                    });
                }
                network.manners.insert(machine.clone(), *manner);
                network.input(Input::MachineJoined {
                    session: SessionId(network.manners.len() as u64),
                    machine: machine.parse().unwrap(),
                    spec: spec(&machine, 8, 16, &[]),
                });
            }
        }
        network
    }

    fn input(&mut self, input: Input) {
        let mut decisions = self.scheduler.handle(self.now, input);
        while let Some(decision) = (!decisions.is_empty()).then(|| decisions.remove(0)) {
            match decision {
                Decision::Assign { token, machine, .. } => {
                    let manner = self.manners[machine.as_str()];
                    *self.handed.entry(name(manner)).or_default() += 1;
                    self.of.insert(token, manner);
                    let due = match manner {
                        Manner::Honest => self.now + TASK_MS,
                        Manner::Hasty => self.now + 1,
                        Manner::Silent => u64::MAX,
                    };
                    self.due.push(Reverse((due, token)));
                    let accepted = Input::Accepted { token };
                    decisions.extend(self.scheduler.handle(self.now, accepted));
                }
                Decision::AcceptItem { key, attempt, .. } => {
                    let mut of = self.of.iter();
                    let by =
                        of.find(|(token, _)| token.call == key.call && token.attempt == attempt);
                    let (_, manner) = by.expect("it was handed out");
                    *self.counted.entry(name(*manner)).or_default() += 1;
                }
                Decision::End { key, end, .. } => {
                    self.open.remove(&key.call.0);
                    self.of.retain(|token, _| token.call != key.call);
                    if end == End::TimedOut {
                        // As a script does.
                        self.queue();
                    }
                }
                _ => {}
            }
        }
    }

    fn queue(&mut self) {
        self.calls += 1;
        self.open.insert(self.calls);
        let mut task = cpu();
        task.queue_timeout_ms = 3_600_000;
        self.input(Input::Queue {
            key: key(self.calls),
            seeker: SeekerId::new("s").unwrap(),
            task,
            queued_ms: self.now,
            past: Past::default(),
            purse: None,
            urgency: Urgency::default(),
        });
    }

    /// To the next thing that happens.
    fn step(&mut self) {
        let sent = self.due.peek().map(|Reverse((at, _))| *at);
        let rings = self.scheduler.next_timer();
        let next = sent
            .into_iter()
            .chain(rings)
            .min()
            .expect("something is to come");
        self.now = self.now.max(next);
        match self.due.peek().copied() {
            Some(Reverse((at, token))) if at <= self.now => {
                self.due.pop();
                self.input(Input::Item {
                    token,
                    index: 0,
                    error: None,
                    usage: Usage::default(),
                });
            }
            _ => self.input(Input::Tick),
        }
    }

    /// Runs tasks at once until all are over; how long it took.
    fn workflow(&mut self, tasks: u64) -> u64 {
        let begin = self.now;
        (0..tasks).for_each(|_| self.queue());
        while !self.open.is_empty() {
            self.step();
        }
        self.now - begin
    }
}

/// A thousand fresh names that answer at once, while the fifty that work are busy.
#[test]
fn fresh_names_that_answer_at_once_get_a_tenth_of_the_work() {
    let mut network = Network::new(&[(Manner::Honest, 50), (Manner::Hasty, 1000)]);
    network.workflow(2000);
    let (honest, hasty) = (network.counted["honest"], network.counted["hasty"]);
    assert_eq!(honest + hasty, 2000);
    assert!(
        honest * 100 >= 2000 * 89,
        "{honest} of 2000 are the honest ones'"
    );
    network.scheduler.check_invariants().unwrap();
}

/// Thirty of a hundred, whom everybody knows as honest, take tasks from today on and let them lie.
#[test]
fn who_sits_on_tasks_is_soon_passed_over() {
    let times = |silent: u64| {
        let mut network = Network::new(&[(Manner::Honest, 100 - silent), (Manner::Silent, silent)]);
        let mut times: Vec<u64> = (0..40).map(|_| network.workflow(500)).collect();
        let before = network.handed.clone();
        times.extend((0..40).map(|_| network.workflow(500)));
        times.sort();
        let since = |manner| {
            let handed = |of: &BTreeMap<_, u64>| of.get(manner).copied().unwrap_or(0);
            handed(&network.handed) - handed(&before)
        };
        let share = since("silent") * 1000 / (since("silent") + since("honest"));
        (times[75], share)
    };
    let (usual_ms, _) = times(0);
    let (with_them_ms, share) = times(30);
    assert!(
        with_them_ms <= 2 * usual_ms,
        "{with_them_ms} for {usual_ms} ms"
    );
    assert!(share <= 20, "they had {share} of a thousand attempts");
}
