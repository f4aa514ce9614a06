//! The store's twin in memory, for tests and the simulator.
//!
//! It takes and refuses what the real one does, and holds records in their encoded form, so that what
//! cannot survive a restart does not survive here either. Its disk fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use froben_model::{RevisionPrefix, SeekerId, WorkflowId};

use crate::order::{self, Known};
use crate::{
    Account, Balance, Batch, Error, Posting, Record, RevisionHash, ScriptSet, Seq, Served, Started,
    Store, decode, decode_posting, decode_scripts, decode_served, encode, encode_posting,
    encode_scripts, encode_served, revision_hash,
};

/// A journal in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    commits_to_fail: usize,
    crashed: bool,
}

/// What a crash leaves.
#[derive(Debug, Clone, Default)]
struct Disk {
    records: BTreeMap<WorkflowId, Vec<Vec<u8>>>,
    over: BTreeMap<WorkflowId, bool>,
    keys: BTreeMap<(SeekerId, String), WorkflowId>,
    revisions: BTreeMap<RevisionHash, Vec<u8>>,
    /// Entry 1 first.
    history: Vec<Vec<u8>>,
    /// Entry 1 first.
    ledger: Vec<Vec<u8>>,
    balances: BTreeMap<Account, Balance>,
    epoch: u64,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `n` commits fail and leave nothing.
    pub fn fail_next_commits(&self, n: usize) {
        self.state().commits_to_fail = n;
    }

    /// Gives the store that a restarted coordinator finds: everything that was committed. This one
    /// and its clones fail from here on, so that nobody writes from beyond the grave.
    pub fn crash(&self) -> MemoryStore {
        let mut state = self.state();
        state.crashed = true;
        let disk = std::mem::take(&mut state.disk);
        let state = State {
            disk,
            ..State::default()
        };
        MemoryStore {
            shared: Arc::new(Mutex::new(state)),
        }
    }

    /// A store of its own with everything that was committed to this one. This one goes on.
    pub fn copy(&self) -> MemoryStore {
        let disk = self.state().disk.clone();
        let state = State {
            disk,
            ..State::default()
        };
        MemoryStore {
            shared: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere must not hide behind this lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        match state.crashed {
            false => Ok(state),
            true => Err(Error::Read("the store has crashed".into())),
        }
    }
}

impl Known for Disk {
    fn next_seq(&self, workflow: WorkflowId) -> Result<Option<Seq>, Error> {
        Ok(self.records.get(&workflow).map(|list| list.len() as Seq))
    }

    fn key_holder(&self, seeker: &SeekerId, key: &str) -> Result<Option<WorkflowId>, Error> {
        let key = (seeker.clone(), key.to_owned());
        Ok(self.keys.get(&key).copied())
    }

    fn newest_index(&self) -> Result<u64, Error> {
        Ok(self.history.len() as u64)
    }

