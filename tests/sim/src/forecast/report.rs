//! Many seeds, added up.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fleet::{Size, class_of};
use super::profile::Profile;
use super::run::{Job, Load, PlayError, Played, Work, play};

/// The slowest of a hundred seeds that are looked at for what made them slow.
const SLOWEST: usize = 5;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    pub machines: usize,
    pub seeds: u64,
    pub from: u64,
    /// Workflows at once.
    pub workflows: u64,
    /// Workflows before those, so that the matchmaker knows the machines.
    pub before: u64,
    /// Of an hour of one device; the profile's prices if there is none.
    pub price: Option<f64>,
    /// Whether to play one machine fewer, and one more of each class, too.
    pub compare: bool,
}

/// The median of the seeds, and what 95 of 100 do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    pub p50: f64,
    pub p95: f64,
}

/// One kind of task.
#[derive(Debug, Clone, PartialEq)]
pub struct KindUse {
    pub kind: String,
    /// Mean of a seed.
    pub tasks: f64,
    pub items: f64,
    pub busy_s: f64,
    /// Attempts that were lost with their machine.
    pub lost: f64,
    /// Attempts beside a straggler, and those of them that had the last item.
    pub hedges: f64,
    pub hedges_won: f64,
    /// How long the end waited for it: mean of a seed, and of the slowest seeds.
    pub path_s: f64,
    pub path_slowest_s: f64,
    /// Of `path_s`, the wait for a machine.
    pub path_wait_s: f64,
    /// Of the slowest seeds' path through this kind, the share on slow machines, and in attempts that
    /// were lost.
    pub slow_share: f64,
    pub lost_share: f64,
}

/// The same with one machine fewer or one more.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub machines: usize,
    /// What the profile calls that one machine.
    pub class: String,
    pub makespan_s: Spread,
    pub fleet_cost: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    pub seeds: u64,
    pub machines: usize,
    pub slow_machines: f64,
    /// From the submit to the end of the last workflow.
    pub makespan_s: Spread,
    /// Of each workflow.
    pub workflow_s: Spread,
    /// Of the devices' time between submit and end, how much they worked; mean.
    pub utilisation: f64,
    /// All machines from submit to end, and only while they worked; medians.
    pub fleet_cost: f64,
    pub busy_cost: f64,
    /// Those that the end waits for most first.
    pub kinds: Vec<KindUse>,
    /// One machine fewer, then one more of each class as the profile lists them.
    pub changes: Vec<Change>,
}

