use froben_journal::{Assigned, Called, Ended, Item};
use froben_model::{Amount, ItemError, Kind, Needs, OperatorId, TaskSpec, Usage, Value};

use super::*;

const WORKFLOW: WorkflowId = WorkflowId([1; 16]);

struct Told {
    counter: Counter,
    seq: Seq,
}

impl Told {
    fn new() -> Told {
        let counter = Counter::default();
        Told { counter, seq: 1 }
    }

    fn tell(&mut self, time_ms: TimeMs, body: Body) {
        self.counter
            .see(WORKFLOW, self.seq, &Record { time_ms, body });
        self.seq += 1;
    }

    fn delegate(&mut self, at: TimeMs, call: u64, kind: &str) {
        let spec = TaskSpec {
            kind: Kind::new(kind).unwrap(),
            input: Value::Nil,
            items: vec![Value::Nil],
            needs: Needs::default(),
            timeout_ms: 1,
            queue_timeout_ms: 1,
            avoid: Vec::new(),
            key: String::new(),
            keys: Vec::new(),
            check: None,
            max_price: None,
        };
        let called = Called {
            call: CallId(call),
            line: 1,
            op: CallOp::Delegate(spec),
            fed: 0,
        };
        self.tell(at, Body::Called(called));
    }

    fn assign(&mut self, at: TimeMs, call: u64, attempt: u32) {
        let assigned = Assigned {
            call: CallId(call),
            attempt,
            epoch: 1,
            machine: "op/m".parse().unwrap(),
            device: None,
            deadline_ms: 0,
            cpu_cores: 1,
            ram_bytes: 0,
            vram_bytes: 0,
            price: Amount::ZERO,
        };
        self.tell(at, Body::Assigned(assigned));
    }

    fn item(&mut self, at: TimeMs, call: u64, attempt: u32, error: Option<ErrorClass>) {
        let item = Item {
            call: CallId(call),
            attempt,
            index: 0,
            outcome: error.map_or(Ok(Value::Nil), |class| Err(failure(class))),
            device: None,
            usage: Usage::default(),
        };
        self.tell(at, Body::Item(item));
    }

    fn end(&mut self, at: TimeMs, call: u64, attempt: u32, why: Option<ErrorClass>) {
        let ended = Ended {
            call: CallId(call),
            attempt,
            end: why.map_or(End::Succeeded, |_| End::Failed),
            failure: why.map(failure),
        };
        self.tell(at, Body::Ended(ended));
    }

    fn of(&self, kind: &str) -> OfKind {
        self.counter.figures().kinds[kind].clone()
    }
}

fn failure(class: ErrorClass) -> ItemError {
    ItemError {
        class,
        message: String::new(),
        operator: OperatorId::new("op").ok(),
    }
}

#[test]
fn an_attempt_is_counted_from_its_wait_to_its_end() {
    let mut told = Told::new();
    told.delegate(100, 1, "a/1");
    assert_eq!(
        (told.of("a/1").queued_now, told.of("a/1").reserved_now),
        (1, 0)
    );
    told.assign(107, 1, 1);
    assert_eq!(
        (told.of("a/1").queued_now, told.of("a/1").reserved_now),
        (0, 1)
    );
    let (call, attempt) = (CallId(1), 1);
    told.tell(108, Body::Started { call, attempt });
    told.item(150, 1, 1, None);
    told.end(150, 1, 1, None);
    let of = told.of("a/1");
    assert_eq!((of.queued_now, of.reserved_now), (0, 0));
    assert_eq!((of.items_ok, of.items_failed), (1, 0));
    assert_eq!(of.attempts, BTreeMap::from([(Outcome::Succeeded, 1)]));
    assert_eq!(of.ended, BTreeMap::from([("succeeded", 1)]));
    let ms = |histogram: &Histogram| (histogram.count, histogram.sum.as_millis());
    assert_eq!(
        (ms(&of.queue), ms(&of.answer), ms(&of.run)),
        ((1, 7), (1, 1), (1, 43))
    );
}

#[test]
fn each_way_to_end_has_its_name() {
    let mut told = Told::new();
    told.delegate(0, 1, "a/1");
    told.assign(1, 1, 1);
    let (call, attempt, reason) = (CallId(1), 1, String::new());
    let fault = true;
    told.tell(
        2,
        Body::Requeued {
            call,
            attempt,
            reason,
            fault,
        },
    );
    assert_eq!(told.of("a/1").queued_now, 1);
    told.assign(3, 1, 2);
    told.end(4, 1, 2, Some(ErrorClass::Disconnected));
    told.delegate(5, 2, "a/1");
    told.assign(6, 2, 1);
    told.item(7, 2, 1, Some(ErrorClass::BadRequest));
    told.end(7, 2, 1, None);
    told.delegate(8, 3, "a/1");
    told.end(9, 3, 0, Some(ErrorClass::NoCapacity));
    let of = told.of("a/1");
    let expected = [
        (Outcome::Requeued(Fault::Operator), 1),
        (
            Outcome::Failed(ErrorClass::Disconnected, Fault::Operator),
            1,
        ),
        (Outcome::Partly, 1),
    ];
    assert_eq!(of.attempts, BTreeMap::from(expected));
    assert_eq!((of.queued_now, of.reserved_now), (0, 0));
    assert_eq!(
        of.queue.count, 3,
        "the wait after a requeue is one of its own"
    );
}

