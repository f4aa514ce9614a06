//! Who gets what, who is believed, and what a person is told.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::*;
use expect_test::{Expect, expect};
use froben_model::{ErrorClass, MachineSpec};
use froben_scheduler::{Decision, End, Input, Policy, Reason, Task};

/// Which of the tasks, in order, the machine takes at once.
fn taken(machine: MachineSpec, tasks: &[Task]) -> Vec<u64> {
    let mut net = Net::new();
    net.join_as(machine);
    let mut taken = Vec::new();
    for (call, task) in (1..).zip(tasks) {
        taken.extend(assigned(&net.queue(call, task.clone())).iter().map(|a| a.0));
    }
    taken
}

#[test]
fn a_machine_takes_what_fits_and_no_more() {
    let ram = |mut task: Task, gib: u64| {
        task.needs.ram_bytes = gib * GIB;
        task
    };
    let cores = |mut task: Task, cores: u32| {
        task.needs.cpu_cores = cores;
        task
    };
    let machine = |vram: &[u64]| spec("a/1", 8, 16, vram);
    for (machine, tasks, expected) in [
        // A CPU task claims all cores, so a second one waits; a device task computes elsewhere.
        (
            machine(&[8]),
            vec![cpu(), cpu(), gpu(8), shared(1)],
            &[1, 3][..],
        ),
        (machine(&[8]), vec![gpu(8), cpu(), gpu(1)], &[1, 2]),
        // Shared tasks fill the cores.
        (
            machine(&[]),
            vec![shared(4), shared(3), shared(2), shared(0), cpu()],
            &[1, 2, 4],
        ),
        (machine(&[]), vec![cores(cpu(), 9), cores(cpu(), 8)], &[2]),
        // Memory is one for all, device memory is not.
        (
            machine(&[8, 8]),
            vec![ram(gpu(1), 10), ram(shared(1), 7), ram(gpu(1), 6)],
            &[1, 3],
        ),
        (
            machine(&[8, 8]),
            vec![gpu(9), gpu(8), gpu(1), gpu(1)],
            &[2, 3],
        ),
        // A small device is no obstacle, and the large one is kept for who needs it.
        (machine(&[24, 4]), vec![gpu(2), gpu(20)], &[1, 2]),
        // No device, no device task, whatever is asked.
        (machine(&[]), vec![gpu(1)], &[]),
        // A device task that asks for cores gets them, and then they are gone.
        (
            machine(&[8, 8]),
            vec![cores(gpu(1), 6), shared(3), cores(gpu(1), 2), cpu()],
            &[1, 3],
        ),
    ] {
        assert_eq!(taken(machine, &tasks), expected, "{tasks:?}");
    }
}

#[test]
fn capacity_is_free_the_moment_an_attempt_ends() {
    for end in ["items", "finish", "refuse", "cancel", "timeout"] {
        let mut net = Net::of(&["a/1"]);
        let running = token(&net.queue(1, cpu()));
        net.queue(2, shared(1));
        let decisions = match end {
            "items" => net.item(running, 0),
            "finish" => net.fail(running, ErrorClass::WorkerFailed),
            "refuse" => {
                net.refuse(running);
                net.pass(500)
            }
            "cancel" => net.cancel(1),
            _ => net.pass(10_500),
        };
        // Who came back is the elder, and goes first again.
        let next = if matches!(end, "refuse" | "timeout") {
            1
        } else {
            2
        };
        assert_eq!(assigned(&decisions), [(next, "a/1")], "{end}");
    }
}

