//! What is known of kinds: it decides who gets a task, how long it may take and what is reserved.

use froben_model::{ErrorClass, LeaseToken, Usage, limits};
use froben_scheduler::{Decision, End, Input, Need, Policy, Reason};

use crate::net::{GIB, Net, assigned, cpu, ended, gpu, items, key, shared, token};

fn policy() -> Policy {
    Policy {
        learn_after: 10,
        ..Policy::default()
    }
}

fn net(machines: &[&str]) -> Net {
    let mut net = Net::with(policy(), 1);
    for name in machines {
        net.join(name);
    }
    net
}

fn item(net: &mut Net, token: LeaseToken, index: u32, usage: Usage) -> Vec<Decision> {
    net.input(Input::Item {
        token,
        index,
        error: None,
        usage,
    })
}

/// Has the one machine that is connected do a task of ten items, so long each.
fn teach(net: &mut Net, call: u64, item_ms: u64, usage: Usage) {
    let mut task = items(gpu(1), 10);
    task.timeout_ms = limits::TIMEOUT_MS;
    let token = net.run(call, task);
    for index in 0..10 {
        net.pass(item_ms);
        item(net, token, index, usage);
    }
}

#[test]
fn the_faster_machine_is_asked_first() {
    for seed in 0..8 {
        let mut net = Net::with(policy(), seed);
        for (call, name, item_ms) in [
            (1, "a/fast", 2000),
            (2, "b/usual", 2000),
            (3, "c/slow", 9000),
        ] {
            net.join(name);
            teach(&mut net, call, item_ms, Usage::default());
            net.leave(name);
        }
        for name in ["c/slow", "a/fast", "a/new"] {
            net.join(name);
        }
        let mut got = Vec::new();
        for call in 4..7 {
            let decisions = net.queue(call, cpu());
            got.push(assigned(&decisions)[0].1.to_owned());
        }
        assert_eq!(got[2], "c/slow", "{got:?}");
    }
}

#[test]
fn reputation_goes_before_pace() {
    let mut net = net(&["a/slow"]);
    teach(&mut net, 1, 9000, Usage::default());
    net.leave("a/slow");
    net.join("b/bad");
    teach(&mut net, 2, 2000, Usage::default());
    teach(&mut net, 3, 2000, Usage::default());
    for call in 4..6 {
        let token = net.run(call, items(gpu(1), 9));
        net.fail(token, ErrorClass::WorkerFailed);
    }
    net.join("a/slow");
    assert_eq!(assigned(&net.queue(6, cpu())), [(6, "a/slow")]);
}

#[test]
fn a_task_without_a_timeout_has_one_that_suits_its_kind() {
    let mut net = net(&["a/1"]);
    let deadline = |net: &mut Net, call, task| {
        let decisions = net.queue(call, task);
        let Some(Decision::Assign { deadline_ms, .. }) = decisions.first() else {
            panic!("{decisions:?}");
        };
        deadline_ms - net.now
    };
    let unnamed = |n| {
        let mut task = items(shared(1), n);
        task.timeout_ms = limits::DEFAULT_TIMEOUT_MS;
        task
    };
    let most = limits::DEFAULT_TIMEOUT_MS;
    assert_eq!(deadline(&mut net, 1, unnamed(1)), most, "nothing is known");
    teach(&mut net, 2, 10_000, Usage::default());
    let four = deadline(&mut net, 3, unnamed(2));
    assert!((75_000..=85_000).contains(&four), "{four}");
    assert_eq!(deadline(&mut net, 4, unnamed(1)), 60_000, "the floor");
    assert_eq!(deadline(&mut net, 5, unnamed(100)), most);
    assert_eq!(deadline(&mut net, 6, items(shared(1), 1)), 60_000, "named");
    let token = net.token_of(3);
    net.accept(token);
    let over = net.pass(four);
    let of_3 = over.iter().filter(
        |decision| matches!(decision, Decision::End { key: ended, .. } if *ended == key(3)),
    );
    let of_3: Vec<_> = of_3.cloned().collect();
    let (end, failure) = ended(&of_3);
    assert_eq!(end, End::TimedOut);
    let message = failure.unwrap().message;
    assert!(
        message.starts_with(&format!("not over after {four} ms")),
        "{message}"
    );
}

#[test]
fn who_was_given_less_time_than_the_kind_takes_is_not_to_blame() {
    for (timeout_ms, blamed) in [(5_000, false), (20_000, true)] {
        let mut net = net(&["a/1"]);
        teach(&mut net, 1, 10_000, Usage::default());
        let mut task = items(gpu(1), 3);
        task.timeout_ms = timeout_ms;
        net.run(2, task);
        let (end, failure) = ended(&net.pass(timeout_ms));
        let failure = failure.unwrap();
        assert_eq!((end, failure.class), (End::TimedOut, ErrorClass::Timeout));
        assert_eq!(failure.operator.is_some(), blamed, "{failure:?}");
        assert_eq!(failure.message.contains("half of the items"), !blamed);
        let machine = net.scheduler.machines().next().unwrap();
        let failed = if blamed { 3 } else { 0 };
        assert_eq!((machine.succeeded, machine.failed), (10, failed));
    }
}

#[test]
fn what_a_kind_is_known_to_need_is_reserved() {
    let mut net = net(&["a/1"]);
    let usage = Usage {
        ram_bytes: 6 * GIB,
        vram_bytes: 4 * GIB,
    };
    teach(&mut net, 1, 100, usage);
    let decisions = net.queue(2, gpu(1));
    let Some(Decision::Assign {
        ram_bytes,
        vram_bytes,
        ..
    }) = decisions.first()
    else {
        panic!("{decisions:?}");
    };
    assert_eq!((*ram_bytes, *vram_bytes), (6 * GIB, 4 * GIB));
    let busy = token(&decisions);
    // Ten of sixteen are left, but no device.
    assert_eq!(assigned(&net.queue(3, gpu(1))), []);
    let need = Need {
        bytes: 4 * GIB,
        learned: true,
    };
    assert_eq!(net.why(3, "a/1"), Reason::DevicesBusy { need });
    net.join_as(crate::net::spec("small/1", 8, 4, &[8]));
    let need = Need {
        bytes: 6 * GIB,
        learned: true,
    };
    let have_bytes = 4 * GIB;
    let reason = net.why(3, "small/1");
    assert_eq!(reason, Reason::TooLittleRam { need, have_bytes });
    assert_eq!(
        reason.to_string(),
        "has 4 GiB of memory, 6 GiB needed by what is known of the kind"
    );
    assert_eq!(assigned(&net.item(busy, 0)), [(3, "a/1")]);
}

#[test]
fn profiles_are_shown_by_device() {
    let mut net = net(&["a/1"]);
    let usage = Usage {
        ram_bytes: 6 * GIB,
        vram_bytes: 0,
    };
    teach(&mut net, 1, 1000, usage);
    let views: Vec<_> = net.scheduler.profiles().collect();
    let [all, device] = &views[..] else {
        panic!("{views:?}");
    };
    assert_eq!(
        (&all.device, device.device.as_deref()),
        (&None, Some("gpu"))
    );
    assert_eq!((all.items, device.items), (10, 10));
    assert!(all.p50_ms.abs_diff(1000) <= 62 && all.p50_ms == all.p99_ms);
    assert_eq!((all.ram_bytes, device.vram_bytes), (None, None));
    assert!(device.ram_bytes.unwrap().abs_diff(6 * GIB) <= GIB / 2);
}
