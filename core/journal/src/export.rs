//! One workflow in one file, which replays wherever it is read.
//!
//! *Shape*; numbers are little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `FRBNWKFL` |
//! | 1 | the version of this table |
//! | 1 | 1 if names are replaced by pseudonyms, else 0 |
//! | 16 | the workflow's id |
//! | 4 and so many | the version of the program that wrote it, UTF-8 |
//! | 4 and so many | the script set that the workflow keeps, as [`crate::encode_scripts`] writes it |
//! | 8 | how many records follow |
//! | 4 and so many, each | a record, as [`crate::encode`] writes it, from seq 0 without gaps |
//! | 32 | BLAKE3 of all bytes before |
//!
//! Script set and records have versions and checksums of their own, and old ones are read for ever; so
//! is this table. The file is not signed: it says what a workflow did, it proves nothing. It holds no
//! blobs, only their names: a replay needs none.

use froben_model::WorkflowId;

use crate::{
    Body, CodecError, RECORD_BYTES, Record, RevisionHash, SCRIPT_SET_BYTES, ScriptSet, decode,
    decode_scripts, encode, encode_scripts, revision_hash,
};

/// The largest export, in bytes: a journal at its quota, and what surrounds it.
pub const EXPORT_BYTES: usize = 256 << 20;

/// Of exports that are written now.
pub const EXPORT_FORMAT: u8 = 1;

const MAGIC: &[u8; 8] = b"FRBNWKFL";
const HASH_BYTES: usize = 32;
/// A program's version.
const WRITTEN_BY_BYTES: usize = 256;

/// A workflow, taken out of its coordinator.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    pub workflow: WorkflowId,
    /// Names of people and machines are pseudonyms, the same name always by the same one.
    pub pseudonyms: bool,
    /// The version of the program that wrote it.
    pub written_by: String,
    /// Of the revision that the workflow keeps.
    pub scripts: ScriptSet,
    /// From seq 0 without gaps.
    pub records: Vec<Record>,
}

/// Why bytes are no export, or an export cannot become bytes.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("it is not an export of a workflow")]
    Foreign,
    #[error("the export has format {found}, this program reads up to {known}")]
    Format { found: u8, known: u8 },
    #[error("the export has {bytes} bytes, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the export is damaged: {0}")]
    Damaged(&'static str),
    #[error("the export's {what}: {error}")]
    Part { what: String, error: CodecError },
}

impl Export {
    /// The revision that its workflow keeps: the last that it moved to.
    pub fn revision(&self) -> Option<RevisionHash> {
        kept_revision(&self.records)
    }

    /// *Errors*: an export that [`Export::read`] would refuse.
    pub fn write(&self) -> Result<Vec<u8>, ExportError> {
        self.check()?;
        let Export {
            workflow,
            pseudonyms,
            written_by,
            scripts,
            records,
        } = self;
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.push(EXPORT_FORMAT);
        out.push(u8::from(*pseudonyms));
        out.extend(workflow.0);
        put(&mut out, written_by.as_bytes());
        let scripts = encode_scripts(scripts).map_err(|error| part("scripts".into(), error))?;
        put(&mut out, &scripts);
        out.extend((records.len() as u64).to_le_bytes());
        for (seq, record) in records.iter().enumerate() {
            let record = encode(record).map_err(|error| part(format!("record {seq}"), error))?;
            put(&mut out, &record);
            within_limit(out.len() + HASH_BYTES)?;
        }
        let hash = blake3::hash(&out);
        out.extend(hash.as_bytes());
        within_limit(out.len())?;
        Ok(out)
    }

    /// *Errors*: bytes that are anything but a whole export, each in words for whoever has the file.
    pub fn read(bytes: &[u8]) -> Result<Export, ExportError> {
        within_limit(bytes.len())?;
        let rest = bytes.strip_prefix(MAGIC).ok_or(ExportError::Foreign)?;
        let found = *rest.first().ok_or(ExportError::Damaged("it is cut off"))?;
        if found == 0 || found > EXPORT_FORMAT {
            let known = EXPORT_FORMAT;
            return Err(ExportError::Format { found, known });
        }
        let cut = ExportError::Damaged("it is cut off, or was changed");
        let (content, hash) = bytes.split_last_chunk::<HASH_BYTES>().ok_or(cut)?;
        if blake3::hash(content) != blake3::Hash::from_bytes(*hash) {
            return Err(ExportError::Damaged("it is cut off, or was changed"));
        }

        let mut rest = Rest(&content[MAGIC.len() + 1..]);
        let pseudonyms = match rest.array::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err(ExportError::Damaged("a flag is neither 0 nor 1")),
        };
        let workflow = WorkflowId(rest.array()?);
        let written_by = std::str::from_utf8(rest.piece(WRITTEN_BY_BYTES)?)
            .map_err(|_| ExportError::Damaged("the program's version is not text"))?
            .to_owned();
        let scripts = decode_scripts(rest.piece(SCRIPT_SET_BYTES)?)
            .map_err(|error| part("scripts".into(), error))?;
        let count = u64::from_le_bytes(rest.array()?);
        // The count is not to be trusted with memory; the pieces are there or they are not.
        let mut records = Vec::new();
        for seq in 0..count {
            let record = decode(rest.piece(RECORD_BYTES)?)
                .map_err(|error| part(format!("record {seq}"), error))?;
            records.push(record);
        }
        if !rest.0.is_empty() {
            return Err(ExportError::Damaged("something follows its last record"));
        }
        let export = Export {
            workflow,
            pseudonyms,
            written_by,
            scripts,
            records,
        };
        export.check()?;
        Ok(export)
    }

    fn check(&self) -> Result<(), ExportError> {
        let first = self.records.first().map(|record| &record.body);
        if !matches!(first, Some(Body::Submitted(_))) {
            return Err(ExportError::Damaged("it does not begin with a submit"));
        }
        if self.revision() != Some(revision_hash(&self.scripts)) {
            let why = "its scripts are not those of its workflow";
            return Err(ExportError::Damaged(why));
        }
        if self.written_by.len() > WRITTEN_BY_BYTES {
            return Err(ExportError::Damaged("the program's version is too long"));
        }
        Ok(())
    }
}

