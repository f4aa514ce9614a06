//! What a seed decides before anything happens: who is there, and what will go wrong.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

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
}

/// Who is trusted with checks. Two, since nobody checks what it made itself.
pub(crate) const TRUSTED: [&str; 2] = ["op0", "op1"];

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
                price: rng.random_range(0..=3),
            })
            .collect();
        // Where everybody lied, nothing would ever be done.
        machines[0].character = Character::Honest;
        // The same for tasks that no other has the device for.
        machines[0].devices.push(4 << 30);
        let workflows = (0..rng.random_range(1..=5))
            .map(|_| WorkflowPlan {
                n: rng.random_range(2..=40),
                child: rng.random_bool(0.3),
                checked: rng.random_bool(0.4),
                at_ms: rng.random_range(0..calm_ms / 2),
                cancel_ms: rng.random_bool(0.15).then(|| rng.random_range(0..calm_ms)),
                pause_ms: rng
                    .random_bool(0.2)
                    .then(|| (rng.random_range(0..calm_ms), rng.random_range(1..20_000))),
            })
            .collect();
        let mut workflows: Vec<WorkflowPlan> = workflows;
        // Most of the work is wanted, or a run in which nothing works would pass.
        let most = workflows.len() * 2 / 5;
        let cancelled = workflows.iter_mut().filter(|w| w.cancel_ms.is_some());
        cancelled.skip(most).for_each(|w| w.cancel_ms = None);
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
        }
    }
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
