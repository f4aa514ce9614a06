//! Faults under a task of many items, one after the other: what had arrived stays, the rest is done
//! elsewhere, and nothing counts twice.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use froben_e2e::{Network, Options, Paid, Proxy, eventually, example};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const COUNT: &str = r#"
local retry = require("lib/retry")
return workflow("count", {
  input = { kind = "string", items = "integer", each_ms = "integer", bytes = "integer" },
  output = { total = "integer" },
}, function(ctx, input)
  local items = {}
  for index = 1, input.items do
    items[index] = index
  end
  local total = 0
  retry.items(ctx, {
    kind = input.kind, key = "count", items = items,
    input = { each_ms = input.each_ms, bytes = input.bytes },
    needs = { cpu_cores = 1, ram = "64MiB", shared = true }, timeout = "1m",
  }, input.items, {
    on_item = function(index, _, operator)
      total += 1
      ctx:log(`item {index} by {operator}`)
    end,
  })
  return { total = total }
end)
"#;

const ITEMS: u64 = 20;
/// The first operator would take minutes for what it has not done after so many, so that however slow this
/// machine is there is something left to do elsewhere.
const FALTERS: &[(&str, &str)] = &[("PUPPET_FALTERS_AFTER", "15")];
/// Within which time what a machine had goes to another one: if its connection closes, if it falls silent, and if
/// its certificate is revoked.
const CLOSED_MS: u64 = 1_000;
const SILENT_MS: u64 = 3_000;
const REVOKED_MS: u64 = 5_000;

/// A network whose operators count. The first is up, behind `proxy` if there is one; the second has a
/// certificate and comes later, so that everybody knows who had the task first.
struct Counting {
    network: Network,
    id: String,
}

impl Counting {
    fn start(proxied: bool) -> (Counting, Option<Proxy>) {
        Counting::start_with("e2e.count/1", proxied, &[], FALTERS)
    }

    /// The first operator has options and variables of its own.
    fn start_with(
        kind: &str,
        proxied: bool,
        first: &[&str],
        variables: &[(&str, &str)],
    ) -> (Counting, Option<Proxy>) {
        let mut network = Network::start(Options {
            operators: 0,
            scripts: vec![("pipelines/count.lua", COUNT.to_string())],
            ..Options::default()
        });
        let proxy = proxied.then(|| Proxy::start(network.address()));
        for name in ["operator-1", "operator-2"] {
            network.issue("operator", name, &[]);
            network.operators.push(None);
        }
        let address = proxy.as_ref().map(|proxy| proxy.address().to_string());
        start_first(&mut network, address.as_deref(), first, variables);
        let kind = format!("kind={kind}");
        let items = match kind.ends_with("e2e.gorge/1") {
            true => "items=2".to_string(),
            false => format!("items={ITEMS}"),
        };
        let submit = [
            "submit",
            "count",
            "--set",
            &kind,
            "--set",
            &items,
            "--set",
            "each_ms=100",
            "--set",
            "bytes=209715200",
            "-o",
            "json",
        ];
        let submitted = network.froben(&submit).ok().json();
        let id = submitted["workflow"]["id"].as_str().expect("an id");
        let id = id.to_string();
        (Counting { network, id }, proxy)
    }

