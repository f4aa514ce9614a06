//! What is being done, on standard error, once it takes long enough to be asked about.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whoever waits for less does not ask.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells of steps; silent for good once it is dropped.
pub(super) struct Progress {
    steps: Option<Sender<String>>,
    teller: Option<JoinHandle<()>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let (steps, told) = channel::<String>();
        let teller = std::thread::spawn(move || {
            let first = Instant::now() + PATIENCE;
            let mut latest: Option<String> = None;
            loop {
                match told.recv_timeout(first.saturating_duration_since(Instant::now())) {
                    Ok(step) => latest = Some(step),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            for step in latest.into_iter().chain(told) {
                eprintln!("{step}");
            }
        });
        Progress {
            steps: Some(steps),
            teller: Some(teller),
        }
    }

    /// A step begins.
    pub(super) fn step(&self, step: String) {
        if let Some(steps) = &self.steps {
            // The teller outlives this.
            let _ = steps.send(step);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(teller) = self.teller.take() {
            let _ = teller.join();
        }
    }
}
