//! `commitments.schedule/1`: the last proof of a file's tree, as an aggregate that anyone can verify.
//!
//! What it has to prove is computed from the file, and an aggregate of anything else is not made.

use froben_circuits::config::Val;
use froben_circuits::{Circuit, Params, Statement};
use froben_model::{BlobRef, Value};
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::Refused as ProofRefused;
use froben_recursion::aggregate::{Proved, Tip};
use froben_recursion::tree::{Aggregate, Piece, Step, lists};
use p3_field::PrimeCharacteristicRing;

use super::device::{self, Refused};
use super::fields::Fields;
use super::{chain, failure, tree};
use crate::place::Place;

/// Makes an aggregate of each item's tip. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let data = input.blob("data")?;
    let params: Params = input.named("params")?;
    tree::keys(params)?;
    device::each_item(run, ctx, place, fit, |item, place| {
        aggregate(data, params, item, ctx, place)
    })
}

fn aggregate(
    data: BlobRef,
    params: Params,
    item: &Value,
    ctx: &TaskCtx,
    place: &mut Place,
) -> Result<Value, Refused> {
    let keys = tree::keys(params)?;
    let proof = Fields::of("item", item)?.blob("proof")?;
    let statements = tree::statements(data, None, ctx)?;
    let tip = tree::child(proof, ctx, |proved| {
        keys.verify(params, Piece::Tip, proved)?;
        compare(proved, &statements)
    })?;
    let tips = match tree::all_hold([(None, tip)]) {
        Ok(tips) => tips,
        Err(refused) => return Ok(refused),
    };
    let made = tree::step(params, &Step::Scheduler(&tips[0].0), ctx, place)?;
    let checked = Aggregate::new(params, data.size_bytes, made).and_then(|aggregate| {
        aggregate.check(Some(&statements))?;
        Ok(aggregate)
    });
    let aggregate = checked.map_err(|error| device::unsound(place, &chain(&error)))?;
    let blob = ctx.put_blob(&aggregate.encode())?;
    Ok(Value::map([("aggregate", Value::Blob(blob))]))
}

/// Whether a tip is about a file with these statements.
fn compare(tip: &Proved, statements: &[Statement]) -> Result<(), ProofRefused> {
    let count = Val::from_usize(statements.len());
    for (circuit, end) in Circuit::ALL.into_iter().zip(Tip::ends(&tip.publics)) {
        let expected = lists(circuit, statements);
        let expected = expected.map_err(|error| ProofRefused(failure(&error).message))?;
        if end != (expected, count) {
            let why = format!("what it says of {circuit} is not about the file");
            return Err(ProofRefused(why));
        }
    }
    Ok(())
}