#[test]
fn of_two_attempts_at_once_the_loser_is_cancelled() {
    let mut told = Told::new();
    told.delegate(0, 1, "a/1");
    told.assign(1, 1, 1);
    told.assign(2, 1, 2);
    assert_eq!(
        (told.of("a/1").queued_now, told.of("a/1").reserved_now),
        (0, 2)
    );
    told.item(3, 1, 2, None);
    told.end(3, 1, 2, None);
    let of = told.of("a/1");
    assert_eq!((of.queued_now, of.reserved_now), (0, 0));
    let expected = [(Outcome::Succeeded, 1), (CANCELLED, 1)];
    assert_eq!(of.attempts, BTreeMap::from(expected));
    assert_eq!((of.hedges, of.hedges_won, of.hedges_wasted), (1, 1, 0));
}

#[test]
fn a_hedge_that_is_slower_or_lost_is_wasted() {
    let mut told = Told::new();
    for call in 1..=2 {
        told.delegate(0, call, "a/1");
        told.assign(1, call, 1);
        told.assign(2, call, 2);
    }
    told.item(3, 1, 1, None);
    told.end(3, 1, 1, None);
    let lost = Body::Lost {
        call: CallId(2),
        attempt: 2,
        failure: failure(ErrorClass::Disconnected),
    };
    told.tell(4, lost);
    told.item(5, 2, 1, None);
    told.end(5, 2, 1, None);
    let of = told.of("a/1");
    assert_eq!((of.hedges, of.hedges_won, of.hedges_wasted), (2, 0, 2));
}

#[test]
fn a_hedge_that_is_refused_is_given_back_as_any_other() {
    let mut told = Told::new();
    told.delegate(0, 1, "a/1");
    told.assign(1, 1, 1);
    told.assign(2, 1, 2);
    let lost = Body::Lost {
        call: CallId(1),
        attempt: 2,
        failure: failure(ErrorClass::NoCapacity),
    };
    told.tell(3, lost);
    let of = told.of("a/1");
    let given_back = Outcome::Requeued(Fault::Platform);
    assert_eq!(of.attempts, BTreeMap::from([(given_back, 1)]));
    assert_eq!((of.queued_now, of.reserved_now), (0, 1));
}

#[test]
fn kinds_are_only_so_many() {
    let mut told = Told::new();
    for call in 0..2 * KINDS as u64 {
        told.delegate(0, call, &format!("a{call}/1"));
    }
    let kinds = told.counter.figures().kinds;
    assert_eq!(kinds.len(), KINDS + 1);
    assert_eq!(kinds[OTHER].queued_now, KINDS as u64);
}

#[test]
fn what_is_paid_is_summed_up_by_kind() {
    let mut told = Told::new();
    let pay = |told: &mut Told, paid: &[(&str, u64)]| {
        let paid = paid.iter();
        let paid = paid.map(|(kind, micros)| (Kind::new(*kind).unwrap(), Amount(*micros)));
        let mut step = Step::default();
        step.add(Step {
            paid: paid.collect(),
            ..Step::default()
        });
        told.counter.count(&step, Duration::ZERO);
    };
    told.delegate(0, 1, "a/1");
    assert_eq!(told.of("a/1").credited, Amount::ZERO);
    pay(&mut told, &[("a/1", 50_000), ("b/1", 7), ("a/1", 50_000)]);
    pay(&mut told, &[("a/1", 1)]);
    assert_eq!(told.of("a/1").credited, Amount(100_001));
    assert_eq!(told.of("b/1").credited, Amount(7));
    for number in 2..KINDS {
        told.delegate(0, number as u64, &format!("a{number}/1"));
    }
    pay(&mut told, &[("c/1", 2), ("d/1", 3), ("b/1", 1)]);
    assert_eq!(told.of(OTHER).credited, Amount(5));
    assert_eq!(told.of("b/1").credited, Amount(8));
}

#[test]
fn a_duration_is_in_the_first_bucket_that_holds_it() {
    let mut histogram = Histogram::default();
    for ms in [0, 1, 2, 7_200_000, 7_200_001] {
        histogram.add(Duration::from_millis(ms));
    }
    let filled: Vec<_> = (0..)
        .zip(histogram.buckets)
        .filter(|(_, n)| *n > 0)
        .collect();
    assert_eq!(filled, [(0, 2), (1, 1), (13, 1), (14, 1)]);
}
