//! What a machine may cost, and what keys it must hold.

use froben_model::{Amount, ErrorClass, HeldKey, SetupKey};
use froben_scheduler::{End, Reason};

use crate::net::{Net, assigned, cpu, ended, items, shared, spec, token};

fn setup_key(n: u8) -> SetupKey {
    SetupKey {
        name: "crs".into(),
        sha256: [n; 32],
    }
}

fn held(n: u8) -> HeldKey {
    HeldKey {
        key: setup_key(n),
        bytes: 0,
    }
}

#[test]
fn a_machine_that_asks_too_much_is_passed_over() {
    let mut net = Net::new();
    net.join_at("dear/1", 6);
    let mut task = cpu();
    task.max_price = Some(Amount(5));
    assert_eq!(assigned(&net.queue(1, task)), []);
    let (price, most) = (Amount(6), Amount(5));
    assert_eq!(net.why(1, "dear/1"), Reason::TooDear { price, most });
    assert_eq!(assigned(&net.join_at("fair/1", 5)), [(1, "fair/1")]);
}

#[test]
fn a_task_goes_to_who_holds_its_keys() {
    let mut net = Net::of(&["a/1"]);
    let mut task = cpu();
    task.keys = vec![setup_key(1), setup_key(2)];
    assert_eq!(assigned(&net.queue(1, task)), []);
    let mut half = spec("b/1", 8, 16, &[]);
    half.keys = [1, 3].map(held).into();
    assert_eq!(assigned(&net.join_as(half)), []);
    let key = setup_key(2);
    assert_eq!(net.why(1, "b/1"), Reason::KeyMissing { key });
    let mut whole = spec("c/1", 8, 16, &[]);
    whole.keys = [2, 1].map(held).into();
    assert_eq!(assigned(&net.join_as(whole)), [(1, "c/1")]);
}

#[test]
fn what_an_attempt_may_cost_is_held_until_it_is_over() {
    let mut net = Net::new();
    net.fund(10);
    net.join_at("a/1", 2);
    net.join_at("b/1", 2);
    let first = token(&net.queue_paid(1, items(shared(1), 4)));
    net.accept(first);
    // Eight of ten are held.
    assert_eq!(assigned(&net.queue_paid(2, items(shared(1), 2))), []);
    let (cost, left) = (Amount(4), Amount(2));
    assert_eq!(net.why(2, "b/1"), Reason::OverBudget { cost, left });
    assert!(token(&net.queue_paid(3, shared(1))).call.0 == 3, "it fits");
    // An item without a value costs nothing.
    assert_eq!(assigned(&net.item(first, 0)), []);
    assert_eq!(
        assigned(&net.bad_item(first, 1, ErrorClass::WorkerFailed)),
        []
    );
    let freed = net.fail(first, ErrorClass::WorkerFailed);
    assert_eq!(assigned(&freed).len(), 1, "two came back, then four");
}

#[test]
fn a_refusal_and_a_cancel_give_the_money_back() {
    let mut net = Net::new();
    net.fund(4);
    net.join_at("a/1", 4);
    let refused = token(&net.queue_paid(1, shared(1)));
    net.refuse(refused);
    net.cancel(1);
    net.pass(1000);
    let second = token(&net.queue_paid(2, shared(1)));
    net.cancel(2);
    assert_eq!(assigned(&net.queue_paid(3, shared(1))), [(3, "a/1")]);
    assert_eq!(net.accept(second).len(), 1, "stale");
}

#[test]
fn what_is_spent_is_gone() {
    let mut net = Net::new();
    net.fund(5);
    net.join_at("a/1", 3);
    let first = token(&net.queue_paid(1, shared(1)));
    net.item(first, 0);
    assert_eq!(assigned(&net.queue_paid(2, shared(1))), []);
    let (end, failure) = ended(&net.pass(crate::net::QUEUE_TIMEOUT_MS));
    assert_eq!(end, End::Failed);
    let message = failure.unwrap().message;
    assert!(
        message.ends_with("over what is left of the budget)"),
        "{message}"
    );
    // A machine that costs nothing is always within it.
    net.queue_paid(3, shared(1));
    assert_eq!(assigned(&net.join("free/1")), [(3, "free/1")]);
}
