//! A straggler is given to a second machine, and takes nothing from anybody.

use expect_test::expect;
use froben_model::{Amount, CallId, ErrorClass, LeaseToken, SeekerId, WorkflowId};
use froben_scheduler::{Decision, DelegationKey, Input, Past, Policy, Reason, Urgency, Verdict};

use crate::net::{
    Net, assigned, avoiding, check, checked, cpu, items, kind, shared, spec, token, words,
};

/// The usual item takes a second, so an attempt straggles 1.5 s after something came of it.
fn policy() -> Policy {
    Policy {
        learn_after: 10,
        hedge_floor_ms: 0,
        newcomer_items: 0,
        ..Policy::default()
    }
}

/// A network that knows the kind; nobody is connected.
fn net() -> Net {
    let mut net = Net::with(policy(), 1);
    net.join("teacher/1");
    let token = net.run(100, items(cpu(), 20));
    for index in 0..20 {
        net.pass(1000);
        net.item(token, index);
    }
    net.leave("teacher/1");
    net
}

/// A delegation of three items that straggles on `slow/1`, with `fast/1` beside it.
fn straggler(net: &mut Net) -> (LeaseToken, LeaseToken) {
    net.join("slow/1");
    let first = net.run(1, items(cpu(), 3));
    net.join("fast/1");
    net.pass(1000);
    net.item(first, 0);
    assert_eq!(assigned(&net.pass(1400)), [], "not a straggler yet");
    let decisions = net.pass(200);
    assert_eq!(assigned(&decisions), [(1, "fast/1")]);
    (first, token(&decisions))
}

/// Items that count against a machine.
fn failed(net: &Net, name: &str) -> u64 {
    let mut machines = net.scheduler.machines();
    let machine = machines.find(|m| m.machine.as_str() == name);
    machine.unwrap().failed
}

