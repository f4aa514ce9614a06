//! The store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use froben_journal::order::{self, Known};
use froben_journal::{
    Account, Balance, Batch, Error, Posting, Record, RevisionHash, ScriptSet, Seq, Served, Started,
    Store, decode, decode_posting, decode_scripts, decode_served, encode, encode_posting,
    encode_scripts, encode_served, revision_hash,
};
use froben_model::{RevisionPrefix, SeekerId, WorkflowId};
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, PrefixRange, WriteBatch};

use crate::{keys, options};

/// Of the column families and their keys; records have a version of their own. 2 added the ledger.
pub const FORMAT: u32 = 2;

/// A journal on disk. One process holds it at a time.
///
/// A commit is one write batch and one sync of the log. If the disk fails under it, or is full, the
/// batch does not count for this process and every further one is refused, until the journal is
/// opened again. What was committed is there then; the batch that failed may be or not, as nobody was
/// told of it.
pub struct RocksStore {
    db: DB,
    /// The seq that comes next, for every workflow that is not over. Held throughout a commit.
    next: Mutex<BTreeMap<WorkflowId, Seq>>,
}

impl RocksStore {
    /// Opens the journal in the directory `path`, made if there is none.
    ///
    /// *Errors*: [`Error::Locked`] while another process, or another store of this one, has it open;
    /// [`Error::Version`] if a newer program wrote it; [`Error::Open`] for the rest, damage included.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Open {
            path: path.display().to_string(),
            reason,
        };
        make_dir(path).map_err(|error| failed(error.to_string()))?;

        // A newer program may have families that we do not know. They must be opened to get as far
        // as its version.
        let database = options::database();
        let found = match path.join("CURRENT").exists() {
            true => DB::list_cf(&database, path).map_err(|error| failed(error.to_string()))?,
            false => Vec::new(),
        };
        let families: BTreeSet<&str> = found
            .iter()
            .map(String::as_str)
            .chain(keys::FAMILIES)
            .collect();
        let db = DB::open_cf_descriptors(&database, path, options::families(families)).map_err(
            |error| match is_lock(&error) {
                true => Error::Locked {
                    path: path.display().to_string(),
                },
                false => failed(error.to_string()),
            },
        )?;

        let store = RocksStore {
            db,
            next: Mutex::default(),
        };
        store.check_format(failed)?;
        let mut next = BTreeMap::new();
        for (workflow, over) in store.workflows()? {
            if !over {
                next.insert(workflow, store.next_on_disk(workflow)?);
            }
        }
        tracing::info!(path = %path.display(), live = next.len(), "journal open");
        *store.next() = next;
        Ok(store)
    }

    fn check_format(&self, failed: impl Fn(String) -> Error) -> Result<(), Error> {
        match self.get(keys::META, keys::META_FORMAT)? {
            Some(bytes) => {
                let found = bytes.as_slice().try_into().map(u32::from_be_bytes);
                match found {
                    Ok(found) if found > FORMAT => Err(Error::Version {
                        found,
                        known: FORMAT,
                    }),
                    Ok(FORMAT) => Ok(()),
                    // From here on it is ours: an older program would not keep the ledger.
                    Ok(_) => self.write_format(),
                    Err(_) => Err(failed("its format is not a number".into())),
                }
            }
            // Fresh, or its making was cut short before the first commit.
            None if self.workflows()?.is_empty() => self.write_format(),
            None => Err(failed("it has no format".into())),
        }
    }

    fn write_format(&self) -> Result<(), Error> {
        let mut write = WriteBatch::default();
        let format = FORMAT.to_be_bytes();
        write.put_cf(self.family(keys::META), keys::META_FORMAT, format);
        self.write(write)
    }

    fn family(&self, name: &'static str) -> &ColumnFamily {
        self.db
            .cf_handle(name)
            .expect("invariant: every family is opened or made")
    }

    fn next(&self) -> MutexGuard<'_, BTreeMap<WorkflowId, Seq>> {
        // What a commit that panicked left is right: the map changes only after the write.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db
            .get_cf_opt(self.family(family), key, &options::read())
            .map_err(read_error)
    }

    /// All of it on disk, or an error.
    fn write(&self, batch: WriteBatch) -> Result<(), Error> {
        self.db
            .write_opt(batch, &options::write())
            .map_err(|error| Error::Write(error.to_string()))
    }

    /// The index of the newest entry of a family that is keyed by index; 0 before the first.
    fn newest_of(&self, family: &'static str) -> Result<u64, Error> {
        let mut last =
            self.db
                .iterator_cf_opt(self.family(family), options::read(), IteratorMode::End);
        match last.next().transpose().map_err(read_error)? {
            None => Ok(0),
            Some((key, _)) => keys::index(&key)
                .ok_or_else(|| Error::Read(format!("a key of {family} is malformed"))),
        }
    }

    /// Puts postings, and what the accounts hold after them, into `write`.
    fn post(&self, postings: &[Posting], write: &mut WriteBatch) -> Result<(), Error> {
        let mut balances: BTreeMap<&Account, Balance> = BTreeMap::new();
        for posting in postings {
            let index = posting.index;
            let bytes =
                encode_posting(posting).map_err(|why| Error::unwritable_posting(index, why))?;
            write.put_cf(self.family(keys::LEDGER), index.to_be_bytes(), bytes);
            let amount = Balance::from(posting.amount.0);
            for (account, change) in [(&posting.from, -amount), (&posting.to, amount)] {
                let key = [keys::account(account).as_slice(), &index.to_be_bytes()].concat();
                write.put_cf(self.family(keys::BY_ACCOUNT), key, []);
                match balances.get_mut(account) {
                    Some(held) => *held += change,
                    None => {
                        balances.insert(account, self.balance(account)? + change);
                    }
                }
            }
        }
        for (account, held) in balances {
            let key = keys::account(account);
            write.put_cf(self.family(keys::BALANCES), key, held.to_be_bytes());
        }
        Ok(())
    }

    fn posting(&self, index: u64) -> Result<Posting, Error> {
        let bytes = self.get(keys::LEDGER, &index.to_be_bytes())?;
        read_posting(index, bytes.as_deref())
    }

    /// Entries of a family that is keyed by index, from `from` on, at most `limit`. `read` gets the bytes of
    /// each index in turn, or nothing for one that is missing before another.
    fn by_index<T>(
        &self,
        family: &'static str,
        from: u64,
        limit: usize,
        read: impl Fn(u64, Option<&[u8]>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let from = from.max(1);
        let first = from.to_be_bytes();
        let mode = IteratorMode::From(&first, Direction::Forward);
        let found = self
            .db
            .iterator_cf_opt(self.family(family), options::read(), mode);
        let entries = (from..=u64::MAX).zip(found.take(limit));
        let entries = entries.map(|(index, entry)| {
            let (key, bytes) = entry.map_err(read_error)?;
            let here = keys::index(&key) == Some(index);
            read(index, here.then_some(&*bytes))
        });
        entries.collect()
    }

    fn next_on_disk(&self, workflow: WorkflowId) -> Result<Seq, Error> {
        let mut options = options::read();
        options.set_iterate_range(PrefixRange(workflow.0));
        let records = self.family(keys::RECORDS);
        let mut last = self.db.iterator_cf_opt(records, options, IteratorMode::End);
        match last.next().transpose().map_err(read_error)? {
            None => Ok(0),
            Some((key, _)) => match keys::seq(&key) {
                Some(seq) => Ok(seq + 1),
                None => Err(Error::Read("a record's key is malformed".into())),
            },
        }
    }
}

