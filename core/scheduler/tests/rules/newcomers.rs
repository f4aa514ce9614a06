//! What operators that nobody knows get beside those that are known, and what else decides who is chosen.

use froben_model::{HeldKey, SeekerId, SetupKey};
use froben_scheduler::{Input, Policy, Reason, Task, Verdict};

use crate::net::*;

/// Gives the machine's operator the record that establishes it.
fn established(net: &mut Net, machine: &str) {
    net.input(Input::RecordOutcome {
        machine: machine.parse().unwrap(),
        kind: kind("work/1"),
        ok: true,
        items: 10,
        checked: 0,
        at: net.now,
    });
}

/// `a/1` with eight devices, its operator established, then newcomers with eight each.
fn beside_the_known(newcomers: &[&str]) -> Net {
    let policy = Policy {
        newcomer_every_ms: 0,
        ..Policy::default()
    };
    let mut net = Net::with(policy, 1);
    established(&mut net, "a/1");
    for name in ["a/1"].iter().chain(newcomers) {
        net.join_as(spec(name, 8, 64, &[8; 8]));
    }
    net
}

/// Queues so many device tasks, lets them be accepted, and tells how many the machines of `operator` got.
fn got(net: &mut Net, calls: std::ops::Range<u64>, operator: &str) -> usize {
    let mut count = 0;
    for call in calls {
        let mut task = gpu(8);
        task.queue_timeout_ms = 1_000_000;
        task.timeout_ms = 1_000_000;
        let decisions = net.queue(call, task);
        for (_, machine) in assigned(&decisions) {
            count += usize::from(machine.starts_with(operator));
            net.accept(net.token_of(call));
        }
    }
    count
}

#[test]
fn where_somebody_is_trusted_only_checked_items_establish() {
    let mut net = beside_the_known(&["n/1"]);
    net.trust(&["judge"]);
    let work = |net: &mut Net, calls: std::ops::Range<u64>, task: fn() -> Task| {
        for call in calls {
            let token = net.run(call, avoiding(task(), &["a"]));
            net.item(token, 0);
            net.verdict(call, 0, Verdict::Approved);
        }
    };
    // Two at once of what only the newcomer may do.
    let bounded = |net: &mut Net, call: u64| {
        let token = net.run(call, avoiding(gpu(8), &["a"]));
        let second = net.queue(call + 1, avoiding(gpu(8), &["a"]));
        net.cancel(call + 1);
        net.item(token, 0);
        assigned(&second).is_empty()
    };
    work(&mut net, 200..220, || gpu(8));
    assert!(bounded(&mut net, 300), "anybody can send twenty values");
    work(&mut net, 400..409, || checked(gpu(8)));
    assert!(bounded(&mut net, 500));
    work(&mut net, 600..601, || checked(gpu(8)));
    assert!(!bounded(&mut net, 700));
    net.trust(&[]);
    assert!(!bounded(&mut net, 800));
}

#[test]
fn a_newcomer_has_one_attempt_at_a_time_until_its_tenth_good_item() {
    let mut net = beside_the_known(&["new/1", "new/2"]);
    assert_eq!(got(&mut net, 1..20, "new"), 1);
    let reason = net.why(19, "new/1");
    assert!(
        matches!(reason, Reason::OneAtATime { .. } | Reason::NewcomersFull),
        "{reason}"
    );
    // Each good item makes room for the next attempt, and the tenth for as many as there is room for.
    for n in 1..=10 {
        let of_new = || {
            net.scheduler
                .machines()
                .filter(|m| m.machine.as_str().starts_with("new"))
        };
        let before: usize = of_new().map(|m| m.attempts).sum();
        assert_eq!(before, 1, "before item {n}");
        let decisions = finish_one_of(&mut net, "new");
        let next = assigned(&decisions).len();
        assert!(n == 10 || next == 1, "{next} after item {n}");
        for (call, _) in assigned(&decisions) {
            net.accept(net.token_of(call));
        }
        if n < 9 {
            got(&mut net, 100 * n..100 * n + 1, "new");
        } else if n == 9 {
            got(&mut net, 900..920, "new");
        }
    }
    let attempts: usize = net
        .scheduler
        .machines()
        .filter(|m| m.machine.as_str().starts_with("new"))
        .map(|m| m.attempts)
        .sum();
    assert_eq!(attempts, 16, "both machines are full");
}

