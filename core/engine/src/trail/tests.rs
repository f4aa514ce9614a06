use expect_test::{Expect, expect};
use froben_journal::{Assigned, Called, Ended, ForkedFrom, Item, RevisionHash, Submitted};
use froben_model::{Amount, ItemError, OperatorId, SeekerId, TaskSpec, Usage, Value};

use super::*;

/// What happens, a record each, at the time in front.
enum Happens {
    Delegate(u64, &'static str, usize),
    Assign(u64, u32, &'static str),
    Start(u64, u32),
    Came(u64, u32, u32, Option<ErrorClass>),
    Claim(u64, u32, u32),
    Requeue(u64, u32, &'static str, bool),
    Over(u64, u32, End, Option<ErrorClass>),
    Log(&'static str, &'static str),
    LogOf(u64, u32, &'static str),
    Lose(u64, u32, ErrorClass),
}
use Happens::*;

fn error(class: ErrorClass) -> ItemError {
    ItemError {
        class,
        message: format!("it {}", class.name()),
        operator: OperatorId::new("op").ok(),
    }
}

fn body(happens: &Happens) -> Body {
    match happens {
        Delegate(call, key, items) => Body::Called(Called {
            call: CallId(*call),
            line: 1,
            fed: 0,
            op: CallOp::Delegate(TaskSpec {
                kind: Kind::new("a.b/1").unwrap(),
                input: Value::Nil,
                items: vec![Value::Nil; *items],
                needs: Needs::default(),
                timeout_ms: 1,
                queue_timeout_ms: 1,
                avoid: Vec::new(),
                key: (*key).to_string(),
                keys: Vec::new(),
                check: Kind::new("a.check/1").ok(),
                max_price: None,
            }),
        }),
        Assign(call, attempt, machine) => Body::Assigned(Assigned {
            call: CallId(*call),
            attempt: *attempt,
            epoch: 1,
            machine: machine.parse().unwrap(),
            device: Some("pci-1".to_string()),
            deadline_ms: 0,
            cpu_cores: 2 * attempt,
            ram_bytes: 0,
            vram_bytes: 0,
            price: Amount(0),
        }),
        Start(call, attempt) => Body::Started {
            call: CallId(*call),
            attempt: *attempt,
        },
        Came(call, attempt, index, class) => Body::Item(Item {
            call: CallId(*call),
            attempt: *attempt,
            index: *index,
            outcome: class.map_or(Ok(Value::Nil), |class| Err(error(class))),
            device: Some("gpu".to_string()),
            usage: Usage::default(),
        }),
        Claim(call, attempt, index) => Body::Claimed(Item {
            call: CallId(*call),
            attempt: *attempt,
            index: *index,
            outcome: Ok(Value::Nil),
            device: None,
            usage: Usage::default(),
        }),
        Requeue(call, attempt, reason, fault) => Body::Requeued {
            call: CallId(*call),
            attempt: *attempt,
            reason: (*reason).to_string(),
            fault: *fault,
        },
        Over(call, attempt, end, class) => Body::Ended(Ended {
            call: CallId(*call),
            attempt: *attempt,
            end: *end,
            failure: class.map(error),
        }),
        Log(source, text) => Body::Logged {
            source: (*source).to_string(),
            text: (*text).to_string(),
            of: None,
        },
        LogOf(call, attempt, text) => Body::Logged {
            source: "op/m".to_string(),
            text: (*text).to_string(),
            of: Some((CallId(*call), *attempt)),
        },
        Lose(call, attempt, class) => Body::Lost {
            call: CallId(*call),
            attempt: *attempt,
            failure: error(*class),
        },
    }
}

fn trails(history: &[(TimeMs, Happens)]) -> Trails {
    let mut trails = Trails::default();
    for (seq, (time_ms, happens)) in (1..).zip(history) {
        let (time_ms, body) = (*time_ms, body(happens));
        trails.apply(seq, &Record { time_ms, body });
    }
    trails
}

fn all() -> TrailQuery {
    TrailQuery {
        which: String::new(),
        failed: false,
        from: CallId(0),
        limit: 100,
    }
}

/// A line for each delegation and each attempt.
fn shown(page: &TrailPage) -> String {
    let cause = |cause: &Option<Cause>| match cause {
        None => String::new(),
        Some(Cause {
            class,
            message,
            fault,
        }) => {
            let class = class.map_or("-", ErrorClass::name);
            format!("; {class} of the {fault}: {message}")
        }
    };
    let mut text = String::new();
    for d in &page.delegations {
        text += &format!(
            "{} {} {} {}+{}/{} {}..{:?}{}\n",
            d.call,
            d.key,
            d.state,
            d.items_ok,
            d.items_failed,
            d.items_total,
            d.queued_ms,
            d.ended_ms,
            cause(&d.cause)
        );
        for a in &d.attempts {
            let lines: Vec<_> = a.log.iter().map(|line| line.text.as_str()).collect();
            text += &format!(
                "  {} {} {} {} {}+{}{}\n    at {} {} {:?} {:?}..{:?} {:?} {lines:?}\n",
                a.number,
                a.machine,
                a.device.as_deref().unwrap_or("-"),
                a.end.name(),
                a.items_ok,
                a.items_failed,
                cause(&a.cause),
                a.queued_ms,
                a.assigned_ms,
                a.started_ms,
                a.first_item_ms,
                a.last_item_ms,
                a.ended_ms
            );
        }
    }
    text
}

fn check(history: &[(TimeMs, Happens)], expected: Expect) {
    expected.assert_eq(&shown(&trails(history).page(&all())));
}

#[test]
fn a_delegation_has_its_times_and_its_items() {
    check(
        &[
            (100, Delegate(1, "a", 2)),
            (110, Assign(1, 1, "op/m")),
            (112, Start(1, 1)),
            (150, Came(1, 1, 0, None)),
            (190, Came(1, 1, 1, None)),
            (190, Over(1, 1, End::Succeeded, None)),
        ],
        expect![[r#"
            #1 a succeeded 2+0/2 100..Some(190)
              1 op/m gpu succeeded 2+0
                at 100 110 Some(112) Some(150)..Some(190) Some(190) []
        "#]],
    );
}

#[test]
fn an_attempt_that_was_given_back_has_a_reason_and_the_next_one_its_own_wait() {
    check(
        &[
            (100, Delegate(1, "a", 1)),
            (110, Assign(1, 1, "op/m")),
            (120, Requeue(1, 1, "its worker starts anew", false)),
            (130, Assign(1, 2, "op/n")),
            (140, Requeue(1, 2, "the machine did not answer", true)),
            (150, Assign(1, 3, "op/o")),
        ],
        expect![[r#"
            #1 a assigned 0+0/1 100..None
              1 op/m pci-1 requeued 0+0; - of the platform: its worker starts anew
                at 100 110 None None..None Some(120) []
              2 op/n pci-1 requeued 0+0; - of the operator: the machine did not answer
                at 120 130 None None..None Some(140) []
              3 op/o pci-1 open 0+0
                at 140 150 None None..None None []
        "#]],
    );
}

#[test]
fn a_failure_says_whose_it_is() {
    let failed = |class| {
        [
            (1, Delegate(1, "a", 3)),
            (2, Assign(1, 1, "op/m")),
            (3, Came(1, 1, 0, None)),
            (4, Over(1, 1, End::Failed, Some(class))),
        ]
    };
    check(
        &failed(ErrorClass::Disconnected),
        expect![[r#"
            #1 a failed 1+2/3 1..Some(4)
              1 op/m gpu failed 1+0; disconnected of the operator: it disconnected
                at 1 2 None Some(3)..Some(3) Some(4) []
        "#]],
    );
    check(
        &failed(ErrorClass::BadRequest),
        expect![[r#"
            #1 a failed 1+2/3 1..Some(4)
              1 op/m gpu failed 1+0; bad_request of the data: it bad_request
                at 1 2 None Some(3)..Some(3) Some(4) []
        "#]],
    );
    // Every item came, one of them as an error: the attempt itself has no failure.
    check(
        &[
            (1, Delegate(1, "a", 1)),
            (2, Assign(1, 1, "op/m")),
            (3, Came(1, 1, 0, Some(ErrorClass::InvalidResult))),
            (3, Over(1, 1, End::Failed, None)),
        ],
        expect![[r#"
            #1 a failed 0+1/1 1..Some(3)
              1 op/m gpu failed 0+1; invalid_result of the operator: it invalid_result
                at 1 2 None Some(3)..Some(3) Some(3) []
        "#]],
    );
    // Nobody had it.
    check(
        &[
            (1, Delegate(1, "a", 1)),
            (9, Over(1, 0, End::Failed, Some(ErrorClass::NoCapacity))),
        ],
        expect![[r#"
            #1 a failed 0+1/1 1..Some(9); no_capacity of the platform: it no_capacity
        "#]],
    );
}

#[test]
fn a_line_is_of_the_only_attempt_that_its_machine_has() {
    check(
        &[
            (1, Delegate(1, "a", 1)),
            (1, Delegate(2, "b", 1)),
            (2, Log("op/m", "before it had any")),
            (2, Assign(1, 1, "op/m")),
            (3, Log("op/m", "one")),
            (3, Log("script", "not a machine")),
            (4, Assign(2, 1, "op/m")),
            (5, Log("op/m", "of which of the two?")),
            (6, Over(1, 1, End::Cancelled, Some(ErrorClass::Cancelled))),
            (7, Log("op/m", "two")),
        ],
        expect![[r#"
            #1 a cancelled 0+1/1 1..Some(6)
              1 op/m pci-1 cancelled 0+0; cancelled of the workflow: it cancelled
                at 1 2 None None..None Some(6) ["one"]
            #2 b assigned 0+0/1 1..None
              1 op/m pci-1 open 0+0
                at 1 4 None None..None None ["two"]
        "#]],
    );
}

#[test]
fn of_two_attempts_at_once_each_has_its_own_story() {
    check(
        &[
            (1, Delegate(1, "a", 1)),
            (2, Assign(1, 1, "op/m")),
            (3, Assign(1, 2, "op/m")),
            (4, LogOf(1, 1, "first")),
            (5, LogOf(1, 2, "second")),
            (6, Came(1, 2, 0, None)),
            (6, Lose(1, 1, ErrorClass::Cancelled)),
            (6, Over(1, 2, End::Succeeded, None)),
        ],
        expect![[r##"
            #1 a succeeded 1+0/1 1..Some(6)
              1 op/m pci-1 cancelled 0+0; cancelled of the workflow: it cancelled
                at 1 2 None None..None Some(6) ["first"]
              2 op/m gpu succeeded 1+0
                at 3 3 None Some(6)..Some(6) Some(6) ["second"]
        "##]],
    );
}

#[test]
fn the_check_of_an_item_is_a_delegation_of_its_own() {
    let check = CallId(1).check(0).0;
    self::check(
        &[
            (1, Delegate(1, "a", 1)),
            (2, Assign(1, 1, "op/m")),
            (3, Claim(1, 1, 0)),
            (4, Assign(check, 1, "trusted/m")),
            (5, Requeue(check, 1, "it broke", true)),
            (6, Assign(check, 2, "trusted/n")),
            (7, Came(check, 2, 0, None)),
            (7, Over(check, 2, End::Succeeded, None)),
            (7, Came(1, 1, 0, Some(ErrorClass::InvalidResult))),
            (7, Over(1, 1, End::Failed, None)),
        ],
        expect![[r#"
            #1 a failed 0+1/1 1..Some(7)
              1 op/m gpu failed 0+1; invalid_result of the operator: it invalid_result
                at 1 2 None Some(3)..Some(3) Some(3) []
            #1/check/0 a/check/0 succeeded 1+0/1 3..Some(7)
              1 trusted/m pci-1 requeued 0+0; - of the operator: it broke
                at 3 4 None None..None Some(5) []
              2 trusted/n gpu succeeded 1+0
                at 5 6 None Some(7)..Some(7) Some(7) []
        "#]],
    );
}

#[test]
fn while_its_items_are_checked_no_machine_has_a_delegation() {
    let begin = || vec![(1, Delegate(1, "a", 2)), (2, Assign(1, 1, "op/m"))];
    let mut whole = begin();
    whole.extend([(3, Claim(1, 1, 0)), (4, Claim(1, 1, 1))]);
    let mut lost = begin();
    lost.extend([
        (3, Claim(1, 1, 0)),
        (4, Lose(1, 1, ErrorClass::Disconnected)),
    ]);
    let states = [whole, lost].map(|history| {
        let page = trails(&history).page(&all());
        let shown = &page.delegations[0];
        (shown.state.name(), shown.attempts[0].end.name())
    });
    assert_eq!(states, [("checking", "succeeded"), ("checking", "failed")]);
}

#[test]
fn an_attempt_is_credited_with_what_it_brings_late() {
    check(
        &[
            (1, Delegate(1, "a", 1)),
            (2, Assign(1, 1, "op/m")),
            (3, Requeue(1, 1, "the coordinator was restarted", false)),
            (4, Assign(1, 2, "op/n")),
            (5, Came(1, 1, 0, None)),
            (5, Over(1, 2, End::Succeeded, None)),
        ],
        expect![[r#"
            #1 a succeeded 1+0/1 1..Some(5)
              1 op/m gpu requeued 1+0; - of the platform: the coordinator was restarted
                at 1 2 None Some(5)..Some(5) Some(3) []
              2 op/n pci-1 cancelled 0+0
                at 3 4 None None..None Some(5) []
        "#]],
    );
}

#[test]
fn what_was_claimed_is_told_if_the_journal_does() {
    let told = |attempt: u32| {
        let history = [(1, Delegate(1, "a", 1)), (2, Assign(1, attempt, "op/m"))];
        let page = trails(&history).page(&all());
        page.delegations[0].attempts[0]
            .claimed
            .map(|claimed| claimed.cpu_cores)
    };
    // Records of before format 4 hold nothing but zeros.
    assert_eq!((told(0), told(3)), (None, Some(6)));
}

#[test]
fn a_log_keeps_its_last_lines() {
    let mut history = vec![(1, Delegate(1, "a", 1)), (2, Assign(1, 1, "op/m"))];
    history.extend((0..20).map(|at| (3 + at, Log("op/m", "a line"))));
    let page = trails(&history).page(&all());
    let log = &page.delegations[0].attempts[0].log;
    let times: Vec<_> = log.iter().map(|line| line.time_ms).collect();
    assert_eq!(times, (15..23).collect::<Vec<_>>());
}

#[test]
fn a_query_picks_by_number_by_key_and_by_what_went_wrong() {
    let history = || {
        trails(&[
            (1, Delegate(1, "part", 1)),
            (1, Delegate(2, "part/1/1", 1)),
            (1, Delegate(3, "part/1/2", 1)),
            (1, Delegate(4, "party", 1)),
            (1, Delegate(50, "", 1)),
            (2, Assign(3, 1, "op/m")),
            (3, Requeue(3, 1, "no", false)),
        ])
    };
    let calls = |which: &str, failed, from, limit| {
        let query = TrailQuery {
            which: which.to_string(),
            failed,
            from: CallId(from),
            limit,
        };
        let page = history().page(&query);
        let calls: Vec<_> = page.delegations.iter().map(|d| d.call.0).collect();
        (calls, page.next.map(|call| call.0))
    };
    assert_eq!(calls("", false, 0, 9), (vec![1, 2, 3, 4, 50], None));
    assert_eq!(calls("", false, 0, 2), (vec![1, 2], Some(3)));
    assert_eq!(calls("", false, 3, 2), (vec![3, 4], Some(50)));
    assert_eq!(calls("", true, 0, 9), (vec![3], None));
    assert_eq!(calls("part", false, 0, 9), (vec![1, 2, 3], None));
    assert_eq!(calls("part/1", false, 0, 9), (vec![2, 3], None));
    assert_eq!(calls("#4", false, 0, 9), (vec![4], None));
    assert_eq!(calls("50", false, 0, 9), (vec![50], None));
    assert!(history().knows("party") && !history().knows("par") && !history().knows("6"));
    assert_eq!(history().keys(2), ["part", "part/1/1"]);
}

#[test]
fn what_a_fork_kept_says_from_where() {
    let mut trails = Trails::default();
    let origin = WorkflowId([7; 16]);
    let submitted = Submitted {
        pipeline: "p".to_string(),
        revision: RevisionHash([0; 32]),
        seeker: SeekerId::new("ada").unwrap(),
        idempotency_key: String::new(),
        input: Value::Nil,
        seed: 1,
        parent: None,
        budget: None,
        wanted_by_ms: None,
        forked_from: Some(ForkedFrom {
            workflow: origin,
            step: CallId(2),
            carried: 1,
            begun_ms: 1,
        }),
    };
    let bodies = [
        Body::Submitted(submitted),
        body(&Delegate(1, "kept", 1)),
        body(&Delegate(2, "anew", 1)),
    ];
    for (seq, body) in (0..).zip(bodies) {
        trails.apply(seq, &Record { time_ms: 1, body });
    }
    let page = trails.page(&all());
    let from: Vec<_> = page.delegations.iter().map(|d| d.kept_from).collect();
    assert_eq!(from, [Some(origin), None]);
}
