//! What was measured, kept beside the compiled programs: one TOML file a device and driver.
//!
//! An entry is by kernel and field, or permutation, and holds for all its variants: a fold's for every arity
//! and degree, a pass's for both directions. A file of another format or of another device is not used, nor
//! is an entry that this version does not know or that the device cannot run, and the log says why.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::candidates::Limits;
use super::targets::targets;
use super::{Kept, Tunings};
use crate::device::Device;
use crate::storage::{self, Storage};

const FORMAT: u32 = 1;
const HEAD: &str = "\
# How kernels are laid out on this device, as `froben-operator tune` measured it.
# Sessions check these layouts against known answers before they use them; delete the file to go back to
# the defaults.

";

/// The file of one device.
#[derive(Clone, Debug)]
pub(crate) struct TuningFile {
    path: PathBuf,
    key: String,
    device: String,
    limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    device: String,
    /// Hash of all that the driver says of itself and of the device.
    key: String,
    #[serde(default)]
    kernel: Vec<toml::Table>,
}

/// One measured kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) kernel: String,
    pub(super) field: String,
    /// Hash of the program that was measured.
    pub(super) source: String,
    pub(super) default_ns: u64,
    pub(super) best_ns: u64,
    pub(super) layout: Kept,
}

/// A hash of parts, told apart.
pub(super) fn short_hash(parts: impl IntoIterator<Item = String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

impl TuningFile {
    /// The file of `device`; `None` where nothing is kept.
    pub(crate) fn new(storage: &Storage, device: &Device) -> Option<Self> {
        let key = short_hash(device.signature());
        let folder = storage.folder()?.join("tunings");
        Some(Self {
            path: folder.join(format!("{key}.toml")),
            key,
            device: device.to_string(),
            limits: Limits::of(device),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was measured on the device. What cannot be used is left out, and told.
    pub(crate) fn load(&self) -> Tunings {
        let (path, device) = (self.path.display(), &self.device);
        let (tunings, complaints) = match self.read() {
            Ok(Some(entries)) => self.choose(entries),
            Ok(None) => {
                tracing::info!(device, "not tuned: kernels use default layouts");
                return Tunings::default();
            }
            Err(complaint) => (Tunings::default(), vec![complaint]),
        };
        for complaint in complaints {
            tracing::warn!(%path, device, "default layouts are used: {complaint}");
        }
        tunings
    }

    /// Its entries as they stand there: another version may have written some of them.
    fn read(&self) -> Result<Option<Vec<toml::Table>>, String> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let Content {
            format,
            device: _,
            key,
            kernel,
        } = toml::from_str(&text).map_err(|error| error.to_string().trim().to_owned())?;
        if format != FORMAT {
            return Err(format!("the file's format is {format}, not {FORMAT}"));
        }
        if key != self.key {
            return Err("the file is of another device or driver".to_owned());
        }
        Ok(Some(kernel))
    }

    fn choose(&self, entries: Vec<toml::Table>) -> (Tunings, Vec<String>) {
        let (mut tunings, mut complaints) = (Tunings::default(), Vec::new());
        for entry in entries {
            let entry: Entry = match entry.try_into() {
                Ok(entry) => entry,
                Err(error) => {
                    let error = error.to_string();
                    complaints.push(format!("an entry cannot be read: {}", error.trim()));
                    continue;
                }
            };
            let known = targets().find(|target| {
                (target.kernel(), target.field()) == (&*entry.kernel, &*entry.field)
            });
            let complaint = match known {
                None => "does not exist",
                Some(target) if target.source_hash() != entry.source => {
                    "has changed since it was measured"
                }
                Some(target) if target.accept(entry.layout, self.limits, &mut tunings) => continue,
                Some(_) => "has a layout that the device cannot run",
            };
            let Entry { kernel, field, .. } = entry;
            complaints.push(format!("{kernel} over {field} {complaint}"));
        }
        (tunings, complaints)
    }

    /// Puts `entry` in the place of an older one.
    pub(super) fn save(&self, entry: Entry) -> io::Result<()> {
        let entry = toml::Table::try_from(entry).map_err(io::Error::other)?;
        let names = |entry: &toml::Table| {
            ["kernel", "field"].map(|name| entry.get(name)?.as_str().map(str::to_owned))
        };
        let mut kernel = self.read().ok().flatten().unwrap_or_default();
        kernel.retain(|old| names(old) != names(&entry));
        kernel.push(entry);
        kernel.sort_by_cached_key(names);
        let content = Content {
            format: FORMAT,
            device: self.device.clone(),
            key: self.key.clone(),
            kernel,
        };
        let text = toml::to_string(&content).map_err(io::Error::other)?;
        storage::write(&self.path, format!("{HEAD}{text}").as_bytes())
    }
}