/// What a commit is held against.
struct Written<'a> {
    store: &'a RocksStore,
    next: &'a BTreeMap<WorkflowId, Seq>,
}

impl Known for Written<'_> {
    fn next_seq(&self, workflow: WorkflowId) -> Result<Option<Seq>, Error> {
        if let Some(next) = self.next.get(&workflow) {
            return Ok(Some(*next));
        }
        match self.store.get(keys::WORKFLOWS, &workflow.0)? {
            Some(_) => Ok(Some(self.store.next_on_disk(workflow)?)),
            None => Ok(None),
        }
    }

    fn key_holder(&self, seeker: &SeekerId, key: &str) -> Result<Option<WorkflowId>, Error> {
        self.store.by_idempotency_key(seeker, key)
    }

    fn newest_index(&self) -> Result<u64, Error> {
        self.store.newest_of(keys::HISTORY)
    }

    fn newest_posting(&self) -> Result<u64, Error> {
        self.store.newest_of(keys::LEDGER)
    }
}

impl Store for RocksStore {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut next = self.next();
        let known = Written {
            store: self,
            next: &next,
        };
        let after = order::admit(batch, &known)?;

        let mut write = WriteBatch::default();
        for started in &batch.started {
            let Started {
                workflow,
                seeker,
                idempotency_key,
            } = started;
            write.put_cf(self.family(keys::WORKFLOWS), workflow.0, keys::LIVE);
            if !idempotency_key.is_empty() {
                let key = keys::idempotency(seeker, idempotency_key);
                write.put_cf(self.family(keys::KEYS), key, workflow.0);
            }
        }
        let records = self.family(keys::RECORDS);
        for (workflow, seq, record) in &batch.records {
            let bytes = encode(record).map_err(|why| Error::unwritable(*workflow, *seq, why))?;
            write.put_cf(records, keys::record(*workflow, *seq), bytes);
        }
        for workflow in &batch.finished {
            write.put_cf(self.family(keys::WORKFLOWS), workflow.0, keys::OVER);
        }
        for entry in &batch.served {
            let index = entry.index;
            let bytes = encode_served(entry).map_err(|why| Error::unwritable_entry(index, why))?;
            write.put_cf(self.family(keys::HISTORY), index.to_be_bytes(), bytes);
        }
        self.post(&batch.postings, &mut write)?;
        self.write(write)?;

