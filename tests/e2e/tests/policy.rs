//! What ops set in the policy file, before and while the coordinator runs: hedging, and what seekers weigh.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use froben_e2e::{Finished, Network, Options, Process, eventually, example};
use nix::sys::signal::Signal;
use serde_json::Value;

/// One task of many items.
const STREAM: &str = r#"
return workflow("stream", {
  input = { items = "integer", each_ms = "integer" },
  output = { total = "integer" },
}, function(ctx, input)
  local items = {}
  for index = 1, input.items do
    items[index] = index
  end
  local result = ctx:delegate({
    kind = "e2e.count/1", key = "stream", items = items, input = { each_ms = input.each_ms },
    needs = { cpu_cores = 1, ram = "64MiB", shared = true }, timeout = "1m",
  }):await()
  local total = 0
  for _, item in ipairs(result.items) do
    total += if item.ok then 1 else 0
  end
  return { total = total }
end)
"#;

/// Many tasks of one item, all at once.
const MANY: &str = r#"
return workflow("many", {
  input = { tasks = "integer", each_ms = "integer" },
  output = { total = "integer" },
}, function(ctx, input)
  local running = {}
  for task = 1, input.tasks do
    running[task] = ctx:delegate({
      kind = "e2e.count/1", key = `task/{task}`, items = { task }, input = { each_ms = input.each_ms },
      needs = { cpu_cores = 1, ram = "64MiB", shared = true }, timeout = "1m",
    })
  end
  local total = 0
  for _, item in ctx:stream(running) do
    total += if item.ok then 1 else 0
  end
  return { total = total }
end)
"#;

/// So that few items make a kind known, and a straggler is one soon.
const HEDGING: &str =
    "learn_after = 5\nnewcomer_items = 0\nhedge_floor_ms = 200\nhedge_again_ms = 100\n";

/// A network with certificates for two operators, none of which is up.
fn network(policy: String) -> Network {
    let mut network = Network::start(Options {
        operators: 0,
        policy: Some(policy),
        scripts: vec![
            ("pipelines/stream.lua", STREAM.to_string()),
            ("pipelines/many.lua", MANY.to_string()),
        ],
        ..Options::default()
    });
    for name in ["operator-1", "operator-2"] {
        network.issue("operator", name, &[]);
        network.operators.push(None);
    }
    network
}

fn start_puppet(network: &mut Network, number: usize, variables: &[(&str, &str)]) {
    let puppet = example("puppet").display().to_string();
    let more = ["--cpu-only", "--log", "warn,worker=debug"];
    network.start_operator_in(number, &[("--prover", &puppet)], &more, variables);
}

fn submit(network: &Network, seeker: &str, pipeline: &str, settings: [(&str, u64); 2]) -> String {
    let settings = settings.map(|(name, value)| format!("{name}={value}"));
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<_> = ["submit", pipeline, "-o", "json"]
        .into_iter()
        .chain(settings)
        .collect();
    let submitted = Finished::run(&mut network.command_as(seeker, &args));
    let submitted = submitted.ok().json();
    submitted["workflow"]["id"]
        .as_str()
        .expect("an id")
        .to_string()
}

fn stream(network: &Network, items: u64) -> String {
    submit(
        network,
        "seeker",
        "stream",
        [("items", items), ("each_ms", 20)],
    )
}

fn stop(process: Option<Process>) {
    let mut process = process.expect("it runs");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), Some(0), "{}", process.output());
}

/// The attempts of the only delegation.
fn attempts(network: &Network, id: &str) -> Vec<Value> {
    let trail = network.trail(id);
    assert_eq!(trail.len(), 1, "{trail:#?}");
    trail[0]["attempts"].as_array().expect("attempts").clone()
}

