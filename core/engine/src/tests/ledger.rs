//! What is accepted is paid, once; what is not, is not.

use froben_journal::{Account, Balance, Cause, Record};
use froben_model::Amount;

use super::*;

/// What [`spec`]'s machine asks for an item.
pub(super) const PRICE: u64 = 50;

/// All workflows of the store are over, and each item that counted was paid once.
pub(super) fn paid_once(store: &MemoryStore) {
    let mut items = 0;
    for (id, over) in store.workflows().expect("a read") {
        assert!(over, "{id} is not over");
        let records = store.read(id, 0, usize::MAX).expect("a read");
        let paid =
            |record: &Record| matches!(&record.body, Body::Item(item) if item.outcome.is_ok());
        items += records.iter().filter(|(_, record)| paid(record)).count();
    }
    let postings = store.postings(None, 1, usize::MAX).expect("a read");
    let settled = postings
        .iter()
        .filter(|posting| posting.cause == Cause::Settle);
    let mut seen = BTreeSet::new();
    for posting in settled {
        assert_eq!(posting.amount, Amount(PRICE));
        seen.insert(posting.index);
    }
    assert_eq!(seen.len(), items, "each item is paid once");
    let total = Balance::from(PRICE * items as u64);
    for (account, held) in store.balances().expect("a read") {
        let expected = match account {
            Account::Operator(_) => total,
            Account::Seeker(_) => -total,
            Account::Budget(_) | Account::Held(_) => 0,
        };
        assert_eq!(held, expected, "{account:?}");
    }
}

/// What all operators have.
pub(super) fn earned(store: &MemoryStore) -> Balance {
    let balances = store.balances().expect("a read").into_iter();
    let operators = balances.filter(|(account, _)| matches!(account, Account::Operator(_)));
    operators.map(|(_, balance)| balance).sum()
}

/// What the figures tell of a life is what operators have earned in it.
pub(super) fn figures_agree(world: &World) {
    let kinds = world.counter.figures().kinds;
    let credited = kinds.values().map(|of| Balance::from(of.credited.0));
    assert_eq!(credited.sum::<Balance>(), earned(&world.store) - world.had);
}

fn world() -> World {
    World::start(MemoryStore::new(), SQUARES, 0, usize::MAX)
}

fn submit_on(world: &mut World, terms: froben_model::Terms) {
    world.submit(3, "");
    let Some(Input::Submit(submit)) = world.inputs.back_mut() else {
        panic!("it was just submitted");
    };
    submit.terms = terms;
}

fn causes(store: &MemoryStore) -> Vec<(Cause, u64)> {
    let postings = store.postings(None, 1, usize::MAX).expect("a read");
    postings.iter().map(|p| (p.cause, p.amount.0)).collect()
}

#[test]
fn a_result_is_paid_in_the_batch_that_accepts_it() {
    let mut world = world();
    world.submit(3, "");
    assert!(world.run());
    paid_once(&world.store);
    assert!(
        world.engine.ledger.totals(ID) == Default::default(),
        "the account is closed"
    );
}

#[test]
fn a_workflow_that_is_cancelled_owes_what_it_had() {
    let mut world = world();
    world.submit(3, "");
    while !causes(&world.store)
        .iter()
        .any(|(cause, _)| *cause == Cause::Settle)
    {
        let input = world.inputs.pop_front().expect("something to do");
        world.now += 1;
        let step = world.engine.handle(world.now, input);
        assert!(world.carry_out(step));
        world
            .engine
            .check_invariants()
            .expect("the books are square");
    }
    let ticket = world.ticket();
    world.inputs.push_front(Input::Cancel {
        ticket,
        seeker: seeker(),
        workflow: ID,
    });
    assert!(world.run());
    paid_once(&world.store);
    let last = causes(&world.store).pop();
    assert_eq!(last, Some((Cause::Close, PRICE)));
}

#[test]
fn a_budget_is_never_overdrawn() {
    let terms = |budget| froben_model::Terms {
        budget: Some(Amount(budget)),
        wanted_by_ms: None,
    };
    for (budget, succeeds) in [(0, false), (PRICE - 1, false), (PRICE * 100, true)] {
        let mut world = world();
        submit_on(&mut world, terms(budget));
        assert!(world.run());
        paid_once(&world.store);
        let succeeded = world.ended().1 == total_of_three();
        assert_eq!(succeeded, succeeds, "with {budget}");
        let spent = causes(&world.store)
            .iter()
            .filter(|(cause, _)| *cause == Cause::Settle)
            .count();
        assert!(PRICE * spent as u64 <= budget);
    }
}

#[test]
fn a_budget_survives_a_restart() {
    let terms = froben_model::Terms {
        budget: Some(Amount(PRICE * 2)),
        wanted_by_ms: None,
    };
    let mut whole = world();
    submit_on(&mut whole, terms);
    assert!(whole.run());
    let commits = usize::MAX - whole.commits_left;
    for crash_after in 1..commits {
        let mut first = World::start(MemoryStore::new(), SQUARES, 0, crash_after);
        submit_on(&mut first, terms);
        first.run();
        let mut second = World::start(first.store.crash(), SQUARES, first.now + 1000, usize::MAX);
        assert!(second.run());
        second
            .engine
            .check_invariants()
            .expect("the books are square");
        paid_once(&second.store);
        let settled = causes(&second.store)
            .iter()
            .filter(|(cause, _)| *cause == Cause::Settle)
            .count();
        assert!(settled <= 2, "crashed after commit {crash_after}");
    }
}

#[test]
fn what_comes_late_is_paid_at_the_price_of_its_attempt() {
    let (mut world, token) = crashed_at_work();
    let Some(Input::MachineJoined { spec, .. }) = world.inputs.back_mut() else {
        panic!("its machine has just joined");
    };
    spec.prices[0].1 = Amount(3 * PRICE);
    let ticket = world.ticket();
    world.inputs.push_back(Input::Item {
        ticket,
        session: SessionId(1),
        token,
        report: ItemReport::new(0, Ok(Value::Int(1))),
    });
    assert!(world.run());
    assert_eq!(receipt(&world, ticket), Receipt::Recorded);
    // The other item is one of the new attempt's.
    assert_eq!(earned(&world.store), Balance::from(PRICE + 3 * PRICE));
}
