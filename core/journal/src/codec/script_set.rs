use std::collections::BTreeMap;

use froben_model::limits;
use froben_schema::convert::{Error, list_len, read_text};
use froben_schema::journal_capnp::script_set;

use crate::{RevisionHash, ScriptSet};

pub(super) fn write(set: &ScriptSet, builder: script_set::Builder<'_>) {
    let ScriptSet { files } = set;
    let mut list = builder.init_files(list_len(files.len()));
    for (i, (path, source)) in (0..).zip(files) {
        let mut file = list.reborrow().get(i);
        file.set_path(path);
        file.set_source(source);
    }
}

pub(super) fn read(reader: script_set::Reader<'_>) -> Result<ScriptSet, Error> {
    let mut files = BTreeMap::new();
    for file in reader.get_files()? {
        let path = read_text("a script's path", file.get_path()?, limits::TEXT_BYTES)?;
        let source = read_text("a script", file.get_source()?, limits::SCRIPT_BYTES)?;
        if files.insert(path.clone(), source).is_some() {
            let field = "a script set";
            return Err(Error::Duplicate { field, text: path });
        }
    }
    Ok(ScriptSet { files })
}

/// The content hash of a script set.
///
/// *Shape*: BLAKE3 over the number of files, then each path and source in path order, every number
/// and every length as 8 bytes, little-endian, before what it counts.
pub fn revision_hash(set: &ScriptSet) -> RevisionHash {
    let ScriptSet { files } = set;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(files.len() as u64).to_le_bytes());
    for text in files.iter().flat_map(|(path, source)| [path, source]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    RevisionHash(*hasher.finalize().as_bytes())
}
