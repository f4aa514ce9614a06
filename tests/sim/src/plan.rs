//! What a seed decides before anything happens: who is there, by which rules, and what will go wrong.

use std::ops::RangeInclusive;

use froben_engine::Policy;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::revisions::REVISIONS;

/// How a machine behaves while there are faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    Honest,
    /// Takes so many times as long.
    Slow(u64),
    /// Of a hundred items, so many fail.
    Flaky(u32),
    /// Of a hundred values, so many are wrong.
    Liar(u32),
    /// Of a hundred tasks, so many are refused, and as many given up in the middle.
    Moody(u32),
    /// Of a hundred tasks, so many are never answered.
    Silent(u32),
    /// Of a hundred items, so many are sent as those of another machine's attempt.
    Thief(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct MachinePlan {
    pub(crate) operator: String,
    pub(crate) label: String,
    pub(crate) cores: u32,
    pub(crate) ram_bytes: u64,
    /// The memory of each of its devices.
    pub(crate) devices: Vec<u64>,
    pub(crate) character: Character,
    pub(crate) item_ms: u64,
    /// What it asks for an item, and for a check.
    pub(crate) price: u64,
    /// Whether its keystore holds the key that some tasks need.
    pub(crate) key: bool,
    /// Whether it offers checks, and whether its devices are offered for anything.
    pub(crate) checks: bool,
    pub(crate) computes_on_devices: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct WorkflowPlan {
    pub(crate) n: i64,
    pub(crate) child: bool,
    pub(crate) checked: bool,
    pub(crate) at_ms: u64,
    pub(crate) cancel_ms: Option<u64>,
    /// From when and for how long it is paused.
    pub(crate) pause_ms: Option<(u64, u64)>,
    /// What it may cost.
    pub(crate) budget: Option<u64>,
    /// How soon its seeker would like to have it.
    pub(crate) within_ms: Option<u64>,
    /// What an item of some of its tasks may cost.
    pub(crate) max_price: Option<u64>,
    /// Who must not have some of its tasks.
    pub(crate) avoid: Option<String>,
    /// Whether some of its tasks need the key.
    pub(crate) keyed: bool,
}

impl WorkflowPlan {
    /// Whether it may fail for want of money. What a liar was paid for is spent as well, so nobody can say
    /// beforehand what is enough; only what is plenty.
    pub(crate) fn is_scant(&self) -> bool {
        self.budget.is_some_and(|budget| budget < PLENTY)
    }
}

/// What the scheduler goes by from some moment on.
#[derive(Debug, Clone)]
pub(crate) struct RulesPlan {
    pub(crate) at_ms: u64,
    pub(crate) policy: Policy,
    /// By seeker.
    pub(crate) weights: Vec<u32>,
}

/// One world, and its faults until [`Plan::calm_ms`].
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub(crate) machines: Vec<MachinePlan>,
    pub(crate) workflows: Vec<WorkflowPlan>,
    /// When the faults stop.
    pub(crate) calm_ms: u64,
    /// The longest way of a message.
    pub(crate) latency_ms: u64,
    /// Of a thousand commits, so many end in a crash of the coordinator.
    pub(crate) crash_per_mille: u32,
    /// Of a hundred messages of machines, so many are sent twice.
    pub(crate) twice_percent: u32,
    pub(crate) machine_crashes: Vec<(usize, u64)>,
    pub(crate) partitions: Vec<(usize, u64)>,
    pub(crate) coordinator_crashes: Vec<u64>,
    /// From when and for how long one of the two trusted operators is not.
    pub(crate) distrust_ms: Option<(u64, u64)>,
    /// The first ones hold from the start.
    pub(crate) rules: Vec<RulesPlan>,
    /// When which revision is served.
    pub(crate) serves: Vec<(u64, usize)>,
    pub(crate) migrations: Vec<Wish>,
    pub(crate) forks: Vec<Wish>,
}

/// A workflow is to go on with another revision: itself, or as a fork.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) at_ms: u64,
    pub(crate) workflow: usize,
    /// Not the workflow, but the one that it runs.
    pub(crate) child: bool,
    pub(crate) revision: usize,
    /// Where a fork begins, counted round the steps that there are.
    pub(crate) step: u64,
}

