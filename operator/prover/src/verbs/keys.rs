//! `keys`: what compressing proofs needs, in an operator's keystore.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use froben_circuits::Params;
use froben_compress::{Pinned, make_keys_file};

use super::End;
use crate::kinds::chain;

/// The manifest of a keystore, which `froben-operator run --keystore` reads.
const MANIFEST: &str = "manifest.toml";

#[derive(Debug, Args)]
pub struct Keys {
    /// The keystore: a folder, made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The proofs' parameters: `dev` or `standard`
    #[arg(long, value_name = "NAME", default_value = "standard")]
    params: Params,
}

pub(super) fn run(keys: &Keys) -> Result<End, End> {
    let Keys { dir, params } = keys;
    let pinned = Pinned::of(*params);
    let (name, bytes) = (pinned.keys_file_name(), pinned.keys_file_length());
    eprintln!(
        "{}: {bytes} bytes; made if it is not there, and checked: some seconds",
        dir.join(&name).display()
    );
    let path = make_keys_file(*params, dir).map_err(|error| End::Unexpected(chain(&error)))?;
    let digits = hex::encode(pinned.keys_file);
    list(dir, &name, &digits)
        .map_err(|error| End::Unexpected(format!("{}: {error}", dir.join(MANIFEST).display())))?;
    // Whoever reads it may have gone.
    let _ = writeln!(std::io::stdout(), "{digits}  {}", path.display());
    Ok(End::Done)
}

/// Adds an entry to the manifest, unless it has it.
fn list(dir: &Path, file: &str, sha256: &str) -> std::io::Result<()> {
    let path = dir.join(MANIFEST);
    let present = match fs::read_to_string(&path) {
        Ok(text) => text.contains(sha256),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if present {
        return Ok(());
    }
    let name = file.trim_end_matches(".bin");
    let entry = format!(
        "\n[[key]]\nname = \"{name}\"\nversion = \"1\"\nfile = \"{file}\"\nsha256 = \"{sha256}\"\n"
    );
    let mut manifest = OpenOptions::new().create(true).append(true).open(&path)?;
    manifest.write_all(entry.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_lists_each_file_once_and_keeps_what_it_had() {
        let dir = tempfile::tempdir().expect("a folder");
        let other = "[[key]]\nname = \"crs\"\nversion = \"1\"\nfile = \"a\"\nsha256 = \"00\"";
        fs::write(dir.path().join(MANIFEST), other).expect("a file");
        for _ in 0..2 {
            list(dir.path(), "setup-dev-17.bin", "ab12").expect("written");
        }
        let text = fs::read_to_string(dir.path().join(MANIFEST)).expect("a manifest");
        assert!(text.starts_with(&format!("{other}\n[[key]]")), "{text}");
        assert_eq!(text.matches("[[key]]").count(), 2, "{text}");
        assert!(text.contains("name = \"setup-dev-17\""), "{text}");
    }
}
