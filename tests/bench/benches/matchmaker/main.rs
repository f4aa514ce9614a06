//! How fast tasks find machines: 10,000 machines of all sorts, most of them busy.
//!
//! Each round plays what goes on in a network that runs: a random attempt sends an item, or fails; the
//! place that it frees is taken by somebody who waits, or a new delegation takes one. Every call of
//! [`Scheduler::handle`] is timed on its own, in CPU time of the thread: other work on the machine does
//! not show. A *decision* is an assignment, and what it takes is the whole call that makes it: a new task
//! that is placed, or the end of an attempt, with all that is counted for it, that makes place for others.
//! What all calls of a task take together, with answers and items that lead to no assignment, is told beside
//! it.

mod network;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use froben_bench::{Durations, Quantiles, median};
use froben_model::{ErrorClass, ItemError, LeaseToken};
use froben_scheduler::{Decision, Input, Past, Policy, Scheduler, SessionId, Urgency};

use nix::time::{ClockId, clock_gettime};

use network::Network;

const MACHINES: usize = 10_000;
const ROUNDS: usize = 5;
/// Attempts that end in a round.
const ENDS: usize = 20_000;
/// A round of a slow matchmaker is cut short.
const ROUND: Duration = Duration::from_secs(10);
/// Delegations that wait in the crowded network.
const BACKLOG: usize = 10_000;

fn main() {
    let filters: Vec<_> = std::env::args().skip(1).collect();
    let named = filters.iter().find(|word| !word.starts_with('-'));
    if named.is_some_and(|name| !"matchmaker".contains(name.as_str())) {
        return;
    }
    let mut fleet = Play::new();
    let joined = Instant::now();
    fleet.join();
    println!("{MACHINES} machines joined in {:.2?}", joined.elapsed());
    let (room, filling) = fleet.fill();
    println!(
        "an empty network took {room} tasks: {:.0}/s, {}",
        rate(&filling),
        filling.quantiles()
    );
    fleet.settle();
    report("crowded", &mut fleet, room + BACKLOG);
    report("ample", &mut fleet, room * 85 / 100);
}

/// Plays rounds with so many delegations in the network, and prints the median of each figure.
fn report(name: &str, play: &mut Play, population: usize) {
    play.grow(population);
    play.shrink(population);
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        figures.push(play.round());
    }
    let of = |pick: &dyn Fn(&Figures) -> Duration| {
        let all: Vec<_> = figures.iter().map(pick).collect();
        median(&all)
    };
    let over = |pick: &dyn Fn(&Figures) -> Quantiles| Quantiles {
        p50: of(&|f| pick(f).p50),
        p99: of(&|f| pick(f).p99),
        p999: of(&|f| pick(f).p999),
        max: of(&|f| pick(f).max),
    };
    let per_s = |pick: &dyn Fn(&Figures) -> f64| {
        let all: Vec<_> = figures.iter().map(pick).collect();
        median(&all)
    };
    println!(
        "{name}: {} run and {} wait; {:.0} decisions/s; with all calls of their tasks {:.0}/s, {:.0} calls/s \
         (median of {ROUNDS})",
        play.running.len(),
        play.population.saturating_sub(play.running.len()),
        per_s(&|f| f.decisions_per_s),
        per_s(&|f| f.tasks_per_s),
        per_s(&|f| f.calls_per_s),
    );
    println!("  calls that assign: {}", over(&|f| f.assigning));
    println!("  all calls:         {}", over(&|f| f.all));
}

