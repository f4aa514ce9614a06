//! What the scheduler decides.

use froben_model::{Amount, ItemError, LeaseToken, MachineId, TimeMs};

use crate::{DelegationKey, SessionId};

/// How a delegation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Every item came, and every one has a value.
    Succeeded,
    /// Some item has none.
    Failed,
    TimedOut,
    Cancelled,
}

/// One decision: a record to journal, an order to send, or an answer to give.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The capacity named here is reserved for the attempt; offer it the task.
    Assign {
        key: DelegationKey,
        token: LeaseToken,
        machine: MachineId,
        session: SessionId,
        /// The id of the claimed device; `None` for a CPU task.
        device: Option<String>,
        cpu_cores: u32,
        ram_bytes: u64,
        vram_bytes: u64,
        deadline_ms: TimeMs,
        /// Of each item.
        price: Amount,
        /// The items that are still missing, ascending.
        owed: Vec<u32>,
    },
    /// The machine took the task, or showed it by sending something of it.
    Start { key: DelegationKey, attempt: u32 },
    /// This item counts: it is the first for its index, and its attempt holds the reservation or, of a
    /// late value, held it once.
    AcceptItem {
        key: DelegationKey,
        attempt: u32,
        index: u32,
    },
    /// A value came that counts if its check approves it: it is to be checked.
    ClaimItem {
        key: DelegationKey,
        attempt: u32,
        index: u32,
    },
    /// A claimed item is settled: it counts, or ends with the error.
    SettleItem {
        key: DelegationKey,
        attempt: u32,
        index: u32,
        error: Option<ItemError>,
    },
    /// The message changed nothing, since its token holds nothing.
    Stale { token: LeaseToken },
    /// The message changed nothing, since the item is in already. The token is good.
    Duplicate { token: LeaseToken, index: u32 },
    /// The attempt ended before it began, or was one of a check, and the delegation waits again. The
    /// machine is passed over for a moment.
    Requeue {
        key: DelegationKey,
        attempt: u32,
        reason: String,
        /// Whether it counts against the machine: silence does, a refusal does not.
        fault: bool,
    },
    /// The attempt is over and its delegation is not: another machine has it too, or items of it still wait
    /// for their checks. If no attempt goes on, none is to follow, and those that are missing end with the
    /// failure.
    Lose {
        key: DelegationKey,
        /// Without one, the last.
        attempt: u32,
        failure: ItemError,
    },
    /// The delegation is over.
    End {
        key: DelegationKey,
        /// The one that ended it, or else the last; 0 if there was none.
        attempt: u32,
        end: End,
        /// What the items that have not come end with; `None` if every item came.
        failure: Option<ItemError>,
    },
    /// Tell the machine that the attempt is over.
    Stop {
        session: SessionId,
        token: LeaseToken,
    },
}
