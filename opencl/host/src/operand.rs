//! The matrices that an operation takes and makes.

use std::ops::Deref;

use crate::driver::{Adopted, Buffer, Word};
use crate::memory::{Charge, Lease};

/// Words on a device, and the host memory that they came from or go to.
///
/// [`crate::engine::Engine::bring`], [`crate::engine::Engine::make`] and
/// [`crate::engine::Engine::take`] make and end it.
pub(crate) enum Operand<W> {
    /// The device has a copy; the host's memory waits for the result.
    Copied { lease: Lease, host: Vec<W> },
    /// The device works on the host's memory.
    InPlace {
        adopted: Adopted<W>,
        _charge: Charge,
    },
}

impl<W> Operand<W> {
    /// The words, and host memory that is free once they are dropped or at once.
    pub(crate) fn split(self) -> (Self, Vec<W>) {
        match self {
            Self::Copied { lease, host } => (
                Self::Copied {
                    lease,
                    host: Vec::new(),
                },
                host,
            ),
            in_place @ Self::InPlace { .. } => (in_place, Vec::new()),
        }
    }
}

impl<W: Word> Deref for Operand<W> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        match self {
            Self::Copied { lease, .. } => lease,
            Self::InPlace { adopted, .. } => adopted,
        }
    }
}
