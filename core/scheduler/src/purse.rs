//! What workflows may still spend.
//!
//! Money is reserved like cores and memory: an attempt holds the price of every item that is still
//! missing, an accepted item turns its share into what is spent, and the rest comes back when the attempt
//! is over. Only purses with a limit are here. What is owed to whom is not: that is the ledger's.

use std::collections::{BTreeMap, BTreeSet};

use froben_model::{Amount, WorkflowId};

use crate::DelegationKey;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purse {
    pub(crate) limit: Amount,
    pub(crate) spent: Amount,
    /// By attempts that are not over.
    pub(crate) held: Amount,
    /// Delegations in a line that draw on it.
    pub(crate) waiting: BTreeSet<DelegationKey>,
}

impl Purse {
    pub(crate) fn left(&self) -> Amount {
        self.limit
            .saturating_sub(self.spent.saturating_add(self.held))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Purses(BTreeMap<WorkflowId, Purse>);

impl Purses {
    pub(crate) fn open(&mut self, id: WorkflowId, limit: Amount, spent: Amount) {
        self.0.entry(id).or_insert(Purse {
            limit,
            spent,
            held: Amount::ZERO,
            waiting: BTreeSet::new(),
        });
    }

    pub(crate) fn close(&mut self, id: WorkflowId) {
        self.0.remove(&id);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&WorkflowId, &Purse)> {
        self.0.iter()
    }

    /// What is left of it; `None` if there is no limit.
    pub(crate) fn left(&self, id: Option<WorkflowId>) -> Option<Amount> {
        Some(self.0.get(&id?)?.left())
    }

    pub(crate) fn wait(&mut self, id: Option<WorkflowId>, key: DelegationKey) {
        if let Some(purse) = self.of(id) {
            purse.waiting.insert(key);
        }
    }

    /// Whether somebody who waits draws on it.
    pub(crate) fn is_waited_for(&self, id: Option<WorkflowId>) -> bool {
        let purse = id.and_then(|id| self.0.get(&id));
        purse.is_some_and(|purse| !purse.waiting.is_empty())
    }

    pub(crate) fn stop_waiting(&mut self, id: Option<WorkflowId>, key: DelegationKey) {
        if let Some(purse) = self.of(id) {
            purse.waiting.remove(&key);
        }
    }

    pub(crate) fn hold(&mut self, id: Option<WorkflowId>, amount: Amount) {
        if let Some(purse) = self.of(id) {
            purse.held = purse.held.saturating_add(amount);
        }
    }

    pub(crate) fn spend(&mut self, id: Option<WorkflowId>, amount: Amount) {
        if let Some(purse) = self.of(id) {
            purse.take_back(amount);
            purse.spent = purse.spent.saturating_add(amount);
        }
    }

    /// Gives the delegations that may have waited for it.
    pub(crate) fn release(
        &mut self,
        id: Option<WorkflowId>,
        amount: Amount,
    ) -> impl Iterator<Item = DelegationKey> {
        let purse = self.of(id).filter(|_| !amount.is_zero());
        let waiting = purse.map(|purse| {
            purse.take_back(amount);
            purse.waiting.iter().copied()
        });
        waiting.into_iter().flatten()
    }

    fn of(&mut self, id: Option<WorkflowId>) -> Option<&mut Purse> {
        self.0.get_mut(&id?)
    }
}

impl Purse {
    fn take_back(&mut self, amount: Amount) {
        let left = self.held.checked_sub(amount);
        self.held = left.expect("invariant: what is released was held");
    }
}
