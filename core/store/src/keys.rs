//! Names of column families and forms of keys.

use froben_journal::{Account, Balance, Seq};
use froben_model::{OperatorId, SeekerId, WorkflowId};

pub(crate) const RECORDS: &str = "records";
pub(crate) const WORKFLOWS: &str = "workflows";
pub(crate) const KEYS: &str = "keys";
pub(crate) const REVISIONS: &str = "revisions";
pub(crate) const HISTORY: &str = "history";
/// Postings by index.
pub(crate) const LEDGER: &str = "ledger";
/// What each account holds.
pub(crate) const BALANCES: &str = "balances";
/// Account, then index: which postings an account is in.
pub(crate) const BY_ACCOUNT: &str = "by_account";
pub(crate) const META: &str = "meta";

pub(crate) const FAMILIES: [&str; 9] = [
    RECORDS, WORKFLOWS, KEYS, REVISIONS, HISTORY, LEDGER, BALANCES, BY_ACCOUNT, META,
];

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

/// An account's key: a letter for what it is, then its name, then a zero byte, which no name has; so that
/// no account's key begins another one's.
pub(crate) fn account(account: &Account) -> Vec<u8> {
    let (letter, name): (u8, &[u8]) = match account {
        Account::Seeker(seeker) => (b's', seeker.as_str().as_bytes()),
        Account::Operator(operator) => (b'o', operator.as_str().as_bytes()),
        Account::Budget(workflow) => (b'b', &workflow.0),
        Account::Held(workflow) => (b'h', &workflow.0),
    };
    [&[letter], name, &[0]].concat()
}

pub(crate) fn read_account(key: &[u8]) -> Option<Account> {
    let (letter, rest) = key.split_first()?;
    let (_, name) = rest.split_last()?;
    let text = || String::from_utf8(name.to_vec()).ok();
    match letter {
        b's' => Some(Account::Seeker(SeekerId::new(text()?).ok()?)),
        b'o' => Some(Account::Operator(OperatorId::new(text()?).ok()?)),
        b'b' => Some(Account::Budget(workflow(name)?)),
        b'h' => Some(Account::Held(workflow(name)?)),
        _ => None,
    }
}

pub(crate) fn balance(bytes: &[u8]) -> Option<Balance> {
    Some(Balance::from_be_bytes(bytes.try_into().ok()?))
}
