//! Compiled programs, kept on disk between sessions.
//!
//! A file is found by the hash of all that its content depends on: source, options, device, driver. It
//! begins with a header that repeats the hash and has one of the content, so that a file that was cut
//! off, overwritten or moved is known for what it is. That says nothing of whether the driver made it
//! well; the known answers that a session runs before its first work do, and
//! [`Cache::distrust`] is what follows from a wrong one.
//!
//! A program that cannot be taken from here is compiled, and why is told in the log; nothing here is an
//! error of the caller's.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::device::Device;
use crate::driver::{Failure, Kernel, Queue};
use crate::storage::{self, Storage};

const MAGIC: &[u8; 8] = b"frobenCL";
/// Of the header, and of what the key is made of.
const FORMAT: u32 = 1;
const HASH_BYTES: usize = blake3::OUT_LEN;
/// Magic, format, key, hash of the binary, length of the binary.
const HEADER_BYTES: usize = 8 + 4 + 2 * HASH_BYTES + 8;
/// A device has about ten programs a field; a driver's update makes all of them anew.
const MOST_FILES: usize = 1024;

/// Where a kernel came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Source,
    Cache,
}

/// The compiled programs of one device.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    device: [String; 6],
    reads: bool,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Short,
    Magic,
    Format(u32),
    Key,
    Length { stated: u64, found: u64 },
    Checksum,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "it is shorter than its header"),
            Self::Magic => write!(f, "it is no compiled program of froben"),
            Self::Format(format) => write!(f, "its format is {format}, not {FORMAT}"),
            Self::Key => write!(f, "it is of another source, option, device or driver"),
            Self::Length { stated, found } => {
                write!(f, "it holds {found} bytes of a program of {stated}")
            }
            Self::Checksum => write!(f, "its content is not what was written"),
        }
    }
}

impl Cache {
    pub(crate) fn new(storage: &Storage, device: &Device) -> Self {
        Self {
            folder: storage.folder().map(|folder| folder.join("programs")),
            device: device.signature(),
            reads: true,
        }
    }

    /// Reads nothing from here on; what is compiled takes the place of what was read.
    pub(crate) fn distrust(&mut self) {
        self.reads = false;
    }

    /// The kernel `name` of a program: from a file if there is a good one, else compiled and kept.
    pub(crate) fn kernel(
        &self,
        queue: &Queue,
        source: &str,
        options: &str,
        name: &str,
    ) -> Result<(Kernel, Origin), Failure> {
        let Some(folder) = &self.folder else {
            let kernel = queue.build(source, options)?.kernel(name)?;
            return Ok((kernel, Origin::Source));
        };
        let key = self.key(source, options);
        let path = folder.join(format!("{name}-{}", &key.to_hex()[..32]));
        if self.reads
            && let Some(binary) = read(&path, &key)
        {
            let loaded = queue.load(&binary, options);
            match loaded.and_then(|program| program.kernel(name)) {
                Ok(kernel) => return Ok((kernel, Origin::Cache)),
                Err(failure) => tracing::warn!(
                    path = %path.display(),
                    ?failure,
                    "the driver refuses a compiled program that it made; it is compiled anew"
                ),
            }
        }
        let program = queue.build(source, options)?;
        let kernel = program.kernel(name)?;
        match program.binary() {
            Some(binary) => keep(folder, &path, &encode(&key, &binary)),
            None => tracing::debug!(name, "the driver does not give its programs away"),
        }
        Ok((kernel, Origin::Source))
    }

    fn key(&self, source: &str, options: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&FORMAT.to_le_bytes());
        let device = self.device.iter().map(String::as_str);
        for part in device.chain([options, source]) {
            // With its length, so that no two lists of parts run together to the same.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize()
    }
}

/// The binary of a good file.
fn read(path: &Path, key: &blake3::Hash) -> Option<Vec<u8>> {
    let warn = |why: &dyn fmt::Display| {
        let path = path.display();
        tracing::warn!(%path, %why, "a compiled program is not used; it is compiled anew");
    };
    match std::fs::read(path) {
        Ok(file) => match decode(&file, key) {
            Ok(binary) => Some(binary.to_vec()),
            Err(fault) => {
                warn(&fault);
                None
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            warn(&error);
            None
        }
    }
}

fn keep(folder: &Path, path: &Path, file: &[u8]) {
    let kept = storage::write(path, file).and_then(|()| storage::keep_newest(folder, MOST_FILES));
    if let Err(error) = kept {
        let path = path.display();
        tracing::warn!(%path, %error, "a compiled program is not kept");
    }
}

fn encode(key: &blake3::Hash, binary: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES + binary.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(key.as_bytes());
    file.extend_from_slice(blake3::hash(binary).as_bytes());
    file.extend_from_slice(&(binary.len() as u64).to_le_bytes());
    file.extend_from_slice(binary);
    file
}

fn decode<'a>(file: &'a [u8], key: &blake3::Hash) -> Result<&'a [u8], Fault> {
    let (magic, rest) = file.split_first_chunk::<8>().ok_or(Fault::Short)?;
    if magic != MAGIC {
        return Err(Fault::Magic);
    }
    let (format, rest) = rest.split_first_chunk().ok_or(Fault::Short)?;
    let format = u32::from_le_bytes(*format);
    if format != FORMAT {
        return Err(Fault::Format(format));
    }
    let (stated_key, rest) = rest.split_first_chunk::<HASH_BYTES>().ok_or(Fault::Short)?;
    let (checksum, rest) = rest.split_first_chunk::<HASH_BYTES>().ok_or(Fault::Short)?;
    let (length, binary) = rest.split_first_chunk().ok_or(Fault::Short)?;
    if stated_key != key.as_bytes() {
        return Err(Fault::Key);
    }
    let (stated, found) = (u64::from_le_bytes(*length), binary.len() as u64);
    if stated != found {
        return Err(Fault::Length { stated, found });
    }
    if blake3::hash(binary).as_bytes() != checksum {
        return Err(Fault::Checksum);
    }
    Ok(binary)
}

#[cfg(test)]
mod tests;
