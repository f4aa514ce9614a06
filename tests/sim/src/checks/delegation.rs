//! One delegation: its attempts, its items, what waits for a check.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Body, Item};
use froben_model::{
    Amount, ErrorClass, Kind, LeaseToken, MachineId, Needs, OperatorId, TaskSpec, TimeMs, Value,
    WorkflowId,
};

use super::workflow::Seen;
use crate::fleet::square;

#[derive(Debug)]
pub(super) struct Delegation {
    pub(super) spec: TaskSpec,
    /// When it was called.
    pub(super) queued_ms: TimeMs,
    /// The time of the latest record of it.
    pub(super) told_ms: TimeMs,
    /// Whose value it is to check, if it is a check.
    pub(super) maker: Option<OperatorId>,
    pub(super) attempts: BTreeMap<u32, Attempt>,
    /// By item that waits for its check, the attempt that it came from.
    pub(super) claims: BTreeMap<u32, (u64, u32)>,
    /// What checks have said, by item.
    pub(super) verdicts: BTreeMap<u32, bool>,
    /// No further attempt is to follow.
    pub(super) lost: bool,
    /// Attempts that hold it, and whether each has begun.
    pub(super) open: BTreeMap<u32, bool>,
    /// Attempts that ended while another one went on.
    pub(super) lost_one: BTreeSet<(u64, u32)>,
    pub(super) last: Option<(u64, u32)>,
    /// By item, the attempt that it came from.
    pub(super) come: BTreeMap<u32, (u64, u32)>,
    pub(super) failed: bool,
    pub(super) over: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) epoch: u64,
    pub(super) machine: MachineId,
    pub(super) price: Amount,
    pub(super) deadline_ms: TimeMs,
}

impl Delegation {
    pub(super) fn of(spec: TaskSpec, queued_ms: TimeMs) -> Self {
        Delegation {
            spec,
            queued_ms,
            told_ms: queued_ms,
            maker: None,
            attempts: BTreeMap::new(),
            claims: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            lost: false,
            open: BTreeMap::new(),
            lost_one: BTreeSet::new(),
            last: None,
            come: BTreeMap::new(),
            failed: false,
            over: false,
        }
    }

    /// Of the check of an item, as the platform makes it.
    fn check(of: &TaskSpec, kind: Kind, maker: OperatorId, queued_ms: TimeMs) -> Self {
        let spec = TaskSpec {
            kind,
            items: vec![Value::Nil],
            needs: Needs {
                cpu_cores: 1,
                shared: true,
                ..Needs::default()
            },
            avoid: vec![maker.clone()],
            keys: Vec::new(),
            check: None,
            max_price: None,
            ..of.clone()
        };
        Delegation {
            maker: Some(maker),
            ..Delegation::of(spec, queued_ms)
        }
    }

    /// Items that have not come, and are not checked.
    pub(super) fn missing(&self) -> usize {
        self.spec.items.len() - self.come.len() - self.claims.len()
    }

    /// If nothing is missing but verdicts, no attempt goes on.
    pub(super) fn rest(&mut self) {
        if self.missing() == 0 && !self.claims.is_empty() {
            self.open.clear();
        }
    }

    pub(super) fn machine_of(&self, attempt: u32) -> Option<MachineId> {
        Some(self.attempts.get(&attempt)?.machine.clone())
    }
}

impl Seen {
    /// A value is to be checked; a check of it begins.
    pub(super) fn claimed(&mut self, item: &Item) -> Result<(), String> {
        let now_ms = self.now_ms;
        let delegation = self.spoken_of(item)?;
        let check = delegation.spec.check.clone();
        let check = check.ok_or("a claim of what is not checked")?;
        must!(item.outcome.is_ok(), "a claim without a value");
        let of = delegation.attempts[&item.attempt].clone();
        let attempt = (of.epoch, item.attempt);
        let twice = delegation.claims.insert(item.index, attempt).is_some();
        must!(!twice, "I1: an item is claimed twice");
        delegation.rest();
        let maker = of.machine.operator();
        let check = Delegation::check(&delegation.spec, check, maker, now_ms);
        let call = item.call.check(item.index);
        let twice = self.delegations.insert(call, check).is_some();
        must!(!twice, "an item is checked twice");
        Ok(())
    }

