//! Faults under the main job: it ends in a bundle that verifies, whoever freezes, lies or goes.

use froben_e2e::{Network, Options, Process, Proxy, eventually, example};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const BYTES: usize = 2 * 4096 + 17;

#[test]
fn a_worker_that_freezes_is_ended_and_its_items_are_made_again() {
    let network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    let daemon = network.operators[0].as_ref().expect("it runs");
    let workers = daemon.children();
    assert!(!workers.is_empty(), "the daemon has workers");
    for worker in &workers {
        kill(Pid::from_raw(*worker), Signal::SIGSTOP).expect("it runs");
    }
    network.sound_after_proof(&id, &file);
    for worker in workers {
        let gone = || kill(Pid::from_raw(worker), None).is_err().then_some(());
        eventually("the frozen workers' end", gone);
    }
}

/// Two operators, of whom the second one can be cut off.
fn second_behind_a_proxy() -> (Network, Proxy) {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let proxy = Proxy::start(network.address());
    network.issue("operator", "operator-2", &[]);
    network.operators.push(None);
    network.start_operator_as(1, &[("--coordinator", proxy.address())], &[]);
    (network, proxy)
}

#[test]
fn a_partition_and_a_killed_coordinator_at_once() {
    let (mut network, proxy) = second_behind_a_proxy();
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    proxy.part();
    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    network.wait_for_stage(&id, "prove", 4);
    proxy.heal();
    network.sound_after_proof(&id, &file);
    let status = network.status(&id);
    let delegations = status["delegations"].as_array().expect("delegations");
    let proved = delegations
        .iter()
        .filter(|it| it["kind"] == "commitments.prove/1")
        .filter_map(|it| it["items_ok"].as_u64());
    assert_eq!(
        proved.sum::<u64>(),
        12,
        "each proof counts once: {status:#}"
    );
}

#[test]
fn who_was_cut_off_and_comes_back_late_has_lost_its_work() {
    let (mut network, proxy) = second_behind_a_proxy();
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    let call = freeze_at(&network, &id, 0);
    // Its worker goes on, and what it says waits on the way.
    proxy.part();
    let operator = network.operators[1].as_mut().expect("it runs");
    operator.signal(Signal::SIGCONT);
    operator.wait_for("lost the coordinator");
    eventually("somebody else's turn", || {
        let attempts = attempts_of(&network.trail(&id), "operator-2");
        let lost = attempts
            .iter()
            .any(|it| it["cause"]["class"] == "disconnected");
        lost.then_some(())
    });
    proxy.heal();
    second_is_back(&network);
    network.sound_after_proof(&id, &file);
    let lost = was_lost(&network, &id, Some(call));
    assert_eq!(lost["items_ok"], 0, "{lost:#}");
}

#[test]
fn who_takes_too_much_memory_is_ended_and_its_witnesses_are_made_elsewhere() {
    let mut network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    for name in ["operator-1", "operator-2"] {
        network.issue("operator", name, &[]);
        network.operators.push(None);
    }
    let puppet = example("puppet").display().to_string();
    // A witness claims 256 MiB.
    let args = ["--cpu-only", "--memory-slack", "32MiB"];
    let gorges = [("PUPPET_GORGES", "419430400")];
    network.start_operator_in(1, &[("--prover", &puppet)], &args, &gorges);
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    eventually("a witness at the second operator", || {
        let attempts = attempts_of(&network.trail(&id), "operator-2");
        (!attempts.is_empty()).then_some(())
    });
    network.start_operator(0);
    network.sound_after_proof(&id, &file);
    let attempts = attempts_of(&network.trail(&id), "operator-2");
    let mut ended = attempts.iter();
    let ended = ended.find(|it| it["cause"]["class"] == "out_of_memory");
    let ended = ended.unwrap_or_else(|| panic!("it was spared: {attempts:#?}"));
    let message = ended["cause"]["message"].to_string();
    assert!(message.contains("the worker occupied"), "{message}");
    assert!(
        attempts.iter().all(|it| it["items_ok"] == 0),
        "{attempts:#?}"
    );
}

fn attempts_of(trail: &[Value], operator: &str) -> Vec<Value> {
    let attempts = trail.iter().filter_map(|it| it["attempts"].as_array());
    let attempts = attempts.flatten().filter(|it| it["operator"] == operator);
    attempts.cloned().collect()
}

/// Freezes the second operator while it has a task of which `done` items have come, and others have not.
fn freeze_at(network: &Network, id: &str, done: u64) -> u64 {
    let second: &Process = network.operators[1].as_ref().expect("it runs");
    let caught = || {
        let status = network.status(id);
        let delegations = status["delegations"].as_array().expect("delegations");
        let mut caught = delegations.iter().filter(|it| {
            let at_second = it["machine"] == "operator-2/machine-1";
            at_second && it["kind"] == "commitments.prove/1" && it["state"] == "running"
        });
        let caught = caught.find(|it| it["items_ok"] == done && it["items_total"] != done);
        caught.map(|it| it["call"].as_u64().expect("a number"))
    };
    eventually("a task of the second operator", || {
        caught()?;
        second.signal(Signal::SIGSTOP);
        // What it had sent before is on its way.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let still = caught();
        if still.is_none() {
            second.signal(Signal::SIGCONT);
        }
        still
    })
}