/// Sends the item of an attempt that runs on a machine of the operator's.
fn finish_one_of(net: &mut Net, operator: &str) -> Vec<froben_scheduler::Decision> {
    let has_it = |net: &Net, call: u64| {
        let reasons = net.scheduler.why(key(call)).into_iter();
        let mut of = reasons.filter(|(id, _)| id.as_str().starts_with(operator));
        of.any(|(_, reason)| reason == Reason::HasIt)
    };
    let call = (1..1000)
        .find(|call| has_it(net, *call))
        .expect("one has something");
    let token = net.token_of(call);
    net.item(token, 0)
}

#[test]
fn a_thousand_newcomers_have_a_tenth_of_what_is_in_flight() {
    let mut net = Net::new();
    for n in 0..10 {
        let name = format!("a{n}/1");
        established(&mut net, &name);
        net.join_as(spec(&name, 8, 64, &[8; 8]));
    }
    let newcomers: Vec<_> = (0..200).map(|n| format!("sybil{n}/1")).collect();
    for name in &newcomers {
        net.join(name);
    }
    // More than the known can take.
    assert_eq!(got(&mut net, 1..200, "sybil"), 8, "beside 80 of the known");
    let waiting = net.scheduler.waiting_for(key(199)).unwrap();
    assert!(waiting.contains("held back as newcomers"), "{waiting}");
    // As one of theirs ends, the next is theirs again.
    let decisions = finish_one_of(&mut net, "sybil");
    assert_eq!(assigned(&decisions).len(), 1);
}

#[test]
fn a_network_that_begins_is_not_held_up() {
    let mut net = Net::of(&[]);
    for n in 0..20 {
        net.join(&format!("op{n}/1"));
    }
    assert_eq!(got(&mut net, 1..21, "op"), 20);
    // The first of them is established; the others are founders, and go on as before.
    let token = net.token_of(1);
    established(&mut net, "op1/1");
    net.item(token, 0);
    assert_eq!(got(&mut net, 30..31, "op"), 1);
    // Who comes now is a newcomer.
    net.join_as(spec("late/1", 8, 64, &[8; 8]));
    assert_eq!(got(&mut net, 40..50, "late"), 1);
}

#[test]
fn one_in_ten_tasks_looks_at_newcomers_first() {
    let mut chosen = 0;
    for seed in 0..300 {
        let mut net = Net::with(Policy::default(), seed);
        established(&mut net, "a/1");
        net.join("a/1");
        net.join("new/1");
        chosen += got(&mut net, 1..2, "new");
    }
    assert!((15..50).contains(&chosen), "{chosen} of 300");
}

#[test]
fn bounds_change_with_the_policy_at_once() {
    let mut net = beside_the_known(&["new/1"]);
    assert_eq!(got(&mut net, 1..20, "new"), 1);
    let policy = Policy {
        newcomer_items: 0,
        ..Policy::default()
    };
    let decisions = net.input(Input::Policy(policy));
    assert_eq!(
        assigned(&decisions).len(),
        7,
        "everybody is established now"
    );
}

fn setup_key(n: u8) -> SetupKey {
    SetupKey {
        name: format!("crs-{n}"),
        sha256: [n; 32],
    }
}

/// Key `n` has `n` GiB.
fn held(n: u8) -> HeldKey {
    HeldKey {
        key: setup_key(n),
        bytes: u64::from(n) << 30,
    }
}

fn with_keys(mut task: Task, keys: &[u8]) -> Task {
    task.keys = keys.iter().map(|n| setup_key(*n)).collect();
    task
}

#[test]
fn among_equals_goes_to_who_has_the_keys_loaded() {
    let mut net = Net::new();
    for n in 0..20 {
        let mut spec = spec(&format!("op{n}/1"), 8, 64, &[8, 8]);
        spec.keys = (0..20).map(held).collect();
        net.join_as(spec);
    }
    let first = net.queue(1, with_keys(gpu(8), &[1]));
    let (_, warm) = assigned(&first)[0];
    net.accept(token(&first));
    let second = net.queue(2, with_keys(gpu(8), &[1]));
    assert_eq!(assigned(&second), [(2, warm)]);
    net.accept(token(&second));
    // It is full; whoever is next has to load it.
    let third = net.queue(3, with_keys(gpu(8), &[1]));
    let (_, other) = assigned(&third)[0];
    assert_ne!(other, warm);
    net.accept(token(&third));
    // Two keys, of which it has one: better than nobody's.
    let both = net.queue(4, with_keys(gpu(8), &[1, 2]));
    assert_eq!(assigned(&both), [(4, other)]);
}

