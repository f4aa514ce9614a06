//! A large network, to see that work grows with what changes and not with what is there: with a scan of
//! the queue or of the machines for each message, these tests take minutes.

use std::collections::VecDeque;

use froben_model::{Amount, ErrorClass, ItemError, LeaseToken, SeekerId, Usage};
use froben_scheduler::{Decision, Input, Past, Policy, Scheduler, SessionId, Urgency};

use crate::net::{cpu, gpu, key, kind, shared, spec};

const MACHINES: u64 = 1_000;
const DELEGATIONS: u64 = 10_000;

struct Crowd {
    scheduler: Scheduler,
    now: u64,
    running: VecDeque<LeaseToken>,
    ended: u64,
}

impl Crowd {
    fn input(&mut self, input: Input) {
        self.now += 1;
        for decision in self.scheduler.handle(self.now, input) {
            match decision {
                Decision::Assign { token, .. } => self.running.push_back(token),
                Decision::End { .. } => self.ended += 1,
                _ => {}
            }
        }
    }

    fn join(&mut self) {
        for session in 0..MACHINES {
            let devices = vec![8 << (session % 3); 1 + session as usize % 4];
            let mut spec = spec(&format!("op{}/m{session}", session % 50), 16, 64, &devices);
            for version in 1..=session % 5 {
                spec.device_kinds
                    .push(kind(&format!("prove/{}", 1 + version)));
            }
            let label = format!("{}/{}", spec.operator, spec.label);
            self.input(Input::MachineJoined {
                session: SessionId(session),
                machine: label.parse().unwrap(),
                spec,
            });
        }
    }

    fn queue(&mut self) {
        for call in 0..DELEGATIONS {
            let mut task = match call % 10 {
                0 => cpu(),
                _ => gpu([2, 8, 16, 32][call as usize % 4]),
            };
            if call % 10 > 5 {
                task.kind = kind(&format!("prove/{}", call % 10 - 4));
            }
            task.queue_timeout_ms = 3_600_000;
            task.timeout_ms = 3_600_000;
            self.input(Input::Queue {
                key: key(call),
                seeker: SeekerId::new(format!("s{}", call % 30)).unwrap(),
                task,
                queued_ms: self.now,
                past: Past::default(),
                purse: None,
                urgency: Urgency::default(),
            });
        }
    }

    fn drain(&mut self) {
        while let Some(token) = self.running.pop_front() {
            self.input(Input::Accepted { token });
            self.input(Input::Item {
                token,
                index: 0,
                error: None,
                usage: Usage::default(),
            });
        }
    }
}

fn crowd() -> Crowd {
    Crowd {
        scheduler: Scheduler::new(Policy::default(), 1, 1),
        now: 1_000_000,
        running: VecDeque::new(),
        ended: 0,
    }
}

#[test]
fn a_full_queue_drains_through_a_large_network() {
    let mut crowd = crowd();
    crowd.join();
    crowd.queue();
    crowd.scheduler.check_invariants().unwrap();
    assert!(crowd.running.len() > 1_500, "{}", crowd.running.len());
    crowd.drain();
    assert_eq!(crowd.ended, DELEGATIONS);
    crowd.scheduler.check_invariants().unwrap();
}

#[test]
fn a_network_that_comes_after_the_queue_takes_it_over() {
    let mut crowd = crowd();
    crowd.queue();
    crowd.join();
    crowd.scheduler.check_invariants().unwrap();
    crowd.drain();
    assert_eq!(crowd.ended, DELEGATIONS);
}

#[test]
fn a_queue_that_gives_up_all_at_once_says_why() {
    let mut crowd = crowd();
    crowd.join();
    crowd.queue();
    for token in std::mem::take(&mut crowd.running) {
        crowd.input(Input::Accepted { token });
    }
    crowd.now += 3_600_000 + DELEGATIONS;
    crowd.input(Input::Tick);
    assert_eq!(crowd.ended, DELEGATIONS);
    crowd.scheduler.check_invariants().unwrap();
}

/// Whoever waits for money is looked at whenever some comes back, and there may be many.
#[test]
fn a_crowd_that_waits_for_money_is_little_work() {
    let mut crowd = crowd();
    let purse = key(0).workflow;
    crowd.input(Input::OpenPurse {
        purse,
        limit: Amount(10),
        spent: Amount::ZERO,
    });
    for session in 0..MACHINES {
        let name = format!("op{session}/m");
        let mut spec = spec(&name, 16, 64, &[]);
        spec.prices = vec![(kind("work/1"), Amount(1))];
        crowd.input(Input::MachineJoined {
            session: SessionId(session),
            machine: name.parse().unwrap(),
            spec,
        });
    }
    for call in 0..DELEGATIONS {
        let mut task = shared(1);
        task.queue_timeout_ms = 3_600_000;
        crowd.input(Input::Queue {
            key: key(call),
            seeker: SeekerId::new("s").unwrap(),
            task,
            queued_ms: crowd.now,
            past: Past::default(),
            purse: Some(purse),
            urgency: Urgency::default(),
        });
    }
    assert_eq!(crowd.running.len(), 10);
    for _ in 0..200 {
        let token = crowd.running.pop_front().unwrap();
        let failure = Some(ItemError {
            class: ErrorClass::BadRequest,
            message: String::new(),
            operator: None,
        });
        crowd.input(Input::Finish { token, failure });
        assert_eq!(crowd.running.len(), 10);
    }
    crowd.scheduler.check_invariants().unwrap();
}
