//! The life of a delegation, message by message.

use crate::net::*;
use expect_test::{Expect, expect};
use froben_model::{ErrorClass, LeaseToken, SeekerId};
use froben_scheduler::{Decision, End, Input, Past, Reason, Task, Urgency};

fn check(decisions: &[Decision], expected: Expect) {
    expected.assert_eq(&words(decisions));
}

#[test]
fn from_queue_to_success() {
    let mut net = Net::of(&["a/1"]);
    let decisions = net.queue(1, items(gpu(8), 2));
    check(
        &decisions,
        expect![[r#"
            assign #1.1 to a/1 gpu0 with 0 cores, owed [0, 1]
        "#]],
    );
    let Decision::Assign {
        token,
        session,
        ram_bytes,
        vram_bytes,
        deadline_ms,
        ..
    } = decisions[0]
    else {
        panic!("{decisions:?}")
    };
    assert_eq!(session, net.session("a/1"));
    assert_eq!((ram_bytes, vram_bytes), (0, 8 * GIB));
    assert_eq!(deadline_ms, net.now + TIMEOUT_MS);
    assert_eq!(token.epoch, 5);

    check(&net.accept(token), expect!["start #1.1\n"]);
    check(&net.accept(token), expect![""]);
    check(&net.item(token, 1), expect!["accept #1.1 item 1\n"]);
    check(&net.item(token, 1), expect!["duplicate #1.1 item 1\n"]);
    check(
        &net.item(token, 0),
        expect![[r#"
            accept #1.1 item 0
            end #1.1 Succeeded
        "#]],
    );
    let finish = Input::Finish {
        token,
        failure: None,
    };
    check(&net.input(finish), expect!["stale #1.1\n"]);
    assert_eq!(net.scheduler.next_timer(), None);
}

#[test]
fn an_item_that_comes_before_the_answer_is_an_answer() {
    let mut net = Net::of(&["a/1"]);
    let token = token(&net.queue(1, items(cpu(), 2)));
    check(
        &net.item(token, 0),
        expect![[r#"
            start #1.1
            accept #1.1 item 0
        "#]],
    );
    check(&net.accept(token), expect![""]);
    check(&net.item(token, 0), expect!["duplicate #1.1 item 0\n"]);
}

#[test]
fn a_failed_item_fails_the_delegation_when_all_are_in() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, items(cpu(), 2));
    let decisions = net.bad_item(token, 0, ErrorClass::OutOfMemory);
    check(&decisions, expect!["accept #1.1 item 0\n"]);
    check(
        &net.item(token, 1),
        expect![[r#"
            accept #1.1 item 1
            end #1.1 Failed
        "#]],
    );
}

#[test]
fn what_a_finish_means() {
    for (items_in, failure, expected) in [
        (
            1,
            None,
            expect![[r#"
                end #1.1 Failed: worker_failed of a: finished without 2 of 3 items
            "#]],
        ),
        (
            0,
            Some(error(ErrorClass::OutOfMemory)),
            expect![[r#"
                end #1.1 Failed: out_of_memory of a: it broke
            "#]],
        ),
        (
            2,
            Some(error(ErrorClass::BadRequest)),
            expect![[r#"
                end #1.1 Failed: bad_request of a: it broke
            "#]],
        ),
    ] {
        let mut net = Net::of(&["a/1"]);
        let token = net.run(1, items(cpu(), 3));
        for index in 0..items_in {
            net.item(token, index);
        }
        check(&net.input(Input::Finish { token, failure }), expected);
    }
}

#[test]
fn a_message_from_outside_stays_one_line() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, cpu());
    let mut failure = error(ErrorClass::WorkerFailed);
    failure.message = "x\n\u{1b}[2J".repeat(10_000);
    let failure = Some(failure);
    let (_, failure) = ended(&net.input(Input::Finish { token, failure }));
    let message = failure.unwrap().message;
    assert!(message.len() <= froben_model::limits::TEXT_BYTES);
    assert!(!message.contains(char::is_control));
}

#[test]
fn a_refusal_seeks_another_machine_and_is_no_fault() {
    let mut net = Net::of(&["a/1"]);
    let first = token(&net.queue(1, cpu()));
    check(
        &net.refuse(first),
        expect![[r#"
            requeue #1.1: not now
        "#]],
    );
    check(
        &net.join("b/1"),
        expect![[r#"
            assign #1.2 to b/1 with 8 cores, owed [0]
        "#]],
    );
    assert!(net.scheduler.machines().all(|machine| machine.failed == 0));
    for stale in [net.accept(first), net.refuse(first), net.item(first, 0)] {
        check(&stale, expect!["stale #1.1\n"]);
    }
}

#[test]
fn who_refuses_is_asked_again_after_a_while_and_the_wait_is_not_longer_for_it() {
    let mut net = Net::of(&["a/1"]);
    let end = net.now + QUEUE_TIMEOUT_MS;
    let mut offered = 0;
    let mut decisions = net.queue(1, cpu());
    while net.now < end - 100 {
        for decision in std::mem::take(&mut decisions) {
            if let Decision::Assign { token, .. } = decision {
                offered += 1;
                decisions.extend(net.refuse(token));
            }
        }
        decisions.extend(net.pass(100));
    }
    // Pauses of 0.5, 1, 2, 4 and 8 s lie between the offers.
    assert_eq!(offered, 6);
    let (end, failure) = ended(&net.pass(100));
    assert_eq!(
        (end, failure.unwrap().class),
        (End::Failed, ErrorClass::NoCapacity)
    );
}

#[test]
fn a_refusal_after_the_wait_ends_it() {
    let mut net = Net::of(&["a/1", "b/1"]);
    let mut task = cpu();
    task.queue_timeout_ms = 0;
    let token = token(&net.queue(1, task));
    check(
        &net.refuse(token),
        expect![[r#"
            requeue #1.1: not now
            end #1.1 Failed: no_capacity: no machine took it within 0 s (2 machines offer work/1: 1 free, 1 paused after a refusal)
        "#]],
    );
}

#[test]
fn silence_is_a_refusal_that_counts() {
    let mut net = Net::of(&["a/1"]);
    let first = token(&net.queue(1, cpu()));
    let due = net.scheduler.next_timer();
    assert!(due.is_some_and(|due| due <= net.now + 10_000));
    check(&net.pass(9_999), expect![""]);
    check(
        &net.pass(1),
        expect![[r#"
            requeue #1.1: the machine did not answer within 10 s, its fault
            stop #1.1
        "#]],
    );
    check(&net.accept(first), expect!["stale #1.1\n"]);
    assert_eq!(net.scheduler.machines().next().unwrap().failed, 1);
}

#[test]
fn the_deadline_ends_an_attempt_answered_or_not() {
    for accepted in [false, true] {
        let mut net = Net::of(&["a/1"]);
        let mut task = items(cpu(), 3);
        task.timeout_ms = 7_500;
        let token = token(&net.queue(1, task));
        if accepted {
            net.accept(token);
        }
        check(&net.pass(7_499), expect![""]);
        check(
            &net.pass(1),
            expect![[r#"
                end #1.1 TimedOut: timeout of a: not over after 7500 ms, 3 of 3 items missing
                stop #1.1
            "#]],
        );
        check(&net.item(token, 0), expect!["stale #1.1\n"]);
    }
}

#[test]
fn what_was_due_happens_before_a_message_that_came_late() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, cpu());
    net.now += TIMEOUT_MS;
    check(
        &net.item(token, 0),
        expect![[r#"
            end #1.1 TimedOut: timeout of a: not over after 60 s, 1 of 1 items missing
            stop #1.1
            stale #1.1
        "#]],
    );
}

#[test]
fn time_does_not_go_back() {
    let mut net = Net::of(&["a/1"]);
    net.now += 50_000;
    net.input(Input::Tick);
    net.now -= 50_000;
    let decisions = net.queue(1, cpu());
    let Decision::Assign { deadline_ms, .. } = decisions[0] else {
        panic!("{decisions:?}")
    };
    assert_eq!(deadline_ms, net.now + 50_000 + TIMEOUT_MS);
}

#[test]
fn a_disconnect_ends_its_attempts_at_once() {
    let mut net = Net::of(&["a/1"]);
    let running = net.run(1, items(gpu(8), 4));
    net.item(running, 2);
    net.queue(2, cpu());
    check(
        &net.leave("a/1"),
        expect![[r#"
            end #1.1 Failed: disconnected of a: a/1 left: connection lost
            end #2.1 Failed: disconnected of a: a/1 left: connection lost
        "#]],
    );
    check(&net.item(running, 3), expect!["stale #1.1\n"]);
    check(&net.pass(1_000_000), expect![""]);
}

#[test]
fn a_machine_that_is_drained_finishes_what_it_has_and_takes_nothing_more() {
    let mut net = Net::of(&["a/1"]);
    let running = net.run(1, shared(1));
    let session = net.session("a/1");
    check(&net.input(Input::Drain { session }), expect![""]);
    check(&net.input(Input::Drain { session }), expect![""]);
    check(&net.queue(2, shared(1)), expect![""]);
    assert_eq!(net.why(2, "a/1"), Reason::Draining);
    assert_eq!(
        net.scheduler.waiting_for(key(2)).unwrap(),
        "1 machine offers work/1: about to leave"
    );
    check(
        &net.item(running, 0),
        expect![[r#"
            accept #1.1 item 0
            end #1.1 Succeeded
        "#]],
    );
    check(&net.leave("a/1"), expect![""]);
    assert_eq!(assigned(&net.join("a/1")), [(2, "a/1")], "come back");
}

#[test]
fn a_quarantine_ends_when_the_last_other_machine_is_drained() {
    let mut net = Net::of(&["a/1", "b/1"]);
    let session = net.session("b/1");
    for call in 1..=3 {
        let token = net.run(call, avoiding(cpu(), &["b"]));
        net.fail(token, ErrorClass::WorkerFailed);
    }
    net.queue(4, avoiding(cpu(), &["b"]));
    assert!(matches!(net.why(4, "a/1"), Reason::Quarantined { .. }));
    let decisions = net.input(Input::Drain { session });
    assert_eq!(assigned(&decisions), [(4, "a/1")]);
}

#[test]
fn a_newer_session_takes_the_machine_over() {
    let mut net = Net::of(&["a/1"]);
    let old = net.session("a/1");
    net.run(1, cpu());
    check(
        &net.join("a/1"),
        expect![[r#"
            end #1.1 Failed: disconnected of a: a/1 left: it connected anew
        "#]],
    );
    let token = net.run(2, cpu());
    let reason = "late news of the old session".into();
    let left = Input::MachineLeft {
        session: old,
        reason,
    };
    check(&net.input(left), expect![""]);
    check(
        &net.item(token, 0),
        expect![[r#"
            accept #2.1 item 0
            end #2.1 Succeeded
        "#]],
    );
}

#[test]
fn cancelling_in_each_state() {
    let mut net = Net::of(&["a/1"]);
    net.queue(1, gpu(8));
    net.run(2, cpu());
    net.queue(3, gpu(8));
    check(
        &net.cancel(3),
        expect![[r#"
            end #3.0 Cancelled: cancelled: cancelled
        "#]],
    );
    check(
        &net.cancel(1),
        expect![[r#"
            end #1.1 Cancelled: cancelled of a: cancelled
            stop #1.1
        "#]],
    );
    net.queue(4, cpu());
    check(
        &net.cancel(2),
        expect![[r#"
            end #2.1 Cancelled: cancelled of a: cancelled
            stop #2.1
            assign #4.1 to a/1 with 8 cores, owed [0]
        "#]],
    );
    check(&net.cancel(2), expect![""]);
    check(&net.cancel(99), expect![""]);
    assert_eq!(net.scheduler.machines().next().unwrap().failed, 0);
}

#[test]
fn a_machine_that_breaks_the_protocol_hurts_its_own_attempt_only() {
    let mut net = Net::of(&["a/1", "b/1"]);
    let first = net.run(1, items(cpu(), 2));
    let second = net.run(2, cpu());
    let operator = |token: LeaseToken| if token.call.0 == 1 { "1" } else { "2" };
    assert_ne!(operator(first), operator(second));
    let (end, failure) = ended(&net.item(first, 2));
    let failure = failure.unwrap();
    assert_eq!(
        (end, failure.class),
        (End::Failed, ErrorClass::InvalidResult)
    );
    assert_eq!(failure.message, "sent item 2 of a task that has 2");
    let (end, failure) = ended(&net.refuse(second));
    let failure = failure.unwrap();
    assert_eq!(
        (end, failure.class),
        (End::Failed, ErrorClass::WorkerFailed)
    );
    assert_eq!(failure.message, "gave up a task that it had taken: not now");
}

#[test]
fn only_the_token_that_holds_counts() {
    let mut net = Net::of(&["a/1"]);
    let token = net.run(1, cpu());
    let mut others = [token; 4];
    others[0].epoch += 1;
    others[1].attempt += 1;
    others[2].call.0 += 1;
    others[3].workflow.0[0] += 1;
    for other in others {
        for decisions in [
            net.accept(other),
            net.refuse(other),
            net.item(other, 0),
            net.fail(other, ErrorClass::WorkerFailed),
        ] {
            assert_eq!(decisions, [Decision::Stale { token: other }]);
        }
    }
    assert_eq!(ended(&net.item(token, 0)).0, End::Succeeded);
}

fn recovered(net: &mut Net, call: u64, task: Task, attempts: u32, done: &[(u32, bool)]) -> String {
    let queued_ms = net.now;
    let decisions = net.input(Input::Queue {
        key: key(call),
        seeker: SeekerId::new("s").unwrap(),
        task,
        queued_ms,
        past: Past {
            attempts,
            done: done.to_vec(),
            ..Past::default()
        },
        purse: None,
        urgency: Urgency::default(),
    });
    words(&decisions)
}

#[test]
fn a_recovered_delegation_goes_on_where_it_was() {
    let mut net = Net::of(&["a/1"]);
    let task = items(cpu(), 4);
    for (call, done, expected) in [
        (
            1,
            &[(0, true), (2, false)][..],
            expect![[r#"
                assign #1.4 to a/1 with 8 cores, owed [1, 3]
            "#]],
        ),
        (
            2,
            &[(0, true), (1, true), (2, true), (3, true)],
            expect!["end #2.3 Succeeded\n"],
        ),
        (
            3,
            &[(0, true), (1, true), (2, false), (3, true)],
            expect!["end #3.3 Failed\n"],
        ),
    ] {
        expected.assert_eq(&recovered(&mut net, call, task.clone(), 3, done));
    }
    assert_eq!(
        recovered(&mut net, 1, task, 3, &[]),
        "",
        "it is here already"
    );
    let mut token = LeaseToken {
        workflow: key(1).workflow,
        call: key(1).call,
        attempt: 4,
        epoch: 5,
    };
    check(
        &net.item(token, 0),
        expect![[r#"
            start #1.4
            duplicate #1.4 item 0
        "#]],
    );
    net.item(token, 1);
    check(
        &net.item(token, 3),
        expect![[r#"
            accept #1.4 item 3
            end #1.4 Failed
        "#]],
    );
    token.attempt = 3;
    check(&net.item(token, 1), expect!["stale #1.3\n"]);
}
