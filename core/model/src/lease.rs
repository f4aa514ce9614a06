//! The fence around an attempt.

use std::fmt;

use crate::{CallId, WorkflowId};

/// Names one attempt of one delegation under one start of the coordinator.
///
/// A message about an attempt carries its token, and counts only if the token equals that of the
/// attempt which holds the reservation now. `attempt` grows with each try of the delegation and
/// `epoch` with each start of the coordinator, so no two attempts ever share a token: an operator
/// that wakes up after its attempt was given away speaks of a token that nobody holds, and changes
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken {
    pub workflow: WorkflowId,
    pub call: CallId,
    /// 1 for the first try.
    pub attempt: u32,
    /// How often the coordinator had started when the attempt was made.
    pub epoch: u64,
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}.{}@{}",
            self.workflow, self.call, self.attempt, self.epoch
        )
    }
}
