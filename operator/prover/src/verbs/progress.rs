//! What is being done, on standard error, once it takes long enough to be asked about.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whoever waits for less does not ask.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells of steps; silent for good once it is dropped, and all that it gave out.
pub(super) struct Progress {
    steps: Option<Teller>,
    thread: Option<JoinHandle<()>>,
}

/// Tells of steps on whatever thread they are done.
#[derive(Clone)]
pub(super) struct Teller(Sender<Told>);

enum Told {
    Step(String),
    /// Of a step, one of many.
    Part(String),
}

impl Teller {
    /// A step begins.
    pub(super) fn step(&self, step: String) {
        self.tell(Told::Step(step));
    }

    /// A part of a step begins. It is left out where something was told just before.
    pub(super) fn part(&self, part: String) {
        self.tell(Told::Part(part));
    }

    fn tell(&self, told: Told) {
        // Who listens outlives this.
        let _ = self.0.send(told);
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        let (steps, told) = channel::<Told>();
        let thread = std::thread::spawn(move || {
            let first = Instant::now() + PATIENCE;
            let mut latest: Option<Told> = None;
            loop {
                match told.recv_timeout(first.saturating_duration_since(Instant::now())) {
                    Ok(step) => latest = Some(step),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let mut last: Option<Instant> = None;
            for told in latest.into_iter().chain(told) {
                match told {
                    Told::Part(_) if last.is_some_and(|at| at.elapsed() < PATIENCE) => continue,
                    Told::Step(said) | Told::Part(said) => eprintln!("{said}"),
                }
                last = Some(Instant::now());
            }
        });
        Progress {
            steps: Some(Teller(steps)),
            thread: Some(thread),
        }
    }

    pub(super) fn teller(&self) -> Teller {
        let steps = self.steps.as_ref();
        steps.expect("invariant: taken in drop only").clone()
    }

    /// A step begins.
    pub(super) fn step(&self, step: String) {
        self.teller().step(step);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