    fn newest_posting(&self) -> Result<u64, Error> {
        Ok(self.ledger.len() as u64)
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let mut state = self.alive()?;
        order::admit(batch, &state.disk)?;
        let encoded = batch
            .records
            .iter()
            .map(|(workflow, seq, record)| {
                let bytes =
                    encode(record).map_err(|reason| Error::unwritable(*workflow, *seq, reason))?;
                Ok((*workflow, bytes))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let served = encode_history(&batch.served)?;
        let postings = batch.postings.iter().map(|posting| {
            encode_posting(posting).map_err(|why| Error::unwritable_posting(posting.index, why))
        });
        let postings = postings.collect::<Result<Vec<_>, Error>>()?;
        if state.commits_to_fail > 0 {
            state.commits_to_fail -= 1;
            return Err(Error::Write("the disk failed, as it was told to".into()));
        }

        // From here on nothing fails: all of it or none of it.
        let disk = &mut state.disk;
        for started in &batch.started {
            let Started {
                workflow,
                seeker,
                idempotency_key,
            } = started;
            disk.over.insert(*workflow, false);
            if !idempotency_key.is_empty() {
                let key = (seeker.clone(), idempotency_key.clone());
                disk.keys.insert(key, *workflow);
            }
        }
        for (workflow, bytes) in encoded {
            disk.records.entry(workflow).or_default().push(bytes);
        }
        for workflow in &batch.finished {
            disk.over.insert(*workflow, true);
        }
        disk.history.extend(served);
        disk.ledger.extend(postings);
        for Posting {
            from, to, amount, ..
        } in &batch.postings
        {
            let amount = Balance::from(amount.0);
            *disk.balances.entry(from.clone()).or_default() -= amount;
            *disk.balances.entry(to.clone()).or_default() += amount;
        }
        Ok(())
    }

    fn read(
        &self,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<(Seq, Record)>, Error> {
        let state = self.alive()?;
        let records = state.disk.records.get(&workflow);
        let records = records.map(Vec::as_slice).unwrap_or_default();
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        (0..)
            .zip(records)
            .skip(skipped)
            .take(limit)
            .map(|(seq, bytes)| {
                let record =
                    decode(bytes).map_err(|reason| Error::damaged(workflow, seq, reason))?;
                Ok((seq, record))
            })
            .collect()
    }

    fn tail(&self, workflow: WorkflowId, limit: usize) -> Result<Vec<(Seq, Record)>, Error> {
        let held = {
            let state = self.alive()?;
            state.disk.records.get(&workflow).map_or(0, Vec::len)
        };
        self.read(workflow, held.saturating_sub(limit) as Seq, limit)
    }

    fn workflows(&self) -> Result<BTreeMap<WorkflowId, bool>, Error> {
        Ok(self.alive()?.disk.over.clone())
    }

    fn by_idempotency_key(
        &self,
        seeker: &SeekerId,
        key: &str,
    ) -> Result<Option<WorkflowId>, Error> {
        self.alive()?.disk.key_holder(seeker, key)
    }

    fn put_revision(&self, hash: RevisionHash, set: &ScriptSet) -> Result<(), Error> {
        let mut state = self.alive()?;
        if hash != revision_hash(set) {
            return Err(Error::not_its_hash(hash));
        }
        let bytes = encode_scripts(set)
            .map_err(|reason| Error::Write(format!("revision {hash}: {reason}")))?;
        state.disk.revisions.insert(hash, bytes);
        Ok(())
    }

    fn revision(&self, hash: RevisionHash) -> Result<Option<ScriptSet>, Error> {
        let state = self.alive()?;
        let bytes = state.disk.revisions.get(&hash);
        bytes
            .map(|bytes| decode_scripts(bytes))
            .transpose()
            .map_err(|reason| Error::Read(format!("revision {hash}: {reason}")))
    }

    fn find_revisions(
        &self,
        prefix: &RevisionPrefix,
        limit: usize,
    ) -> Result<Vec<RevisionHash>, Error> {
        let state = self.alive()?;
        let from = state.disk.revisions.range(prefix.first()..);
        let found = from
            .map(|(hash, _)| *hash)
            .take_while(|hash| prefix.admits(hash));
        Ok(found.take(limit).collect())
    }

    fn newest_served(&self) -> Result<Option<Served>, Error> {
        let newest = self.alive()?.disk.newest_index()?;
        Ok(self.history(newest, 1)?.pop())
    }

    fn history(&self, from: u64, limit: usize) -> Result<Vec<Served>, Error> {
        let state = self.alive()?;
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        (1..)
            .zip(&state.disk.history)
            .skip(skipped)
            .take(limit)
            .map(|(index, bytes)| {
                decode_served(bytes).map_err(|reason| Error::history_damaged(index, reason))
            })
            .collect()
    }

    fn newest_posting(&self) -> Result<u64, Error> {
        self.alive()?.disk.newest_posting()
    }

    fn postings(
        &self,
        of: Option<&Account>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        let state = self.alive()?;
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let all = (1..).zip(&state.disk.ledger).skip(skipped);
        let read = all.map(|(index, bytes)| {
            decode_posting(bytes).map_err(|why| Error::ledger_damaged(index, why))
        });
        let wanted = read.filter(|read| match (read, of) {
            (Ok(posting), Some(of)) => posting.from == *of || posting.to == *of,
            _ => true,
        });
        wanted.take(limit).collect()
    }

    fn balance(&self, account: &Account) -> Result<Balance, Error> {
        let state = self.alive()?;
        Ok(state.disk.balances.get(account).copied().unwrap_or(0))
    }

    fn balances(&self) -> Result<Vec<(Account, Balance)>, Error> {
        let state = self.alive()?;
        let balances = state.disk.balances.iter();
        Ok(balances
            .map(|(account, held)| (account.clone(), *held))
            .collect())
    }

    fn next_epoch(&self) -> Result<u64, Error> {
        let mut state = self.alive()?;
        state.disk.epoch += 1;
        Ok(state.disk.epoch)
    }
}

fn encode_history(served: &[Served]) -> Result<Vec<Vec<u8>>, Error> {
    let encoded = served.iter().map(|entry| {
        encode_served(entry).map_err(|reason| Error::unwritable_entry(entry.index, reason))
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Sample};

    #[test]
    fn it_is_a_store() {
        conformance::check(MemoryStore::new, |store| store.crash());
    }

    #[test]
    fn a_failed_commit_leaves_nothing_and_the_next_one_succeeds() {
        let store = MemoryStore::new();
        let batch = Sample::new(1).start("key", 3);
        store.fail_next_commits(2);
        for _ in 0..2 {
            assert!(matches!(store.commit(&batch), Err(Error::Write(_))));
            assert_eq!(store.workflows().unwrap(), BTreeMap::new());
        }
        store.commit(&batch).unwrap();
        assert_eq!(store.workflows().unwrap().len(), 1);
    }

    #[test]
    fn a_failed_entry_of_the_history_leaves_the_old_one() {
        let store = MemoryStore::new();
        store.commit(&conformance::entries([1])).unwrap();
        store.fail_next_commits(1);
        let next = conformance::entries([2]);
        assert!(matches!(store.commit(&next), Err(Error::Write(_))));
        let newest = store.newest_served().unwrap();
        assert_eq!(newest, Some(conformance::entry(1)));
        store.commit(&next).unwrap();
        assert_eq!(store.crash().history(1, 9).unwrap().len(), 2);
    }

    #[test]
    fn nobody_writes_after_a_crash() {
        let store = MemoryStore::new();
        let clone = store.clone();
        let sample = Sample::new(1);
        store.commit(&sample.start("key", 1)).unwrap();
        let after = store.crash();
        assert!(clone.commit(&sample.records(1..2)).is_err());
        assert!(clone.read(sample.workflow, 0, 9).is_err());
        assert_eq!(after.read(sample.workflow, 0, 9).unwrap().len(), 1);
    }
}
