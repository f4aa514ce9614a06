//! Whose values count: those that somebody trusted approves, and those that come late from who made them.

use froben_e2e::{Network, Options, Proxy, eventually, example};
use serde_json::Value;

const BYTES: usize = 2 * 4096 + 17;

const ONE: &str = r#"
return workflow("one", { input = { each_ms = "integer" }, output = { value = "integer" } }, function(ctx, input)
  local result = ctx:delegate({
    kind = "e2e.count/1",
    key = "one",
    items = { 7 },
    input = { each_ms = input.each_ms },
    needs = { cpu_cores = 1, ram = "64MiB", shared = true },
    timeout = "1m",
  }):await()
  return { value = result.items[1].value }
end)
"#;

fn attempts(delegation: &Value) -> &[Value] {
    delegation["attempts"].as_array().expect("attempts")
}

#[test]
fn where_results_are_checked_a_lie_is_neither_used_nor_paid() {
    let trust = ["operator-1", "operator-2"].iter();
    let trust = trust.flat_map(|name| ["--trust", name]);
    let mut network = Network::start(Options {
        coordinator_args: trust.map(str::to_string).collect(),
        ..Options::default()
    });
    network.issue("operator", "liar", &[]);
    network.operators.push(None);
    let puppet = example("puppet").display().to_string();
    let identity = network.path("liar");
    network.start_operator_as(2, &[("--prover", &puppet), ("--identity", &identity)], &[]);

    let file = network.file("data.bin", BYTES);
    let id = network.submit_with(&file, &["--set", "check=true"]);
    network.fetch_and_hold_against(&id, &file);

    let trail = network.trail(&id);
    let mut lies = 0;
    for delegation in &trail {
        let key = delegation["key"].as_str().expect("a key");
        // The bundle's maker found nothing to refuse.
        assert!(!key.contains("again"), "{delegation:#}");
        let checks = key.contains("/check/");
        for attempt in attempts(delegation) {
            let operator = attempt["operator"].as_str().expect("an operator");
            assert!(!checks || operator != "liar", "{delegation:#}");
            // One that was refused has told no lie.
            if operator == "liar" && attempt["end"] != "requeued" {
                assert_eq!(attempt["items_ok"], 0, "{delegation:#}");
                assert_eq!(
                    attempt["cause"]["class"], "invalid_result",
                    "{delegation:#}"
                );
                let message = attempt["cause"]["message"].to_string();
                assert!(message.contains("its check rejected it"), "{message}");
                lies += 1;
            }
        }
    }
    assert!(lies > 0, "the liar had something to lie about: {trail:#?}");
    // Three witnesses and twelve proofs count, each approved by somebody else than its maker.
    let approved = trail.iter().filter(|it| {
        let key = it["key"].as_str().expect("a key");
        key.contains("/check/") && it["state"] == "succeeded"
    });
    assert!(approved.count() >= 15, "{trail:#?}");

    let statement = network.statement("liar", "operator/liar");
    assert_eq!(statement["balance"], "0", "{statement:#}");
    let paid = network.sound_after();
    // Whoever found a lie was paid for that, too.
    let checks = paid["commitments.check/1"];
    assert!(checks > 15, "{paid:?}");
    let expected = [
        ("commitments.bundle/1".to_string(), 1),
        ("commitments.check/1".to_string(), checks),
        ("commitments.prove/1".to_string(), 12),
        ("commitments.witness/1".to_string(), 3),
    ];
    assert_eq!(paid, expected.into());
    network.figures_tell(&paid);
}

#[test]
fn who_is_trusted_counts_as_soon_as_ops_say_so() {
    let network = Network::start(Options {
        policy: Some(String::new()),
        ..Options::default()
    });
    let file = network.file("data.bin", 100);
    let submit = || network.submit_with(&file, &["--set", "check=true"]);
    let nobody_checks = |id: &str| {
        let waits = eventually("a check that waits", || {
            let status = network.status(id);
            let delegations = status["delegations"].as_array()?;
            let checked = delegations.iter().find(|it| it["state"] == "checking")?;
            let key = checked["key"].as_str()?;
            Some(format!("{key}/check/0"))
        });
        let why = network.froben(&["why", id, &waits]).ok().stdout;
        // One has made the item, and nobody trusts the other.
        assert!(why.contains("the task avoids operator"), "{why}");
        assert!(why.contains("is not trusted"), "{why}");
    };
    let id = submit();
    nobody_checks(&id);
    let both = "trusted = [\"operator-1\", \"operator-2\"]\n";
    network.change_policy(both, "policy.toml is in force");
    network.fetch_and_hold_against(&id, &file);
    let paid = network.sound_after();
    // A witness and four proofs, each checked.
    assert_eq!(paid["commitments.check/1"], 5, "{paid:?}");

    network.change_policy("trusted = \"nobody\"\n", "the rules stay as they were");
    let said = network.coordinator.as_ref().expect("it runs").output();
    assert!(
        said.contains("trusted is a list of names of operators"),
        "{said}"
    );
    let id = submit();
    network.fetch_and_hold_against(&id, &file);
    network.change_policy("trusted = []\n", "policy.toml is in force");
    let id = submit();
    nobody_checks(&id);
    network.froben(&["cancel", &id]).ok();
    let paid = network.sound_after();
    assert_eq!(paid["commitments.check/1"], 10, "{paid:?}");
    assert_eq!(
        paid["commitments.witness/1"], 2,
        "what nobody checked is not paid"
    );
}

#[test]
fn a_value_that_was_ready_when_all_went_dark_counts_once_they_meet_again() {
    let mut network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/one.lua", ONE.to_string())],
        ..Options::default()
    });
    let proxy = Proxy::start(network.address());
    network.issue("operator", "operator-1", &[]);
    network.operators.push(None);
    let puppet = example("puppet").display().to_string();
    let behind = [
        ("--prover", puppet.as_str()),
        ("--coordinator", proxy.address()),
    ];
    network.start_operator_as(0, &behind, &["--cpu-only"]);
    let submit = ["submit", "one", "--set", "each_ms=1000", "-o", "json"];
    let submitted = network.froben(&submit).ok().json();
    let id = submitted["workflow"]["id"]
        .as_str()
        .expect("an id")
        .to_string();
    eventually("a machine at work", || {
        let state = &network.status(&id)["delegations"][0]["state"];
        (state == "running").then_some(())
    });
    // The machine is cut off, and before the coordinator notices, it dies.
    proxy.part();
    network.coordinator.take().expect("it runs").kill();
    let operator = network.operators[0].as_mut().expect("it runs");
    operator.wait_for("lost the coordinator");
    network.start_coordinator();
    proxy.heal();
    network.froben(&["wait", &id]).ok();
    let trail = network.trail(&id);
    let attempts = attempts(&trail[0]);
    assert_eq!(attempts[0]["end"], "requeued", "{trail:#?}");
    assert_eq!(attempts[0]["items_ok"], 1, "{trail:#?}");
    for later in &attempts[1..] {
        assert_eq!(later["items_ok"], 0, "{trail:#?}");
    }
    let paid = network.sound_after();
    assert_eq!(paid, [("e2e.count/1".to_string(), 1)].into());
    // An attempt of before its start is one that it knows.
    network.figures_tell(&paid);
}
