use froben_model::{Kind, Needs, Value};

use super::*;

fn spec(key: &str, items: usize) -> TaskSpec {
    TaskSpec {
        kind: Kind::new("test.work/1").unwrap(),
        input: Value::Nil,
        items: vec![Value::Nil; items],
        needs: Needs::default(),
        timeout_ms: 1,
        queue_timeout_ms: 1,
        avoid: Vec::new(),
        key: key.to_owned(),
        check: None,
        keys: Vec::new(),
        max_price: None,
    }
}

fn host() -> Host {
    Host::new(Limits::default(), 1)
}

fn item(call: u64, index: u32) -> Completion {
    let outcome = Ok(Value::Int(i64::from(index)));
    let operator = None;
    let event = Event::Item {
        index,
        outcome,
        operator,
    };
    at(call, event)
}

fn ended(call: u64) -> Completion {
    at(call, Event::Ended)
}

fn at(call: u64, event: Event) -> Completion {
    let (call, at_ms) = (CallId(call), 0);
    Completion { call, event, at_ms }
}

fn taken(host: &mut Host, stream: usize) -> Vec<(u64, u32)> {
    let next = || match host.next_item(stream) {
        Next::Item(taken) => Some((taken.call.0, taken.index)),
        Next::Later | Next::Over => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn a_stream_follows_arrival_whoever_joins_when() {
    let mut host = host();
    for key in ["a", "b", "c"] {
        host.delegate(1, spec(key, 2)).unwrap();
    }
    for completion in [item(2, 1), item(3, 0), item(1, 0)] {
        host.complete(completion).unwrap();
    }
    let stream = host.open_stream().unwrap();
    // Joined in another order than that of arrival.
    host.join_stream(stream, CallId(1)).unwrap();
    host.join_stream(stream, CallId(2)).unwrap();
    assert_eq!(taken(&mut host, stream), [(2, 1), (1, 0)]);
    host.complete(item(1, 1)).unwrap();
    host.complete(item(3, 1)).unwrap();
    assert_eq!(taken(&mut host, stream), [(1, 1)]);
    // What the late one had delivered before still comes, once.
    host.join_stream(stream, CallId(3)).unwrap();
    assert_eq!(taken(&mut host, stream), [(3, 0), (3, 1)]);
    assert!(matches!(host.next_item(stream), Next::Later));
    host.complete(item(2, 0)).unwrap();
    assert_eq!(taken(&mut host, stream), [(2, 0)]);
    assert!(host.join_stream(stream, CallId(3)).is_err());
    assert!(matches!(host.next_item(stream), Next::Over));
    // What is over holds nothing.
    assert_eq!((host.joined, host.streams.len()), (0, 0));
}

#[test]
fn a_completion_that_fits_no_call_is_a_divergence() {
    for (completions, fits) in [
        (vec![item(1, 0), item(1, 1), ended(1)], true),
        (vec![item(1, 0), item(1, 0)], false),
        (vec![item(1, 2)], false),
        (vec![item(9, 0)], false),
        (vec![item(1, 0), ended(1)], false),
        (vec![item(1, 0), item(1, 1), ended(1), ended(1)], false),
        (vec![at(1, Event::Slept)], false),
        (vec![ended(2)], false),
        (vec![at(2, Event::Slept)], true),
    ] {
        let mut host = host();
        host.delegate(1, spec("a", 2)).unwrap();
        host.sleep(1, 5).unwrap();
        let end: Result<(), Failure> = completions
            .iter()
            .cloned()
            .try_for_each(|completion| host.complete(completion).map(drop));
        match end {
            Ok(()) => assert!(fits, "{completions:?}"),
            Err(failure) => {
                assert!(!fits, "{completions:?}");
                assert_eq!(failure.code, Code::Divergence);
            }
        }
    }
}

#[test]
fn quotas_stop_the_workflow_and_log_lines_are_dropped_instead() {
    let limits = Limits {
        delegations: 2,
        calls: 20,
        log_bytes: 30,
        step_bytes: 4096,
        ..Limits::default()
    };
    let stops = |result: Result<CallId, Refusal>| match result {
        Err(Refusal::Stop(failure)) => failure.code == Code::Quota,
        _ => false,
    };
    let mut host = Host::new(limits.clone(), 1);
    host.delegate(1, spec("a", 1)).unwrap();
    assert!(matches!(
        host.delegate(1, spec("a", 1)),
        Err(Refusal::Misuse(_))
    ));
    host.delegate(1, spec("b", 1)).unwrap();
    assert!(stops(host.delegate(1, spec("c", 1))));

    let mut host = Host::new(limits.clone(), 1);
    for _ in 0..20 {
        host.sleep(1, 1).unwrap();
    }
    assert!(stops(host.sleep(1, 1)));

    let mut host = Host::new(limits.clone(), 1);
    for _ in 0..100 {
        host.log(1, "0123456789".to_owned()).unwrap();
    }
    let lines = host.take_calls();
    assert_eq!(lines.len(), 3);
    let CallOp::Log { text } = &lines[2].op else {
        panic!()
    };
    assert!(text.contains("dropped"), "{text}");

    let mut host = Host::new(limits, 1);
    let long = || "x".repeat(2000);
    host.status(1, long(), 0, 0).unwrap();
    host.begin_step();
    host.status(1, long(), 0, 0).unwrap();
    assert!(host.status(1, long(), 0, 0).is_err());
}

#[test]
fn results_count_against_the_journal() {
    let limits = Limits {
        journal_bytes: 5000,
        ..Limits::default()
    };
    let mut host = Host::new(limits, 1);
    host.delegate(1, spec("a", 3)).unwrap();
    let result = |index| {
        let (outcome, operator) = (Ok(Value::text("x".repeat(2000))), None);
        at(
            1,
            Event::Item {
                index,
                outcome,
                operator,
            },
        )
    };
    host.complete(result(0)).unwrap();
    host.complete(result(1)).unwrap();
    assert_eq!(host.complete(result(2)).unwrap_err().code, Code::Quota);
    assert!(host.bytes() > 4000);
}

#[test]
fn cancelling_is_one_call_however_often_and_however_late() {
    let mut host = host();
    host.delegate(1, spec("a", 1)).unwrap();
    host.complete(item(1, 0)).unwrap();
    host.complete(ended(1)).unwrap();
    host.take_calls();
    host.cancel(2, CallId(1)).unwrap();
    host.cancel(3, CallId(1)).unwrap();
    assert!(host.cancel(3, CallId(7)).is_err());
    let calls = host.take_calls();
    assert_eq!(
        calls,
        [Call {
            id: CallId(2),
            line: 2,
            op: CallOp::Cancel { target: CallId(1) }
        }]
    );
}
