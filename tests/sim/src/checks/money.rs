//! The ledger: all postings, against the records that cause them.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Account, Balance, Batch, Body, Cause, Posting};
use froben_model::{Amount, CallId, WorkflowId};

use super::workflow::Seen;

#[derive(Debug, Default)]
pub(super) struct Money {
    /// The index of the newest posting.
    newest: u64,
    /// By the workflow that pays, which no other runs.
    purses: BTreeMap<WorkflowId, Purse>,
    pub(super) balances: BTreeMap<Account, Balance>,
}

/// A delegation's attempt.
type Attempt = (WorkflowId, CallId, u32);

#[derive(Debug, Default)]
struct Purse {
    held: BTreeMap<Attempt, Amount>,
    spent: Amount,
    closed: bool,
}

impl Purse {
    fn held(&self) -> Amount {
        let held = self.held.values().copied();
        held.fold(Amount::ZERO, Amount::saturating_add)
    }

    fn take(&mut self, attempt: Attempt, amount: Amount) -> Result<(), String> {
        let held = self.held.entry(attempt).or_default();
        let left = held.checked_sub(amount);
        *held = left.ok_or("I17: an attempt gives more than is held for it")?;
        Ok(())
    }
}

impl Money {
    /// Takes the postings of a batch in, whose records are in `workflows` already.
    pub(super) fn written(
        &mut self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        batch: &Batch,
    ) -> Result<(), String> {
        for posting in &batch.postings {
            let wrong = |what| format!("{what}: {posting:?}");
            self.posted(workflows, posting).map_err(wrong)?;
        }
        check_paid(workflows, batch)?;
        self.check_held(workflows, batch)?;
        self.check_closed(workflows, batch)
    }

    fn posted(
        &mut self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        posting: &Posting,
    ) -> Result<(), String> {
        self.newest += 1;
        must!(posting.index == self.newest, "I17: postings have gaps");
        let root = root_of(workflows, posting.workflow);
        let of_root = &workflows[&root];
        let purse = self.purses.entry(root).or_default();
        must!(!purse.closed, "I17: it is paid for after its end");
        let amount = posting.amount;
        must!(!amount.is_zero(), "I17: nothing is posted");
        let (budget, held) = (Account::Budget(root), Account::Held(root));
        let (from, to) = match posting.cause {
            Cause::Close => {
                must!(posting.call.is_none(), "I17: it is closed for a call");
                must!(amount == purse.spent, "I17: it owes other than it spent");
                must!(of_root.finish.is_some(), "I17: it is closed before its end");
                purse.closed = true;
                let seeker = of_root.seeker.clone();
                (Account::Seeker(seeker.ok_or("nobody pays")?), budget)
            }
            cause => {
                let call = posting.call.ok_or("I17: it is for no call")?;
                let attempt = (posting.workflow, call, posting.attempt);
                match cause {
                    Cause::Reserve => {
                        let held_for = purse.held.entry(attempt).or_default();
                        *held_for = held_for.saturating_add(amount);
                        let all = purse.spent.saturating_add(purse.held());
                        must!(
                            of_root.budget.is_none_or(|budget| all <= budget),
                            "I17: it holds more than its budget"
                        );
                        (budget, held)
                    }
                    Cause::Release => {
                        purse.take(attempt, amount)?;
                        (held, budget)
                    }
                    Cause::Settle | Cause::Close => {
                        purse.take(attempt, amount)?;
                        purse.spent = purse.spent.saturating_add(amount);
                        let delegations = &workflows[&posting.workflow].delegations;
                        let made = delegations.get(&call);
                        let made = made.and_then(|d| d.attempts.get(&posting.attempt));
                        let made = made.ok_or("I17: an attempt is paid that there was not")?;
                        (held, Account::Operator(made.machine.operator()))
                    }
                }
            }
        };
        must!(
            (&from, &to) == (&posting.from, &posting.to),
            "I17: it goes from or to a wrong account"
        );
        for (account, sign) in [(from, -1), (to, 1)] {
            *self.balances.entry(account).or_default() += sign * Balance::from(amount.0);
        }
        Ok(())
    }

