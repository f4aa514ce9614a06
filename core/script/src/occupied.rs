//! What plain data occupies in memory, as opposed to its weight in the journal: a list of small numbers
//! takes three times as much here.

use std::mem::size_of;

use froben_model::view::Failure;
use froben_model::{ItemOutcome, TaskSpec, Value};

/// What the allocator adds to each piece, and trees and tables leave free in theirs.
const SLACK: usize = 16;

/// Heap bytes below a value; its own place is its owner's.
pub(crate) fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Blob(_) => 0,
        Value::Text(text) => SLACK + text.len(),
        Value::List(list) => {
            let inside: usize = list.iter().map(value_bytes).sum();
            SLACK + list.capacity() * size_of::<Value>() + inside
        }
        Value::Map(map) => {
            let entry = size_of::<String>() + size_of::<Value>() + 2 * SLACK;
            let entries = map
                .iter()
                .map(|(key, value)| entry + key.len() + value_bytes(value));
            SLACK + entries.sum::<usize>()
        }
    }
}

pub(crate) fn task_bytes(task: &TaskSpec) -> usize {
    let items: usize = task.items.iter().map(value_bytes).sum();
    let avoid: usize = task.avoid.iter().map(|name| name.as_str().len() + 40).sum();
    let check = task.check.iter().map(|kind| kind.as_str().len() + SLACK);
    let texts = task.key.len() + task.kind.as_str().len() + 2 * SLACK + check.sum::<usize>();
    texts + value_bytes(&task.input) + items + task.items.capacity() * size_of::<Value>() + avoid
}

pub(crate) fn outcome_bytes(outcome: &ItemOutcome) -> usize {
    match outcome {
        Ok(value) => value_bytes(value),
        Err(error) => error.message.len() + 2 * SLACK,
    }
}

pub(crate) fn child_bytes(outcome: &Result<Value, Failure>) -> usize {
    match outcome {
        Ok(value) => value_bytes(value),
        Err(failure) => failure.code.len() + failure.message.len() + 2 * SLACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_in_a_list_and_names_in_a_map_are_not_taken_for_less_than_they_occupy() {
        let list = Value::List((0..1000).map(Value::Int).collect());
        assert!(value_bytes(&list) >= 1000 * size_of::<Value>());
        let map = Value::map((0..1000).map(|n| (format!("key{n}"), Value::Int(n))));
        assert!(value_bytes(&map) >= 1000 * (size_of::<Value>() + size_of::<String>() + 6));
        assert_eq!(value_bytes(&Value::text("abc")), SLACK + 3);
    }
}
