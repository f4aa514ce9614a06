//! Where records are kept.

use std::collections::BTreeMap;
use std::fmt::Display;

use froben_model::{RevisionPrefix, SeekerId, WorkflowId};

use crate::{Account, Balance, Posting, Record, RevisionHash, ScriptSet, Served};

/// A record's position in its workflow's journal, from 0, without gaps.
pub type Seq = u64;

/// Records, and what goes with them, that become durable together or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub records: Vec<(WorkflowId, Seq, Record)>,
    /// Workflows that start here: what makes them findable.
    pub started: Vec<Started>,
    /// Workflows that are over from here on: they need no recovery.
    pub finished: Vec<WorkflowId>,
    /// What the history of revisions goes on with.
    pub served: Vec<Served>,
    /// What goes into the ledger.
    pub postings: Vec<Posting>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    pub workflow: WorkflowId,
    pub seeker: SeekerId,
    /// Empty if none.
    pub idempotency_key: String,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        let Batch {
            records,
            started,
            finished,
            served,
            postings,
        } = self;
        records.is_empty()
            && started.is_empty()
            && finished.is_empty()
            && served.is_empty()
            && postings.is_empty()
    }

    /// Adds `other` behind this one.
    pub fn merge(&mut self, other: Batch) {
        let Batch {
            records,
            started,
            finished,
            served,
            postings,
        } = other;
        self.records.extend(records);
        self.started.extend(started);
        self.finished.extend(finished);
        self.served.extend(served);
        self.postings.extend(postings);
    }
}

/// A journal of many workflows. `&self` throughout: reads and the one committer run side by side.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch. On `Ok` it is on disk and survives a power cut; on `Err` none of it counts.
    ///
    /// *Errors*: [`Error::OutOfOrder`] and [`Error::HistoryMoved`] by the rules of
    /// [`crate::order::admit`]; [`Error::Write`] for a record that could not be read back, and when
    /// the disk fails.
    fn commit(&self, batch: &Batch) -> Result<(), Error>;

    /// The records of a workflow from `from` on, at most `limit`, in order. Empty if there are none.
    fn read(
        &self,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<(Seq, Record)>, Error>;

    /// The last records of a workflow, at most `limit`, in order. Empty if there are none.
    fn tail(&self, workflow: WorkflowId, limit: usize) -> Result<Vec<(Seq, Record)>, Error>;

    /// Every workflow that has started, in no particular order; `true` if it is over.
    fn workflows(&self) -> Result<BTreeMap<WorkflowId, bool>, Error>;

    /// The workflow that `seeker` started under `key`, if any.
    fn by_idempotency_key(&self, seeker: &SeekerId, key: &str)
    -> Result<Option<WorkflowId>, Error>;

    /// Keeps a script set under its content hash; durable on return. Idempotent.
    fn put_revision(&self, hash: RevisionHash, set: &ScriptSet) -> Result<(), Error>;

    fn revision(&self, hash: RevisionHash) -> Result<Option<ScriptSet>, Error>;

    /// The hashes of the script sets that are kept and begin like this, at most `limit`, in order.
    fn find_revisions(
        &self,
        prefix: &RevisionPrefix,
        limit: usize,
    ) -> Result<Vec<RevisionHash>, Error>;

    /// The newest entry of the history of revisions; `None` before the first.
    fn newest_served(&self) -> Result<Option<Served>, Error>;

    /// Entries of the history from the index `from` on, at most `limit`, in order.
    fn history(&self, from: u64, limit: usize) -> Result<Vec<Served>, Error>;

    /// The index of the newest entry of the ledger; 0 before the first.
    fn newest_posting(&self) -> Result<u64, Error>;

    /// Entries of the ledger from the index `from` on, at most `limit`, in order; of one account, or of
    /// all.
    fn postings(
        &self,
        of: Option<&Account>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Posting>, Error>;

    /// What an account holds.
    fn balance(&self, account: &Account) -> Result<Balance, Error>;

    /// Every account that anything was ever posted to, in order.
    fn balances(&self) -> Result<Vec<(Account, Balance)>, Error>;

    /// Counts one more start of the coordinator and gives the count; durable on return.
    fn next_epoch(&self) -> Result<u64, Error>;
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the journal at {path}: {reason}")]
    Open { path: String, reason: String },
    #[error("the journal at {path} is in use by another process")]
    Locked { path: String },
    #[error("the journal was written by version {found}, this program reads up to {known}")]
    Version { found: u32, known: u32 },
    #[error("cannot write the journal: {0}")]
    Write(String),
    #[error("cannot read the journal: {0}")]
    Read(String),
    #[error("a record of {workflow} at {seq} is damaged: {reason}")]
    Damaged {
        workflow: WorkflowId,
        seq: Seq,
        reason: String,
    },
    #[error("{workflow} has no place for record {seq}: {reason}")]
    OutOfOrder {
        workflow: WorkflowId,
        seq: Seq,
        reason: &'static str,
    },
    /// Somebody was faster: the compare-and-set of the history.
    #[error("entry {index} of the history does not follow entry {newest}")]
    HistoryMoved { index: u64, newest: u64 },
    #[error("entry {index} of the history is damaged: {reason}")]
    HistoryDamaged { index: u64, reason: String },
    #[error("entry {index} of the ledger does not follow entry {newest}")]
    LedgerMoved { index: u64, newest: u64 },
    #[error("entry {index} of the ledger is damaged: {reason}")]
    LedgerDamaged { index: u64, reason: String },
}

impl Error {
    /// A record that [`crate::encode`] refuses.
    pub fn unwritable(workflow: WorkflowId, seq: Seq, reason: impl Display) -> Self {
        Error::Write(format!("record {seq} of {workflow}: {reason}"))
    }

    /// An entry of the history that [`crate::encode_served`] refuses.
    pub fn unwritable_entry(index: u64, reason: impl Display) -> Self {
        Error::Write(format!("entry {index} of the history: {reason}"))
    }

    /// An entry of the history that is there and cannot be read, or one that should be there.
    pub fn history_damaged(index: u64, reason: impl Display) -> Self {
        let reason = reason.to_string();
        Error::HistoryDamaged { index, reason }
    }

    /// An entry of the ledger that [`crate::encode_posting`] refuses.
    pub fn unwritable_posting(index: u64, reason: impl Display) -> Self {
        Error::Write(format!("entry {index} of the ledger: {reason}"))
    }

    /// An entry of the ledger that is there and cannot be read, or one that should be there.
    pub fn ledger_damaged(index: u64, reason: impl Display) -> Self {
        let reason = reason.to_string();
        Error::LedgerDamaged { index, reason }
    }

    /// A script set under a hash that is not its own.
    pub fn not_its_hash(hash: RevisionHash) -> Self {
        Error::Write(format!("{hash} is not the hash of the script set"))
    }

    /// A record that is there and cannot be read, or one that should be there.
    pub fn damaged(workflow: WorkflowId, seq: Seq, reason: impl Display) -> Self {
        Error::Damaged {
            workflow,
            seq,
            reason: reason.to_string(),
        }
    }
}
