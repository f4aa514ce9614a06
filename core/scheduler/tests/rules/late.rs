//! Values of attempts that are over: they count while their items are missing.

use expect_test::expect;
use froben_model::Amount;
use froben_scheduler::{Input, Reason, Verdict};

use crate::net::{Net, assigned, check, checked, cpu, items, key, shared, token, words};

/// Two items, of which an attempt of `a/1` brought none within its time to answer; `b/1` has them now.
fn given_away(task: froben_scheduler::Task) -> (Net, froben_model::LeaseToken) {
    let mut net = Net::of(&["a/1"]);
    let first = token(&net.queue(1, items(task, 2)));
    net.join("b/1");
    let again = net.pass(10_000);
    assert_eq!(assigned(&again), [(1, "b/1")]);
    (net, first)
}

#[test]
fn a_late_value_counts_and_the_same_again_does_not() {
    let (mut net, first) = given_away(cpu());
    let second = net.token_of(1);
    assert_eq!(first, second);
    let second = froben_model::LeaseToken {
        attempt: 2,
        ..first
    };
    net.accept(second);
    expect![[r#"
        accept #1.1 item 1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 1)));
    expect![[r#"
        duplicate #1.1 item 1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 1)));
    expect![[r#"
        duplicate #1.2 item 1
    "#]]
    .assert_eq(&words(&net.item(second, 1)));
    // The last one ends the attempt that was to make it.
    expect![[r#"
        accept #1.1 item 0
        end #1.2 Succeeded
        stop #1.2
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 0)));
    expect![[r#"
        stale #1.1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 0)));
    let credit: Vec<_> = net.scheduler.machines().map(|m| m.succeeded).collect();
    assert_eq!(credit, [2, 0]);
}

#[test]
fn a_late_value_counts_before_its_delegation_is_placed_again() {
    let mut net = Net::of(&["a/1"]);
    let first = token(&net.queue(1, items(cpu(), 1)));
    net.refuse(first);
    expect![[r#"
        accept #1.1 item 0
        end #1.1 Succeeded
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 0)));
}

#[test]
fn a_late_value_costs_what_was_agreed_and_is_within_the_budget() {
    let mut net = Net::new();
    net.fund(5);
    net.join_at("a/1", 5);
    let first = token(&net.queue_paid(1, shared(1)));
    net.refuse(first);
    net.cancel(1);
    net.pass(1000);
    let second = token(&net.queue_paid(2, shared(1)));
    net.join_at("b/1", 3);
    net.refuse(second);
    net.pass(0);
    // Whoever has it now holds three of five; with them back, there are five.
    assert_eq!(net.late(first, "a/1", 5, 0).len(), 1, "that call is over");
    expect![[r#"
        accept #2.1 item 0
        end #2.2 Succeeded
        stop #2.2
    "#]]
    .assert_eq(&words(&net.late(second, "a/1", 5, 0)));
    net.queue_paid(3, shared(1));
    let (cost, left) = (Amount(3), Amount(0));
    assert_eq!(net.why(3, "b/1"), Reason::OverBudget { cost, left });
}

#[test]
fn a_late_value_that_the_budget_does_not_cover_is_stale() {
    let mut net = Net::new();
    net.fund(5);
    net.join_at("a/1", 5);
    let first = token(&net.queue_paid(1, shared(1)));
    net.refuse(first);
    net.join_at("b/1", 3);
    assert_eq!(assigned(&net.queue_paid(2, shared(2))), []);
    expect![[r#"
        stale #1.1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 6, 0)));
}

#[test]
fn a_late_value_is_checked_like_any_other() {
    let (mut net, first) = given_away(checked(cpu()));
    expect![[r#"
        claim #1.1 item 0
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 0)));
    expect![[r#"
        claim #1.1 item 1
        stop #1.2
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 1)));
    net.verdict(1, 0, Verdict::Approved);
    expect![[r#"
        settle #1.1 item 1
        end #1.2 Succeeded
    "#]]
    .assert_eq(&words(&net.verdict(1, 1, Verdict::Approved)));
}

#[test]
fn a_late_value_fills_what_a_lost_attempt_left() {
    let mut net = Net::of(&["a/1"]);
    let first = net.run(1, checked(items(cpu(), 2)));
    net.item(first, 0);
    net.leave("a/1");
    expect![[r#"
        claim #1.1 item 1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 1)));
    net.verdict(1, 0, Verdict::Approved);
    expect![[r#"
        settle #1.1 item 1
        end #1.1 Succeeded
    "#]]
    .assert_eq(&words(&net.verdict(1, 1, Verdict::Approved)));
}

#[test]
fn a_late_verdict_is_none() {
    let mut net = Net::of(&["a/1"]);
    net.trust(&["a"]);
    let first = token(&net.queue(1, check()));
    net.refuse(first);
    expect![[r#"
        stale #1.1
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 0)));
}

#[test]
fn a_paused_workflow_takes_late_values() {
    let mut net = Net::of(&["a/1"]);
    let first = token(&net.queue(1, items(cpu(), 2)));
    let workflow = key(1).workflow;
    net.input(Input::Pause { workflow });
    net.refuse(first);
    net.late(first, "a/1", 0, 0);
    expect![[r#"
        accept #1.1 item 1
        end #1.1 Succeeded
    "#]]
    .assert_eq(&words(&net.late(first, "a/1", 0, 1)));
}
