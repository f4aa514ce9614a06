//! What is accepted is paid once, whoever dies meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use froben_e2e::{Finished, Network, Options, micros};

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
    let refused = Finished::run(&mut command);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
}

#[test]
fn all_machines_of_an_operator_share_its_account() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    network.operators.push(None);
    let identity = network.path("operator-1");
    let other = [("--identity", identity.as_str()), ("--label", "machine-2")];
    network.start_operator_as(1, &other, &[]);
    let file = network.file("data.bin", 4096 + 17);
    let id = network.submit(&file);
    network.sound_after_proof(&id, &file);

    // By call and attempt, who had it.
    let mut machines = BTreeMap::new();
    for delegation in network.trail(&id) {
        for attempt in delegation["attempts"].as_array().expect("attempts") {
            let name = (delegation["name"].clone(), attempt["attempt"].clone());
            let name = format!("{},{}", name.0.as_str().expect("a name"), name.1);
            let machine = attempt["machine"].as_str().expect("a machine");
            machines.insert(name, machine.to_string());
        }
    }
    // Two witnesses, eight proofs and a bundle.
    let mut accounts = network.command_as("operator-1", &["ledger", "-o", "csv"]);
    let accounts = Finished::run(&mut accounts).ok().stdout;
    assert_eq!(accounts, "account,balance\noperator/operator-1,0.502\n");
    let ledger = ["ledger", "operator/operator-1", "-o", "csv"];
    let book = Finished::run(&mut network.command_as("operator-1", &ledger));
    let book = book.ok().stdout;
    let mut lines = book.lines();
    let head = "index,time_ms,workflow,call,attempt,cause,other,amount";
    assert_eq!(lines.next(), Some(head), "{book}");
    let mut earned: BTreeMap<String, i64> = BTreeMap::new();
    let (mut before, mut entries) = (0, 0);
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [
            index,
            time_ms,
            workflow,
            call,
            attempt,
            cause,
            other,
            amount,
        ] = fields[..]
        else {
            panic!("{line}");
        };
        let index: u64 = index.parse().expect("a number");
        assert!(index > before && time_ms.parse::<u64>().is_ok(), "{book}");
        let held = format!("held/{id}");
        assert_eq!((workflow, cause, other), (&*id, "settle", &*held), "{line}");
        let machine = machines[&format!("{call},{attempt}")].clone();
        *earned.entry(machine).or_default() += micros(&amount.into());
        (before, entries) = (index, entries + 1);
    }
    assert_eq!(entries, 11, "{book}");
    let names: Vec<&str> = earned.keys().map(String::as_str).collect();
    let both = ["operator-1/machine-1", "operator-1/machine-2"];
    assert_eq!(names, both, "{earned:?}");
    assert_eq!(earned.values().sum::<i64>(), 502_000, "{earned:?}");

    // The same, a page at a time.
    let first = Finished::run(
        &mut network.command_as("operator-1", &[&ledger[..], &["--limit", "3"]].concat()),
    );
    let first = first.ok().stdout;
    assert_eq!(
        first.lines().collect::<Vec<_>>(),
        book.lines().take(4).collect::<Vec<_>>()
    );
    let from = before.to_string();
    let last = Finished::run(
        &mut network.command_as("operator-1", &[&ledger[..], &["--from", &from]].concat()),
    );
    assert_eq!(last.ok().stdout.lines().last(), book.lines().last());
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
