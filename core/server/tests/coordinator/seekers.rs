//! The front door, and what a seeker may see.

use froben_model::trail::{AttemptEnd, Fault};
use froben_model::view::{DelegationState, WorkflowState};
use froben_model::{BlobRef, ErrorClass, ItemError, Value, WorkflowId};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_wire::{Disposition, Error, FaultCode, Role, blobs, call};

use crate::host::{Coordinator, PATIENCE, eventually, run};

fn code(error: &Error) -> Option<FaultCode> {
    match error {
        Error::Fault(fault) => Some(fault.code),
        _ => None,
    }
}

#[test]
fn the_certificate_decides_which_door_opens() {
    let coordinator = Coordinator::start();
    run(async {
        let operator = coordinator.dial(Role::Operator, "op").await;
        let mut request = operator.coordinator.seeker_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let error = call("asking", PATIENCE, request.send().promise)
            .await
            .err()
            .unwrap();
        assert_eq!(code(&error), Some(FaultCode::WrongRole));
        assert_eq!(error.disposition(), Disposition::Denied);
        let text = error.to_string();
        assert!(
            text.contains("operator op") && text.contains("seeker's"),
            "{text}"
        );

        let seeker = coordinator.dial(Role::Seeker, "ada").await;
        let mut request = seeker.coordinator.operator_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let error = call("asking", PATIENCE, request.send().promise)
            .await
            .err()
            .unwrap();
        assert_eq!(code(&error), Some(FaultCode::WrongRole), "{error}");

        let mut request = seeker.coordinator.seeker_request();
        request.get().set_protocol_version(PROTOCOL_VERSION + 1);
        let error = call("asking", PATIENCE, request.send().promise)
            .await
            .err()
            .unwrap();
        assert_eq!(code(&error), Some(FaultCode::Version), "{error}");
    });
}

#[test]
fn a_workflow_from_submit_to_output() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let blob = BlobRef::of(b"kept");
        let input = || Value::map([("data", Value::Blob(blob))]);
        // Not before its blobs are there.
        let refused = ada.submit("keep", input(), "k").await.unwrap();
        assert_eq!(refused.unwrap_err(), "FRB-SUB-003");
        blobs::upload(&ada.store, &blob, &mut &b"kept"[..], PATIENCE)
            .await
            .unwrap();

        let id = ada.submit("keep", input(), "k").await.unwrap().unwrap();
        assert_eq!(ada.submit("keep", input(), "k").await.unwrap().unwrap(), id);
        let detail = ada.wait(id, WorkflowState::Succeeded).await;
        assert_eq!(detail.summary.output.blobs(), [blob]);

        let mut request = ada.session.list_request();
        request.get().set_limit(10);
        let answer = call("asking", PATIENCE, request.send().promise)
            .await
            .unwrap();
        let list = answer.get().unwrap().get_workflows().unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(convert::read_summary(list.get(0)).unwrap(), detail.summary);

        let logs = async |from: u64| {
            let mut request = ada.session.logs_request();
            request.get().set_id(id.to_string());
            request.get().set_from_seq(from);
            request.get().set_limit(100);
            let answer = call("asking", PATIENCE, request.send().promise)
                .await
                .unwrap();
            let lines = answer.get().unwrap().get_lines().unwrap();
            let lines = lines
                .iter()
                .map(|line| convert::read_log_line(line).unwrap());
            lines.collect::<Vec<_>>()
        };
        let lines = logs(0).await;
        assert!(lines[0].text.contains("submitted"), "{lines:?}");
        let rest = logs(lines[0].seq + 1).await;
        assert_eq!(rest, lines[1..]);
    });
}

#[test]
fn a_seeker_sees_its_own_workflows_only() {
    let coordinator = Coordinator::start();
    run(async {
        let (ada, bob) = (
            coordinator.seeker("ada").await,
            coordinator.seeker("bob").await,
        );
        let input = Value::map([("n", Value::Int(2))]);
        let id = ada
            .submit("squares", input.clone(), "")
            .await
            .unwrap()
            .unwrap();
        ada.status(id).await.unwrap();
        for (seeker, id) in [(&bob, id), (&ada, WorkflowId([0; 16]))] {
            let error = seeker.status(id).await.unwrap_err();
            assert_eq!(code(&error), Some(FaultCode::NoSuchWorkflow), "{error}");
            let mut request = seeker.session.cancel_request();
            request.get().set_id(id.to_string());
            let error = call("asking", PATIENCE, request.send().promise)
                .await
                .err()
                .unwrap();
            assert_eq!(code(&error), Some(FaultCode::NoSuchWorkflow), "{error}");
        }
        // The same key of another seeker is another submit.
        let hers = ada
            .submit("squares", input.clone(), "same")
            .await
            .unwrap()
            .unwrap();
        let his = bob.submit("squares", input, "same").await.unwrap().unwrap();
        assert_ne!(hers, his);
    });
}

