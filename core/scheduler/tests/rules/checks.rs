//! Values that count only once a check approves them, and the checks themselves.

use expect_test::expect;
use froben_model::{Amount, ErrorClass, MachineId};
use froben_scheduler::{ClaimedItem, Input, Past, Policy, Reason, Trust, Urgency, Verdict};

use crate::net::{
    Net, QUEUE_TIMEOUT_MS, TIMEOUT_MS, assigned, check, checked, cpu, ended, items, key, shared,
    spec, token, words,
};

fn rejected() -> Verdict {
    Verdict::Rejected("9 is not 3 times 4".into())
}

fn record(net: &Net, machine: &str) -> (u64, u64) {
    let mut machines = net.scheduler.machines();
    let view = machines.find(|view| view.machine.as_str() == machine);
    let view = view.expect("it is connected");
    (view.succeeded, view.failed)
}

#[test]
fn a_value_counts_once_its_check_approves_it() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, checked(items(cpu(), 2)));
    expect![[r#"
        claim #1.1 item 0
    "#]]
    .assert_eq(&words(&net.item(token, 0)));
    expect![[r#"
        duplicate #1.1 item 0
    "#]]
    .assert_eq(&words(&net.item(token, 0)));
    assert_eq!(record(&net, "a/1"), (0, 0), "nothing is known of it yet");
    // The machine is free before anybody has looked.
    expect![[r#"
        claim #1.1 item 1
    "#]]
    .assert_eq(&words(&net.item(token, 1)));
    assert_eq!(assigned(&net.queue(2, cpu())), [(2, "a/1")]);
    expect![[r#"
        stale #1.1
    "#]]
    .assert_eq(&words(&net.item(token, 1)));
    expect![[r#"
        settle #1.1 item 1
    "#]]
    .assert_eq(&words(&net.verdict(1, 1, Verdict::Approved)));
    assert_eq!(words(&net.verdict(1, 1, rejected())), "", "it is settled");
    expect![[r#"
        settle #1.1 item 0: invalid_result of a: its check rejected it: 9 is not 3 times 4
        end #1.1 Failed
    "#]]
    .assert_eq(&words(&net.verdict(1, 0, rejected())));
    assert_eq!(record(&net, "a/1"), (1, 1));
}

#[test]
fn a_verdict_may_come_while_others_are_still_made() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, checked(items(cpu(), 2)));
    net.item(token, 0);
    net.verdict(1, 0, Verdict::Approved);
    net.item(token, 1);
    expect![[r#"
        settle #1.1 item 1
        end #1.1 Succeeded
    "#]]
    .assert_eq(&words(&net.verdict(1, 1, Verdict::Approved)));
}

#[test]
fn claims_outlive_their_attempt() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, checked(items(cpu(), 2)));
    net.item(token, 1);
    expect![[r#"
        lose #1.1: disconnected of a: a/1 left: connection lost
    "#]]
    .assert_eq(&words(&net.leave("a/1")));
    expect![[r#"
        settle #1.1 item 1
        end #1.1 Failed: disconnected of a: a/1 left: connection lost
    "#]]
    .assert_eq(&words(&net.verdict(1, 1, Verdict::Approved)));
}

#[test]
fn a_check_that_never_ends_does_not_hang_its_delegation() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, checked(cpu()));
    net.item(token, 0);
    let tries = u64::from(Policy::default().check_attempts);
    assert_eq!(
        words(&net.pass(tries * (QUEUE_TIMEOUT_MS + TIMEOUT_MS))),
        ""
    );
    expect![[r#"
        settle #1.1 item 0: no_capacity: nobody trusted has checked it: no verdict came within 450 s
        end #1.1 Failed
    "#]]
    .assert_eq(&words(&net.pass(1000)));
    assert_eq!(record(&net, "a/1"), (0, 0), "its maker is not to blame");
}

#[test]
fn while_a_workflow_is_paused_its_checks_have_time() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, checked(cpu()));
    let workflow = key(1).workflow;
    net.input(Input::Pause { workflow });
    net.item(token, 0);
    assert_eq!(words(&net.pass(10 * TIMEOUT_MS)), "");
    net.input(Input::Resume { workflow });
    net.pass(QUEUE_TIMEOUT_MS + TIMEOUT_MS);
    assert_eq!(net.verdict(1, 0, Verdict::Approved).len(), 2);
}

#[test]
fn a_claim_holds_its_price_until_the_verdict() {
    let mut net = Net::new();
    net.fund(10);
    net.join_at("a/1", 4);
    let token = token(&net.queue_paid(1, checked(items(shared(1), 2))));
    net.item(token, 0);
    net.item(token, 1);
    // Eight of ten are held, though the machine is free.
    assert_eq!(assigned(&net.queue_paid(2, shared(1))), []);
    let (cost, left) = (Amount(4), Amount(2));
    assert_eq!(net.why(2, "a/1"), Reason::OverBudget { cost, left });
    assert_eq!(assigned(&net.verdict(1, 0, Verdict::Approved)), []);
    assert_eq!(assigned(&net.verdict(1, 1, rejected())), [(2, "a/1")]);
}

#[test]
fn a_cancel_gives_back_what_claims_hold() {
    let mut net = Net::new();
    net.fund(4);
    net.join_at("a/1", 4);
    let token = token(&net.queue_paid(1, checked(shared(1))));
    net.item(token, 0);
    net.queue_paid(2, shared(1));
    expect![[r#"
        end #1.1 Cancelled: cancelled: cancelled
        assign #2.1 to a/1 with 1 cores, owed [0]
    "#]]
    .assert_eq(&words(&net.cancel(1)));
    assert_eq!(words(&net.verdict(1, 0, Verdict::Approved)), "");
}

#[test]
fn whoever_is_rejected_time_and_again_is_quarantined() {
    let mut net = Net::of(&["a/1", "b/1"]);
    let wrong = token(&net.queue(1, checked(items(cpu(), 3))));
    for index in 0..3 {
        net.item(wrong, index);
        net.verdict(1, index, rejected());
    }
    let machine = net.scheduler.machines().find(|view| view.failed == 3);
    let liar = machine.unwrap().machine.as_str().to_owned();
    net.queue(2, shared(1));
    assert!(matches!(net.why(2, &liar), Reason::Quarantined { .. }));
}

#[test]
fn a_check_goes_to_trusted_operators_alone() {
    let mut net = Net::of(&["a/1", "b/1"]);
    assert_eq!(assigned(&net.queue(1, check())), []);
    assert_eq!(
        net.why(1, "a/1").to_string(),
        "the task is a check, and operator a is not trusted"
    );
    assert_eq!(assigned(&net.trust(&["b"])), [(1, "b/1")]);
    // Who is not trusted any more loses the check that it has, and is not to blame.
    net.accept(net.token_of(1));
    expect![[r#"
        requeue #1.1: its operator is not trusted any more
        stop #1.1
        assign #1.2 to a/1 with 1 cores, owed [0]
    "#]]
    .assert_eq(&words(&net.trust(&["a"])));
    assert_eq!(record(&net, "b/1"), (0, 0));
}

#[test]
fn a_check_is_tried_elsewhere_however_long_its_first_attempt_took() {
    let mut net = Net::of(&["a/1"]);
    net.trust(&["a", "b"]);
    let mut task = check();
    task.queue_timeout_ms = 5000;
    let first = net.run(1, task);
    net.join("b/1");
    net.pass(20_000);
    let decisions = net.fail(first, ErrorClass::WorkerFailed);
    assert_eq!(assigned(&decisions), [(1, "b/1")]);
}

#[test]
fn a_check_that_fails_is_tried_elsewhere() {
    let mut net = Net::of(&["a/1"]);
    net.trust(&["a", "b"]);
    let first = net.run(1, check());
    net.join("b/1");
    expect![[r#"
        requeue #1.1: worker_failed: it broke, its fault
        assign #1.2 to b/1 with 1 cores, owed [0]
    "#]]
    .assert_eq(&words(&net.fail(first, ErrorClass::WorkerFailed)));
    assert_eq!(record(&net, "a/1"), (0, 1));
    expect![[r#"
        requeue #1.2: disconnected: b/1 left: connection lost, its fault
    "#]]
    .assert_eq(&words(&net.leave("b/1")));
    expect![[r#"
        assign #1.3 to a/1 with 1 cores, owed [0]
    "#]]
    .assert_eq(&words(&net.pass(500)));
    net.join("b/1");
    let timed_out = words(&net.pass(QUEUE_TIMEOUT_MS));
    assert!(
        timed_out.contains("#1.3: the machine did not answer"),
        "{timed_out}"
    );
}

#[test]
fn a_check_that_fails_everywhere_ends() {
    let mut net = Net::of(&["a/1"]);
    net.trust(&["a"]);
    let mut token = net.run(1, check());
    for attempt in 2..=5 {
        net.fail(token, ErrorClass::BadRequest);
        net.pass(4_000);
        token.attempt = attempt;
        net.accept(token);
    }
    expect![[r#"
        end #1.5 Failed: bad_request of a: it broke
    "#]]
    .assert_eq(&words(&net.fail(token, ErrorClass::BadRequest)));
}

#[test]
fn a_recovered_delegation_waits_for_its_checks_again() {
    let machine = MachineId::new("a/1").unwrap();
    let claim = |price| ClaimedItem {
        attempt: 2,
        machine: machine.clone(),
        price: Amount(price),
        took_ms: None,
    };
    let lost = crate::net::error(ErrorClass::Timeout);
    for (lost, done, end) in [
        (None, vec![(1, true)], "end #1.2 Succeeded\n"),
        (Some(lost), vec![], "end #1.2 TimedOut: timeout: it broke\n"),
    ] {
        let mut net = Net::new();
        net.fund(5);
        net.input(Input::Queue {
            key: key(1),
            seeker: "s".parse().unwrap(),
            task: checked(items(cpu(), 2)),
            queued_ms: net.now,
            past: Past {
                attempts: 2,
                done,
                claims: vec![(0, claim(4))],
                lost,
            },
            purse: Some(key(1).workflow),
            urgency: Urgency::default(),
        });
        let mut dear = spec("b/1", 8, 16, &[]);
        dear.prices = vec![(cpu().kind, Amount(2))];
        net.join_as(dear);
        assert_eq!(assigned(&net.queue_paid(2, shared(1))), [], "four are held");
        let settled = words(&net.verdict(1, 0, Verdict::Approved));
        assert_eq!(settled, format!("settle #1.2 item 0\n{end}"));
    }
}

#[test]
fn a_recovered_delegation_with_claims_and_gaps_goes_on() {
    let mut net = Net::of(&["a/1"]);
    let machine = MachineId::new("b/1").unwrap();
    let price = Amount::ZERO;
    let claim = ClaimedItem {
        attempt: 1,
        machine,
        price,
        took_ms: None,
    };
    let queued = net.input(Input::Queue {
        key: key(1),
        seeker: "s".parse().unwrap(),
        task: checked(items(cpu(), 2)),
        queued_ms: net.now,
        past: Past {
            attempts: 1,
            claims: vec![(0, claim)],
            ..Past::default()
        },
        purse: None,
        urgency: Urgency::default(),
    });
    expect![[r#"
        assign #1.2 to a/1 with 8 cores, owed [1]
    "#]]
    .assert_eq(&words(&queued));
    let second = token(&queued);
    net.item(second, 1);
    net.verdict(1, 1, Verdict::Approved);
    let (_, failure) = ended(&net.verdict(1, 0, rejected()));
    assert_eq!(failure, None);
    assert_eq!(record(&net, "a/1"), (1, 0), "the other one is to blame");
    assert_eq!(checked(cpu()).trust, Trust::Checked);
}
