//! Transfers beside what is launched: on a queue of their own, ordered with the other one by events.
//!
//! Nobody waits for such a transfer when it is enqueued, so it owns the host's memory until it is over.
//! What may use the device's memory meanwhile is the caller's to order.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ocl::core::{self, Event};

use super::Word;
use super::queue::{Buffer, Failure, Queue, failure};

/// A point between launches; events are released when they are dropped.
pub(crate) struct Mark(Event);

impl Mark {
    /// Returns when all that was launched before it is over.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        core::wait_for_events(1, &self.0).map_err(failure("waiting for a launch"))
    }
}

/// Words on their way to the device, or from there.
pub(crate) struct Transfer<W> {
    words: Vec<W>,
    over: Event,
}

impl<W> Transfer<W> {
    fn wait(&self) -> Result<(), Failure> {
        core::wait_for_events(1, &self.over).map_err(failure("waiting for a copy"))
    }

    /// The words, when they have arrived.
    pub(crate) fn finish(mut self) -> Result<Vec<W>, Failure> {
        self.wait()?;
        Ok(std::mem::take(&mut self.words))
    }
}

impl<W> Drop for Transfer<W> {
    fn drop(&mut self) {
        // As memory that is adopted: kept for good where it is not sure that the device is done with it.
        let over = self.words.is_empty()
            || !std::thread::panicking()
                && catch_unwind(AssertUnwindSafe(|| self.wait())).is_ok_and(|over| over.is_ok());
        if !over {
            std::mem::forget(std::mem::take(&mut self.words));
        }
    }
}

impl Queue {
    /// Marks the point after all that was launched so far, and has it begin.
    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        let mut event = Event::null();
        core::enqueue_marker_with_wait_list(&self.queue, None::<Event>, Some(&mut event), None)
            .map_err(failure("marking a launch"))?;
        core::flush(&self.queue).map_err(failure("marking a launch"))?;
        Ok(Mark(event))
    }

    /// Begins to copy `words` to the start of `buffer` after `mark` and the transfers before this one.
    pub(crate) fn send<W: Word>(
        &self,
        buffer: &Buffer,
        words: Vec<W>,
        mark: &Mark,
    ) -> Result<Transfer<W>, Failure> {
        buffer.require(&words);
        let mut over = Event::null();
        // SAFETY: the transfer fits the buffer, and `Transfer` keeps the words where they are until it is
        // over: a vector that moves does not move its items.
        unsafe {
            core::enqueue_write_buffer(
                &self.transfers,
                buffer.memory(),
                false,
                0,
                W::limbs(&words),
                Some(&mark.0),
                Some(&mut over),
            )
        }
        .map_err(failure("copying to the device"))?;
        self.under_way(words, over)
    }

    /// Begins to copy the start of `buffer` to `words` after `mark` and the transfers before this one.
    pub(crate) fn fetch<W: Word>(
        &self,
        buffer: &Buffer,
        mut words: Vec<W>,
        mark: &Mark,
    ) -> Result<Transfer<W>, Failure> {
        buffer.require(&words);
        let mut over = Event::null();
        // SAFETY: as in `send`; nobody reads the words before, and every bit pattern is a word.
        unsafe {
            core::enqueue_read_buffer(
                &self.transfers,
                buffer.memory(),
                false,
                0,
                W::limbs_mut(&mut words),
                Some(&mark.0),
                Some(&mut over),
            )
        }
        .map_err(failure("copying from the device"))?;
        self.under_way(words, over)
    }

    fn under_way<W: Word>(&self, words: Vec<W>, over: Event) -> Result<Transfer<W>, Failure> {
        // It owns the words even if the flush fails.
        let transfer = Transfer { words, over };
        core::flush(&self.transfers).map_err(failure("beginning a copy"))?;
        Ok(transfer)
    }
}

/// From its begin to its end by the device's clock, in nanoseconds.
#[cfg(test)]
pub(crate) type Span = std::ops::Range<u64>;

#[cfg(test)]
fn span(event: &Event) -> Span {
    use core::ProfilingInfo::{End, Start};
    core::wait_for_events(1, event).expect("an event ends");
    let [start, end] = [Start, End].map(|point| {
        let time = core::get_event_profiling_info(event, point);
        time.and_then(|time| time.time())
            .expect("a queue that profiles")
    });
    start..end
}

#[cfg(test)]
impl Mark {
    pub(crate) fn span(&self) -> Span {
        span(&self.0)
    }
}

#[cfg(test)]
impl<W> Transfer<W> {
    pub(crate) fn span(&self) -> Span {
        span(&self.over)
    }
}