#[test]
fn a_straggler_is_given_to_a_second_machine_once_ops_allow_it() {
    let mut network = network(format!("{HEDGING}hedge_share = 0\n"));
    // The fast one shows what the kind takes.
    start_puppet(&mut network, 1, &[]);
    let known = stream(&network, 10);
    network.froben(&["wait", &known]).ok();
    the_kind_is_known(&network, 10);
    stop(network.operators[1].take());

    // The slow one stops after two of five.
    start_puppet(&mut network, 0, &[("PUPPET_FALTERS_AFTER", "2")]);
    let id = stream(&network, 5);
    eventually("two items", || {
        let attempts = attempts(&network, &id);
        (attempts.first()?["items_ok"] == 2).then_some(())
    });
    start_puppet(&mut network, 1, &[]);
    let is_alone = |why: &str| {
        // Several times as long as a straggler is left alone.
        std::thread::sleep(Duration::from_millis(700));
        let attempts = attempts(&network, &id);
        assert_eq!(attempts.len(), 1, "{why}: {attempts:#?}");
    };
    is_alone("nobody may hedge");
    let broken = format!("{HEDGING}hedge_shares = 100\n");
    network.change_policy(&broken, "the rules stay as they were");
    let said = network.coordinator.as_ref().expect("it runs").output();
    for words in [
        "there is no `hedge_shares`; did you mean `hedge_share`?",
        "[FRB-POL-001]",
        &network.path("policy.toml"),
    ] {
        assert!(said.contains(words), "`{words}`: {said}");
    }
    is_alone("the file is broken");

    network.change_policy(
        &format!("{HEDGING}hedge_share = 100\n"),
        "policy.toml is in force",
    );
    network.froben(&["wait", &id]).ok();
    let status = network.status(&id);
    assert_eq!(status["workflow"]["output"]["total"], 5, "{status:#}");
    let attempts = attempts(&network, &id);
    let told = attempts.iter().map(|it| {
        let word = |name: &str| it[name].as_str().unwrap_or_default().to_string();
        (word("operator"), word("end"), it["items_ok"].as_u64())
    });
    let expected = [
        ("operator-1".to_string(), "cancelled".to_string(), Some(2)),
        ("operator-2".to_string(), "succeeded".to_string(), Some(3)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected, "{attempts:#?}");
    let ms = |attempt: usize, name: &str| attempts[attempt][name].as_u64().expect("a time");
    assert!(
        ms(1, "assigned_ms") > ms(0, "last_item_ms"),
        "{attempts:#?}"
    );
    assert_eq!(ms(0, "ended_ms"), ms(1, "ended_ms"), "{attempts:#?}");
    let trail = network.froben(&["trail", &id]).ok().stdout;
    for words in [
        "5 items, 2 attempts",
        "attempt 1  operator-1/machine-1",
        "stopped: attempt 2 had the last item",
        "attempt 2  operator-2/machine-1",
    ] {
        assert!(trail.contains(words), "`{words}`: {trail}");
    }

    // The loser's worker has been stopped, long before it would have been done, and has room for others.
    let slow = network.operators[0].as_mut().expect("it runs");
    slow.wait_for("stopped at item 2");
    assert!(!slow.output().contains("stopped at item 3"));
    stop(network.operators[1].take());
    let next = stream(&network, 2);
    network.froben(&["wait", &next]).ok();
    let attempts = self::attempts(&network, &next);
    assert_eq!(attempts[0]["operator"], "operator-1", "{attempts:#?}");
    let paid = network.sound_after();
    assert_eq!(paid, [("e2e.count/1".to_string(), 17)].into());
}

/// What `froben profiles` says once so many items of 20 ms have come.
fn the_kind_is_known(network: &Network, items: u64) {
    let profiles = |args: &[&str]| {
        let args = [&["profiles"], args].concat();
        Finished::run(&mut network.command_as("operator-2", &args)).ok()
    };
    let json = profiles(&["-o", "json"]).json();
    let json = json.as_array().expect("a list");
    assert_eq!(json.len(), 2, "all devices, and the CPU: {json:#?}");
    for profile in json {
        assert_eq!(profile["kind"], "e2e.count/1", "{profile:#}");
        assert_eq!(profile["items"], items, "{profile:#}");
        let ms = ["p50_ms", "p90_ms", "p99_ms"].map(|name| profile[name].as_u64());
        assert!(ms[0] >= Some(15) && ms.is_sorted(), "{profile:#}");
        // A busy machine is slower, and a puppet is small.
        assert!(ms[0] < Some(2000), "{profile:#}");
        assert_eq!(profile["vram_bytes"], Value::Null, "{profile:#}");
    }
    let text = profiles(&[]).stdout;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..3], ["kind", "device", "items"], "{text}");
    assert_eq!(lines[1][..3], ["e2e.count/1", "all", "10"], "{text}");
}

#[test]
fn a_seeker_of_more_weight_gets_more_as_soon_as_ops_say_so() {
    let mut network = network("newcomer_items = 0\n".to_string());
    network.issue("seeker", "big", &[]);
    start_puppet(&mut network, 0, &[]);
    start_puppet(&mut network, 1, &[]);
    let cores = network.machines();
    let cores = cores.iter().filter_map(|it| it["cpu_cores"].as_u64());
    let tasks = cores.sum::<u64>() * 20;
    let settings = [("tasks", tasks), ("each_ms", 50)];
    let seekers = ["seeker", "big"];
    let ids = seekers.map(|seeker| submit(&network, seeker, "many", settings));
    // When each task was given to a machine.
    let times = |network: &Network| {
        [0, 1].map(|of| {
            let args = ["trail", &ids[of], "--limit", "10000", "-o", "json"];
            let trail = Finished::run(&mut network.command_as(seekers[of], &args));
            let trail = trail.ok().json();
            let delegations = trail["delegations"].as_array().expect("a list").iter();
            let times = delegations.filter_map(|it| it["attempts"][0]["assigned_ms"].as_u64());
            times.collect::<Vec<_>>()
        })
    };
    eventually("a quarter of the tasks", || {
        let given = times(&network).map(|times| times.len() as u64);
        given.iter().all(|given| *given >= tasks / 4).then_some(())
    });
    let before_ms = now_ms();
    network.change_policy(
        "newcomer_items = 0\n[weights]\nbig = 3\n",
        "policy.toml is in force",
    );
    let after_ms = now_ms();
    for (seeker, id) in seekers.iter().zip(&ids) {
        Finished::run(&mut network.command_as(seeker, &["wait", id])).ok();
    }
    network.nothing_is_held();

    let times = times(&network);
    let given = |of: usize, from_ms: u64, to_ms: u64| {
        let times = times[of].iter();
        times.filter(|at| (from_ms..to_ms).contains(*at)).count() as f64
    };
    let both_from_ms = *times[1].iter().min().expect("it was given something");
    let before = [0, 1].map(|of| given(of, both_from_ms, before_ms));
    let ratio = before[1] / before[0];
    assert!(
        (0.7..1.4).contains(&ratio),
        "as much as the other: {before:?}"
    );
    let big_until_ms = *times[1].iter().max().expect("it was given something");
    let after = [0, 1].map(|of| given(of, after_ms, big_until_ms));
    let ratio = after[1] / after[0];
    assert!(ratio > 2.0, "about three times as much: {after:?}");
    println!("before {before:?}, after {after:?}");
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later").as_millis() as u64
}