/// Who is trusted with checks. Two, since nobody checks what it made itself.
pub(crate) const TRUSTED: [&str; 2] = ["op0", "op1"];
/// More than anything here costs.
const PLENTY: u64 = 1_000_000;
/// The dearest item.
const DEAREST: u64 = 3;

/// With the patience that is shipped, a check by a flaky operator ends unchecked now and then where nobody else
/// is trusted, and its script gives up.
pub(crate) const CHECK_ATTEMPTS: u32 = 20;
/// What the other fields of a policy may be.
const POLICIES: &[(&str, RangeInclusive<u64>)] = &[
    ("accept_timeout_ms", 1_000..=20_000),
    ("patience_ms", 0..=60_000),
    ("half_life_ms", 10_000..=21_600_000),
    ("prior_items", 0..=10),
    ("quarantine_after", 1..=6),
    ("quarantine_window_ms", 1_000..=120_000),
    ("quarantine_ms", 0..=60_000),
    ("quarantine_max_ms", 60_000..=600_000),
    ("pause_ms", 0..=5_000),
    ("pause_max_ms", 5_000..=60_000),
    ("learn_after", 1..=40),
    ("timeout_times", 1..=8),
    ("timeout_floor_ms", 1_000..=60_000),
    ("hedge_quantile", 50..=99),
    ("hedge_percent", 100..=300),
    ("hedge_floor_ms", 0..=5_000),
    ("hedge_share", 0..=60),
    ("hedge_again_ms", 0..=5_000),
    ("newcomer_items", 0..=30),
    ("newcomer_percent", 0..=50),
];

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let calm_ms = rng.random_range(5_000..90_000);
        let operators = rng.random_range(2..=5_usize);
        let count = rng.random_range(operators..=2 * operators);
        let mut machines: Vec<MachinePlan> = (0..count)
            .map(|number| MachinePlan {
                operator: format!("op{}", number % operators),
                label: format!("m{number}"),
                cores: rng.random_range(1..=8),
                ram_bytes: rng.random_range(128_u64..=1024) << 20,
                devices: (0..rng.random_range(0..=2))
                    .map(|_| rng.random_range(1_u64..=4) << 30)
                    .collect(),
                character: character(rng),
                item_ms: rng.random_range(5..=800),
                price: rng.random_range(0..=DEAREST),
                key: rng.random_bool(0.5),
                checks: rng.random_bool(0.7),
                computes_on_devices: rng.random_bool(0.8),
            })
            .collect();
        // Where everybody lied, nothing would ever be done.
        machines[0].character = Character::Honest;
        // The same for tasks that no other has the device for.
        machines[0].devices.push(4 << 30);
        machines[0].key = true;
        machines[0].computes_on_devices = true;
        // The two who are trusted.
        machines[..TRUSTED.len()]
            .iter_mut()
            .for_each(|machine| machine.checks = true);
        let cheapest = machines[0].price;
        let count_of_workflows = rng.random_range(1..=5);
        let mut workflows: Vec<WorkflowPlan> = (0..count_of_workflows)
            .map(|_| workflow(rng, calm_ms, operators, cheapest))
            .collect();
        // Most of the work is wanted and paid, or a run in which nothing works would pass.
        let most = workflows.len() * 2 / 5;
        let doomed = workflows.iter_mut();
        let doomed = doomed.filter(|w| w.cancel_ms.is_some() || w.is_scant());
        doomed.skip(most).for_each(|w| {
            w.cancel_ms = None;
            w.budget = w.budget.map(|_| PLENTY);
        });
        let rules = rules(rng, calm_ms, workflows.len());
        let count_of_serves = rng.random_range(0..=4);
        let serves = (0..count_of_serves)
            .map(|_| (rng.random_range(0..calm_ms), rng.random_range(0..REVISIONS)))
            .collect();
        let migrations = wishes(rng, 4, calm_ms, workflows.len());
        let forks = wishes(rng, 2, calm_ms, workflows.len());
        let mut times = |most: usize| -> Vec<(usize, u64)> {
            (0..rng.random_range(0..=most))
                .map(|_| (rng.random_range(0..count), rng.random_range(0..calm_ms)))
                .collect()
        };
        let (machine_crashes, partitions) = (times(2 * count), times(count));
        let coordinator_crashes = times(3).into_iter().map(|(_, at)| at).collect();
        Plan {
            seed,
            machines,
            workflows,
            calm_ms,
            latency_ms: rng.random_range(1..200),
            crash_per_mille: if rng.random_bool(0.5) {
                rng.random_range(1..30)
            } else {
                0
            },
            twice_percent: rng.random_range(0..20),
            machine_crashes,
            partitions,
            coordinator_crashes,
            distrust_ms: rng.random_bool(0.3).then(|| {
                let at = rng.random_range(0..calm_ms);
                (at, rng.random_range(1..=calm_ms - at))
            }),
            rules,
            serves,
            migrations,
            forks,
        }
    }
}

