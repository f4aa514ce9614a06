//! The delegations that are not over, by workflow and call.

use std::ops::Index;

use froben_model::{CallId, WorkflowId};
use rustc_hash::FxHashMap;

use crate::DelegationKey;
use crate::delegation::Delegation;

#[derive(Debug, Default)]
pub(crate) struct Delegations {
    /// No workflow is here without any. Boxed: what a table moves about should be small.
    of: FxHashMap<WorkflowId, FxHashMap<CallId, Box<Delegation>>>,
}

impl Delegations {
    pub(crate) fn get(&self, key: &DelegationKey) -> Option<&Delegation> {
        let delegation = self.of.get(&key.workflow)?.get(&key.call)?;
        Some(delegation)
    }

    pub(crate) fn get_mut(&mut self, key: &DelegationKey) -> Option<&mut Delegation> {
        let delegation = self.of.get_mut(&key.workflow)?.get_mut(&key.call)?;
        Some(delegation)
    }

    pub(crate) fn len(&self) -> usize {
        self.of.values().map(FxHashMap::len).sum()
    }

    pub(crate) fn contains_key(&self, key: &DelegationKey) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: DelegationKey, delegation: Box<Delegation>) {
        let calls = self.of.entry(key.workflow).or_default();
        calls.insert(key.call, delegation);
    }

    pub(crate) fn remove(&mut self, key: &DelegationKey) -> Option<Box<Delegation>> {
        let calls = self.of.get_mut(&key.workflow)?;
        let delegation = calls.remove(&key.call)?;
        if calls.is_empty() {
            self.of.remove(&key.workflow);
        }
        Some(delegation)
    }

    /// Those of one workflow, by call.
    pub(crate) fn of(
        &self,
        workflow: WorkflowId,
    ) -> impl Iterator<Item = (DelegationKey, &Delegation)> {
        let calls = self.of.get(&workflow).into_iter().flatten();
        let calls = calls.map(|(call, delegation)| (named(workflow, *call), &**delegation));
        let mut all: Vec<_> = calls.collect();
        all.sort_by_key(|(key, _)| *key);
        all.into_iter()
    }

    /// All of them, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DelegationKey, &Delegation)> {
        self.of.iter().flat_map(|(workflow, calls)| {
            let calls = calls.iter();
            calls.map(|(call, delegation)| (named(*workflow, *call), &**delegation))
        })
    }
}

fn named(workflow: WorkflowId, call: CallId) -> DelegationKey {
    DelegationKey { workflow, call }
}

impl Index<&DelegationKey> for Delegations {
    type Output = Delegation;

    /// *Panics* if it is over.
    fn index(&self, key: &DelegationKey) -> &Delegation {
        let delegation = self.get(key);
        delegation.expect("invariant: the delegation is not over")
    }
}
