//! Device memory under a limit, reused instead of given back and asked for again.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use crate::driver::{Buffer, Failure, Queue};

/// The device memory of one session.
#[derive(Clone)]
pub(crate) struct Memory(Rc<RefCell<State>>);

struct State {
    limit_bytes: usize,
    recycled: bool,
    /// Idle and leased together.
    reserved_bytes: usize,
    idle: Vec<Buffer>,
    /// What was asked for.
    leased_bytes: usize,
    /// By how much the buffers in use are larger than that.
    surplus_bytes: usize,
    /// The most that was leased at once since somebody last asked.
    peak_bytes: usize,
}

/// Why there is no buffer.
pub(crate) enum Refusal {
    /// Over the limit; how much could be had.
    Limit { available_bytes: usize },
    /// The driver refused.
    Driver(Failure),
}

impl Memory {
    /// With `recycled`, buffers are lent again, and else only given up when room is needed.
    pub(crate) fn new(limit_bytes: usize, recycled: bool) -> Self {
        Self(Rc::new(RefCell::new(State {
            limit_bytes,
            recycled,
            reserved_bytes: 0,
            idle: Vec::new(),
            leased_bytes: 0,
            surplus_bytes: 0,
            peak_bytes: 0,
        })))
    }

    /// Bytes that could be leased now, idle buffers given up. Whatever they are leased as: buffers that
    /// are larger than was asked for are at the expense of a part of the limit that is kept for them.
    pub(crate) fn available_bytes(&self) -> usize {
        let state = self.0.borrow();
        state.limit_bytes - state.most_surplus_bytes() - state.leased_bytes
    }

    /// The most that was leased at once since this was last asked.
    pub(crate) fn take_peak_bytes(&self) -> usize {
        let mut state = self.0.borrow_mut();
        let leased_bytes = state.leased_bytes;
        std::mem::replace(&mut state.peak_bytes, leased_bytes)
    }

    /// A buffer of at least `bytes`, contents undefined.
    pub(crate) fn lease(&self, queue: &Queue, bytes: usize) -> Result<Lease, Refusal> {
        let available_bytes = self.available_bytes();
        if bytes > available_bytes {
            return Err(Refusal::Limit { available_bytes });
        }
        let mut state = self.0.borrow_mut();
        let buffer = match state.take_idle(bytes) {
            Some(buffer) => buffer,
            None => {
                if state.reserved_bytes + bytes > state.limit_bytes {
                    state.release_idle();
                }
                let allocated = match queue.allocate(bytes) {
                    // Others use the device too; what lies idle here may be what is missing.
                    Err(Failure::OutOfMemory) if !state.idle.is_empty() => {
                        state.release_idle();
                        queue.allocate(bytes)
                    }
                    allocated => allocated,
                };
                let buffer = allocated.map_err(Refusal::Driver)?;
                state.reserved_bytes += bytes;
                buffer
            }
        };
        state.surplus_bytes += buffer.bytes() - bytes;
        state.lent(bytes);
        Ok(Lease {
            buffer: Some(buffer),
            bytes,
            memory: self.clone(),
        })
    }
}

impl Memory {
    /// Counts `bytes` of host memory that the device works on in place.
    pub(crate) fn charge(&self, bytes: usize) -> Result<Charge, Refusal> {
        let available_bytes = self.available_bytes();
        if bytes > available_bytes {
            return Err(Refusal::Limit { available_bytes });
        }
        let mut state = self.0.borrow_mut();
        if state.reserved_bytes + bytes > state.limit_bytes {
            state.release_idle();
        }
        state.reserved_bytes += bytes;
        state.lent(bytes);
        Ok(Charge {
            bytes,
            memory: self.clone(),
        })
    }
}

impl State {
    fn lent(&mut self, bytes: usize) {
        self.leased_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.leased_bytes);
    }

    /// What buffers in use may be larger, all together, than was asked for.
    const fn most_surplus_bytes(&self) -> usize {
        self.limit_bytes / 16
    }

    /// The smallest idle buffer that is large enough and not wastefully so.
    fn take_idle(&mut self, bytes: usize) -> Option<Buffer> {
        if !self.recycled {
            return None;
        }
        let surplus = self.most_surplus_bytes() - self.surplus_bytes;
        let fits = bytes..=bytes.saturating_add(surplus.min(bytes));
        let (index, _) = self
            .idle
            .iter()
            .enumerate()
            .filter(|(_, buffer)| fits.contains(&buffer.bytes()))
            .min_by_key(|(_, buffer)| buffer.bytes())?;
        Some(self.idle.swap_remove(index))
    }

    fn release_idle(&mut self) {
        let released: usize = self.idle.drain(..).map(|buffer| buffer.bytes()).sum();
        self.reserved_bytes -= released;
    }
}

/// A buffer in use; it goes back to the pool when it is dropped.
///
/// Launches run in the order in which they were enqueued, so the next user cannot overtake the last
/// one. A transfer on the queue of transfers waits for all launches before its buffer was leased, and
/// is over before its buffer goes back.
pub(crate) struct Lease {
    buffer: Option<Buffer>,
    /// What was asked for; the buffer may be larger.
    bytes: usize,
    memory: Memory,
}

impl Deref for Lease {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.buffer.as_ref().expect("invariant: taken in drop only")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let mut state = self.memory.0.borrow_mut();
            state.leased_bytes -= self.bytes;
            state.surplus_bytes -= buffer.bytes() - self.bytes;
            state.idle.push(buffer);
        }
    }
}

/// Host memory under the session's limit while it is in use.
pub(crate) struct Charge {
    bytes: usize,
    memory: Memory,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.memory.0.borrow_mut();
        state.leased_bytes -= self.bytes;
        state.reserved_bytes -= self.bytes;
    }
}