#[test]
fn only_machines_of_the_kind_and_class_are_asked() {
    let mut net = Net::new();
    let mut on_devices = spec("dev/1", 8, 16, &[8]);
    on_devices.cpu_kinds.clear();
    let mut on_cpu = spec("cpu/1", 8, 16, &[8]);
    on_cpu.device_kinds.clear();
    let mut other = spec("other/1", 8, 16, &[8]);
    other.cpu_kinds = vec![kind("other/1")];
    other.device_kinds = vec![kind("work/2")];
    for spec in [on_devices, on_cpu, other] {
        net.join_as(spec);
    }
    assert_eq!(assigned(&net.queue(1, gpu(1))), [(1, "dev/1")]);
    assert_eq!(assigned(&net.queue(2, cpu())), [(2, "cpu/1")]);
    assert_eq!(assigned(&net.queue(3, cpu())), []);
    assert_eq!(assigned(&net.queue(4, gpu(1))), []);
}

#[test]
fn avoided_operators_are_avoided() {
    let mut net = Net::of(&["a/1", "a/2", "b/1"]);
    let task = avoiding(cpu(), &["a", "c"]);
    assert_eq!(assigned(&net.queue(1, task.clone())), [(1, "b/1")]);
    assert_eq!(assigned(&net.queue(2, task)), []);
    assert_eq!(
        assigned(&net.queue(3, cpu())).len(),
        1,
        "others may have them"
    );
}