#[test]
fn of_each_item_the_first_value_counts_and_the_loser_is_stopped() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    let mut story = words(&net.accept(second));
    for (token, index) in [(second, 1), (first, 1), (second, 2)] {
        story += &words(&net.item(token, index));
    }
    story += &words(&net.item(first, 2));
    expect![[r#"
        start #1.2
        accept #1.2 item 1
        duplicate #1.1 item 1
        accept #1.2 item 2
        end #1.2 Succeeded
        stop #1.1
        stale #1.1
    "#]]
    .assert_eq(&story);
    assert!(
        net.scheduler
            .machines()
            .all(|machine| machine.attempts == 0)
    );
    let failed: u64 = net.scheduler.machines().map(|machine| machine.failed).sum();
    assert_eq!(failed, 0, "the slower one is not blamed");
}

#[test]
fn other_numbers_hold_for_what_runs_already() {
    let mut net = net();
    let share = |hedge_share| {
        let policy = policy();
        Input::Policy(Policy {
            hedge_share,
            ..policy
        })
    };
    net.input(share(0));
    net.join("slow/1");
    net.run(1, items(cpu(), 3));
    assert_eq!(assigned(&net.pass(5000)), [], "nobody is there");
    net.input(share(5));
    net.pass(1);
    // It straggles, and nobody is there to have it.
    net.input(share(0));
    net.join("fast/1");
    assert_eq!(assigned(&net.pass(5000)), [], "there are no hedges");
    let mut decisions = net.input(share(5));
    decisions.extend(net.pass(1));
    assert_eq!(assigned(&decisions), [(1, "fast/1")]);
}

#[test]
fn the_straggler_may_still_win() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    net.item(first, 1);
    expect![[r#"
        accept #1.1 item 2
        end #1.1 Succeeded
        stop #1.2
    "#]]
    .assert_eq(&words(&net.item(first, 2)));
    assert_eq!(words(&net.accept(second)), "stale #1.2\n");
}

#[test]
fn while_one_goes_on_the_other_is_only_lost() {
    type Ends = fn(&mut Net, LeaseToken, LeaseToken) -> Vec<Decision>;
    let ways: [(&str, Ends); 6] = [
        ("fails", |net, first, _| {
            net.fail(first, ErrorClass::WorkerFailed)
        }),
        ("refuses", |net, _, second| net.refuse(second)),
        ("leaves", |net, _, _| net.leave("slow/1")),
        ("leaves, the other", |net, _, _| net.leave("fast/1")),
        ("is silent", |net, _, _| net.pass(10_000)),
        ("sends an error", |net, _, second| {
            net.bad_item(second, 1, ErrorClass::OutOfMemory)
        }),
    ];
    let mut stories = String::new();
    for (way, ends) in ways {
        let mut net = net();
        let (first, second) = straggler(&mut net);
        let story = words(&ends(&mut net, first, second));
        let left = match story.contains("lose #1.1") {
            true => second,
            false => first,
        };
        net.accept(left);
        net.item(left, 1);
        let end = words(&net.item(left, 2));
        stories += &format!("one {way}\n{story}{end}");
    }
    expect![[r#"
        one fails
        lose #1.1: worker_failed of slow: it broke
        accept #1.2 item 2
        end #1.2 Succeeded
        one refuses
        lose #1.2: no_capacity of fast: not now
        accept #1.1 item 2
        end #1.1 Succeeded
        one leaves
        lose #1.1: disconnected of slow: slow/1 left: connection lost
        accept #1.2 item 2
        end #1.2 Succeeded
        one leaves, the other
        lose #1.2: disconnected of fast: fast/1 left: connection lost
        accept #1.1 item 2
        end #1.1 Succeeded
        one is silent
        lose #1.2: timeout of fast: the machine did not answer within 10 s
        stop #1.2
        accept #1.1 item 2
        end #1.1 Succeeded
        one sends an error
        start #1.2
        lose #1.2: out_of_memory of fast: item 1 failed
        stop #1.2
        accept #1.1 item 2
        end #1.1 Succeeded
    "#]]
    .assert_eq(&stories);
}

#[test]
fn a_hedge_makes_nothing_take_longer() {
    let mut net = net();
    let (_, second) = straggler(&mut net);
    net.accept(second);
    // A minute from when the first was assigned.
    expect![[r#"
        lose #1.2: cancelled of fast: the time is over
        stop #1.2
        end #1.1 TimedOut: timeout of slow: not over after 60 s, 2 of 3 items missing
        stop #1.1
    "#]]
    .assert_eq(&words(&net.pass(60_000 - 2600)));
    assert_eq!((failed(&net, "slow/1"), failed(&net, "fast/1")), (2, 0));
}

#[test]
fn whoever_has_no_time_left_for_it_is_not_asked() {
    let mut net = net();
    net.join("slow/1");
    let first = net.run(1, items(cpu(), 60));
    for index in 0..30 {
        net.pass(1000);
        net.item(first, index);
    }
    net.join("fast/1");
    // Thirty items of a second each are missing, and less than thirty seconds are left.
    assert_eq!(assigned(&net.pass(1600)), []);
    (30..33).for_each(|index| drop(net.item(first, index)));
    assert_eq!(assigned(&net.pass(2500)), []);
    (33..50).for_each(|index| drop(net.item(first, index)));
    assert_eq!(assigned(&net.pass(4000)), [(1, "fast/1")]);
}

#[test]
fn what_fails_beside_another_attempt_is_not_passed_round() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    net.accept(second);
    net.join("third/1");
    net.fail(first, ErrorClass::OutOfMemory);
    assert_eq!(assigned(&net.pass(30_000)), [], "a third would fail too");
    let end = words(&net.bad_item(second, 1, ErrorClass::OutOfMemory));
    assert_eq!(end, "accept #1.2 item 1\n");
}

#[test]
fn who_was_outdone_is_known_to_be_slow() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, cpu());
    net.join("fast/1");
    let second = token(&net.pass(1600));
    net.accept(second);
    net.pass(1000);
    net.item(second, 0);
    for call in 2..12 {
        let decisions = net.queue(call, items(cpu(), 1));
        assert_eq!(assigned(&decisions), [(call, "fast/1")]);
        let token = token(&decisions);
        net.accept(token);
        net.item(token, 0);
    }
}

#[test]
fn newcomers_are_no_hedges() {
    let mut net = net();
    let policy = Policy {
        newcomer_items: 10,
        ..policy()
    };
    net.join("slow/1");
    let first = net.run(1, items(cpu(), 3));
    net.input(Input::Policy(policy));
    net.join("new/1");
    assert_eq!(assigned(&net.pass(3000)), []);
    net.item(first, 0);
}

#[test]
fn values_that_wait_for_their_checks_come_from_both() {
    let mut net = net();
    net.fund(100);
    net.join_at("slow/1", 2);
    let first = token(&net.queue_paid(1, checked(items(cpu(), 3))));
    net.accept(first);
    net.join_at("fast/1", 3);
    let second = token(&net.pass(1600));
    net.accept(second);
    let mut story = String::new();
    for (token, index) in [(first, 0), (second, 0), (second, 1), (first, 2)] {
        story += &words(&net.item(token, index));
    }
    for index in 0..3 {
        story += &words(&net.verdict(1, index, Verdict::Approved));
    }
    expect![[r#"
        claim #1.1 item 0
        duplicate #1.2 item 0
        claim #1.2 item 1
        claim #1.1 item 2
        stop #1.2
        settle #1.1 item 0
        settle #1.2 item 1
        settle #1.1 item 2
        end #1.2 Succeeded
    "#]]
    .assert_eq(&story);
    // Two, three and two of a hundred are spent: that is all there is left.
    let (cost, left) = (Amount(2 * 47), Amount(93));
    net.leave("fast/1");
    net.queue_paid(2, items(shared(1), 47));
    assert_eq!(net.why(2, "slow/1"), Reason::OverBudget { cost, left });
}

#[test]
fn a_late_value_of_one_that_is_lost_counts_beside_two() {
    let mut net = net();
    net.fund(100);
    net.join_at("slow/1", 2);
    let first = token(&net.queue_paid(1, items(cpu(), 2)));
    net.accept(first);
    net.join_at("fast/1", 3);
    let second = token(&net.pass(1600));
    net.accept(second);
    net.leave("slow/1");
    net.join_at("third/1", 1);
    let third = token(&net.pass(1600));
    let mut story = words(&net.late(first, "slow/1", 2, 0));
    story += &words(&net.item(third, 0));
    story += &words(&net.late(first, "slow/1", 2, 1));
    expect![[r#"
        accept #1.1 item 0
        start #1.3
        duplicate #1.3 item 0
        accept #1.1 item 1
        end #1.3 Succeeded
        stop #1.2
        stop #1.3
    "#]]
    .assert_eq(&story);
}

#[test]
fn a_check_is_not_hedged() {
    let mut net = net();
    net.trust(&["slow", "free"]);
    net.join("slow/1");
    net.run(1, check());
    net.join("free/1");
    assert_eq!(assigned(&net.pass(30_000)), []);
}

#[test]
fn a_fault_beside_another_attempt_counts_as_one_item() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    net.accept(second);
    net.fail(first, ErrorClass::WorkerFailed);
    assert_eq!((failed(&net, "slow/1"), failed(&net, "fast/1")), (1, 0));
    net.fail(second, ErrorClass::WorkerFailed);
    assert_eq!(failed(&net, "fast/1"), 2, "alone it answers for all");
}

#[test]
fn if_the_only_one_that_had_begun_is_lost_the_other_is_as_any_that_is_assigned() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    net.fail(first, ErrorClass::WorkerFailed);
    expect![[r#"
        requeue #1.2: not now
        assign #1.3 to slow/1 with 8 cores, owed [1, 2]
    "#]]
    .assert_eq(&words(&net.refuse(second)));
}

#[test]
fn a_cancel_stops_both() {
    let mut net = net();
    let (first, second) = straggler(&mut net);
    let story = words(&net.cancel(1));
    expect![[r#"
        end #1.1 Cancelled: cancelled of slow: cancelled
        stop #1.1
        stop #1.2
    "#]]
    .assert_eq(&story);
    assert_eq!((first.attempt, second.attempt), (1, 2));
}

#[test]
fn another_machine_of_the_operator_is_no_second_opinion() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, cpu());
    net.join("slow/2");
    assert_eq!(assigned(&net.pass(5000)), []);
    assert_eq!(assigned(&net.join("other/1")), []);
    assert_eq!(
        assigned(&net.pass(1000)),
        [(1, "other/1")],
        "it is looked for again"
    );
}

#[test]
fn whom_the_task_avoids_does_not_get_it_either() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, avoiding(cpu(), &["other"]));
    net.join("other/1");
    assert_eq!(assigned(&net.pass(5000)), []);
}

#[test]
fn only_the_tail_of_a_workflow_is_hedged() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, cpu());
    // It waits for a kind that nobody offers, and is of the same workflow.
    let mut task = cpu();
    task.kind = kind("work/2");
    net.queue(2, task);
    net.join("free/1");
    assert_eq!(assigned(&net.pass(5000)), []);
    net.cancel(2);
    assert_eq!(assigned(&net.pass(1000)), [(1, "free/1")]);
}

#[test]
fn a_machine_that_somebody_waits_for_is_left_alone() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, shared(1));
    // Eight cores are too many beside what runs there, and another workflow's.
    net.join("free/1");
    net.queue_for("t", 50, shared(6));
    let big = DelegationKey {
        workflow: WorkflowId([9; 16]),
        call: CallId(1),
    };
    net.input(Input::Queue {
        key: big,
        seeker: SeekerId::new("t").unwrap(),
        task: shared(8),
        queued_ms: net.now,
        past: Past::default(),
        purse: None,
        urgency: Urgency::default(),
    });
    assert_eq!(assigned(&net.pass(5000)), []);
    net.input(Input::Cancel { key: big });
    assert_eq!(assigned(&net.pass(1000)).len(), 1);
}

#[test]
fn a_seeker_has_only_so_many() {
    let mut net = net();
    for call in 1..=4 {
        net.join(&format!("slow{call}/1"));
        net.run(call, cpu());
    }
    for n in 0..4 {
        net.join(&format!("free{n}/1"));
    }
    let decisions = net.pass(5000);
    assert_eq!(assigned(&decisions).len(), 1, "one in any case");
    let hedge = token(&decisions);
    assert_eq!(hedge.call.0, 1, "the oldest first");
    net.accept(hedge);
    net.item(hedge, 0);
    let next = net.pass(1000);
    assert_eq!(assigned(&next).len(), 1, "and the next when that is over");
    assert_eq!(token(&next).call.0, 2);
}

#[test]
fn none_are_given_where_the_policy_has_none() {
    let mut net = Net::with(
        Policy {
            hedge_share: 0,
            ..policy()
        },
        1,
    );
    net.join("a/1");
    let token = net.run(100, items(cpu(), 20));
    for index in 0..20 {
        net.pass(1000);
        net.item(token, index);
    }
    net.run(1, cpu());
    net.join("b/1");
    assert_eq!(assigned(&net.pass(30_000)), []);
}

#[test]
fn both_are_paid_for_in_advance_and_one_in_the_end() {
    let mut net = net();
    net.fund(10);
    net.join_at("slow/1", 2);
    let first = token(&net.queue_paid(1, items(cpu(), 3)));
    net.accept(first);
    net.join_at("dear/1", 3);
    // Six of ten are held, and nine are too many.
    assert_eq!(assigned(&net.pass(5000)), []);
    net.join_at("fair/1", 1);
    let second = token(&net.pass(1000));
    net.accept(second);
    for index in 0..3 {
        net.item(second, index);
    }
    // Three are spent, seven are left.
    net.leave("dear/1");
    net.leave("fair/1");
    assert_eq!(
        assigned(&net.queue_paid(2, items(shared(1), 3))),
        [(2, "slow/1")]
    );
    let (cost, left) = (Amount(2), Amount(1));
    net.queue_paid(3, shared(1));
    assert_eq!(net.why(3, "slow/1"), Reason::OverBudget { cost, left });
}

#[test]
fn an_attempt_of_a_kind_that_becomes_known_meanwhile_is_watched_from_then_on() {
    let mut net = Net::with(policy(), 1);
    net.join("slow/1");
    net.run(1, cpu());
    net.join_as(spec("fast/1", 8, 16, &[]));
    let token = net.run(2, items(cpu(), 10));
    for index in 0..10 {
        net.pass(1000);
        net.item(token, index);
    }
    assert_eq!(
        assigned(&net.pass(1)),
        [(1, "fast/1")],
        "it straggles already"
    );
}

#[test]
fn one_that_straggles_is_not_watched_again_when_its_kind_is_known_anew() {
    let mut net = net();
    net.join("slow/1");
    net.run(1, cpu());
    assert_eq!(assigned(&net.pass(2000)), [], "nobody else is there");
    net.input(Input::Policy(Policy {
        learn_after: 21,
        ..policy()
    }));
    net.join("slow/2");
    let token = net.run(2, cpu());
    net.item(token, 0);
    let mut decisions = net.join("fast/1");
    decisions.extend(net.pass(1000));
    assert_eq!(assigned(&decisions), [(1, "fast/1")]);
}