/// The revision that a workflow with these records keeps.
pub fn kept_revision<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<RevisionHash> {
    let named = records.into_iter().filter_map(|record| match &record.body {
        Body::Submitted(submitted) => Some(submitted.revision),
        Body::Migrated { revision } => Some(*revision),
        _ => None,
    });
    named.last()
}

fn part(what: String, error: CodecError) -> ExportError {
    ExportError::Part { what, error }
}

fn within_limit(bytes: usize) -> Result<(), ExportError> {
    let limit = EXPORT_BYTES;
    match bytes <= limit {
        true => Ok(()),
        false => Err(ExportError::TooLarge { bytes, limit }),
    }
}

/// A piece behind its length. What is put was encoded within its own limit, far below 4 GiB.
fn put(out: &mut Vec<u8>, piece: &[u8]) {
    let length = u32::try_from(piece.len()).expect("invariant: every piece has a limit");
    out.extend(length.to_le_bytes());
    out.extend(piece);
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ExportError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    fn piece(&mut self, limit: usize) -> Result<&'a [u8], ExportError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > limit {
            return Err(ExportError::Damaged("a piece is larger than it may be"));
        }
        let (piece, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(piece)
    }
}

const SHORT: ExportError = ExportError::Damaged("a piece is longer than the file");

#[cfg(test)]
mod tests {
    use froben_model::{CallId, SeekerId, Value};

    use super::*;
    use crate::{CallOp, Called, Finish, Submitted};

    fn export() -> Export {
        let scripts = ScriptSet {
            files: [("pipelines/x.lua".to_owned(), "return 1".to_owned())].into(),
        };
        let submitted = Submitted {
            pipeline: "x".into(),
            revision: revision_hash(&scripts),
            seeker: SeekerId::new("seeker-1").unwrap(),
            idempotency_key: String::new(),
            input: Value::Nil,
            seed: 7,
            parent: None,
            forked_from: None,
            budget: None,
            wanted_by_ms: None,
        };
        let called = Called {
            call: CallId(1),
            line: 3,
            op: CallOp::Sleep { ms: 9 },
            fed: 0,
        };
        let bodies = [
            Body::Submitted(submitted),
            Body::Called(called),
            Body::Slept { call: CallId(1) },
            Body::Finished(Finish::Output(Value::Int(4))),
        ];
        let records = (0..)
            .zip(bodies)
            .map(|(time_ms, body)| Record { time_ms, body });
        Export {
            workflow: WorkflowId([3; 16]),
            pseudonyms: true,
            written_by: "0.1.0".into(),
            scripts,
            records: records.collect(),
        }
    }

    /// What the first version wrote. Never changed.
    const GOLDEN: &str = include_str!("../tests/golden/export-v1.hex");

    #[test]
    fn what_was_exported_once_is_read_for_ever() {
        let golden = hex::decode(GOLDEN.trim()).unwrap();
        assert_eq!(Export::read(&golden).unwrap(), export());
    }

    #[test]
    fn an_export_comes_back_as_it_was() {
        let bytes = export().write().unwrap();
        assert_eq!(Export::read(&bytes).unwrap(), export());
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let bytes = export().write().unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Export::read(&damaged).is_err(), "byte {at}");
            assert!(Export::read(&bytes[..at]).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(
            Export::read(&longer),
            Err(ExportError::Damaged(_))
        ));
    }

    #[test]
    fn what_it_is_not_is_said() {
        let mut bytes = export().write().unwrap();
        let said = |bytes: &[u8]| Export::read(bytes).unwrap_err().to_string();
        assert_eq!(said(b"-- a script\n"), "it is not an export of a workflow");
        bytes[8] = EXPORT_FORMAT + 1;
        assert_eq!(
            said(&bytes),
            "the export has format 2, this program reads up to 1"
        );
    }

    /// A checksum is no protection from somebody who means it.
    #[test]
    fn a_forged_length_costs_no_memory_and_is_refused() {
        let bytes = export().write().unwrap();
        let content = bytes.len() - HASH_BYTES;
        for at in 10..content - 4 {
            let mut forged = bytes[..content].to_vec();
            forged[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            let hash = blake3::hash(&forged);
            forged.extend(hash.as_bytes());
            if let Ok(read) = Export::read(&forged) {
                // The id is any sixteen bytes.
                assert!((10..26).contains(&at), "byte {at}: {read:?}");
            }
        }
    }

    #[test]
    fn an_export_that_contradicts_itself_is_neither_written_nor_read() {
        let mut other = export();
        other
            .scripts
            .files
            .insert("lib/y.lua".into(), String::new());
        assert!(matches!(other.write(), Err(ExportError::Damaged(_))));
        let mut headless = export();
        headless.records.remove(0);
        assert!(matches!(headless.write(), Err(ExportError::Damaged(_))));
        // A migrated workflow keeps the last revision.
        let revision = revision_hash(&other.scripts);
        other.records.push(Record {
            time_ms: 9,
            body: Body::Migrated { revision },
        });
        let bytes = other.write().unwrap();
        assert_eq!(Export::read(&bytes).unwrap().revision(), Some(revision));
    }
}
