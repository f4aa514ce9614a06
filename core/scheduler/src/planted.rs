//! Bugs that a simulation plants, to prove that it would find them.
//!
//! Without the feature `planted`, which only the simulator's own test turns on, [`planted`] is `false` and
//! nothing of this is compiled in. With it, one bug at a time can be chosen in a process, for all of its
//! threads.

/// A bug that somebody could make. Those of the engine stand here too, so that there is one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A message counts whatever attempt it is of.
    SkipFence,
    /// An attempt that ends keeps its cores.
    LeakCores,
    /// An attempt that ends keeps its device.
    LeakDevice,
    /// A device is given to two attempts.
    DoubleBookDevice,
    /// Memory is promised that is not there.
    OverbookMemory,
    /// An attempt that begins has no deadline.
    LoseTimer,
    /// A timer that was set anew rings at its first time, too.
    KeepTimer,
    /// What is freed is offered to nobody who waits.
    WakeNobody,
    /// Work of a paused workflow is handed out.
    IgnorePause,
    /// A workflow that goes on finds its work still parked.
    IgnoreResume,
    /// A machine stays held for an elder that is served.
    KeepHold,
    /// An outcome counts for nothing in a reputation's rank.
    KeepRank,
    /// A delegation that is queued again owes what it has.
    ForgetItems,
    /// Two starts of a coordinator give out the same tokens.
    ReuseEpoch,
    /// A task is sent that is not written down as handed out.
    AssignUnwritten,
    /// An item is acknowledged that is not written down.
    AcknowledgeUnwritten,
    /// What is sent for an input is written down with the next one.
    WriteLate,
    /// A connection that breaks frees nothing.
    ForgetDisconnect,
    /// A refusal counts as a machine's fault.
    BlameRefusal,
    /// A value that is to be checked counts as it comes.
    PayUnchecked,
    /// A check is handed to anybody.
    TrustAnybody,
    /// Who made an item may check it.
    CheckOneself,
    /// A rejected item counts.
    IgnoreVerdict,
    /// A late value counts whoever sends it.
    SkipLateFence,
    /// After a restart, what waits for its check is forgotten.
    ForgetClaims,
    /// A good item is credited twice.
    CreditTwice,
    /// What another machine sent first is paid for twice.
    PayLoser,
    /// The two machines of one delegation stay reserved.
    KeepLoser,
    /// More is hedged than the budget allows.
    HedgeMore,
    /// The machine that straggles gets the task again.
    HedgeSame,
    /// A script is not told that a delegation is over.
    TellNobody,
    /// A script is told things in another order than they were written.
    TellBackwards,
    /// A script's cancel is written down and done nothing about.
    LoseCancel,
    /// A workflow that ends leaves its delegations running.
    LeaveDelegations,
    /// A workflow that ends leaves its children running.
    LeaveChildren,
    /// A parent is not told that its child is over.
    ForgetParent,
    /// After a restart, timers of scripts are not set.
    ForgetSleeps,
    /// After a restart, what waited is not queued.
    ForgetQueued,
    /// After a restart, attempts of before count as running.
    KeepOldAttempts,
    /// After a restart, a paused workflow's work is handed out.
    ForgetPaused,
    /// After a restart, an idempotency key starts a second workflow.
    ForgetKeys,
    /// After a restart, scripts that owe calls are not rebuilt.
    ForgetScripts,
    /// After a restart, what a script said of its progress is not shown.
    ForgetProgress,
    /// A task is handed to whom it avoids.
    IgnoreAvoid,
    /// A task is handed out that its purse has not the money for.
    IgnoreBudget,
    /// What was held for an attempt that is over stays held.
    KeepMoney,
    /// A machine counts for a core more than it has.
    OverClaim,
    /// New scripts are served to workflows that run already.
    SwitchRevision,
    /// After a restart, machines are known for nothing that workflows which are over say of them.
    ForgetRecord,
    /// After a restart, what was spent can be spent again.
    ForgetSpent,
}

impl Bug {
    pub const ALL: [Bug; 50] = [
        Bug::SkipFence,
        Bug::LeakCores,
        Bug::LeakDevice,
        Bug::DoubleBookDevice,
        Bug::OverbookMemory,
        Bug::LoseTimer,
        Bug::KeepTimer,
        Bug::WakeNobody,
        Bug::IgnorePause,
        Bug::IgnoreResume,
        Bug::KeepHold,
        Bug::KeepRank,
        Bug::ForgetItems,
        Bug::ReuseEpoch,
        Bug::AssignUnwritten,
        Bug::AcknowledgeUnwritten,
        Bug::WriteLate,
        Bug::ForgetDisconnect,
        Bug::BlameRefusal,
        Bug::PayUnchecked,
        Bug::TrustAnybody,
        Bug::CheckOneself,
        Bug::IgnoreVerdict,
        Bug::SkipLateFence,
        Bug::ForgetClaims,
        Bug::CreditTwice,
        Bug::PayLoser,
        Bug::KeepLoser,
        Bug::HedgeMore,
        Bug::HedgeSame,
        Bug::TellNobody,
        Bug::TellBackwards,
        Bug::LoseCancel,
        Bug::LeaveDelegations,
        Bug::LeaveChildren,
        Bug::ForgetParent,
        Bug::ForgetSleeps,
        Bug::ForgetQueued,
        Bug::KeepOldAttempts,
        Bug::ForgetPaused,
        Bug::ForgetKeys,
        Bug::ForgetScripts,
        Bug::ForgetProgress,
        Bug::IgnoreAvoid,
        Bug::IgnoreBudget,
        Bug::KeepMoney,
        Bug::OverClaim,
        Bug::SwitchRevision,
        Bug::ForgetRecord,
        Bug::ForgetSpent,
    ];
}

/// Whether the bug is planted now.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use chosen::{plant, planted};

#[cfg(feature = "planted")]
mod chosen {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    const NONE: u8 = u8::MAX;
    static CHOSEN: AtomicU8 = AtomicU8::new(NONE);

    /// Whether the bug is planted now.
    pub fn planted(bug: Bug) -> bool {
        CHOSEN.load(Ordering::Relaxed) == bug as u8
    }

    /// Plants this bug and no other, or none.
    pub fn plant(bug: Option<Bug>) {
        let chosen = bug.map_or(NONE, |bug| bug as u8);
        CHOSEN.store(chosen, Ordering::SeqCst);
    }
}