    pub(super) fn item(&mut self, item: &Item) -> Result<(), String> {
        let carried = self.carries();
        let delegation = self.delegation(item.call)?;
        let claim = delegation.claims.remove(&item.index);
        let verdict = delegation.verdicts.get(&item.index).copied();
        let delegation = self.spoken_of(item)?;
        let of = delegation.attempts[&item.attempt].clone();
        let attempt = (of.epoch, item.attempt);
        must!(
            claim.is_none_or(|claim| claim == attempt),
            "what was claimed is another's"
        );
        let holds = delegation.open.contains_key(&item.attempt);
        must!(
            holds || claim.is_some() || item.outcome.is_ok() || carried,
            "I1: a late failure counts"
        );
        if delegation.spec.check.is_some() && !carried {
            match &item.outcome {
                Ok(value) => {
                    must!(claim.is_some(), "I18: it counts without a check");
                    must!(
                        verdict == Some(true),
                        "I18: it counts, and nobody approved it"
                    );
                    let n = delegation.spec.items[item.index as usize].as_int();
                    must!(
                        n.is_some_and(|n| *value == square(n, 0)),
                        "I18: a wrong value counts"
                    );
                }
                Err(error) if claim.is_some() => {
                    let class = match verdict {
                        Some(false) => ErrorClass::InvalidResult,
                        _ => ErrorClass::NoCapacity,
                    };
                    must!(error.class == class, "it is not what its check said");
                    must!(verdict != Some(true), "it was approved");
                }
                Err(_) => {}
            }
        }
        let twice = delegation.come.insert(item.index, attempt).is_some();
        must!(!twice, "I1: an item counts twice");
        delegation.failed |= item.outcome.is_err();
        delegation.rest();
        let machine = Some(of.machine);
        match &item.outcome {
            Ok(_) => self.credit(machine, 1, 0),
            Err(error) if error.class.blames_operator() => self.credit(machine, 0, 1),
            Err(_) => {}
        }
        if let (Some((call, index)), Ok(value)) = (item.call.checked(), &item.outcome) {
            let approved = value.get("ok") == Some(&Value::Bool(true));
            self.delegation(call)?.verdicts.insert(index, approved);
        }
        Ok(())
    }

    /// The delegation that an item is of: the attempt that it came from holds it, or held it and brings a
    /// value late.
    pub(super) fn spoken_of(&mut self, item: &Item) -> Result<&mut Delegation, String> {
        let delegation = self.delegation(item.call)?;
        must!(!delegation.over, "I1: an item after the end");
        must!(
            (item.index as usize) < delegation.spec.items.len(),
            "an item that it has not"
        );
        let had = delegation.attempts.contains_key(&item.attempt);
        must!(had, "I1: an item of an attempt that there was not");
        Ok(delegation)
    }

    /// Only trusted operators check, and none of them what it made.
    pub(super) fn check_trust(
        &self,
        trusted: &BTreeSet<OperatorId>,
        body: &Body,
    ) -> Result<(), String> {
        let Body::Assigned(assigned) = body else {
            return Ok(());
        };
        let delegation = self.delegations.get(&assigned.call);
        let Some(maker) = delegation.and_then(|delegation| delegation.maker.as_ref()) else {
            return Ok(());
        };
        let operator = assigned.machine.operator();
        must!(
            trusted.contains(&operator),
            "I18: somebody checks who is not trusted"
        );
        must!(operator != *maker, "I18: somebody checks what it made");
        Ok(())
    }

    /// A value is written down as of the attempt whose machine sent it.
    pub(super) fn check_said(
        &self,
        workflow: WorkflowId,
        said: &BTreeSet<(LeaseToken, u32)>,
        body: &Body,
    ) -> Result<(), String> {
        let (Body::Item(item) | Body::Claimed(item)) = body else {
            return Ok(());
        };
        let delegation = self.delegations.get(&item.call);
        let attempt = delegation.and_then(|of| of.attempts.get(&item.attempt));
        let token = LeaseToken {
            workflow,
            call: item.call,
            attempt: item.attempt,
            epoch: attempt.map_or(0, |attempt| attempt.epoch),
        };
        must!(
            said.contains(&(token, item.index)),
            "I1: an item that its machine has not sent"
        );
        Ok(())
    }
}