#[test]
fn what_does_not_read_is_refused_and_the_session_lives_on() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let refused = ada.submit("no_such", Value::Nil, "").await.unwrap();
        assert_eq!(refused.unwrap_err(), "FRB-SUB-001");
        let error = ada
            .submit(&"p".repeat(300), Value::Nil, "")
            .await
            .unwrap_err();
        assert_eq!(code(&error), Some(FaultCode::Invalid), "{error}");
        let mut deep = Value::Nil;
        for _ in 0..froben_model::limits::VALUE_DEPTH {
            deep = Value::List(vec![deep]);
        }
        let error = ada.submit("squares", deep, "").await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Invalid, "{error}");
        let mut request = ada.session.status_request();
        request.get().set_id("nonsense");
        let error = call("asking", PATIENCE, request.send().promise)
            .await
            .err()
            .unwrap();
        assert_eq!(code(&error), Some(FaultCode::Invalid), "{error}");
        assert!(ada.machines().await.is_empty());
    });
}

#[test]
fn a_stopping_coordinator_closes_its_connections() {
    let mut coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        assert!(ada.machines().await.is_empty());
        coordinator.stop().await;
        let ended = ada.link.connection.cutter().ended();
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let sent = ada.link.coordinator.ping_request().send().promise;
        let error = call("asking", PATIENCE, sent).await.err().unwrap();
        assert_eq!(error.disposition(), Disposition::Unreachable, "{error}");
    });
}

#[test]
fn a_trail_tells_every_attempt_also_when_all_is_over() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let input = Value::map([("n", Value::Int(3))]);
        let first = ada.submit("squares", input.clone(), "").await;
        let first = first.unwrap().unwrap();
        let waits = eventually(async || {
            let page = ada.trail(first, "").await.unwrap();
            (!page.delegations.is_empty()).then_some(page)
        })
        .await;
        assert_eq!(waits.delegations[0].state, DelegationState::Queued);
        assert!(waits.delegations[0].attempts.is_empty());
        let mut request = ada.session.cancel_request();
        request.get().set_id(first.to_string());
        call("cancelling", PATIENCE, request.send().promise)
            .await
            .unwrap();

        // It refuses from before there is anything to refuse.
        let mut lazy = coordinator.machine("op-a", "m1").await;
        *lazy.refusal.borrow_mut() = Some("its worker starts anew".to_owned());
        let id = ada.submit("squares", input, "").await.unwrap().unwrap();
        lazy.task().await;
        let mut able = coordinator.machine("op-b", "m2").await;
        let task = able.task().await;
        let mut line = able.registration.log_request();
        froben_schema::convert::write_token(&task.token, line.get().init_token());
        line.get().set_line("warming up");
        call("logging", PATIENCE, line.send().promise)
            .await
            .unwrap();
        able.item(task.token, 0, Ok(Value::Int(9))).await;
        let bad = ItemError {
            class: ErrorClass::OutOfMemory,
            message: "no memory left".to_owned(),
            operator: None,
        };
        able.item(task.token, 1, Err(bad)).await;
        ada.wait(id, WorkflowState::Succeeded).await;

        let page = ada.trail(id, "square").await.unwrap();
        assert_eq!(page.next, None);
        let [trail] = &page.delegations[..] else {
            panic!("there is one: {page:?}");
        };
        assert_eq!(trail.state, DelegationState::Failed);
        assert_eq!((trail.items_ok, trail.items_failed), (1, 1));
        let [attempts @ .., last] = &trail.attempts[..] else {
            panic!("somebody had it: {trail:?}");
        };
        assert!(!attempts.is_empty());
        for refused in attempts {
            assert_eq!(refused.machine.as_str(), "op-a/m1");
            assert_eq!(refused.end, AttemptEnd::Requeued);
            let cause = refused.cause.as_ref().unwrap();
            assert_eq!(cause.fault, Fault::Platform);
            assert_eq!(cause.message, "its worker starts anew");
        }
        assert_eq!(last.machine.as_str(), "op-b/m2");
        assert_eq!(last.end, AttemptEnd::Failed);
        let cause = last.cause.as_ref().unwrap();
        assert_eq!(cause.class, Some(ErrorClass::OutOfMemory));
        assert_eq!(cause.fault, Fault::Operator);
        let lines: Vec<_> = last.log.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, ["warming up"]);
        let times = [
            last.queued_ms,
            last.assigned_ms,
            last.first_item_ms.unwrap(),
        ];
        assert!(times.is_sorted(), "{last:?}");

        assert_eq!(ada.trail(id, "circle").await.unwrap_err(), "FRB-WFL-004");
        let bob = coordinator.seeker("bob").await;
        let mut request = bob.session.trail_request();
        request.get().set_id(id.to_string());
        let error = call("asking", PATIENCE, request.send().promise).await;
        let error = error.err().unwrap();
        assert_eq!(code(&error), Some(FaultCode::NoSuchWorkflow), "{error}");
    });
}