/// Plays all seeds of a question, on all cores. `progress` is told how many of how many are done.
///
/// *Errors*: the first seed that has no good end, and why.
pub fn forecast(
    job: &Job,
    profile: &Profile,
    question: &Question,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Forecast, (u64, PlayError)> {
    let fleets = fleets(profile, question);
    let seeds = question.seeds as usize;
    let total = fleets.len() * seeds;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all: Mutex<BTreeMap<usize, Result<Played, PlayError>>> = Mutex::default();
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= total {
                return;
            }
            let load = Load {
                size: fleets[turn / seeds],
                workflows: question.workflows,
                before: question.before,
                price: question.price,
            };
            let played = play(job, profile, load, question.from + (turn % seeds) as u64);
            // One that fails ends it all.
            if played.is_err() {
                next.fetch_max(total, Ordering::Relaxed);
            }
            let mut all = all.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            all.insert(turn, played);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let all = all
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut by_fleet: Vec<Vec<Played>> = vec![Vec::new(); fleets.len()];
    for (turn, played) in all {
        let seed = question.from + (turn % seeds) as u64;
        by_fleet[turn / seeds].push(played.map_err(|error| (seed, error))?);
    }
    let mut forecast = add_up(question, &by_fleet[0]);
    for (size, played) in fleets.iter().zip(&by_fleet).skip(1) {
        // The one that is missing would have the next number.
        let class = size
            .added
            .unwrap_or_else(|| class_of(profile, size.machines));
        forecast.changes.push(Change {
            machines: size.machines + usize::from(size.added.is_some()),
            class: profile.classes[class].name.clone(),
            makespan_s: spread(played.iter().map(|p| seconds(p.makespan_ms))),
            fleet_cost: spread(played.iter().map(fleet_cost)).p50,
        });
    }
    Ok(forecast)
}

/// The one that is asked for, and those that it is compared with.
fn fleets(profile: &Profile, question: &Question) -> Vec<Size> {
    let size = |machines, added| Size { machines, added };
    let mut fleets = vec![size(question.machines, None)];
    if question.compare {
        if question.machines > 1 {
            fleets.push(size(question.machines - 1, None));
        }
        let classes = 0..profile.classes.len();
        fleets.extend(classes.map(|class| size(question.machines, Some(class))));
    }
    fleets
}

fn add_up(question: &Question, all: &[Played]) -> Forecast {
    let mut slowest: Vec<&Played> = all.iter().collect();
    slowest.sort_by_key(|played| std::cmp::Reverse(played.makespan_ms));
    slowest.truncate((all.len() * SLOWEST).div_ceil(100));
    let utilisation = all.iter().map(|played| {
        let whole = played.used.devices * played.makespan_ms;
        played.used.device_busy_ms as f64 / whole.max(1) as f64
    });
    Forecast {
        seeds: question.seeds,
        machines: question.machines,
        slow_machines: mean(all.iter().map(|played| played.slow as f64)),
        makespan_s: spread(all.iter().map(|played| seconds(played.makespan_ms))),
        workflow_s: spread(
            all.iter()
                .flat_map(|p| p.workflows_ms.iter().map(|ms| seconds(*ms))),
        ),
        utilisation: mean(utilisation),
        fleet_cost: spread(all.iter().map(fleet_cost)).p50,
        busy_cost: spread(all.iter().map(|played| played.used.busy_cost)).p50,
        kinds: kinds(all, &slowest),
        changes: Vec::new(),
    }
}

fn kinds(all: &[Played], slowest: &[&Played]) -> Vec<KindUse> {
    let names: std::collections::BTreeSet<&String> =
        all.iter().flat_map(|played| played.kinds.keys()).collect();
    let kinds = names.into_iter().map(|kind| {
        let work = |what: fn(&Work) -> u64| {
            let of = |played: &Played| played.kinds.get(kind).map_or(0.0, |work| what(work) as f64);
            mean(all.iter().map(of))
        };
        let path = |played: &Played, what: fn(&super::path::Stretch) -> u64| {
            let own = played.path.iter().filter(|stretch| stretch.kind == *kind);
            seconds(own.map(what).sum())
        };
        let slow =
            |what: fn(&super::path::Stretch) -> u64| mean(slowest.iter().map(|p| path(p, what)));
        let path_slowest_s = slow(|s| s.wait_ms + s.run_ms);
        let share = |part: f64| part / path_slowest_s.max(f64::MIN_POSITIVE);
        KindUse {
            kind: kind.clone(),
            tasks: work(|work| work.tasks),
            items: work(|work| work.items),
            busy_s: work(|work| work.busy_ms) / 1000.0,
            lost: work(|work| work.lost),
            hedges: work(|work| work.hedges),
            hedges_won: work(|work| work.hedges_won),
            path_s: mean(all.iter().map(|p| path(p, |s| s.wait_ms + s.run_ms))),
            path_wait_s: mean(all.iter().map(|p| path(p, |s| s.wait_ms))),
            slow_share: share(slow(|s| if s.on_slow { s.run_ms } else { 0 })),
            lost_share: share(slow(|s| if s.lost { s.run_ms } else { 0 })),
            path_slowest_s,
        }
    });
    let mut kinds: Vec<KindUse> = kinds.collect();
    kinds.sort_by(|a, b| b.path_s.total_cmp(&a.path_s));
    kinds
}

fn fleet_cost(played: &Played) -> f64 {
    played.used.hourly * played.makespan_ms as f64 / 3_600_000.0
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / f64::from(count.max(1))
}

/// By the nearest rank.
fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let rank = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).max(1);
        values.get(rank - 1).copied().unwrap_or(0.0)
    };
    Spread {
        p50: rank(50),
        p95: rank(95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_the_nearest_rank() {
        let of = |n: usize| spread((1..=n).map(|value| value as f64));
        for (count, p50, p95) in [
            (0, 0.0, 0.0),
            (1, 1.0, 1.0),
            (20, 10.0, 19.0),
            (100, 50.0, 95.0),
        ] {
            assert_eq!(of(count), Spread { p50, p95 }, "{count}");
        }
    }
}
