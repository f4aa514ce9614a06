//! Ours and its peers on the same input, in turns.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Turns that count; one more goes before them, to load code and tables.
const TURNS: usize = 9;

/// Somebody who computes the same thing.
pub(crate) struct Contender<'a, T> {
    pub(crate) name: &'static str,
    /// Runs once: makes the input outside of the measured part, calls what it is given with the work,
    /// and returns the result in the common form.
    pub(crate) turn: Box<dyn FnMut(&mut Watch) -> T + 'a>,
}

impl<'a, T> Contender<'a, T> {
    pub(crate) fn new(name: &'static str, turn: impl FnMut(&mut Watch) -> T + 'a) -> Self {
        Self {
            name,
            turn: Box::new(turn),
        }
    }
}

/// Measures the part of a turn that is the work.
#[derive(Default)]
pub(crate) struct Watch {
    wall: Duration,
    cpu: Duration,
}

impl Watch {
    pub(crate) fn measure<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let (wall, cpu) = (
            now(ClockId::CLOCK_MONOTONIC),
            now(ClockId::CLOCK_PROCESS_CPUTIME_ID),
        );
        let result = work();
        self.wall = now(ClockId::CLOCK_MONOTONIC) - wall;
        self.cpu = now(ClockId::CLOCK_PROCESS_CPUTIME_ID) - cpu;
        result
    }
}

fn now(clock: ClockId) -> Duration {
    Duration::from(clock_gettime(clock).expect("the clock of every Linux"))
}

/// Medians of the turns of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// Lets all contenders compute, checks that all results are the first one's, and measures them in turns.
pub(crate) fn contest<T: PartialEq>(mut contenders: Vec<Contender<'_, T>>) -> Vec<Standing> {
    let mut times = vec![(Vec::new(), Vec::new()); contenders.len()];
    for turn in 0..=TURNS {
        let mut first = None;
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let mut watch = Watch::default();
            let result = (contender.turn)(&mut watch);
            if turn == 0 {
                match &first {
                    None => first = Some(result),
                    Some(first) => {
                        assert!(
                            *first == result,
                            "{} computes something else",
                            contender.name
                        );
                    }
                }
            } else {
                times.0.push(watch.wall);
                times.1.push(watch.cpu);
            }
        }
    }
    contenders
        .iter()
        .zip(times)
        .map(|(contender, (wall, cpu))| Standing {
            name: contender.name,
            wall: median(wall),
            cpu: median(cpu),
        })
        .collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
