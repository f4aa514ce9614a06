//! The main job to one proof of all and to a SNARK: what it ends in, and that a machine may die in each of its stages.

use std::path::Path;
use std::process::Command;

use froben_e2e::{Finished, Network, Options, eventually, program};

/// Three segments, the last one short: the fewest that make a node of one circuit.
const BYTES: usize = 2 * 4096 + 17;

/// The number of the operator that is at a task of this kind; none if the stage was over too soon to be seen.
fn busy_with(network: &Network, id: &str, kind: &str) -> Option<usize> {
    eventually(kind, || {
        let status = network.status(id);
        assert_ne!(status["workflow"]["state"], "failed", "{status:#}");
        let of_kind = |it: &&serde_json::Value| it["kind"] == kind;
        let mut all = status["delegations"].as_array()?.iter().filter(of_kind);
        if let Some(running) = all.clone().find(|it| it["state"] == "running") {
            let (operator, _) = running["machine"].as_str()?.split_once('/')?;
            let number: usize = operator.strip_prefix("operator-")?.parse().ok()?;
            return Some(Some(number - 1));
        }
        let over = status["workflow"]["state"] == "succeeded";
        (over || all.any(|it| it["state"] == "succeeded")).then_some(None)
    })
}

/// Lets the operator die that is at a task of each stage, and gives the proof that comes of it. Short stages are tried
/// again with another workflow until each was met.
fn with_deaths(network: &mut Network, file: &Path, until: &str, stages: &[&str]) -> Vec<u8> {
    let mut missed = stages.to_vec();
    let mut workflows = 0;
    let proof = loop {
        let id = network.submit_with(file, &["--until", until]);
        workflows += 1;
        missed.retain(|stage| {
            let Some(number) = busy_with(network, &id, &format!("commitments.{stage}/1")) else {
                return true;
            };
            network.operators[number].take().expect("it runs").kill();
            network.start_operator(number);
            false
        });
        let proof = network.fetch_and_verify(&id, file);
        if missed.is_empty() {
            break proof;
        }
        assert!(workflows < 5, "never met: {missed:?}");
    };
    let paid = network.sound_after();
    let items = |stage: &str| paid.get(&format!("commitments.{stage}/1")).copied();
    assert_eq!(items("prove"), Some(12 * workflows), "{paid:?}");
    for stage in ["tip", "schedule"] {
        assert_eq!(items(stage), Some(workflows), "{paid:?}");
    }
    assert_eq!(items("bundle"), None, "{paid:?}");
    refuses_all_else(network, &proof, file);
    std::fs::read(proof).expect("the proof")
}

#[test]
fn a_machine_dies_in_each_stage_of_the_tree() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let stages = ["leaf", "node", "tip", "schedule"];
    with_deaths(&mut network, &file, "aggregate", &stages);
}

#[test]
fn a_machine_dies_while_it_compresses() {
    let keystore = tempfile::tempdir().expect("a folder");
    let keystore = keystore.path().display().to_string();
    let mut keys = Command::new(program("froben-operator"));
    let keys = Finished::run(keys.args(["keys", &keystore, "--params", "dev"])).ok();
    assert!(keys.stdout.contains("setup-dev-"), "{}", keys.stdout);
    let mut network = Network::start(Options {
        operator_args: vec!["--keystore".to_owned(), keystore],
        ..Options::default()
    });
    let file = network.file("data.bin", BYTES);
    let proof = with_deaths(&mut network, &file, "snark", &["compress"]);
    assert!(proof.len() <= 5 << 10, "{} bytes", proof.len());

    // What a chain needs of it.
    let path = network.path("snark.bin");
    std::fs::write(&path, proof).expect("a file");
    let called = network.froben(&["proof", "calldata", &path]).ok();
    assert!(called.stdout.starts_with("0x"), "{}", called.stdout);
    assert!(called.stderr.contains("dev"), "{}", called.stderr);
    let out = network.path("contracts");
    let solidity = ["proof", "solidity", &path, "--out", &out];
    network.froben(&solidity).ok();
    let source = Path::new(&out).join("FrobenVerifier.sol");
    let source = std::fs::read_to_string(source).expect("a contract");
    assert!(source.contains("ORIGIN = \"dev\""), "{source}");
    network.froben(&solidity).refused(2, &["exists", "--force"]);
}

fn refuses_all_else(network: &Network, proof: &Path, file: &Path) {
    // Whoever made the proof chose its parameters.
    let [proof_text, file_text] = [proof, file].map(|path| path.display().to_string());
    let strict = network.froben(&["verify", &proof_text, "--input", &file_text]);
    strict.refused(9, &["`dev`", "--accept-dev"]);

    let bytes = std::fs::read(file).expect("the file");
    let other = network.folder().join("other.bin");
    for (what, bytes) in [
        (
            "changed",
            [&bytes[..BYTES - 1], &[bytes[BYTES - 1] ^ 1]].concat(),
        ),
        ("cut", bytes[..BYTES - 1].to_vec()),
        ("longer", [&bytes[..], &[0]].concat()),
        ("swapped", [&bytes[4096..], &bytes[..4096]].concat()),
    ] {
        std::fs::write(&other, bytes).expect("a file");
        let refused = network.verify(proof, &other);
        assert_eq!(refused.code, Some(9), "{what}: {}", refused.stderr);
    }

    let bytes = std::fs::read(proof).expect("the proof");
    let tampered = network.folder().join("tampered.bin");
    let last = bytes.len() - 1;
    let flip = |position: usize| {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1;
        bytes
    };
    let places = [0, 13, 20, 30, 60, 200, last / 4, last / 2, last - 40, last];
    let mut changed: Vec<Vec<u8>> = places.into_iter().map(flip).collect();
    changed.push(bytes[..last / 2].to_vec());
    changed.push([&bytes[..], &[0]].concat());
    for (at, bytes) in changed.into_iter().enumerate() {
        std::fs::write(&tampered, bytes).expect("a file");
        let refused = network.verify(&tampered, file);
        assert_eq!(refused.code, Some(9), "change {at}: {}", refused.stderr);
        assert!(refused.stderr.starts_with("error: "), "{}", refused.stderr);
    }
}