#[test]
fn among_equals_goes_to_who_has_least_to_load() {
    let mut net = Net::new();
    for n in 0..20 {
        let mut spec = spec(&format!("op{n}/1"), 8, 64, &[8, 8]);
        spec.keys = (0..20).map(held).collect();
        if n % 4 == 1 {
            // It does not help to say less than others do.
            spec.keys.iter_mut().for_each(|held| held.bytes = 1);
        }
        net.join_as(spec);
    }
    let mut loaded = |call, key| {
        let decisions = net.queue(call, with_keys(gpu(8), &[key]));
        net.accept(token(&decisions));
        assigned(&decisions)[0].1.to_owned()
    };
    let (small, large) = (loaded(1, 1), loaded(2, 9));
    assert_eq!((small.as_str(), large.as_str()), ("op9/1", "op7/1"));
    let both = net.queue(3, with_keys(gpu(8), &[1, 9]));
    assert_eq!(assigned(&both), [(3, "op7/1")]);
}

#[test]
fn what_was_loaded_long_ago_is_taken_to_be_gone() {
    let mut net = Net::new();
    let mut spec = spec("a/1", 8, 64, &[8]);
    spec.keys = (0..20).map(held).collect();
    net.join_as(spec.clone());
    for (call, n) in (1..).zip(0..9) {
        let decisions = net.queue(call, with_keys(gpu(8), &[n]));
        let token = token(&decisions);
        net.accept(token);
        net.item(token, 0);
    }
    for n in 0..20 {
        spec.operator = format!("op{n}").parse().unwrap();
        net.join_as(spec.clone());
    }
    // Keys 1 to 8 are loaded, key 0 is not.
    assert_eq!(
        assigned(&net.queue(20, with_keys(gpu(8), &[8]))),
        [(20, "a/1")]
    );
    net.cancel(20);
    let elsewhere = (30..60).any(|call| {
        let decisions = net.queue(call, with_keys(gpu(8), &[0]));
        let elsewhere = assigned(&decisions)[0].1 != "a/1";
        net.cancel(call);
        elsewhere
    });
    assert!(elsewhere);
}

/// The order in which one machine takes what waits.
fn order(net: &mut Net, calls: usize) -> Vec<u64> {
    let mut order = Vec::new();
    let mut decisions = net.join_as(spec("a/1", 8, 64, &[]));
    for _ in 0..calls {
        let next = assigned(&decisions)[0].0;
        order.push(next);
        net.accept(net.token_of(next));
        decisions = net.item(net.token_of(next), 0);
    }
    order
}

#[test]
fn the_one_with_the_larger_part_waits_and_weights_tell() {
    for (weight, expected) in [(1, [1, 3, 2]), (4, [1, 2, 3])] {
        let mut net = Net::new();
        let weights = [(SeekerId::new("big").unwrap(), weight)];
        net.input(Input::Weights {
            weights: weights.into_iter().collect(),
        });
        let task = |cores| {
            let mut task = shared(cores);
            task.timeout_ms = 1_000_000;
            task
        };
        net.join_as(spec("z/1", 9, 64, &[]));
        for (seeker, call, cores) in [("big", 10, 6), ("small", 11, 3)] {
            let decisions = net.queue_for(seeker, call, task(cores));
            net.accept(token(&decisions));
        }
        for (seeker, call) in [("none", 1), ("big", 2), ("small", 3)] {
            net.queue_for(seeker, call, cpu());
        }
        assert_eq!(order(&mut net, 3), expected, "weight {weight}");
    }
}

#[test]
fn within_a_seeker_deadlines_go_first_then_the_critical_path() {
    let mut net = Net::new();
    let now = net.now;
    for (call, wanted_by_ms, begun_ms, ahead_ms) in [
        (1, None, now, 0),
        (2, None, now - 9, 10),
        (3, None, now - 9, 90),
        (4, Some(now + 5000), now, 10),
        (5, Some(now + 9000), now, 8000),
    ] {
        net.queue_urgent(call, cpu(), wanted_by_ms, begun_ms, ahead_ms);
    }
    assert_eq!(order(&mut net, 5), [5, 4, 3, 2, 1]);
}
