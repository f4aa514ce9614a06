//! Setup data that this machine holds: proving keys and the like.
//!
//! A folder with a `manifest.toml`. Every file of it is hashed before it is offered: a key that is not the
//! one that it is called gives proofs that verify against nothing, and the task would find out last.
//!
//! ```toml
//! [[key]]
//! name = "crs"
//! version = "2^24"
//! file = "setup_2^24.bin"
//! sha256 = "64 hex digits"
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use froben_model::{HeldKey, SetupKey, limits};
use froben_protocol::RunKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Error, Exit};

const MANIFEST: &str = "manifest.toml";
/// A manifest, in bytes.
const MANIFEST_BYTES: u64 = 1 << 20;
/// How much of a file is hashed at once.
const PIECE_BYTES: usize = 1 << 20;
/// Between two lines that say how far it is.
const TELL_EVERY_S: u64 = 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// For people; two versions of a key have two hashes.
    version: String,
    file: String,
    sha256: String,
}

/// The files of a keystore, each found to be what its manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keystore {
    keys: Vec<(HeldKey, String)>,
}

impl Keystore {
    /// What the machine offers.
    pub(crate) fn held(&self) -> Vec<HeldKey> {
        self.keys.iter().map(|(held, _)| held.clone()).collect()
    }

    /// Where these keys lie. A key is its content: what a task calls it is for the worker.
    ///
    /// *Errors*: the first that is not held.
    pub(crate) fn files(&self, keys: &[SetupKey]) -> Result<Vec<RunKey>, String> {
        let file = |key: &SetupKey| {
            let same = |(held, _): &&(HeldKey, String)| held.key.sha256 == key.sha256;
            let (_, path) = self
                .keys
                .iter()
                .find(same)
                .ok_or_else(|| format!("the keystore does not hold {key}"))?;
            Ok(RunKey {
                name: key.name.clone(),
                sha256: key.sha256,
                path: path.clone(),
            })
        };
        keys.iter().map(file).collect()
    }
}