/// What reading the clock adds to what is timed by it; it is taken off each call's time.
fn clock_cost() -> Duration {
    let empty = |_| {
        let begin = cpu();
        cpu() - begin
    };
    let all: Vec<_> = (0..10_001).map(empty).collect();
    median(&all)
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has the clock");
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

fn rate(durations: &Durations) -> f64 {
    durations.count() as f64 / durations.total().as_secs_f64()
}

struct Figures {
    /// Of the time of the calls that assign.
    decisions_per_s: f64,
    /// Of the time of all calls.
    tasks_per_s: f64,
    calls_per_s: f64,
    assigning: Quantiles,
    all: Quantiles,
}

struct Attempt {
    token: LeaseToken,
    owed: Vec<u32>,
}

/// Attempts that machines are at.
#[derive(Default)]
struct Running {
    attempts: Vec<Attempt>,
    places: HashMap<LeaseToken, usize>,
}

impl Running {
    fn len(&self) -> usize {
        self.attempts.len()
    }

    fn add(&mut self, attempt: Attempt) {
        self.places.insert(attempt.token, self.attempts.len());
        self.attempts.push(attempt);
    }

    fn remove(&mut self, token: LeaseToken) {
        let Some(at) = self.places.remove(&token) else {
            return;
        };
        self.attempts.swap_remove(at);
        if let Some(moved) = self.attempts.get(at) {
            self.places.insert(moved.token, at);
        }
    }
}

struct Play {
    scheduler: Scheduler,
    network: Network,
    now_ms: u64,
    clock_cost: Duration,
    running: Running,
    offered: Vec<Attempt>,
    /// Delegations that are not over.
    population: usize,
    all: Durations,
    assigning: Durations,
    assigned: usize,
    ended: usize,
}

impl Play {
    fn new() -> Play {
        Play {
            scheduler: Scheduler::new(Policy::default(), 1, 1),
            network: Network::new(1),
            now_ms: 1_000_000,
            clock_cost: clock_cost(),
            running: Running::default(),
            offered: Vec::new(),
            population: 0,
            all: Durations::default(),
            assigning: Durations::default(),
            assigned: 0,
            ended: 0,
        }
    }

    fn input(&mut self, input: Input) {
        let begin = cpu();
        let decisions = self.scheduler.handle(self.now_ms, input);
        let took = (cpu() - begin).saturating_sub(self.clock_cost);
        self.all.add(took);
        let before = self.assigned;
        for decision in decisions {
            match decision {
                Decision::Assign { token, owed, .. } => {
                    self.offered.push(Attempt { token, owed });
                    self.assigned += 1;
                }
                Decision::End { .. } => {
                    self.population -= 1;
                    self.ended += 1;
                }
                Decision::Stop { token, .. } => self.running.remove(token),
                _ => {}
            }
        }
        if self.assigned > before {
            self.assigning.add(took);
        }
    }

    fn join(&mut self) {
        for number in 0..MACHINES {
            let (machine, spec) = self.network.machine(number);
            self.input(Input::MachineJoined {
                session: SessionId(number as u64),
                machine,
                spec,
            });
        }
    }

    fn queue(&mut self) {
        let (key, seeker, task) = self.network.task();
        self.population += 1;
        self.input(Input::Queue {
            key,
            seeker,
            task,
            queued_ms: self.now_ms,
            past: Past::default(),
            purse: None,
            urgency: Urgency::default(),
        });
    }

    /// Fills the network until a few hundred tasks find no place; how many did.
    fn fill(&mut self) -> (usize, Durations) {
        self.start_round();
        while self.population - self.running.len() < 500 {
            self.queue();
            self.answer();
        }
        (self.running.len(), std::mem::take(&mut self.assigning))
    }

    fn start_round(&mut self) {
        (self.all, self.assigning) = Default::default();
        (self.assigned, self.ended) = (0, 0);
    }

    /// The machines answer what they were offered; one in fifty refuses.
    fn answer(&mut self) {
        while let Some(attempt) = self.offered.pop() {
            let token = attempt.token;
            if self.network.chance(2) {
                let reason = "its worker starts anew".to_owned();
                self.input(Input::Refused { token, reason });
            } else {
                self.running.add(attempt);
                self.input(Input::Accepted { token });
            }
        }
    }

    /// A random attempt goes on: an item, which in one of fifty cases is an error, or now and then a
    /// failure of the whole.
    fn go_on(&mut self) {
        let at = self.network.below(self.running.len());
        let attempt = &mut self.running.attempts[at];
        let token = attempt.token;
        if self.network.chance(1) {
            self.running.remove(token);
            let failure = Some(ItemError {
                class: ErrorClass::WorkerFailed,
                message: "the worker died".to_owned(),
                operator: None,
            });
            return self.input(Input::Finish { token, failure });
        }
        let index = attempt.owed.pop();
        if attempt.owed.is_empty() {
            self.running.remove(token);
        }
        let error = self.network.chance(2).then_some(ErrorClass::WorkerFailed);
        if let Some(index) = index {
            let usage = self.network.usage();
            self.input(Input::Item {
                token,
                index,
                error,
                usage,
            });
        }
    }

    /// One event of a network in which a thousand or so happen in a second.
    fn step(&mut self) {
        self.now_ms += 1;
        self.go_on();
        self.answer();
    }

    fn grow(&mut self, population: usize) {
        while self.population < population {
            self.queue();
            self.answer();
        }
    }

    fn shrink(&mut self, population: usize) {
        while self.population > population {
            self.step();
        }
    }

    /// Until records differ and benches are in use, as in a network that has run for a while.
    fn settle(&mut self) {
        let population = self.population;
        self.start_round();
        let begin = Instant::now();
        while self.ended < ENDS && begin.elapsed() < ROUND {
            self.step();
            self.grow(population);
        }
    }

    fn round(&mut self) -> Figures {
        let population = self.population;
        self.start_round();
        let begin = Instant::now();
        while self.ended < ENDS && begin.elapsed() < ROUND {
            self.step();
            self.grow(population);
        }
        let (all, assigning) = (
            std::mem::take(&mut self.all),
            std::mem::take(&mut self.assigning),
        );
        let seconds = all.total().as_secs_f64();
        Figures {
            decisions_per_s: self.assigned as f64 / assigning.total().as_secs_f64(),
            tasks_per_s: self.assigned as f64 / seconds,
            calls_per_s: all.count() as f64 / seconds,
            assigning: assigning.quantiles(),
            all: all.quantiles(),
        }
    }
}
