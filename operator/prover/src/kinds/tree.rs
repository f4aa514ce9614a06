//! What the kinds of the tree of proofs have in common.
//!
//! A child that does not hold is its maker's fault: it is named in the result's `refused`, so that whoever made
//! it can be passed over, and the task itself has not failed. So is a child that holds and is about other segments than it
//! should be: its maker can make such a one for nothing.

use froben_circuits::{Params, Statement};
use froben_model::{BlobRef, Value, limits};
use froben_protocol::{Failure, TaskCtx};
use froben_recursion::Refused as ProofRefused;
use froben_recursion::aggregate::Proved;
use froben_recursion::tree::{self, Keys, MAX_PROVED_BYTES, Step};

use super::device::{self, Refused};
use super::{bad_request, failure};
use crate::place::Place;

/// Most bytes of a file that a tree is made of: a worker reads all that lies before its segments.
const MAX_DATA_BYTES: u64 = 1 << 20;

/// The keys of these parameters.
pub(super) fn keys(params: Params) -> Result<&'static Keys, Failure> {
    Keys::of(params).map_err(|missing| bad_request(missing.to_string()))
}

/// The true statements about the first `segments` segments of a file, or about all.
pub(super) fn statements(
    data: BlobRef,
    segments: Option<usize>,
    ctx: &TaskCtx,
) -> Result<Vec<Statement>, Failure> {
    let bytes = ctx.read_blob(data, MAX_DATA_BYTES)?;
    let most = segments.map_or(bytes.len(), |segments| {
        bytes.len().min(segments * froben_circuits::SEGMENT_BYTES)
    });
    let statements = tree::statements(&bytes[..most]).map_err(|error| failure(&error))?;
    match segments {
        Some(segments) if statements.len() != segments => Err(bad_request(format!(
            "a file of {} bytes has no segment {}",
            data.size_bytes,
            segments - 1
        ))),
        _ => Ok(statements),
    }
}

/// The bytes of what somebody made, or why they cannot be such a thing.
pub(super) fn fetch(
    blob: BlobRef,
    most_bytes: usize,
    ctx: &TaskCtx,
) -> Result<Result<Vec<u8>, String>, Failure> {
    if blob.size_bytes > most_bytes as u64 {
        let size = blob.size_bytes;
        return Ok(Err(format!(
            "the proof has {size} bytes, the limit is {most_bytes}"
        )));
    }
    ctx.read_blob(blob, most_bytes as u64).map(Ok)
}

/// A proof of the tree and what `verify` says of it, or why it is refused.
pub(super) fn child<T>(
    blob: BlobRef,
    ctx: &TaskCtx,
    verify: impl FnOnce(&Proved) -> Result<T, ProofRefused>,
) -> Result<Result<(Proved, T), String>, Failure> {
    let bytes = match fetch(blob, MAX_PROVED_BYTES, ctx)? {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why)),
    };
    ctx.check_cancelled()?;
    let proved = match Proved::decode(&bytes) {
        Ok(proved) => proved,
        Err(not) => return Ok(Err(not.to_string())),
    };
    Ok(match verify(&proved) {
        Ok(said) => Ok((proved, said)),
        Err(refused) => Err(refused.to_string()),
    })
}

/// Makes one proof of the tree.
pub(super) fn step(
    params: Params,
    step: &Step<'_>,
    ctx: &TaskCtx,
    place: &mut Place,
) -> Result<Proved, Refused> {
    let what = step.piece().to_string();
    device::prove(ctx, place, &what, |place, control| {
        place.step(params, step, control)
    })
}

/// The result of an item that became a proof.
pub(super) fn handed_out(proved: &Proved, ctx: &TaskCtx) -> Result<Value, Refused> {
    let blob = ctx.put_blob(&proved.encode())?;
    Ok(Value::map([("proof", Value::Blob(blob))]))
}

/// All children, if all of them hold; or the result of the item, which says of each that does not which it is
/// and why.
pub(super) fn all_hold<T>(
    children: impl IntoIterator<Item = (Option<(&'static str, Value)>, Result<T, String>)>,
) -> Result<Vec<T>, Value> {
    let mut hold = Vec::new();
    let mut bad = Vec::new();
    for (name, child) in children {
        match child {
            Ok(child) => hold.push(child),
            Err(why) => bad.push((name, why)),
        }
    }
    match bad.is_empty() {
        true => Ok(hold),
        false => Err(refused(bad)),
    }
}

/// The result of an item whose children are not all good: which are not, and why.
pub(super) fn refused(
    children: impl IntoIterator<Item = (Option<(&'static str, Value)>, String)>,
) -> Value {
    let one = |(name, why): (Option<(&'static str, Value)>, String)| {
        let why = ("why", Value::text(limits::one_line(&why)));
        Value::map(name.into_iter().chain([why]))
    };
    Value::map([(
        "refused",
        Value::List(children.into_iter().map(one).collect()),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_child_that_does_not_hold_is_named() {
        let named = |index: i64| Some(("index", Value::Int(index)));
        let all = all_hold([(named(3), Ok('a')), (None, Ok('b'))]);
        assert_eq!(all, Ok(vec!['a', 'b']));
        let some = all_hold([
            (named(3), Err("one\nline".to_owned())),
            (named(4), Ok(())),
            (None, Err("nameless".to_owned())),
        ]);
        let first = Value::map([("index", Value::Int(3)), ("why", Value::text("one line"))]);
        let second = Value::map([("why", Value::text("nameless"))]);
        let refused = Value::List(vec![first, second]);
        assert_eq!(some, Err(Value::map([("refused", refused)])));
    }
}