/// Reads the manifest of a keystore and verifies every file that it names.
///
/// *Errors*: a manifest that does not read or names too much; a file that is missing, lies elsewhere, or
/// is not what the manifest says: one error names all of these.
pub(crate) fn open(dir: &Path) -> Result<Keystore, Error> {
    let path = dir.join(MANIFEST);
    let wrong = |why: String| Error::new(Exit::NotFound, format!("{}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(&path).map_err(|error| wrong(error.to_string()))?;
    let read = file.take(MANIFEST_BYTES).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    if manifest.key.len() > limits::SETUP_KEYS {
        let (keys, limit) = (manifest.key.len(), limits::SETUP_KEYS);
        return Err(wrong(format!("it has {keys} keys, the limit is {limit}")));
    }
    let mut seen = BTreeSet::new();
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    for entry in &manifest.key {
        match verify(dir, entry) {
            Ok(key) if seen.insert(key.0.key.sha256) => keys.push(key),
            Ok(_) => {}
            Err(why) => faults.push(format!("{} {}: {why}", entry.name, entry.version)),
        }
    }
    match faults.is_empty() {
        true => Ok(Keystore { keys }),
        false => Err(wrong(faults.join("; "))),
    }
}

/// The key and where it lies.
fn verify(dir: &Path, entry: &Entry) -> Result<(HeldKey, String), String> {
    let key = SetupKey::of(&entry.name, &entry.sha256).map_err(|error| error.to_string())?;
    if key.name.is_empty() || key.name.len() > limits::TEXT_BYTES {
        return Err(format!("its name is 1 to {} bytes", limits::TEXT_BYTES));
    }
    let relative = Path::new(&entry.file);
    let within = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !within {
        return Err(format!("`{}` is not a file of the folder", entry.file));
    }
    let path = dir.join(relative);
    let (found, bytes) = hash(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match found == key.sha256 {
        true => Ok((HeldKey { key, bytes }, absolute(&path)?)),
        false => Err(format!(
            "{} has the SHA-256 {}",
            path.display(),
            hex::encode(found)
        )),
    }
}

/// The path as a worker in any folder finds it, without links.
fn absolute(path: &Path) -> Result<String, String> {
    let path = path
        .canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let text = |path: PathBuf| path.into_os_string().into_string();
    text(path).map_err(|path| format!("{} is no UTF-8", path.display()))
}

/// The SHA-256 of a file, and its size in bytes.
fn hash(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    let (mut done, mut told) = (0, Instant::now());
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hasher.finalize().into(), done));
        }
        hasher.update(&piece[..read]);
        done += read as u64;
        if told.elapsed().as_secs() >= TELL_EVERY_S {
            told = Instant::now();
            let percent = done * 100 / total.max(1);
            eprintln!("verifying {}: {percent} %", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The outcome for a keystore with one file, `a`, and this manifest.
    fn opened(manifest: &str) -> Result<Vec<HeldKey>, String> {
        let dir = tempfile::tempdir().unwrap();
        opened_in(dir.path(), manifest).map(|keystore| keystore.held())
    }

    fn opened_in(dir: &Path, manifest: &str) -> Result<Keystore, String> {
        fs::write(dir.join("a"), "key").unwrap();
        fs::write(dir.join(MANIFEST), manifest).unwrap();
        open(dir).map_err(|error| error.to_string())
    }

    #[test]
    fn a_task_is_told_where_its_keys_lie() {
        let dir = tempfile::tempdir().unwrap();
        let digits = hex::encode(Sha256::digest(b"key"));
        let keystore = opened_in(dir.path(), &entry("a", &digits)).unwrap();
        let named = |name: &str, digits: &str| SetupKey::of(name, digits).unwrap();
        let files = keystore.files(&[named("crs", &digits), named("other", &digits)]);
        let files = files.unwrap();
        let names: Vec<_> = files.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["crs", "other"]);
        for key in &files {
            assert!(Path::new(&key.path).is_absolute(), "{key:?}");
            assert_eq!(fs::read(&key.path).unwrap(), b"key");
            assert_eq!(hex::encode(key.sha256), digits);
        }
        let missing = keystore.files(&[named("crs", &digits.replace('a', "b"))]);
        let why = missing.unwrap_err();
        assert!(why.starts_with("the keystore does not hold crs ("), "{why}");
    }

    fn entry(file: &str, sha256: &str) -> String {
        format!(
            "[[key]]\nname = \"crs\"\nversion = \"1\"\nfile = \"{file}\"\nsha256 = \"{sha256}\"\n"
        )
    }

    #[test]
    fn a_keystore_is_what_its_manifest_says() {
        let digits = hex::encode(Sha256::digest(b"key"));
        let good = entry("a", &digits);
        let key = HeldKey {
            key: SetupKey::of("crs", &digits).unwrap(),
            bytes: 3,
        };
        assert_eq!(opened(&good), Ok(vec![key.clone()]));
        assert_eq!(
            opened(&format!("{good}{good}")),
            Ok(vec![key]),
            "listed twice"
        );
        assert_eq!(opened(""), Ok(vec![]));
        let other = hex::encode(Sha256::digest(b"another"));
        for (manifest, why) in [
            (entry("a", &other), digits.as_str()),
            (entry("b", &digits), "No such file"),
            (entry("../a", &digits), "not a file of the folder"),
            (entry("/etc/passwd", &digits), "not a file of the folder"),
            (entry("a", "12"), "64 hex digits"),
            (good.replace("version", "versoin"), "unknown field"),
            ("key = 1".to_owned(), "invalid type"),
        ] {
            let error = opened(&manifest).unwrap_err();
            assert!(error.contains(why), "{error}, not: {why}");
        }
        let nowhere = open(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(nowhere.contains("manifest.toml"), "{nowhere}");
    }
}
