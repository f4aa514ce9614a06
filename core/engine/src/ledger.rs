//! What is owed to whom, posted with the record that causes it.
//!
//! A posting follows from a record and from what the workflow's records before it say, and from nothing
//! else: so a restart, which applies the same records, knows the same, and posts nothing twice. A
//! workflow pays for its children; the one that no other runs is the *root*, which has the budget.
//!
//! What an attempt holds is at any time its price times the items that are missing: it was reserved when
//! the task was assigned, and each item that comes takes its share out, to the operator or back. A claimed
//! item's share stays held until its check has spoken, whatever becomes of the attempt; that of an item
//! which comes late is reserved when it comes.

use std::collections::BTreeMap;

use froben_journal::{Account, Assigned, Body, Cause, Item, Posting};
use froben_model::{Amount, CallId, OperatorId, TimeMs, WorkflowId};
use froben_scheduler::planted::{Bug, planted};

use crate::engine::Engine;
use crate::workflow::Workflow;

/// Money that a record moves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    call: CallId,
    attempt: u32,
    amount: Amount,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Reserve,
    Settle(OperatorId),
    Release,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The index of the newest posting.
    newest: u64,
    /// Of roots that are live and that anything was posted for.
    accounts: BTreeMap<WorkflowId, Totals>,
}

/// What a workflow has spent and holds, with its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) spent: Amount,
    pub(crate) held: Amount,
}

impl Ledger {
    /// Goes on behind what is written.
    pub(crate) fn follow(&mut self, newest: u64) {
        self.newest = newest;
    }

    /// Takes over what is written of a root.
    pub(crate) fn open(&mut self, root: WorkflowId, totals: Totals) {
        if totals != Totals::default() {
            self.accounts.insert(root, totals);
        }
    }

    pub(crate) fn totals(&self, root: WorkflowId) -> Totals {
        self.accounts.get(&root).copied().unwrap_or_default()
    }

    fn next(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    fn post(&mut self, root: WorkflowId, workflow: WorkflowId, at: TimeMs, moved: Move) -> Posting {
        let Move {
            call,
            attempt,
            amount,
            what,
        } = moved;
        let totals = self.accounts.entry(root).or_default();
        let held = |totals: &Totals| {
            let left = totals.held.checked_sub(amount);
            left.expect("invariant: what moves on was reserved")
        };
        let (cause, from, to) = match what {
            What::Reserve => {
                totals.held = totals.held.saturating_add(amount);
                (Cause::Reserve, Account::Budget(root), Account::Held(root))
            }
            What::Settle(operator) => {
                totals.held = held(totals);
                totals.spent = totals.spent.saturating_add(amount);
                (
                    Cause::Settle,
                    Account::Held(root),
                    Account::Operator(operator),
                )
            }
            What::Release => {
                totals.held = held(totals);
                (Cause::Release, Account::Held(root), Account::Budget(root))
            }
        };
        Posting {
            index: self.next(),
            time_ms: at,
            workflow,
            call: Some(call),
            attempt,
            cause,
            from,
            to,
            amount,
        }
    }
}

/// What `body` moves, if it is the next record of `workflow`.
fn moves(workflow: &Workflow, body: &Body) -> Vec<Move> {
    let mut moves = Vec::new();
    if workflow.is_carried() {
        return moves;
    }
    let mut add = |call, attempt, amount: Amount, what| {
        if !amount.is_zero() {
            moves.push(Move {
                call,
                attempt,
                amount,
                what,
            });
        }
    };
    let of = |call: &CallId| workflow.delegations.get(call);
    match body {
        Body::Assigned(Assigned {
            call,
            attempt,
            price,
            ..
        }) => {
            if let Some(delegation) = of(call) {
                let amount = price.times(delegation.missing());
                add(*call, *attempt, amount, What::Reserve);
            }
        }
        Body::Item(Item {
            call,
            attempt,
            index,
            outcome,
            ..
        }) => {
            let Some(delegation) = of(call) else {
                return moves;
            };
            let maker = delegation.assignees.get(attempt);
            let settle = || match (outcome, maker) {
                (Ok(_), Some(maker)) => What::Settle(maker.machine.operator()),
                _ => What::Release,
            };
            if let Some(claim) = delegation.claims.get(index) {
                add(*call, *attempt, claim.price, settle());
                return moves;
            }
            for open in &delegation.attempts {
                let what = match open.number == *attempt {
                    true => settle(),
                    false if planted(Bug::PayLoser) => settle(),
                    false => What::Release,
                };
                add(*call, open.number, open.price, what);
            }
            if let Some(price) = delegation.late_price(*attempt) {
                add(*call, *attempt, price, What::Reserve);
                add(*call, *attempt, price, settle());
            }
        }
        // What it costs stays held until it is settled; nobody else is paid for it.
        Body::Claimed(Item { call, attempt, .. }) => {
            let Some(delegation) = of(call) else {
                return moves;
            };
            for open in &delegation.attempts {
                if open.number != *attempt {
                    add(*call, open.number, open.price, What::Release);
                }
            }
            if let Some(price) = delegation.late_price(*attempt) {
                add(*call, *attempt, price, What::Reserve);
            }
        }
        Body::Requeued { call, attempt, .. } | Body::Lost { call, attempt, .. } => {
            if let Some(d) = of(call)
                && let Some(open) = d.open(*attempt)
            {
                let amount = open.price.times(d.missing());
                add(*call, *attempt, amount, What::Release);
            }
        }
        Body::Ended(ended) => {
            if let Some(delegation) = of(&ended.call) {
                for open in &delegation.attempts {
                    let amount = open.price.times(delegation.missing());
                    add(ended.call, open.number, amount, What::Release);
                }
                for claim in delegation.claims.values() {
                    add(ended.call, claim.item.attempt, claim.price, What::Release);
                }
            }
        }
        Body::Submitted(_)
        | Body::Called(_)
        | Body::Started { .. }
        | Body::Slept { .. }
        | Body::CancelRequested
        | Body::Finished(_)
        | Body::Logged { .. }
        | Body::ChildEnded { .. }
        | Body::Tallied(_)
        | Body::Paused
        | Body::Resumed
        | Body::Migrated { .. } => {}
    }
    moves
}

impl Engine {
    /// The workflow that pays for this one.
    pub(crate) fn root_of(&self, mut id: WorkflowId) -> WorkflowId {
        while let Some(parent) = self.live.get(&id).and_then(|workflow| workflow.parent) {
            id = parent.workflow;
        }
        id
    }

