//! What is accepted is paid once, whoever dies meanwhile.

use std::collections::BTreeSet;

use froben_e2e::{Network, Options};

const BYTES: usize = 3 * 4096 + 17;

#[test]
fn everybody_is_paid_once_though_operator_and_coordinator_are_killed() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    network.operators[0].take().expect("it runs").kill();
    network.wait_for_stage(&id, "prove", 4);
    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    network.start_operator(0);
    network.sound_after_proof(&id, &file);

    // Four witnesses, 16 proofs and a bundle.
    let mut settled = BTreeSet::new();
    for operator in ["operator-1", "operator-2"] {
        let account = format!("operator/{operator}");
        let statement = network.statement(operator, &account);
        for posting in statement["postings"].as_array().expect("postings") {
            assert_eq!(posting["cause"], "settle", "{posting:#}");
            settled.insert(posting["index"].as_u64().expect("an index"));
        }
    }
    assert_eq!(settled.len(), 21);
    let seeker = network.statement("seeker", "seeker/seeker");
    assert_eq!(seeker["balance"], "-0.904", "{seeker:#}");

    // Nobody sees another one's.
    let mut command = network.command_as("operator-1", &["ledger", "operator/operator-2"]);
    let refused = froben_e2e::Finished::run(&mut command);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
}

#[test]
fn a_budget_that_does_not_reach_is_named() {
    let network = Network::start(Options::default());
    let file = network.file("data.bin", 100);
    let id = network.submit_with(&file, &["--budget", "0.041"]);
    // The witness has been paid.
    froben_e2e::eventually("a reason", || {
        let status = network.status(&id)["waiting"].to_string();
        status
            .contains("over what is left of the budget")
            .then_some(())
    });
    let why = network.froben(&["why", &id, "prove/keccak256/1-1/1"]).ok();
    let reasons = why
        .stdout
        .matches("would cost 0.05, and 0.04 is left of the budget");
    assert_eq!(reasons.count(), 2, "one for each machine: {}", why.stdout);
    let unknown = network.froben(&["why", &id, "prove/md5"]);
    assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
    network.froben(&["cancel", &id]).ok();
    let over = network.froben(&["why", &id, "5"]);
    assert!(over.stderr.contains("froben trail"), "{}", over.stderr);
    let paid = network.sound_after();
    assert_eq!(paid, [("commitments.witness/1".to_string(), 1)].into());
}
