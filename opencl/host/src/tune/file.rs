//! What was measured, kept beside the compiled programs: one TOML file a device and driver.
//!
//! An entry is by kernel and field, and holds for all its variants: a fold's for every arity and degree,
//! a pass's for both directions. A file of another format, of another
//! device, or with numbers that the device cannot run is not used, and the log says why.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::candidates::Limits;
use super::search::targets;
use super::{Tuning, Tunings};
use crate::device::Device;
use crate::field::Field;
use crate::program::{Operation, program};
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
    kernel: Vec<Entry>,
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
    pub(super) layout: Tuning,
}

/// The hash that an entry of today's source has.
pub(super) fn source_hash<F: Field>(operation: Operation) -> String {
    short_hash([false, true].map(|in_lanes| program::<F>(operation, in_lanes).1))
}

fn short_hash<const N: usize>(parts: [String; N]) -> String {
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
            Ok(Some(entries)) => self.choose(&entries),
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

    fn read(&self) -> Result<Option<Vec<Entry>>, String> {
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

    fn choose(&self, entries: &[Entry]) -> (Tunings, Vec<String>) {
        let (mut tunings, mut complaints) = (Tunings::default(), Vec::new());
        for entry in entries {
            let known = targets().find(|target| {
                (target.kernel(), target.field()) == (&*entry.kernel, &*entry.field)
            });
            let complaint = match known {
                None => "does not exist",
                Some(target) if target.source_hash() != entry.source => {
                    "has changed since it was measured"
                }
                Some(_) if !self.limits.allow(entry.layout) => {
                    "has a layout that the device cannot run"
                }
                Some(target) => {
                    tunings.set(target.operation(), target.field(), entry.layout);
                    continue;
                }
            };
            let Entry { kernel, field, .. } = entry;
            complaints.push(format!("{kernel} over {field} {complaint}"));
        }
        (tunings, complaints)
    }

    /// Puts `entry` in the place of an older one.
    pub(super) fn save(&self, entry: Entry) -> io::Result<()> {
        let mut kernel = self.read().ok().flatten().unwrap_or_default();
        kernel.retain(|old| (&old.kernel, &old.field) != (&entry.kernel, &entry.field));
        kernel.push(entry);
        kernel.sort_by(|a, b| (&a.kernel, &a.field).cmp(&(&b.kernel, &b.field)));
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
