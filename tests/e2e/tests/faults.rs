//! Killing each part in the middle of the main job: it still ends in a verified bundle, all of which was paid
//! once.

use std::process::Command;

use froben_e2e::{Finished, Network, Options, Process, eventually, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const BYTES: usize = 3 * 4096 + 17;

#[test]
fn an_operator_is_killed() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    network.operators[0].take().expect("it runs").kill();
    network.sound_after_proof(&id, &file);
}

#[test]
fn a_worker_is_killed() {
    let network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    let daemon = network.operators[0].as_ref().expect("it runs");
    let workers = daemon.children();
    assert!(!workers.is_empty(), "the daemon has workers");
    for worker in &workers {
        kill(Pid::from_raw(*worker), Signal::SIGKILL).expect("it runs");
    }
    network.sound_after_proof(&id, &file);
    eventually("a new worker", || {
        let children = daemon.children();
        children
            .iter()
            .any(|child| !workers.contains(child))
            .then_some(())
    });
}

#[test]
fn the_coordinator_is_killed_twice() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    for done in [1, 6] {
        network.wait_for_stage(&id, "prove", done);
        network.coordinator.take().expect("it runs").kill();
        network.start_coordinator();
        assert_eq!(
            network.status(&id)["workflow"]["id"],
            id.as_str(),
            "the id survives"
        );
    }
    network.sound_after_proof(&id, &file);
    // What had been proved before was not proved again: an item counts once.
    let status = network.status(&id);
    let proofs = status["delegations"]
        .as_array()
        .expect("delegations")
        .iter();
    let proved = proofs
        .filter(|d| d["kind"] == "commitments.prove/1")
        .map(|d| d["items_ok"].as_u64().unwrap_or(0));
    assert_eq!(proved.sum::<u64>(), 16, "{status:#}");
}

#[test]
fn a_waiting_submit_outlives_the_coordinator() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let bundle = network.path("bundle.bin");
    let data = format!("data={}", file.display());
    let mut command = network.command(&[
        "submit",
        "data_commitments",
        "--input",
        &data,
        "--set",
        "params=dev",
        "--wait",
        "-o",
        &bundle,
    ]);
    let mut submit = Process::start_with("submit", &mut command);
    submit.wait_for("wf-");
    let said = submit.output();
    let at = said.find("wf-").expect("it has said its id");
    let id = said[at..at + 35].to_string();
    network.wait_for_stage(&id, "prove", 1);
    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    assert_eq!(submit.wait(), Some(0), "{}", submit.output());
    network.verify(std::path::Path::new(&bundle), &file).ok();
    network.sound_after_proof(&id, &file);
}

#[test]
fn nothing_is_left_running_after_the_end() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let mut operator = network.operators[0].take().expect("it runs");
    let workers = operator.children();
    assert!(!workers.is_empty(), "the daemon has workers");
    operator.signal(Signal::SIGTERM);
    assert_eq!(operator.wait(), Some(0), "{}", operator.output());
    for worker in workers {
        let gone = || kill(Pid::from_raw(worker), None).is_err().then_some(());
        eventually("the workers' end", gone);
    }
    let mut coordinator = network.coordinator.take().expect("it runs");
    coordinator.signal(Signal::SIGTERM);
    assert_eq!(coordinator.wait(), Some(0), "{}", coordinator.output());
}

#[test]
fn workers_end_with_a_daemon_that_is_killed() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let operator = network.operators[0].take().expect("it runs");
    let workers = operator.children();
    assert!(!workers.is_empty(), "the daemon has workers");
    operator.kill();
    for worker in workers {
        let gone = || kill(Pid::from_raw(worker), None).is_err().then_some(());
        eventually("the workers' end", gone);
    }
}

#[test]
fn the_network_of_froben_dev_keeps_its_parts_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().display().to_string();
    let dev = ["dev", "--until-stdin-closes", "--data", &data];
    let mut network = Process::start("dev", "froben", &dev);
    network.wait_for("ready");
    let said = network.output();
    let settings = said
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let settings: Vec<(String, String)> = settings
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let names: Vec<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "FROBEN_COORDINATOR",
        "FROBEN_IDENTITY",
        "FROBEN_ADMIN_IDENTITY",
    ];
    assert_eq!(names, expected, "{said}");

    let (file, bundle) = (
        folder.path().join("data.bin"),
        folder.path().join("bundle.bin"),
    );
    std::fs::write(&file, vec![7; BYTES]).expect("a file");
    let data = format!("data={}", file.display());
    let bundle_text = bundle.display().to_string();
    let mut submit = Command::new(program("froben"));
    submit
        .args([
            "submit",
            "data_commitments",
            "--input",
            &data,
            "--set",
            "params=dev",
            "--wait",
        ])
        .args(["-o", &bundle_text])
        .envs(settings);
    let mut submit = Process::start_with("submit", &mut submit);
    submit.wait_for("prove ");
    // The coordinator was started first, so it has the smallest process id; then an operator.
    let mut parts = network.children();
    parts.sort_unstable();
    assert_eq!(parts.len(), 3, "a coordinator and two operators");
    for part in &parts[..2] {
        kill(Pid::from_raw(*part), Signal::SIGKILL).expect("it runs");
    }
    assert_eq!(submit.wait(), Some(0), "{}", submit.output());
    let file = file.display().to_string();
    let verify = ["verify", &bundle_text, "--accept-dev", "--input", &file];
    Finished::run(Command::new(program("froben")).args(verify)).ok();

    assert_eq!(
        network.wait(),
        Some(0),
        "it ends when its standard input closes"
    );
    for part in parts {
        assert!(
            kill(Pid::from_raw(part), None).is_err(),
            "process {part} is left"
        );
    }
}
