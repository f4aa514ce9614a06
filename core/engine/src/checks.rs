//! Checks: delegations that no script has made, one for each value that counts only once it is approved.
//!
//! A check follows from the record of the claimed value and from nothing else, so a restart finds it again.
//! Its own records stand in the same journal under an id of its own, and no script is told of them.

use std::collections::BTreeSet;

use froben_journal::Body;
use froben_model::{CallId, Needs, OperatorId, TaskSpec, Value, WorkflowId};
use froben_scheduler::planted::{Bug, planted};
use froben_scheduler::{DelegationKey, Input, Verdict};

use crate::engine::Engine;

/// What whoever checks an item gets: the item as the script gave it out, and the value that came.
pub(crate) fn question(spec: &TaskSpec, index: u32, value: &Value) -> Value {
    let item = spec.items.get(index as usize).cloned();
    Value::map([("item", item.unwrap_or_default()), ("value", value.clone())])
}

/// A share of a machine.
pub(crate) fn needs() -> Needs {
    Needs {
        cpu_cores: 1,
        shared: true,
        ..Needs::default()
    }
}

/// The task of the check of an item; `None` if the task has no check. It has the task's own times.
pub(crate) fn task(
    spec: &TaskSpec,
    index: u32,
    value: &Value,
    maker: Option<OperatorId>,
) -> Option<TaskSpec> {
    let TaskSpec {
        kind: _,
        input,
        items: _,
        needs: _,
        timeout_ms,
        queue_timeout_ms,
        avoid: _,
        key,
        keys: _,
        check,
        max_price: _,
    } = spec;
    Some(TaskSpec {
        kind: check.clone()?,
        input: input.clone(),
        items: vec![question(spec, index, value)],
        needs: needs(),
        timeout_ms: *timeout_ms,
        queue_timeout_ms: *queue_timeout_ms,
        avoid: maker
            .filter(|_| !planted(Bug::CheckOneself))
            .into_iter()
            .collect(),
        key: format!("{key}/check/{index}"),
        keys: Vec::new(),
        check: None,
        max_price: None,
    })
}

/// What a check's value says.
///
/// *Errors*: a value that is no verdict, in words.
pub(crate) fn verdict(value: &Value) -> Result<Verdict, String> {
    let ok = match value {
        Value::Bool(ok) => Some(*ok),
        value => match value.get("ok") {
            Some(Value::Bool(ok)) => Some(*ok),
            _ => None,
        },
    };
    match ok {
        Some(true) => Ok(Verdict::Approved),
        Some(false) => {
            let reason = value.get("reason").and_then(Value::as_text);
            Ok(Verdict::Rejected(
                reason.unwrap_or("no reason given").into(),
            ))
        }
        None => Err(format!(
            "a check answers with a boolean or a table with `ok`, not with a {}",
            value.kind_name()
        )),
    }
}

impl Engine {
    /// Trusts these operators with checks, and no others.
    pub(crate) fn trust(&mut self, operators: BTreeSet<OperatorId>) {
        self.schedule(Input::Trust { operators });
    }

    /// A check is over: what it is the check of hears of it, in the same step. One that was cancelled has
    /// nobody left to tell.
    pub(crate) fn tell_checked(&mut self, workflow: WorkflowId, check: CallId, verdict: Verdict) {
        let Some((call, index)) = check.checked() else {
            return;
        };
        let verdict = match planted(Bug::IgnoreVerdict) {
            true => Verdict::Approved,
            false => verdict,
        };
        self.follow_ups.push_back(Input::Verdict {
            key: DelegationKey { workflow, call },
            index,
            verdict,
        });
    }

    /// A delegation is over: nobody wants to know any more what its checks say.
    pub(crate) fn cancel_checks(&mut self, id: WorkflowId, call: CallId) {
        let Some(workflow) = self.live.get(&id) else {
            return;
        };
        let checks = workflow.open_checks(call).map(|call| Input::Cancel {
            key: DelegationKey { workflow: id, call },
        });
        self.follow_ups.extend(checks);
    }

    /// Writes down how a claimed item ended. The value that counts is the one that was checked.
    pub(crate) fn settle(
        &mut self,
        key: DelegationKey,
        index: u32,
        error: Option<froben_model::ItemError>,
    ) {
        let workflow = self.live.get(&key.workflow);
        let delegation = workflow.and_then(|w| w.delegations.get(&key.call));
        let Some(claim) = delegation.and_then(|d| d.claims.get(&index)) else {
            return;
        };
        let mut item = claim.item.clone();
        if let Some(error) = error {
            item.outcome = Err(error);
        }
        self.record(key.workflow, Body::Item(item));
        self.wake(key.workflow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_boolean_or_a_table_with_one() {
        let table = |ok| {
            Value::map([
                ("ok", Value::Bool(ok)),
                ("reason", Value::text("it is odd")),
            ])
        };
        let rejected = |why: &str| Ok(Verdict::Rejected(why.into()));
        for (value, expected) in [
            (Value::Bool(true), Ok(Verdict::Approved)),
            (Value::Bool(false), rejected("no reason given")),
            (table(true), Ok(Verdict::Approved)),
            (table(false), rejected("it is odd")),
        ] {
            assert_eq!(verdict(&value), expected, "{value:?}");
        }
        for value in [
            Value::Nil,
            Value::Int(1),
            Value::map([("ok", Value::Int(1))]),
            Value::map([("reason", Value::text("well"))]),
        ] {
            assert!(verdict(&value).is_err(), "{value:?}");
        }
    }
}