    fn lines(&self) -> Vec<String> {
        let logs = self.network.froben(&["logs", &self.id, "-o", "json"]).ok();
        let read = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            line["text"].as_str().unwrap_or_default().to_string()
        };
        logs.stdout.lines().map(read).collect()
    }

    /// Waits until what the first operator had is with the second, for a reason with these `words`, and holds
    /// how long that took from `since` on against the goal. The times are the coordinator's, so it does not count how long it takes here to
    /// learn them.
    fn reassigned(&self, fault: &str, words: &str, since: SystemTime, within_ms: u64) {
        let (lost, given_ms) = eventually("the second operator's turn", || {
            let trail = self.network.trail(&self.id);
            let attempts = trail.iter().filter_map(|it| it["attempts"].as_array());
            let attempts: Vec<_> = attempts.flatten().collect();
            let of = |operator: &str| attempts.iter().find(|it| it["operator"] == operator);
            let given_ms = of("operator-2")?["assigned_ms"].as_u64()?;
            let lost = Value::clone(of("operator-1")?);
            Some((lost, given_ms))
        });
        let why = lost["cause"]["message"].as_str().unwrap_or_default();
        assert!(why.contains(words), "{fault}: {lost:#}");
        let lost_ms = lost["ended_ms"].as_u64().expect("it has ended");
        let since = since.duration_since(UNIX_EPOCH).expect("it is later");
        let after_ms = |at: u64| at.saturating_sub(since.as_millis() as u64);
        let (noticed_ms, took_ms) = (after_ms(lost_ms), after_ms(given_ms));
        println!("{fault}: noticed after {noticed_ms} ms, reassigned after {took_ms} ms");
        assert!(took_ms <= within_ms, "{fault}: after {took_ms} ms");
    }

    /// Which operator each item came from, each time that it came.
    fn items(&self) -> BTreeMap<u64, Vec<String>> {
        let mut items: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in self.lines() {
            let Some((index, operator)) = line
                .strip_prefix("item ")
                .and_then(|rest| rest.split_once(" by "))
            else {
                continue;
            };
            let index = index.parse().expect("an index");
            items.entry(index).or_default().push(operator.to_string());
        }
        items
    }

    fn wait_for_item_of(&self, operator: &str) {
        eventually(&format!("an item of {operator}"), || {
            let items = self.items();
            items
                .values()
                .flatten()
                .any(|it| it == operator)
                .then_some(())
        });
    }

    /// Waits for the end: every item counted once, by both operators, and no machine holds anything.
    fn finish(&self, words: &str) {
        self.network.froben(&["wait", &self.id]).ok();
        let status = self.network.status(&self.id);
        assert_eq!(status["workflow"]["output"]["total"], ITEMS, "{status:#}");
        let items = self.items();
        let once = items.values().filter(|by| by.len() == 1).count() as u64;
        assert_eq!((items.len() as u64, once), (ITEMS, ITEMS), "{items:?}");
        for operator in ["operator-1", "operator-2"] {
            let did = items.values().flatten().any(|by| by == operator);
            assert!(did, "{operator} did something: {items:?}");
        }
        let lines = self.lines();
        assert!(lines.iter().any(|line| line.contains(words)), "{lines:#?}");
        self.is_sound();
    }

    /// No machine holds anything, and each item was paid once.
    fn is_sound(&self) {
        let expected = Paid::from([("e2e.count/1".to_string(), ITEMS)]);
        assert_eq!(self.network.sound_after(), expected);
    }
}

fn start_first(
    network: &mut Network,
    address: Option<&str>,
    more: &[&str],
    variables: &[(&str, &str)],
) {
    let puppet = example("puppet").display().to_string();
    let address = address.unwrap_or(network.address()).to_string();
    let other = [("--prover", puppet.as_str()), ("--coordinator", &address)];
    let more = [&["--cpu-only"], more].concat();
    network.start_operator_in(0, &other, &more, variables);
}

fn start_second(network: &mut Network) {
    let puppet = example("puppet").display().to_string();
    network.start_operator_as(1, &[("--prover", &puppet)], &["--cpu-only"]);
}

fn is_there(network: &Network, operator: &str) -> bool {
    let name = format!("{operator}/machine-1");
    network.machines().iter().any(|it| it["name"] == *name)
}