fn wishes(rng: &mut StdRng, most: usize, calm_ms: u64, workflows: usize) -> Vec<Wish> {
    (0..rng.random_range(0..=most))
        .map(|_| Wish {
            at_ms: rng.random_range(0..calm_ms),
            workflow: rng.random_range(0..workflows),
            child: rng.random_bool(0.2),
            revision: rng.random_range(0..REVISIONS),
            step: rng.random(),
        })
        .collect()
}

fn workflow(rng: &mut StdRng, calm_ms: u64, operators: usize, cheapest: u64) -> WorkflowPlan {
    let (n, checked) = (rng.random_range(2..=40), rng.random_bool(0.4));
    // The operator of the first machine can do everything, and the two who are trusted what is checked.
    let avoidable = if checked { TRUSTED.len() } else { 1 }..operators;
    let avoids = rng.random_bool(0.3) && !avoidable.is_empty();
    WorkflowPlan {
        n,
        child: rng.random_bool(0.3),
        checked,
        at_ms: rng.random_range(0..calm_ms / 2),
        cancel_ms: rng.random_bool(0.15).then(|| rng.random_range(0..calm_ms)),
        pause_ms: rng
            .random_bool(0.2)
            .then(|| (rng.random_range(0..calm_ms), rng.random_range(1..20_000))),
        budget: rng.random_bool(0.4).then(|| match rng.random_bool(0.5) {
            true => rng.random_range(0..=DEAREST * n as u64),
            false => PLENTY,
        }),
        within_ms: rng
            .random_bool(0.3)
            .then(|| rng.random_range(1_000..2 * calm_ms)),
        max_price: rng
            .random_bool(0.3)
            .then(|| rng.random_range(cheapest..=DEAREST)),
        avoid: avoids.then(|| format!("op{}", rng.random_range(avoidable))),
        keyed: rng.random_bool(0.3),
    }
}

/// Half of the seeds go by what is shipped, the others by anything that makes sense, and change it.
fn rules(rng: &mut StdRng, calm_ms: u64, seekers: usize) -> Vec<RulesPlan> {
    let changes = match rng.random_bool(0.5) {
        true => 0,
        false => rng.random_range(1..=4),
    };
    let shipped = Policy {
        check_attempts: CHECK_ATTEMPTS,
        ..Policy::default()
    };
    let mut rules = vec![RulesPlan {
        at_ms: 0,
        policy: shipped,
        weights: Vec::new(),
    }];
    for change in 0..changes {
        let mut policy = shipped;
        for (name, range) in POLICIES {
            if rng.random_bool(0.5) {
                let value = rng.random_range(range.clone());
                let set = policy.set(name, value);
                set.expect("invariant: the policy has such a field, and takes it");
            }
        }
        let drawn = RulesPlan {
            at_ms: rng.random_range(0..calm_ms),
            policy,
            weights: (0..seekers).map(|_| rng.random_range(1..=9)).collect(),
        };
        match change {
            0 => rules[0] = RulesPlan { at_ms: 0, ..drawn },
            _ => rules.push(drawn),
        }
    }
    rules
}

fn character(rng: &mut StdRng) -> Character {
    let percent = rng.random_range(5..60);
    match rng.random_range(0..9) {
        0..=2 => Character::Honest,
        3 => Character::Slow(rng.random_range(2..30)),
        4 => Character::Flaky(percent),
        5 => Character::Liar(percent),
        6 => Character::Moody(percent),
        7 => Character::Thief(percent),
        _ => Character::Silent(percent),
    }
}
