//! Holds the crates' dependencies against docs/ARCHITECTURE.md: edges point down, and each foreign
//! library has one door.
//!
//! Reads the manifests themselves: a line `name.workspace = true` or `name = ...` under
//! `[dependencies]`. Test-only dependencies are free.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::build;

/// Each of our crates, and which of ours it may use.
const EDGES: [(&str, &[&str]); 23] = [
    ("froben-model", &[]),
    ("froben-schema", &["froben-model"]),
    ("froben-wire", &["froben-model", "froben-schema"]),
    ("froben-scheduler", &["froben-model"]),
    ("froben-journal", &["froben-model", "froben-schema"]),
    ("froben-store", &["froben-model", "froben-journal"]),
    ("froben-script", &["froben-model"]),
    ("froben-blobs", &["froben-model"]),
    (
        "froben-engine",
        &[
            "froben-model",
            "froben-scheduler",
            "froben-journal",
            "froben-script",
        ],
    ),
    (
        "froben-server",
        &[
            "froben-model",
            "froben-schema",
            "froben-wire",
            "froben-engine",
            "froben-blobs",
        ],
    ),
    ("froben-typecheck", &[]),
    (
        "froben-author",
        &[
            "froben-model",
            "froben-scheduler",
            "froben-journal",
            "froben-script",
            "froben-engine",
        ],
    ),
    (
        "froben-cli",
        &[
            "froben-author",
            "froben-sim",
            "froben-model",
            "froben-schema",
            "froben-wire",
            "froben-journal",
            "froben-store",
            "froben-blobs",
            "froben-engine",
            "froben-server",
            "froben-circuits",
            "froben-recursion",
            "froben-compress",
        ],
    ),
    ("froben-protocol", &["froben-model"]),
    (
        "froben-operator",
        &[
            "froben-model",
            "froben-schema",
            "froben-wire",
            "froben-protocol",
        ],
    ),
    ("froben-circuits", &[]),
    ("froben-recursion", &["froben-circuits"]),
    ("froben-compress", &["froben-circuits", "froben-recursion"]),
    ("froben-opencl", &[]),
    (
        "froben-prover",
        &[
            "froben-model",
            "froben-protocol",
            "froben-circuits",
            "froben-recursion",
            "froben-compress",
            "froben-opencl",
        ],
    ),
    (
        "froben-bench",
        &[
            "froben-model",
            "froben-journal",
            "froben-script",
            "froben-store",
            "froben-engine",
        ],
    ),
    ("froben-e2e", &[]),
    (
        "froben-sim",
        &[
            "froben-model",
            "froben-journal",
            "froben-script",
            "froben-engine",
        ],
    ),
];

/// Each foreign library that has a door, and who may name it.
const DOORS: [(&str, &[&str]); 16] = [
    ("mlua", &["froben-script"]),
    ("rustc-hash", &["froben-scheduler", "froben-script"]),
    ("rocksdb", &["froben-store"]),
    ("ocl", &["froben-opencl"]),
    ("object_store", &["froben-blobs"]),
    ("halo2-base", &["froben-compress"]),
    ("snark-verifier", &["froben-compress"]),
    ("stylua", &["froben-author"]),
    ("full_moon", &["froben-author"]),
    ("annotate-snippets", &["froben-author"]),
    ("luau-analyze", &["froben-typecheck"]),
    ("similar", &["froben-author"]),
    ("notify", &["froben-cli"]),
    ("prometheus-client", &["froben-server"]),
    ("hyper", &["froben-server"]),
    (
        "capnp-rpc",
        &["froben-wire", "froben-server", "froben-operator"],
    ),
];

pub(crate) fn check() -> Result<(), String> {
    let manifests = manifests(build::root())?;
    let wrong = violations(&manifests);
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the crates do not stand as docs/ARCHITECTURE.md says:\n  {}",
            wrong.join("\n  ")
        )),
    }
}

/// Crate name -> names of its dependencies.
type Manifests = BTreeMap<String, BTreeSet<String>>;

fn violations(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, dependencies) in manifests {
        if name == "xtask" {
            if !dependencies.is_empty() {
                wrong.push("xtask has dependencies".to_string());
            }
            continue;
        }
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in dependencies {
            if dependency.starts_with("froben-") && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} uses {dependency}"));
            }
            let door = DOORS.iter().find(|(library, _)| library == dependency);
            if door.is_some_and(|(_, doors)| !doors.contains(&name.as_str())) {
                wrong.push(format!(
                    "{name} names {dependency}, whose door is elsewhere"
                ));
            }
        }
    }
    wrong
}

fn manifests(root: &Path) -> Result<Manifests, String> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let workspace = read(&root.join("Cargo.toml"))?;
    let members = workspace
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(members, _)| members)
        .ok_or("the root manifest has no members")?;
    let folders = members
        .split(',')
        .map(|m| m.trim().trim_matches('"'))
        .filter(|m| !m.is_empty());
    folders
        .map(|folder| Ok(parse(&read(&root.join(folder).join("Cargo.toml"))?)))
        .collect()
}

fn parse(manifest: &str) -> (String, BTreeSet<String>) {
    let (mut section, mut name, mut dependencies) = ("", String::new(), BTreeSet::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let key = key.trim();
            if section == "[package]" && key == "name" {
                name = value.trim().trim_matches('"').to_string();
            } else if section == "[dependencies]" {
                let crate_name = key.split('.').next().unwrap_or(key);
                dependencies.insert(crate_name.to_string());
            }
        }
    }
    (name, dependencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_stands_as_the_table_says() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn a_wrong_edge_and_a_second_door_are_found() {
        let manifest = "[package]\nname = \"froben-scheduler\"\n[dependencies]\n\
                        froben-engine.workspace = true\nrocksdb = \"1\"\n\
                        [dev-dependencies]\nmlua = \"1\"\n";
        let manifests = Manifests::from([parse(manifest)]);
        assert_eq!(
            violations(&manifests),
            [
                "froben-scheduler uses froben-engine",
                "froben-scheduler names rocksdb, whose door is elsewhere"
            ]
        );
    }
}
