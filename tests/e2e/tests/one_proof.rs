//! The main job to one proof of all and to a SNARK: what it ends in, and that a machine may die in each of its stages.

use std::path::Path;
use std::process::Command;

use froben_e2e::{Finished, Network, Options, eventually, program};

/// Three segments, the last one short: the fewest that make a node of one circuit.
const BYTES: usize = 2 * 4096 + 17;

/// The number of the operator that is at a task of this kind.
fn busy_with(network: &Network, id: &str, kind: &str) -> usize {
    eventually(kind, || {
        let status = network.status(id);
        assert_ne!(status["workflow"]["state"], "failed", "{status:#}");
        assert_ne!(status["workflow"]["state"], "succeeded", "{status:#}");
        let delegations = status["delegations"].as_array()?.iter();
        let mut running = delegations.filter(|it| it["kind"] == kind && it["state"] == "running");
        let machine = running.next()?["machine"].as_str()?;
        let (operator, _) = machine.split_once('/')?;
        operator
            .strip_prefix("operator-")?
            .parse::<usize>()
            .ok()
            .map(|number| number - 1)
    })
}

/// Lets the operator die that is at a task of each stage, and gives the proof that comes of it.
fn with_deaths(network: &mut Network, file: &Path, until: &str, stages: &[&str]) -> Vec<u8> {
    let id = network.submit_with(file, &["--until", until]);
    for stage in stages {
        let number = busy_with(network, &id, &format!("commitments.{stage}/1"));
        network.operators[number].take().expect("it runs").kill();
        network.start_operator(number);
    }
    let proof = network.fetch_and_verify(&id, file);
    let paid = network.sound_after();
    let items = |stage: &str| paid.get(&format!("commitments.{stage}/1")).copied();
    assert_eq!(items("prove"), Some(12), "{paid:?}");
    for stage in ["tip", "schedule"] {
        assert_eq!(items(stage), Some(1), "{paid:?}");
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