    /// What is held for each attempt that the batch speaks of is its price times what it owes, and the price of
    /// each value of it that waits for its check.
    fn check_held(
        &self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        batch: &Batch,
    ) -> Result<(), String> {
        let records = batch.records.iter();
        let spoken_of: BTreeSet<_> = records
            .filter_map(|(workflow, _, record)| Some((*workflow, call_of(&record.body)?)))
            .collect();
        for (workflow, call) in spoken_of {
            let Some(delegation) = workflows[&workflow].delegations.get(&call) else {
                continue;
            };
            let purse = self.purses.get(&root_of(workflows, workflow));
            for (number, attempt) in &delegation.attempts {
                let claimed = delegation
                    .claims
                    .values()
                    .filter(|claim| claim.1 == *number);
                let owed = match delegation.open.contains_key(number) {
                    true => delegation.missing(),
                    false => 0,
                };
                let shares = match delegation.over {
                    true => 0,
                    false => owed + claimed.count(),
                };
                let due = attempt.price.times(shares as u32);
                let held = purse.and_then(|purse| purse.held.get(&(workflow, call, *number)));
                let held = held.copied().unwrap_or_default();
                if held != due {
                    return Err(format!(
                        "I17: {held} is held for {workflow}{call}.{number}, which is due {due}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Of what is over nothing is held, and its seeker owes what it has spent.
    fn check_closed(
        &mut self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        batch: &Batch,
    ) -> Result<(), String> {
        for root in &batch.finished {
            if workflows[root].parent.is_some() {
                continue;
            }
            let purse = self.purses.entry(*root).or_default();
            let held = purse.held();
            if !held.is_zero() {
                return Err(format!("I17: {root} is over, and {held} is held for it"));
            }
            if !purse.closed && !purse.spent.is_zero() {
                return Err(format!("I17: {root} is over, and nobody owes what it cost"));
            }
            purse.closed = true;
        }
        Ok(())
    }
}

/// I2: what is paid in a batch is what its items cost, each once.
fn check_paid(workflows: &BTreeMap<WorkflowId, Seen>, batch: &Batch) -> Result<(), String> {
    let mut owed = Vec::new();
    for (workflow, seq, record) in &batch.records {
        let seen = &workflows[workflow];
        if let Body::Item(item) = &record.body
            && !seen.is_carried(*seq)
            && item.outcome.is_ok()
            && let Some(delegation) = seen.delegations.get(&item.call)
        {
            let price = delegation.attempts[&item.attempt].price;
            owed.push((*workflow, Some(item.call), item.attempt, price));
        }
    }
    owed.retain(|(.., price)| !price.is_zero());
    let settled = batch.postings.iter().filter(|p| p.cause == Cause::Settle);
    let mut paid: Vec<_> = settled
        .map(|p| (p.workflow, p.call, p.attempt, p.amount))
        .collect();
    owed.sort();
    paid.sort();
    match owed == paid {
        true => Ok(()),
        false => Err(format!("I2: {owed:?} is owed, and {paid:?} is paid")),
    }
}

/// The workflow that pays for this one.
fn root_of(workflows: &BTreeMap<WorkflowId, Seen>, mut id: WorkflowId) -> WorkflowId {
    while let Some(parent) = workflows.get(&id).and_then(|seen| seen.parent) {
        id = parent;
    }
    id
}

fn call_of(body: &Body) -> Option<CallId> {
    match body {
        Body::Assigned(assigned) => Some(assigned.call),
        Body::Item(item) | Body::Claimed(item) => Some(item.call),
        Body::Ended(ended) => Some(ended.call),
        Body::Started { call, .. } | Body::Requeued { call, .. } | Body::Lost { call, .. } => {
            Some(*call)
        }
        _ => None,
    }
}
