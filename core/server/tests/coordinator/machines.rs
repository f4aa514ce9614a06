//! Machines: tasks, reports, and the many ways to leave.

use std::time::Duration;

use froben_model::view::WorkflowState;
use froben_model::{BlobRef, ErrorClass, Value};
use froben_schema::operator_capnp::Receipt;
use froben_server::Options;
use froben_wire::{Heartbeat, Policy, Role};

use crate::host::{Asked, Coordinator, Machine, PATIENCE, eventually, run};

fn input() -> Value {
    Value::map([("n", Value::Int(3))])
}

#[test]
fn a_task_goes_out_and_its_items_come_back() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut machine = coordinator.machine("op", "m1").await;
        assert_eq!(ada.machines().await, ["op/m1"]);
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = machine.task().await;
        assert_eq!(task.kind.as_str(), "test.square/1");
        assert_eq!(task.items, [(0, Value::Int(3)), (1, Value::Int(4))]);
        assert_eq!((task.cpu_cores, task.device.as_deref()), (1, None));
        machine.work(&task).await;
        let detail = ada.wait(id, WorkflowState::Succeeded).await;
        assert_eq!(
            detail.summary.output,
            Value::map([("total", Value::Int(25))])
        );
        // Nobody holds the token any more.
        let told = machine.item(task.token, 0, Ok(Value::Int(1))).await;
        assert_eq!(told, Receipt::Stale);
        assert_eq!(machine.finish(task.token).await, Receipt::Stale);
    });
}

#[test]
fn a_value_that_names_a_blob_nobody_has_is_its_senders_fault() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut machine = coordinator.machine("op", "m1").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = machine.task().await;
        let absent = Value::Blob(BlobRef::of(b"never uploaded"));
        let told = machine.item(task.token, 0, Ok(absent)).await;
        assert_eq!(told, Receipt::Recorded);
        let detail = ada.status(id).await.unwrap();
        let error = detail.delegations[0].error.clone().unwrap();
        assert_eq!(error.class, ErrorClass::InvalidResult);
        assert!(error.message.contains("which is not stored"), "{error:?}");
        assert_eq!(error.operator.unwrap().as_str(), "op");
    });
}

#[test]
fn a_machine_speaks_only_of_what_it_was_given() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut honest = coordinator.machine("honest", "m1").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = honest.task().await;
        // Tokens can be guessed by who works on the same workflow.
        let liar = coordinator.machine("liar", "m1").await;
        for index in [0, 1] {
            let told = liar.item(task.token, index, Ok(Value::Int(666))).await;
            assert_eq!(told, Receipt::Stale);
        }
        assert_eq!(liar.finish(task.token).await, Receipt::Stale);
        honest.work(&task).await;
        let detail = ada.wait(id, WorkflowState::Succeeded).await;
        assert_eq!(
            detail.summary.output,
            Value::map([("total", Value::Int(25))])
        );
    });
}

#[test]
fn a_machine_that_disconnects_or_unregisters_is_gone_at_once() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let first = coordinator.machine("op", "m1").await;
        let second = coordinator.machine("op", "m2").await;
        assert_eq!(ada.machines().await, ["op/m1", "op/m2"]);
        first.link.connection.close().await;
        eventually(async || (ada.machines().await == ["op/m2"]).then_some(())).await;
        // The connection stays; the registration goes.
        let Machine {
            link, registration, ..
        } = second;
        drop(registration);
        eventually(async || ada.machines().await.is_empty().then_some(())).await;
        assert_eq!(link.connection.cutter().end_reason(), None);
        let again = Machine::register(link, "op", "m2").await.unwrap();
        assert_eq!(ada.machines().await, ["op/m2"]);
        drop(again);
    });
}

#[test]
fn a_label_that_comes_again_takes_over() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let old = coordinator.machine("op", "m1").await;
        let mut new = coordinator.machine("op", "m1").await;
        let ended = old.link.connection.cutter().ended();
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("the older session is cut");
        assert_eq!(ada.machines().await, ["op/m1"]);
        ada.submit("squares", input(), "").await.unwrap().unwrap();
        new.task().await;
    });
}

#[test]
fn a_cancelled_workflow_cancels_its_attempts() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut machine = coordinator.machine("op", "m1").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = machine.task().await;
        let mut request = ada.session.cancel_request();
        request.get().set_id(id.to_string());
        froben_wire::call("cancelling", PATIENCE, request.send().promise)
            .await
            .unwrap();
        assert_eq!(machine.asked().await, Asked::Cancel(task.token));
        let told = machine.item(task.token, 0, Ok(Value::Nil)).await;
        assert_eq!(told, Receipt::Stale);
        ada.wait(id, WorkflowState::Cancelled).await;
    });
}

#[test]
fn a_task_that_is_refused_goes_elsewhere() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut lazy = coordinator.machine("lazy", "m1").await;
        *lazy.refusal.borrow_mut() = Some("not today".to_owned());
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        lazy.task().await;
        let mut other = coordinator.machine("other", "m1").await;
        let task = other.task().await;
        other.work(&task).await;
        ada.wait(id, WorkflowState::Succeeded).await;
    });
}

#[test]
fn a_machine_that_freezes_is_cut_and_its_work_goes_elsewhere() {
    let policy = Policy {
        heartbeat: Heartbeat {
            every: Duration::from_millis(50),
            silence: Duration::from_millis(500),
        },
        ..Policy::OPERATOR
    };
    let coordinator = Coordinator::start_with(Options {
        operator: policy,
        ..Options::default()
    });
    let identity = coordinator.identity(Role::Operator, "frozen");
    let address = coordinator.address().to_owned();
    let (assigned, told) = std::sync::mpsc::channel();
    let (thaw, frozen) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        run(async {
            let link = froben_wire::dial(&address, &identity, policy)
                .await
                .unwrap();
            let mut machine = Machine::register(link, "frozen", "m1").await.unwrap();
            assigned.send(None).unwrap();
            let task = machine.task().await;
            assigned.send(Some(task)).unwrap();
            // The whole thread stands still, with the socket open.
            let _ = frozen.recv();
        });
    });
    run(async {
        let ada = coordinator.seeker("ada").await;
        told.recv().unwrap();
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        told.recv().unwrap();
        eventually(async || ada.machines().await.is_empty().then_some(())).await;
        // The delegation ended as disconnected; its items are the script's to judge.
        let detail = ada.wait(id, WorkflowState::Succeeded).await;
        assert_eq!(
            detail.summary.output,
            Value::map([("total", Value::Int(0))])
        );
    });
    drop(thaw);
    thread.join().unwrap();
}