#[test]
fn an_operator_that_freezes_loses_its_work_and_comes_back() {
    let (mut counting, _) = Counting::start(false);
    counting.wait_for_item_of("operator-1");
    start_second(&mut counting.network);
    let frozen = counting.network.operators[0].take().expect("it runs");
    frozen.signal(Signal::SIGSTOP);
    counting.reassigned(
        "frozen",
        "the other side is silent",
        SystemTime::now(),
        SILENT_MS,
    );
    counting.wait_for_item_of("operator-2");
    frozen.signal(Signal::SIGCONT);
    eventually("the first operator's return", || {
        is_there(&counting.network, "operator-1").then_some(())
    });
    counting.finish("disconnected at operator-1");
}

#[test]
fn a_coordinator_that_pauses_keeps_its_operators() {
    let (counting, _) = Counting::start_with("e2e.count/1", false, &[], &[]);
    counting.wait_for_item_of("operator-1");
    assert_eq!(counting.network.figure("froben_reservations"), 1);
    let coordinator = counting.network.coordinator.as_ref().expect("it runs");
    coordinator.signal(Signal::SIGSTOP);
    // Longer than an operator may be silent, shorter than a coordinator may be.
    std::thread::sleep(Duration::from_millis(3500));
    coordinator.signal(Signal::SIGCONT);
    counting.network.froben(&["wait", &counting.id]).ok();
    let lines = counting.lines();
    let given = lines.iter().filter(|line| line.contains(" goes to "));
    assert_eq!(given.count(), 1, "nothing was handed out again: {lines:#?}");
    assert_eq!(counting.items().len() as u64, ITEMS);
    counting.is_sound();
}

#[test]
fn a_partition_that_heals_brings_late_results_that_count_for_nothing() {
    let (mut counting, proxy) = Counting::start(true);
    let proxy = proxy.expect("it was asked for");
    counting.wait_for_item_of("operator-1");
    start_second(&mut counting.network);
    // Its worker goes on meanwhile, and what it says waits on the way.
    proxy.part();
    counting.reassigned(
        "parted",
        "the other side is silent",
        SystemTime::now(),
        SILENT_MS,
    );
    counting.wait_for_item_of("operator-2");
    proxy.heal();
    counting.finish("disconnected at operator-1");
    eventually("the first operator's return", || {
        is_there(&counting.network, "operator-1").then_some(())
    });
}

#[test]
fn an_operator_that_dies_half_way_leaves_what_it_had_sent() {
    let (mut counting, _) = Counting::start(false);
    eventually("half of the items", || {
        (counting.items().len() as u64 >= ITEMS / 2).then_some(())
    });
    start_second(&mut counting.network);
    let first = counting.network.operators[0].take().expect("it runs");
    let since = SystemTime::now();
    first.kill();
    counting.reassigned("killed", "closed", since, CLOSED_MS);
    let sent = counting.items().len() as u64;
    assert!((ITEMS / 2..ITEMS).contains(&sent), "{sent}");
    counting.finish("disconnected at operator-1");
    let status = counting.network.status(&counting.id);
    let delegations = status["delegations"].as_array().expect("delegations");
    let owed: Vec<u64> = delegations
        .iter()
        .filter_map(|it| it["items_total"].as_u64())
        .collect();
    assert_eq!(owed.len(), 2, "{status:#}");
    assert!(
        owed[1] <= ITEMS / 2,
        "only the rest was made again: {owed:?}"
    );
}

#[test]
fn the_coordinator_dies_while_an_operator_is_cut_off() {
    let (mut counting, proxy) = Counting::start(true);
    let proxy = proxy.expect("it was asked for");
    counting.wait_for_item_of("operator-1");
    proxy.part();
    counting.network.coordinator.take().expect("it runs").kill();
    counting.network.start_coordinator();
    start_second(&mut counting.network);
    counting.wait_for_item_of("operator-2");
    proxy.heal();
    counting.finish("");
}

