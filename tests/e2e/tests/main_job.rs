//! The main job, and what a verifier must refuse.

use froben_e2e::{Finished, Network, Options};

#[test]
fn a_file_becomes_a_bundle_that_verifies_and_nothing_else_does() {
    let network = Network::start(Options::default());
    // Not divisible by the segment.
    let file = network.file("data.bin", 5000);
    let data = format!("data={}", file.display());
    let bundle = network.path("bundle.bin");
    let submit = [
        "submit",
        "data_commitments",
        "--input",
        &data,
        "--set",
        "params=dev",
        "--wait",
        "-o",
    ];
    let submitted = network
        .froben(&[&submit[..], &[&bundle, "-o", "json"]].concat())
        .ok();

    let report = submitted.json();
    assert_eq!(report["workflow"]["state"], "succeeded");
    let stages = report["stages"].as_array().expect("stages").iter();
    let stages: Vec<_> = stages
        .map(|stage| stage["phase"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(stages, ["witness", "prove", "bundle"]);
    // Whatever proved says on what device.
    let delegations = report["delegations"].as_array().expect("delegations");
    let proofs = delegations
        .iter()
        .filter(|d| d["kind"] == "commitments.prove/1");
    for proof in proofs {
        assert!(
            proof["device"]
                .as_str()
                .is_some_and(|name| !name.is_empty()),
            "{proof:#}"
        );
        assert!(proof["machine"].as_str().is_some(), "{proof:#}");
    }

    let file_text = file.display().to_string();
    let verify = ["verify", &bundle, "--accept-dev", "--input", &file_text];
    let verified = network
        .froben(&[&verify[..], &["-o", "json"]].concat())
        .ok()
        .json();
    assert_eq!(verified["params"], "dev");
    assert_eq!(verified["segments"].as_array().map(Vec::len), Some(2));
    network.froben(&verify).ok();
    network.froben(&["verify", &bundle, "--accept-dev"]).ok();
    network
        .froben(&["verify", &bundle, "--input", &file_text])
        .refused(9, &["`dev`", "standard"]);

    refuses_tampering(&network, &bundle, &file_text);
    refuses_another_file(&network, &bundle, &file_text);

    let id = report["workflow"]["id"].as_str().expect("an id");
    network.sound_after_proof(id, &file);

    // An existing file is not overwritten by mistake.
    let again = network.froben(&[&submit[..], &[&bundle]].concat());
    again.refused(2, &["exists", "--force"]);
}

/// Flips bytes all over the bundle; each must be refused with a reason.
fn refuses_tampering(network: &Network, bundle: &str, file: &str) {
    let bytes = std::fs::read(bundle).expect("the bundle");
    let tampered = network.path("tampered.bin");
    let check = |what: &str, bytes: &[u8]| {
        std::fs::write(&tampered, bytes).expect("a file");
        let refused = network.froben(&["verify", &tampered, "--accept-dev", "--input", file]);
        assert_eq!(
            refused.code,
            Some(9),
            "{what}: {}{}",
            refused.stdout,
            refused.stderr
        );
        assert!(
            refused.stderr.starts_with("error: "),
            "{what}: {}",
            refused.stderr
        );
    };
    let last = bytes.len() - 1;
    for position in [0, 13, 20, 40, 80, 200, last / 4, last / 2, last - 40, last] {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1;
        check(&format!("byte {position}"), &bytes);
    }
    check("cut short", &bytes[..last / 2]);
    check("empty", &[]);
    check("longer", &[&bytes[..], &[0]].concat());
}

fn refuses_another_file(network: &Network, bundle: &str, file: &str) {
    let bytes = std::fs::read(file).expect("the file");
    let other = network.path("other.bin");
    let verify = |file: &str| network.froben(&["verify", bundle, "--accept-dev", "--input", file]);
    for position in [0, 4095, 4096, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1;
        std::fs::write(&other, bytes).expect("a file");
        let segment = format!("segment {}", position / 4096);
        verify(&other).refused(9, &[&segment]);
    }
    std::fs::write(&other, &bytes[..bytes.len() - 1]).expect("a file");
    verify(&other).refused(9, &["bytes"]);
}

#[test]
fn one_byte_is_enough_and_the_commands_around_it_work() {
    let network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let file = network.file("one.bin", 1);
    let data = format!("data={}", file.display());
    let submit = |key: &str| -> Finished {
        // With the parameters that are the default.
        let args = ["submit", "data_commitments", "--input", &data];
        network
            .froben(&[&args[..], &["--key", key, "-o", "json"]].concat())
            .ok()
    };
    let id = submit("k1").json()["workflow"]["id"]
        .as_str()
        .expect("an id")
        .to_string();
    let same = submit("k1").json()["workflow"]["id"]
        .as_str()
        .expect("an id")
        .to_string();
    assert_eq!(id, same, "one key starts one workflow");
    let bundle = network.fetch_and_verify(&id, &file).display().to_string();
    let file_text = file.display().to_string();
    let verified = network.froben(&["verify", &bundle, "--input", &file_text, "-o", "json"]);
    assert_eq!(verified.ok().json()["params"], "standard");
    assert_eq!(
        network.status(&id)["workflow"]["output"]["params"],
        "standard"
    );

    let list = network.froben(&["list", "-o", "json"]).ok().json();
    assert_eq!(list[0]["id"], id.as_str());
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    let logs = network.froben(&["logs", &id]).ok().stdout;
    assert!(
        logs.contains("submitted") && logs.contains("succeeded"),
        "{logs}"
    );
    let machines = network.froben(&["machines", "-o", "json"]).ok().json();
    assert_eq!(machines[0]["name"], "operator-1/machine-1");
    let pipelines = network.froben(&["pipelines", "-o", "json"]).ok().json();
    assert_eq!(pipelines[0]["name"], "data_commitments");
    // A workflow that is over can't be cancelled any more, and says so.
    let late = network.froben(&["cancel", &id, "-o", "json"]).ok().json();
    assert_eq!(late["state"], "succeeded");

    let file = network.file("larger.bin", 40_000);
    let id = network.submit(&file);
    let cancelled = network.froben(&["cancel", &id, "-o", "json"]).ok().json();
    assert_eq!(cancelled["state"], "cancelled");
    network.froben(&["wait", &id]).refused(8, &["cancelled"]);
    assert_eq!(network.status(&id)["workflow"]["state"], "cancelled");
    // What had been made until then is paid, and nothing else is.
    network.sound_after();

    // Another seeker sees nothing of it.
    network.issue("seeker", "stranger", &[]);
    let mut command = network.command_as("stranger", &["status", &id]);
    Finished::run(&mut command).refused(3, &["no such workflow"]);
}