    /// The purse that a workflow's delegations draw on, if it is limited.
    pub(crate) fn purse_of(&self, id: WorkflowId) -> Option<WorkflowId> {
        let root = self.live.get(&self.root_of(id))?;
        root.budget.map(|_| root.id)
    }

    /// Posts what the next record of a workflow moves.
    pub(crate) fn post(&mut self, id: WorkflowId, at: TimeMs, body: &Body) {
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        let mut moves = moves(workflow, body);
        moves.retain(|moved| moved.what != What::Release || !planted(Bug::KeepMoney));
        if moves.is_empty() {
            return;
        }
        let root = self.root_of(id);
        if !self.live.contains_key(&root) {
            // Its journal is damaged and it is set aside; what it holds stays held for a person to look at.
            return;
        }
        for moved in moves {
            let delegation = workflow.delegations.get(&moved.call);
            let posting = self.ledger.post(root, id, at, moved);
            if posting.cause == Cause::Settle {
                let delegation = delegation.expect("invariant: what is paid is of a delegation");
                let kind = delegation.spec.kind.clone();
                self.step.paid.push((kind, posting.amount));
            }
            self.step.batch.postings.push(posting);
        }
    }

    /// A root is over: its seeker owes what it has spent.
    pub(crate) fn close_account(&mut self, root: &Workflow) {
        let input = froben_scheduler::Input::ClosePurse { purse: root.id };
        self.schedule(input);
        let Some(Totals { spent, held }) = self.ledger.accounts.remove(&root.id) else {
            return;
        };
        assert!(held.is_zero(), "invariant: nothing is held for {}", root.id);
        if spent.is_zero() {
            return;
        }
        let posting = Posting {
            index: self.ledger.next(),
            time_ms: self.now,
            workflow: root.id,
            call: None,
            attempt: 0,
            cause: Cause::Close,
            from: Account::Seeker(root.seeker.clone()),
            to: Account::Budget(root.id),
            amount: spent,
        };
        self.step.batch.postings.push(posting);
    }

    /// Limits what a root may spend, if it has a budget.
    pub(crate) fn open_purse(&mut self, root: WorkflowId, budget: Option<Amount>) {
        if let Some(limit) = budget {
            let spent = self.ledger.totals(root).spent;
            self.schedule(froben_scheduler::Input::OpenPurse {
                purse: root,
                limit,
                spent,
            });
        }
    }

    /// *Errors*: an account that does not hold what the attempts of its workflows do, in words.
    pub(crate) fn check_ledger(&self) -> Result<(), String> {
        let mut held: BTreeMap<WorkflowId, Amount> = BTreeMap::new();
        for (id, workflow) in &self.live {
            let total = held.entry(self.root_of(*id)).or_default();
            for delegation in workflow.delegations.values() {
                for open in &delegation.attempts {
                    *total = total.saturating_add(open.price.times(delegation.missing()));
                }
                for claim in delegation.claims.values() {
                    *total = total.saturating_add(claim.price);
                }
            }
        }
        for (root, totals) in &self.ledger.accounts {
            let expected = held.get(root).copied().unwrap_or_default();
            if totals.held != expected {
                let found = totals.held;
                return Err(format!("{root} holds {found}, its attempts {expected}"));
            }
        }
        let unknown = |(root, held): &(&WorkflowId, &Amount)| {
            !held.is_zero() && !self.ledger.accounts.contains_key(root)
        };
        match held.iter().find(unknown) {
            None => Ok(()),
            Some((root, held)) => Err(format!("the attempts of {root} hold {held} of nothing")),
        }
    }
}
