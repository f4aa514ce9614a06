//! Faults under the main job: it ends in a bundle that verifies, whoever freezes, lies or goes.

use froben_e2e::{Network, Options, Proxy, eventually, example};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

#[test]
fn a_partition_and_a_killed_coordinator_at_once() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let proxy = Proxy::start(network.address());
    network.issue("operator", "operator-2", &[]);
    network.operators.push(None);
    network.start_operator_as(1, &[("--coordinator", proxy.address())], &[]);
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

    let file = network.file("data.bin", BYTES);
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
    assert!(paid["commitments.prove/1"] > 12, "{paid:?}");
}
