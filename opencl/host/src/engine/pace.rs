//! How a call whose caller keeps a hold on it goes: launch by launch, so that it can be ended.
//!
//! Launches are enqueued faster than they run. A call that can be ended does not run ahead of its device
//! by more than a launch or two; one that cannot goes on as fast as it can be enqueued.

use std::collections::VecDeque;

use super::{Engine, explain};
use crate::control::{Control, Progress};
use crate::driver::Mark;
use crate::error::{Error, Result};

/// Bytes that launches read and write before it is worth to wait for any of them.
const STEP_BYTES: u64 = 1 << 20;

/// Steps that may be enqueued and not over: one runs, one waits.
const STEPS: usize = 2;

/// A call under way, and its control.
pub(super) struct Pace {
    control: Control,
    /// Whether launches count as the caller's.
    counting: bool,
    /// Steps that are enqueued, and their launches.
    steps: VecDeque<(Mark, u64)>,
    /// What was launched since the last one.
    launches: u64,
    bytes: u64,
}

impl Engine {
    /// Does the work of a call, which `control` may end.
    pub(crate) fn controlled<R>(
        &mut self,
        control: Option<Control>,
        work: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        self.pace = control.map(|control| Pace {
            control,
            counting: true,
            steps: VecDeque::new(),
            launches: 0,
            bytes: 0,
        });
        let result = self.check_wanted().and_then(|()| work(self));
        if let (Some(pace), Ok(_)) = (self.pace.take(), &result) {
            // There is a result, so all is over.
            let enqueued = pace.steps.iter().map(|(_, launches)| launches);
            pace.control.did(enqueued.sum::<u64>() + pace.launches);
        }
        result
    }

    /// Tells the caller how many launches are ahead.
    pub(crate) fn plan_launches(&self, launches: usize) {
        if let Some(pace) = self.pace.as_ref().filter(|pace| pace.counting) {
            pace.control.plan(launches as u64);
        }
    }

    /// Whether launches count as the caller's from here on; whether they did before.
    pub(super) fn count_launches(&mut self, counting: bool) -> bool {
        match &mut self.pace {
            Some(pace) => std::mem::replace(&mut pace.counting, counting),
            None => counting,
        }
    }

    /// After a launch of so many bytes: waits for those before it, if it can be ended at all.
    pub(super) fn keep_pace(&mut self, bytes: u64) -> Result<()> {
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        pace.launches += u64::from(pace.counting);
        pace.bytes += bytes;
        if pace.bytes >= STEP_BYTES {
            let mark = self.queue.mark();
            let mark = mark.map_err(|failure| explain(&self.device, failure, 0))?;
            pace.steps
                .push_back((mark, std::mem::take(&mut pace.launches)));
            pace.bytes = 0;
            while pace.steps.len() > STEPS {
                if let Some((mark, launches)) = pace.steps.pop_front() {
                    let over = mark.wait();
                    over.map_err(|failure| explain(&self.device, failure, 0))?;
                    pace.control.did(launches);
                }
            }
        }
        self.check_wanted()
    }

    fn check_wanted(&self) -> Result<()> {
        let Some(pace) = self
            .pace
            .as_ref()
            .filter(|pace| pace.control.is_cancelled())
        else {
            return Ok(());
        };
        let Progress {
            launches_done,
            launches_planned,
        } = pace.control.progress();
        Err(Error::Cancelled {
            device: self.device.to_string(),
            launches_done,
            launches_planned,
        })
    }
}