        // A late record of a workflow that is over brings it back into the map, which costs a few
        // bytes until the next start.
        next.extend(after);
        for workflow in &batch.finished {
            next.remove(workflow);
        }
        Ok(())
    }

    fn read(
        &self,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<(Seq, Record)>, Error> {
        let mut options = options::read();
        options.set_iterate_range(PrefixRange(workflow.0));
        let first = keys::record(workflow, from);
        let mode = IteratorMode::From(&first, Direction::Forward);
        let records = self.family(keys::RECORDS);
        let found = self.db.iterator_cf_opt(records, options, mode);

        let mut read = Vec::new();
        for (seq, entry) in (from..=Seq::MAX).zip(found.take(limit)) {
            let (key, bytes) = entry.map_err(read_error)?;
            if keys::seq(&key) != Some(seq) {
                return Err(Error::damaged(workflow, seq, "it is missing"));
            }
            let record = decode(&bytes).map_err(|why| Error::damaged(workflow, seq, why))?;
            read.push((seq, record));
        }
        Ok(read)
    }

    fn tail(&self, workflow: WorkflowId, limit: usize) -> Result<Vec<(Seq, Record)>, Error> {
        // Not `next`, which forgets those that are over.
        let next = self.next_on_disk(workflow)?;
        self.read(workflow, next.saturating_sub(limit as Seq), limit)
    }

    fn workflows(&self) -> Result<BTreeMap<WorkflowId, bool>, Error> {
        let family = self.family(keys::WORKFLOWS);
        self.db
            .iterator_cf_opt(family, options::read(), IteratorMode::Start)
            .map(|entry| {
                let (key, state) = entry.map_err(read_error)?;
                let malformed = || Error::Read("the list of workflows is malformed".into());
                let workflow = keys::workflow(&key).ok_or_else(malformed)?;
                match <[u8; 1]>::try_from(&*state) {
                    Ok(keys::LIVE) => Ok((workflow, false)),
                    Ok(keys::OVER) => Ok((workflow, true)),
                    _ => Err(malformed()),
                }
            })
            .collect()
    }

    fn by_idempotency_key(
        &self,
        seeker: &SeekerId,
        key: &str,
    ) -> Result<Option<WorkflowId>, Error> {
        let holder = self.get(keys::KEYS, &keys::idempotency(seeker, key))?;
        holder
            .map(|bytes| {
                keys::workflow(&bytes)
                    .ok_or_else(|| Error::Read("an idempotency key is malformed".into()))
            })
            .transpose()
    }

    fn put_revision(&self, hash: RevisionHash, set: &ScriptSet) -> Result<(), Error> {
        if hash != revision_hash(set) {
            return Err(Error::not_its_hash(hash));
        }
        let bytes =
            encode_scripts(set).map_err(|why| Error::Write(format!("revision {hash}: {why}")))?;
        let mut write = WriteBatch::default();
        write.put_cf(self.family(keys::REVISIONS), hash.0, bytes);
        self.write(write)
    }

    fn revision(&self, hash: RevisionHash) -> Result<Option<ScriptSet>, Error> {
        self.get(keys::REVISIONS, &hash.0)?
            .map(|bytes| decode_scripts(&bytes))
            .transpose()
            .map_err(|why| Error::Read(format!("revision {hash}: {why}")))
    }

    fn find_revisions(
        &self,
        prefix: &RevisionPrefix,
        limit: usize,
    ) -> Result<Vec<RevisionHash>, Error> {
        let first = prefix.first();
        let mode = IteratorMode::From(&first.0, Direction::Forward);
        let family = self.family(keys::REVISIONS);
        let mut found = Vec::new();
        for entry in self.db.iterator_cf_opt(family, options::read(), mode) {
            let (key, _) = entry.map_err(read_error)?;
            let Ok(hash) = <[u8; 32]>::try_from(&*key) else {
                return Err(Error::Read("the list of revisions is malformed".into()));
            };
            let hash = RevisionHash(hash);
            if found.len() >= limit || !prefix.admits(&hash) {
                break;
            }
            found.push(hash);
        }
        Ok(found)
    }

    fn newest_served(&self) -> Result<Option<Served>, Error> {
        match self.newest_of(keys::HISTORY)? {
            0 => Ok(None),
            newest => Ok(self.history(newest, 1)?.pop()),
        }
    }

    fn history(&self, from: u64, limit: usize) -> Result<Vec<Served>, Error> {
        self.by_index(keys::HISTORY, from, limit, |index, bytes| {
            let bytes = bytes.ok_or_else(|| Error::history_damaged(index, "it is missing"))?;
            let entry = decode_served(bytes).map_err(|why| Error::history_damaged(index, why))?;
            match entry.index == index {
                true => Ok(entry),
                false => Err(Error::history_damaged(index, "it is another entry")),
            }
        })
    }

    fn newest_posting(&self) -> Result<u64, Error> {
        self.newest_of(keys::LEDGER)
    }

    fn postings(
        &self,
        of: Option<&Account>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        let from = from.max(1);
        let Some(account) = of else {
            return self.by_index(keys::LEDGER, from, limit, read_posting);
        };
        let prefix = keys::account(account);
        let first = [prefix.as_slice(), &from.to_be_bytes()].concat();
        let mut options = options::read();
        options.set_iterate_range(PrefixRange(prefix.clone()));
        let mode = IteratorMode::From(&first, Direction::Forward);
        let family = self.family(keys::BY_ACCOUNT);
        let found = self.db.iterator_cf_opt(family, options, mode);
        let read = found.take(limit).map(|entry| {
            let (key, _) = entry.map_err(read_error)?;
            let index = key.get(prefix.len()..).and_then(keys::index);
            let index =
                index.ok_or_else(|| Error::Read("a key of the ledger is malformed".into()))?;
            self.posting(index)
        });
        read.collect()
    }

    fn balance(&self, account: &Account) -> Result<Balance, Error> {
        let Some(bytes) = self.get(keys::BALANCES, &keys::account(account))? else {
            return Ok(0);
        };
        keys::balance(&bytes).ok_or_else(|| Error::Read("a balance is malformed".into()))
    }

    fn balances(&self) -> Result<Vec<(Account, Balance)>, Error> {
        let family = self.family(keys::BALANCES);
        let all = self
            .db
            .iterator_cf_opt(family, options::read(), IteratorMode::Start);
        let read = all.map(|entry| {
            let (key, bytes) = entry.map_err(read_error)?;
            let read = keys::read_account(&key).zip(keys::balance(&bytes));
            read.ok_or_else(|| Error::Read("a balance is malformed".into()))
        });
        read.collect()
    }

    fn next_epoch(&self) -> Result<u64, Error> {
        // The lock makes reading and writing it one step.
        let _alone = self.next();
        let epoch = match self.get(keys::META, keys::META_EPOCH)? {
            None => 1,
            Some(bytes) => match bytes.as_slice().try_into().map(u64::from_be_bytes) {
                Ok(epoch) => epoch + 1,
                Err(_) => return Err(Error::Read("the epoch is malformed".into())),
            },
        };
        let mut write = WriteBatch::default();
        write.put_cf(
            self.family(keys::META),
            keys::META_EPOCH,
            epoch.to_be_bytes(),
        );
        self.write(write)?;
        Ok(epoch)
    }
}

fn read_posting(index: u64, bytes: Option<&[u8]>) -> Result<Posting, Error> {
    let bytes = bytes.ok_or_else(|| Error::ledger_damaged(index, "it is missing"))?;
    let posting = decode_posting(bytes).map_err(|why| Error::ledger_damaged(index, why))?;
    match posting.index == index {
        true => Ok(posting),
        false => Err(Error::ledger_damaged(index, "it is another entry")),
    }
}

fn read_error(error: rocksdb::Error) -> Error {
    Error::Read(error.to_string())
}

/// RocksDB has no kind for it: these are its words for a lock of another process and of this one.
fn is_lock(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    text.contains("While lock file") || text.contains("lock hold by current process")
}

/// Makes `path` so that it is still there after a power cut.
fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    make_dir(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests;
