//! Names of column families and forms of keys.

use froben_journal::Seq;
use froben_model::{SeekerId, WorkflowId};

pub(crate) const RECORDS: &str = "records";
pub(crate) const WORKFLOWS: &str = "workflows";
pub(crate) const KEYS: &str = "keys";
pub(crate) const REVISIONS: &str = "revisions";
pub(crate) const HISTORY: &str = "history";
pub(crate) const META: &str = "meta";

pub(crate) const FAMILIES: [&str; 6] = [RECORDS, WORKFLOWS, KEYS, REVISIONS, HISTORY, META];

pub(crate) const META_FORMAT: &[u8] = b"format";
pub(crate) const META_EPOCH: &[u8] = b"epoch";

pub(crate) const LIVE: [u8; 1] = [0];
pub(crate) const OVER: [u8; 1] = [1];

pub(crate) fn record(workflow: WorkflowId, seq: Seq) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&workflow.0);
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The seq in a record's key.
pub(crate) fn seq(key: &[u8]) -> Option<Seq> {
    let seq = key.get(16..)?.try_into().ok()?;
    Some(Seq::from_be_bytes(seq))
}

/// The index in a key of the history.
pub(crate) fn index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

pub(crate) fn workflow(bytes: &[u8]) -> Option<WorkflowId> {
    Some(WorkflowId(bytes.try_into().ok()?))
}

/// A seeker's name has no zero byte, so that no two pairs share a key.
pub(crate) fn idempotency(seeker: &SeekerId, key: &str) -> Vec<u8> {
    [seeker.as_str().as_bytes(), &[0], key.as_bytes()].concat()
}