#[test]
fn the_better_record_goes_first() {
    for seed in 0..20 {
        let mut net = Net::with(Policy::default(), seed);
        for (machine, ok, failed) in [("a/1", 20, 10), ("b/1", 30, 0), ("c/1", 5, 20)] {
            for (ok, items) in [(true, ok), (false, failed)] {
                net.input(Input::RecordOutcome {
                    machine: machine.parse().unwrap(),
                    kind: kind("work/1"),
                    ok,
                    items,
                    checked: 0,
                    at: net.now,
                });
            }
            net.join(machine);
        }
        let got: Vec<_> = (1..=3)
            .flat_map(|call| {
                let decisions = net.queue(call, cpu());
                let assigned = assigned(&decisions);
                assigned
                    .into_iter()
                    .map(|a| a.1.to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(got, ["b/1", "a/1", "c/1"], "seed {seed}");
    }
}

#[test]
fn ties_are_broken_at_random_so_a_newcomer_gets_its_share() {
    let names = ["a/1", "b/1", "c/1", "d/1"];
    let mut shares: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..200 {
        let mut net = Net::with(Policy::default(), seed);
        for (name, items) in names.iter().zip([0, 10, 100, 1000]) {
            net.input(Input::RecordOutcome {
                machine: name.parse().unwrap(),
                kind: kind("work/1"),
                ok: true,
                items,
                checked: 0,
                at: net.now,
            });
            net.join(name);
        }
        let decisions = net.queue(1, cpu());
        *shares.entry(assigned(&decisions)[0].1.into()).or_default() += 1;
    }
    for name in names {
        let share = shares.get(name).copied().unwrap_or(0);
        assert!((25..=75).contains(&share), "{name} got {share} of 200");
    }
}

/// What counts in the record after one attempt of three items, one of which came.
fn record_after(end: impl FnOnce(&mut Net, froben_model::LeaseToken)) -> (u64, u64) {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, items(cpu(), 3));
    net.item(token, 0);
    end(&mut net, token);
    // It may have left; its record has not.
    net.join("a/1");
    let machine = net.scheduler.machines().next().unwrap();
    (machine.succeeded, machine.failed)
}

#[test]
fn only_the_operators_own_faults_count() {
    for class in ErrorClass::ALL {
        let blamed = u64::from(class.blames_operator());
        let finish = record_after(|net, token| drop(net.fail(token, class)));
        assert_eq!(finish, (1, 2 * blamed), "{class}: both missing items");
        let item = record_after(|net, token| drop(net.bad_item(token, 1, class)));
        // The newer session ends the attempt that is still there: its two or one missing items.
        assert_eq!(item, (1, blamed + 1), "{class}: one item, then one missing");
    }
    assert_eq!(record_after(|net, _| drop(net.pass(TIMEOUT_MS))), (1, 2));
    assert_eq!(record_after(|net, _| drop(net.leave("a/1"))), (1, 2));
    assert_eq!(record_after(|net, _| drop(net.cancel(1))), (1, 0));
}

/// Fails `attempts` attempts on whoever gets them and tells who got the next one.
fn after_failures(net: &mut Net, attempts: u64) -> Option<String> {
    for call in 100..100 + attempts {
        let token = net.run(call, avoiding(cpu(), &["b"]));
        net.fail(token, ErrorClass::WorkerFailed);
    }
    let decisions = net.queue(900, avoiding(cpu(), &["b"]));
    assigned(&decisions).first().map(|a| a.1.to_owned())
}

/// For how long the machine is quarantined yet.
fn quarantined_for(net: &Net, call: u64, machine: &str) -> u64 {
    match net.why(call, machine) {
        Reason::Quarantined { until } => until - net.now,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_machine_that_fails_fast_is_quarantined_for_a_time() {
    let mut net = Net::of(&["a/1", "b/1"]);
    assert_eq!(after_failures(&mut net, 2).as_deref(), Some("a/1"));
    net.cancel(900);
    assert_eq!(after_failures(&mut net, 1), None);
    let left_ms = quarantined_for(&net, 900, "a/1");
    assert!((30_000..37_500).contains(&left_ms), "{left_ms}");
    let benched: Vec<_> = net.scheduler.machines().flat_map(|m| m.benched).collect();
    assert_eq!(benched.len(), 1);
    net.cancel(900);
    net.queue(901, {
        let mut task = avoiding(cpu(), &["b"]);
        task.queue_timeout_ms = 100_000;
        task
    });
    assert_eq!(assigned(&net.pass(left_ms - 1)), []);
    assert_eq!(assigned(&net.pass(1)), [(901, "a/1")]);
}

#[test]
fn a_good_attempt_ends_the_row() {
    let mut net = Net::of(&["a/1", "b/1"]);
    assert_eq!(after_failures(&mut net, 2).as_deref(), Some("a/1"));
    net.item(net.token_of(900), 0);
    assert_eq!(after_failures(&mut net, 2).as_deref(), Some("a/1"));
}

#[test]
fn silence_is_a_failed_attempt() {
    let mut net = Net::of(&["a/1", "b/1"]);
    let mut failed = 0;
    for call in 1..=3 {
        net.queue(call, avoiding(cpu(), &["b"]));
        net.pass(10_000);
        failed = net.now;
        net.cancel(call);
        net.pass(2_000);
    }
    net.queue(4, avoiding(cpu(), &["b"]));
    let length_ms = net.now - failed + quarantined_for(&net, 4, "a/1");
    assert!((30_000..37_500).contains(&length_ms), "{length_ms}");
}

#[test]
fn the_only_machine_of_a_kind_is_not_quarantined() {
    let mut net = Net::of(&["a/1"]);
    assert_eq!(after_failures(&mut net, 9).as_deref(), Some("a/1"));
}

#[test]
fn the_quarantine_of_the_last_one_left_is_lifted() {
    let mut net = Net::of(&["a/1", "b/1"]);
    assert_eq!(after_failures(&mut net, 3), None);
    assert_eq!(assigned(&net.leave("b/1")), [(900, "a/1")]);
}

#[test]
fn one_disconnect_is_one_failure_however_many_attempts_it_cost() {
    let mut net = Net::of(&["b/1"]);
    net.join_as(spec("a/1", 8, 16, &[8, 8, 8, 8]));
    for call in 1..=4 {
        net.run(call, avoiding(gpu(8), &["b"]));
    }
    net.leave("a/1");
    net.join_as(spec("a/1", 8, 16, &[8]));
    let decisions = net.queue(5, avoiding(gpu(8), &["b"]));
    assert_eq!(assigned(&decisions), [(5, "a/1")], "not quarantined");
    for call in 6..=7 {
        net.leave("a/1");
        net.join_as(spec("a/1", 8, 16, &[8]));
        net.queue(call, avoiding(gpu(8), &["b"]));
    }
    net.leave("a/1");
    net.join_as(spec("a/1", 8, 16, &[8]));
    let decisions = net.queue(8, avoiding(gpu(8), &["b"]));
    assert_eq!(assigned(&decisions), [], "the third in a row");
}

#[test]
fn a_machine_that_refuses_is_left_alone_for_a_moment() {
    let mut net = Net::of(&["a/1"]);
    for call in 1..=5 {
        net.queue(call, cpu());
    }
    let mut offered = 0;
    let end = net.now + 10_000;
    let mut decisions = net.cancel(1);
    while net.now < end {
        for decision in std::mem::take(&mut decisions) {
            if let Decision::Assign { token, .. } = decision {
                offered += 1;
                decisions.extend(net.refuse(token));
            }
        }
        decisions.extend(net.pass(100));
    }
    // Pauses of 0.5, 1, 2 and 4 s lie between the offers.
    assert!((2..=5).contains(&offered), "{offered} offers in 10 s");
}

#[test]
fn a_machine_that_accepts_is_forgiven_its_refusals() {
    let mut net = Net::of(&["a/1"]);
    let refuse = |net: &mut Net, call| {
        let token = token(&net.queue(call, cpu()));
        net.refuse(token);
        let Reason::Paused { until } = ({
            net.queue(1000 + call, cpu());
            net.why(1000 + call, "a/1")
        }) else {
            panic!("not paused");
        };
        net.cancel(call);
        net.cancel(1000 + call);
        let pause = until - net.now;
        net.pass(pause);
        pause
    };
    assert_eq!(refuse(&mut net, 1), 500);
    assert_eq!(refuse(&mut net, 2), 1000);
    let token = net.run(3, cpu());
    net.item(token, 0);
    assert_eq!(refuse(&mut net, 4), 500);
}

#[test]
fn patience_does_not_outdo_fairness() {
    let mut net = Net::new();
    net.join_as(spec("a/1", 8, 16, &[8, 8]));
    for call in 1..=3 {
        net.queue_for("crowd", call, gpu(8));
    }
    for call in 1..=2 {
        net.accept(net.token_of(call));
    }
    net.pass(20_000);
    net.queue_for("late", 4, gpu(8));
    assert_eq!(
        assigned(&net.cancel(1)),
        [(4, "a/1")],
        "it has fewer in flight"
    );
    assert_eq!(assigned(&net.cancel(2)), [(3, "a/1")]);
}

#[test]
fn seekers_take_turns_whoever_came_first() {
    let mut net = Net::new();
    for call in 1..=6 {
        net.queue_for("crowd", call, gpu(8));
    }
    for call in 7..=8 {
        net.queue_for("late", call, gpu(8));
    }
    let decisions = net.join_as(spec("a/1", 8, 16, &[8, 8, 8, 8]));
    let calls: Vec<_> = assigned(&decisions).iter().map(|a| a.0).collect();
    assert_eq!(calls, [1, 7, 2, 8]);
    // Both have two: the one that was served less recently is next.
    net.queue_for("late", 9, gpu(8));
    net.now += 1;
    assert_eq!(assigned(&net.cancel(1)), [(3, "a/1")]);
    assert_eq!(assigned(&net.cancel(7)), [(9, "a/1")]);
}

#[test]
fn a_machine_is_not_kept_for_who_cannot_pay_it_any_more() {
    let mut net = Net::new();
    net.fund(6);
    net.join_at("a/1", 6);
    let small = net.run(1, shared(4));
    let mut elder = cpu();
    elder.queue_timeout_ms = 1_000_000;
    net.queue_paid(2, elder);
    net.pass(20_000);
    net.queue(3, shared(4));
    assert_eq!(net.why(3, "a/1"), Reason::KeptForElder);
    // On the device, and for all the money that the elder had.
    assert_eq!(assigned(&net.queue_paid(4, gpu(8))), [(4, "a/1")]);
    assert_eq!(assigned(&net.item(small, 0)), [(3, "a/1")]);
}

#[test]
fn two_that_wait_for_machines_of_their_own_share_one_purse() {
    let mut net = Net::new();
    net.fund(6);
    for (call, name, other) in [(1, "a/1", "b"), (2, "b/1", "a")] {
        net.join_at(name, 6);
        net.run(call, avoiding(shared(4), &[other]));
    }
    for (call, other) in [(3, "b"), (4, "a")] {
        let mut elder = avoiding(cpu(), &[other]);
        elder.queue_timeout_ms = 1_000_000;
        net.queue_paid(call, elder);
    }
    net.pass(20_000);
    for (call, name, other) in [(5, "a/1", "b"), (6, "b/1", "a")] {
        net.queue(call, avoiding(shared(4), &[other]));
        assert_eq!(net.why(call, name), Reason::KeptForElder);
    }
    // Both machines become free at once, when the time of what runs is over.
    let decisions = net.pass(40_000);
    let elders = assigned(&decisions).into_iter().filter(|a| a.0 <= 4);
    assert_eq!(elders.count(), 1, "there is money for one");
}

#[test]
fn a_task_that_fits_nowhere_now_blocks_nobody() {
    let mut net = Net::of(&["a/1"]);
    net.queue(1, shared(4));
    assert_eq!(assigned(&net.queue(2, cpu())), []);
    assert_eq!(assigned(&net.queue(3, shared(4))), [(3, "a/1")]);
    assert_eq!(assigned(&net.queue(4, gpu(8))), [(4, "a/1")]);
}

#[test]
fn a_big_task_is_not_starved_by_small_ones() {
    let mut net = Net::of(&["a/1"]);
    let mut small = shared(4);
    small.queue_timeout_ms = 1_000_000;
    let mut big = cpu();
    big.queue_timeout_ms = 1_000_000;
    let mut running = vec![net.run(1, small.clone()), net.run(2, small.clone())];
    net.queue(3, big);
    let mut call = 3;
    let mut got_it = None;
    // Each second a small one ends and a new one comes: without a rule there is never a moment in
    // which all cores are free.
    for second in 1..60 {
        net.pass(1000);
        call += 1;
        net.queue(call, small.clone());
        if !running.is_empty() {
            let decisions = net.item(running.remove(0), 0);
            for decision in &decisions {
                if let Decision::Assign { key, token, .. } = decision {
                    match key.call.0 {
                        3 => got_it = Some(second),
                        _ => {
                            net.accept(*token);
                            running.push(*token);
                        }
                    }
                }
            }
        }
        if got_it.is_some() {
            break;
        }
        if second == 10 {
            assert_eq!(net.why(call, "a/1"), Reason::KeptForElder);
        }
    }
    // Held from the tenth second on, it had to wait for the two that ran then.
    assert_eq!(got_it, Some(11));
    assert_eq!(net.why(call, "a/1"), Reason::CoresBusy { need: 4, free: 0 });
}

#[test]
fn a_hold_ends_with_its_delegation() {
    let mut net = Net::of(&["a/1"]);
    net.run(1, shared(4));
    net.queue(2, cpu());
    net.pass(10_000);
    assert_eq!(assigned(&net.queue(3, shared(4))), []);
    assert_eq!(net.why(3, "a/1"), Reason::KeptForElder);
    assert_eq!(
        assigned(&net.queue(4, gpu(8))),
        [(4, "a/1")],
        "it fits beside"
    );
    assert_eq!(assigned(&net.cancel(2)), [(3, "a/1")]);
}

#[test]
fn the_hold_moves_to_the_machine_that_is_free_sooner() {
    let mut net = Net::of(&["a/1"]);
    let mut long = shared(4);
    long.timeout_ms = 10 * TIMEOUT_MS;
    net.run(1, long);
    net.queue(2, cpu());
    net.pass(10_000);
    assert_eq!(assigned(&net.queue(3, shared(4))), [], "a/1 is held");
    net.join("b/1");
    // The elder had b/1 at once.
    assert_eq!(net.why(2, "b/1"), Reason::HasIt);

    let mut net = Net::of(&["a/1"]);
    let mut long = shared(4);
    long.timeout_ms = 10 * TIMEOUT_MS;
    net.run(1, long);
    let short = token(&{
        net.join("b/1");
        net.queue(2, avoiding(shared(4), &["a"]))
    });
    net.accept(short);
    net.queue(3, cpu());
    net.pass(10_000);
    assert_eq!(assigned(&net.queue(4, avoiding(shared(4), &["b"]))), []);
    assert_eq!(net.why(4, "a/1"), Reason::KeptForElder);
    // On b/1 the elder would be passed too, and b/1 is free sooner: now a/1 may go on.
    let decisions = net.queue(5, avoiding(shared(4), &["a"]));
    assert_eq!(assigned(&decisions), [(4, "a/1")]);
    assert_eq!(net.why(5, "b/1"), Reason::KeptForElder);
    assert_eq!(assigned(&net.item(short, 0)), [(3, "b/1")]);
}

fn no_capacity(machines: Vec<MachineSpec>, task: Task, expected: Expect) {
    let mut net = Net::new();
    for machine in machines {
        net.join_as(machine);
    }
    let mut first = cpu();
    first.kind = kind("noise/1");
    net.queue(1, first);
    net.queue(2, task);
    let waiting = net.scheduler.waiting_for(key(2)).unwrap();
    net.cancel(1);
    let (end, failure) = ended(&net.pass(QUEUE_TIMEOUT_MS));
    let failure = failure.unwrap();
    assert_eq!((end, failure.class), (End::Failed, ErrorClass::NoCapacity));
    expected.assert_eq(&waiting);
    let message = format!("no machine took it within 30 s ({waiting})");
    assert_eq!(failure.message, message);
}

#[test]
fn a_wait_that_ends_says_what_it_waited_for() {
    let plain = |name| spec(name, 8, 16, &[8]);
    let cpu_only = |name| {
        let mut spec = plain(name);
        spec.device_kinds.clear();
        spec
    };
    no_capacity(vec![], cpu(), expect!["no machine is connected"]);
    let mut other = cpu();
    other.kind = kind("x/1");
    no_capacity(
        vec![plain("a/1")],
        other,
        expect!["no connected machine offers x/1"],
    );
    no_capacity(
        vec![cpu_only("a/1")],
        gpu(1),
        expect!["no connected machine offers work/1 on a device"],
    );
    no_capacity(
        vec![plain("a/1")],
        gpu(9),
        expect!["1 machine offers work/1 on a device: short of device memory"],
    );
    no_capacity(
        vec![plain("a/1"), plain("a/2"), plain("a/3")],
        shared(9),
        expect!["3 machines offer work/1: all short of cores"],
    );
    let mut hungry = shared(1);
    hungry.needs.ram_bytes = 17 * GIB;
    no_capacity(
        vec![plain("a/1"), plain("b/1"), plain("b/2")],
        avoiding(hungry, &["b"]),
        expect!["3 machines offer work/1: 2 avoided by the task, 1 short of memory"],
    );
}

#[test]
fn a_busy_network_says_so() {
    let mut net = Net::of(&["a/1", "b/1"]);
    for call in 1..=4 {
        let mut task = cpu();
        task.timeout_ms = 1_000_000;
        task.queue_timeout_ms += call;
        let decisions = net.queue(call, task);
        if call <= 2 {
            net.accept(token(&decisions));
        }
    }
    for (ms, call) in [(QUEUE_TIMEOUT_MS + 3, 3), (1, 4)] {
        let (_, failure) = ended(&net.pass(ms));
        assert_eq!(
            failure.unwrap().message,
            format!("no machine took it within 3000{call} ms (2 machines offer work/1: all busy)")
        );
    }
}

#[test]
fn no_capacity_waits_for_machines_that_may_come() {
    let mut net = Net::of(&[]);
    net.queue(1, cpu());
    assert_eq!(net.pass(QUEUE_TIMEOUT_MS - 1), []);
    assert_eq!(assigned(&net.join("a/1")), [(1, "a/1")]);
}

#[test]
fn why_gives_a_reason_for_each_machine() {
    let mut net = Net::new();
    let mut task = gpu(8);
    task.needs.cpu_cores = 4;
    task.needs.ram_bytes = 8 * GIB;
    let task = avoiding(task, &["avoided"]);
    let mut cpu_only = spec("cpu/only", 8, 16, &[8]);
    cpu_only.device_kinds.clear();
    let mut stranger = spec("stranger/1", 8, 16, &[8]);
    stranger.cpu_kinds.clear();
    stranger.device_kinds.clear();
    let refusing = spec("refusing/1", 8, 16, &[8]);
    net.join_as(refusing);
    let offered = token(&net.queue(1, task));
    net.refuse(offered);
    for machine in [
        spec("avoided/1", 8, 16, &[8]),
        cpu_only,
        stranger,
        spec("few/cores", 3, 16, &[8]),
        spec("little/ram", 8, 7, &[8]),
        spec("small/gpu", 8, 16, &[4, 6]),
        spec("no/gpu", 8, 16, &[]),
    ] {
        net.join_as(machine);
    }
    let mut lots_of_ram = shared(1);
    lots_of_ram.needs.ram_bytes = 9 * GIB;
    let noise = [
        ("cores/busy", avoiding(shared(5), &["gpu", "ram"])),
        ("gpu/busy", avoiding(gpu(1), &["cores", "ram"])),
        ("ram/busy", avoiding(lots_of_ram, &["cores", "gpu"])),
    ];
    for (call, (machine, mut task)) in (100..).zip(noise) {
        task.kind = kind("noise/1");
        // A seeker that has had nothing yet goes first when the machine comes.
        net.queue_for(&format!("s{call}"), call, task);
        let mut busy = spec(machine, 8, 16, &[8]);
        busy.cpu_kinds.push(kind("noise/1"));
        busy.device_kinds.push(kind("noise/1"));
        assert_eq!(assigned(&net.join_as(busy)), [(call, machine)]);
    }
    let lines: Vec<_> = net
        .scheduler
        .why(key(1))
        .into_iter()
        .map(|(machine, reason)| {
            let lasts = if reason.lasts() { " (lasts)" } else { "" };
            format!("{machine}: {reason}{lasts}\n")
        })
        .collect();
    expect![[r#"
        refusing/1: paused after it refused a task
        avoided/1: the task avoids operator avoided (lasts)
        cpu/only: offers work/1 on the CPU only, and the task needs vram (lasts)
        stranger/1: does not offer work/1 (lasts)
        few/cores: has 3 cores, 4 needed (lasts)
        little/ram: has 7 GiB of memory, 8 GiB needed (lasts)
        small/gpu: its largest device has 6 GiB, 8 GiB needed (lasts)
        no/gpu: has no device (lasts)
        cores/busy: busy: 3 cores free, 4 needed
        gpu/busy: busy: no device with 8 GiB is free
        ram/busy: busy: 7 GiB of memory free, 8 GiB needed
    "#]]
    .assert_eq(&lines.concat());
    let named: BTreeSet<_> = lines.iter().collect();
    assert_eq!(named.len(), lines.len());
    assert_eq!(net.scheduler.why(key(77)), []);
    assert_eq!(net.scheduler.waiting_for(key(77)), None);
}