#[test]
fn a_certificate_that_is_revoked_is_cut_off_and_its_work_goes_elsewhere() {
    let (mut counting, _) = Counting::start(false);
    counting.wait_for_item_of("operator-1");
    start_second(&mut counting.network);
    let ca = counting.network.path("ca");
    let since = SystemTime::now();
    counting
        .network
        .ca(&["revoke", "--ca", &ca, "--name", "operator-1"])
        .ok();
    counting.reassigned("revoked", "revoked", since, REVOKED_MS);
    let mut first = counting.network.operators[0].take().expect("it runs");
    first.wait_for("has been revoked");
    counting.finish("disconnected at operator-1");
    assert!(!is_there(&counting.network, "operator-1"));

    // Another certificate of the name, in the place of the first one: the daemon takes it by itself.
    let folder = counting.network.path("operator-1");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
    counting.network.issue("operator", "operator-1", &[]);
    eventually("the first operator's return", || {
        is_there(&counting.network, "operator-1").then_some(())
    });
    let list = counting.network.ca(&["list", "--ca", &ca, "-o", "json"]);
    let list = list.ok().json();
    let entries = list.as_array().expect("a list").iter();
    let revoked = entries.filter(|entry| !entry["revoked_s"].is_null());
    assert_eq!(revoked.count(), 1, "{list:#}");
}

#[test]
fn a_list_that_is_broken_or_old_changes_nothing() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let (ca, list) = (network.path("ca"), network.path("ca/crl.pem"));
    let old = std::fs::read(&list).expect("a list");
    network
        .ca(&["revoke", "--ca", &ca, "--name", "seeker"])
        .ok();
    let refused = |network: &Network| network.froben(&["list"]).code == Some(5);
    eventually("the refusal", || refused(&network).then_some(()));
    let newer = std::fs::read(&list).expect("a list");
    for (bytes, words) in [
        (old, "not older"),
        (b"nothing".to_vec(), "holds no revocation list"),
    ] {
        std::fs::write(&list, bytes).expect("it can be written");
        let mut coordinator = network.coordinator.as_ref().expect("it runs").output();
        eventually("a complaint", || {
            coordinator = network.coordinator.as_ref()?.output();
            coordinator.contains(words).then_some(())
        });
        network.froben(&["list"]).refused(5, &["FRB-TLS-006"]);
    }
    std::fs::write(&list, newer).expect("it can be written");
    network.froben(&["list"]).refused(5, &["FRB-TLS-006"]);
}

#[test]
fn a_worker_that_takes_too_much_memory_is_ended_and_another_machine_does_it() {
    let slack = ["--memory-slack", "32MiB"];
    let (mut counting, _) = Counting::start_with("e2e.gorge/1", false, &slack, &[]);
    start_second(&mut counting.network);
    counting.network.froben(&["wait", &counting.id]).ok();
    let lines = counting.lines();
    let words = "out_of_memory at operator-1: the worker occupied";
    let told = lines.iter().find(|line| line.contains(words));
    let told = told.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(
        told.contains("its task claims 64 MiB and 32 MiB more"),
        "{told}"
    );
    let items = counting.items();
    assert!(items.values().flatten().all(|by| by == "operator-2"));
    let paid = counting.network.sound_after();
    assert_eq!(paid, [("e2e.gorge/1".to_string(), 2)].into());
}

#[test]
fn workers_end_when_their_daemon_was_frozen_for_long_and_is_killed() {
    let (mut counting, _) = Counting::start(false);
    counting.wait_for_item_of("operator-1");
    let daemon = counting.network.operators[0].take().expect("it runs");
    let workers = daemon.children();
    assert!(!workers.is_empty(), "the daemon has workers");
    daemon.signal(Signal::SIGSTOP);
    start_second(&mut counting.network);
    counting.wait_for_item_of("operator-2");
    daemon.kill();
    for worker in workers {
        let gone = || kill(Pid::from_raw(worker), None).is_err().then_some(());
        eventually("the workers' end", gone);
    }
    counting.finish("disconnected at operator-1");
}
