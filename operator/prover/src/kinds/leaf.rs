//! `commitments.leaf/1`: the proof that neighbouring segments of a file have proofs of one circuit.
//!
//! What the proofs are about is computed from the file, and so is what the lists held before: a worker takes
//! no statement from whoever made a proof. The leaf is lifted where it was made, since it is large and
//! nobody else wants it.

use froben_circuits::{Circuit, MAX_PROOF_BYTES, Params, Statement};
use froben_model::{BlobRef, Value};
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::CircuitProof;
use froben_recursion::aggregate::LeafInput;
use froben_recursion::tree::{Step, lists, segment_proof, slots};
use rayon::prelude::*;

use super::device::{self, Refused};
use super::fields::Fields;
use super::{bad_request, failure, tree};
use crate::place::Place;

/// Common to all items.
struct Input {
    data: BlobRef,
    circuit: Circuit,
    params: Params,
}

/// Makes a leaf of each item's proofs, and lifts it. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let input = Input {
        data: input.blob("data")?,
        circuit: input.named("circuit")?,
        params: input.named("params")?,
    };
    tree::keys(input.params)?;
    device::each_item(run, ctx, place, fit, |item, place| {
        leaf(&input, item, ctx, place)
    })
}

fn leaf(input: &Input, item: &Value, ctx: &TaskCtx, place: &mut Place) -> Result<Value, Refused> {
    let Input {
        data,
        circuit,
        params,
    } = *input;
    let item = Fields::of("item", item)?;
    let (first, blobs) = proofs(item, circuit, params)?;
    let statements = tree::statements(data, Some(first + blobs.len()), ctx)?;
    let (before, ours) = statements.split_at(first);

    let mut fetched = Vec::new();
    for &blob in &blobs {
        fetched.push(tree::fetch(blob, MAX_PROOF_BYTES, ctx)?);
    }
    ctx.check_cancelled()?;
    let verified: Vec<_> = ours
        .par_iter()
        .zip(fetched)
        .map(|(statement, bytes)| {
            let proof = bytes.and_then(|bytes| {
                segment_proof(params, circuit, statement, &bytes).map_err(|why| why.to_string())
            });
            let index = Value::Int(i64::from(statement.index));
            (Some(("index", index)), proof)
        })
        .collect();
    let proofs = match tree::all_hold(verified) {
        Ok(proofs) => proofs,
        Err(refused) => return Ok(refused),
    };

    let children: Vec<(&Statement, &CircuitProof)> = ours.iter().zip(&proofs).collect();
    let start = lists(circuit, before).map_err(|error| failure(&error))?;
    let of = LeafInput {
        start,
        children: &children,
    };
    let made = tree::step(params, &Step::Leaf(circuit, &of), ctx, place)?;
    let lifted = tree::step(params, &Step::Lift(circuit, &made), ctx, place)?;
    tree::handed_out(&lifted, ctx)
}

/// The first segment of an item, and its proofs: one to as many as a leaf has slots.
pub(super) fn proofs(
    item: Fields<'_>,
    circuit: Circuit,
    params: Params,
) -> Result<(usize, Vec<BlobRef>), Failure> {
    let most = slots(params, circuit);
    let first = item.u32("first")? as usize;
    let list = item.list("proofs")?;
    if list.is_empty() || list.len() > most {
        return Err(bad_request(format!(
            "{} {circuit} proofs, a leaf takes 1 to {most}",
            list.len()
        )));
    }
    let blob = |(place, value): (usize, &Value)| {
        let blob = value.as_blob();
        blob.ok_or_else(|| bad_request(format!("proof {place} of the item is no blob")))
    };
    let blobs = list.iter().enumerate().map(blob);
    Ok((first, blobs.collect::<Result<_, Failure>>()?))
}