/// The attempt of the second operator at a delegation has ended for want of its machine.
fn was_lost(network: &Network, id: &str, call: Option<u64>) -> Value {
    let trail = network.trail(id);
    let delegations = trail.into_iter();
    let delegations = delegations.filter(|it| call.is_none_or(|call| it["call"] == call));
    let attempts = attempts_of(&delegations.collect::<Vec<_>>(), "operator-2");
    let mut lost = attempts.iter();
    let lost = lost.find(|it| it["cause"]["class"] == "disconnected");
    let lost = lost.unwrap_or_else(|| panic!("nothing was lost: {attempts:#?}"));
    assert_eq!(lost["end"], "failed", "{lost:#}");
    lost.clone()
}

fn second_is_back(network: &Network) {
    eventually("the second operator's return", || {
        let machines = network.machines();
        let mut names = machines.iter().map(|it| &it["name"]);
        names
            .find(|name| **name == "operator-2/machine-1")
            .map(|_| ())
    });
}

#[test]
fn who_freezes_dies_half_way_or_is_revoked_is_replaced() {
    let mut network = Network::start(Options {
        // Who comes back is as good as anybody.
        policy: Some("newcomer_items = 0\n".to_string()),
        ..Options::default()
    });
    // Two proofs a task.
    let file = network.file("data.bin", 4096 + 17);

    let id = network.submit(&file);
    let call = freeze_at(&network, &id, 0);
    network.sound_after_proof(&id, &file);
    let lost = was_lost(&network, &id, Some(call));
    let message = lost["cause"]["message"].to_string();
    assert!(message.contains("silent"), "{message}");
    let second = network.operators[1].as_ref().expect("it runs");
    second.signal(Signal::SIGCONT);
    second_is_back(&network);
    network.sound_after();

    let id = network.submit(&file);
    let call = freeze_at(&network, &id, 1);
    network.operators[1].take().expect("it runs").kill();
    network.sound_after_proof(&id, &file);
    let lost = was_lost(&network, &id, Some(call));
    assert_eq!(lost["items_ok"], 1, "{lost:#}");
    let trail = network.trail(&id);
    let of = |call: u64| trail.iter().find(|it| it["call"] == call);
    let key = of(call).expect("it is there")["key"].as_str();
    let key = key
        .and_then(|key| key.strip_suffix("/1"))
        .expect("a first try");
    let again = trail.iter().find(|it| it["key"] == format!("{key}/2"));
    let again = again.expect("a second try");
    assert_eq!(
        again["items_total"], 1,
        "what had come is not made again: {again:#}"
    );

    network.start_operator(1);
    let id = network.submit(&file);
    freeze_at(&network, &id, 0);
    let second = network.operators[1].as_ref().expect("it runs");
    // Its workers stay frozen, so that the task is not over before the certificate is revoked.
    for worker in second.children() {
        kill(Pid::from_raw(worker), Signal::SIGSTOP).expect("it runs");
    }
    second.signal(Signal::SIGCONT);
    let ca = network.path("ca");
    network
        .ca(&["revoke", "--ca", &ca, "--name", "operator-2"])
        .ok();
    let second = network.operators[1].as_mut().expect("it runs");
    second.wait_for("has been revoked");
    network.sound_after_proof(&id, &file);
    let lost = was_lost(&network, &id, None);
    let message = lost["cause"]["message"].to_string();
    assert!(message.contains("revoked"), "{message}");
}

#[test]
fn who_lies_is_found_out_named_and_passed_over() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    network.issue("operator", "liar", &[]);
    network.operators.push(None);
    let puppet = example("puppet").display().to_string();
    let identity = network.path("liar");
    network.start_operator_as(1, &[("--prover", &puppet), ("--identity", &identity)], &[]);

    // One proof a circuit: few enough for whoever is honest to make again while others wait for it.
    let file = network.file("data.bin", 100);
    let id = network.submit(&file);
    network.fetch_and_hold_against(&id, &file);
    let logs = network.froben(&["logs", &id]).ok().stdout;
    // What looks like a proof is told by the bundle's verifier, what does not by the pipeline.
    let named = logs.lines().filter(|line| line.contains("liar"));
    let words: Vec<&str> = named.collect();
    assert!(
        words
            .iter()
            .any(|line| line.contains("by liar, does not hold")),
        "{logs}"
    );
    let status = network.status(&id);
    let delegations = status["delegations"].as_array().expect("delegations");
    // The first try of each; whom nobody else relieves within ten seconds may be asked again.
    let mended = delegations.iter().filter(|it| {
        let key = it["key"].as_str();
        key.is_some_and(|key| key.contains("again") && key.ends_with("/1"))
    });
    let mut any = false;
    for delegation in mended {
        any = true;
        assert_ne!(delegation["machine"], "liar/machine-1", "{status:#}");
    }
    assert!(any, "{status:#}");
    // The lies that looked right were paid, too, since nobody had checked them.
    let paid = network.sound_after();
    assert!(paid["commitments.prove/1"] > 4, "{paid:?}");
}
