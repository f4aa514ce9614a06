//! `commitments.node/1`: one proof of two that are neighbours in one circuit's tree.

use froben_circuits::{Circuit, Params};
use froben_model::Value;
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::tree::Step;

use super::device::{self, Refused};
use super::fields::Fields;
use super::tree;
use crate::place::Place;

/// Joins each item's two proofs. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let circuit: Circuit = input.named("circuit")?;
    let params: Params = input.named("params")?;
    tree::keys(params)?;
    device::each_item(run, ctx, place, fit, |item, place| {
        node(circuit, params, item, ctx, place)
    })
}

fn node(
    circuit: Circuit,
    params: Params,
    item: &Value,
    ctx: &TaskCtx,
    place: &mut Place,
) -> Result<Value, Refused> {
    let keys = tree::keys(params)?;
    let item = Fields::of("item", item)?;
    let blobs = [item.blob("left")?, item.blob("right")?];
    let mut children = Vec::new();
    for (side, blob) in ["left", "right"].into_iter().zip(blobs) {
        let child = tree::child(blob, ctx, |proved| {
            keys.verify_child(params, circuit, proved)
        })?;
        children.push((Some(("side", Value::text(side))), child));
    }
    let children = match tree::all_hold(children) {
        Ok(children) => children,
        Err(refused) => return Ok(refused),
    };
    let [(left, (left_is, first)), (right, (right_is, second))] = &children[..] else {
        unreachable!("invariant: two went in");
    };
    if first.end != second.start {
        // One of them is about other segments than it was made for, and which one it is does not show here.
        let why = "the right proof does not begin where the left one ends";
        let sides =
            ["left", "right"].map(|side| (Some(("side", Value::text(side))), why.to_owned()));
        return Ok(tree::refused(sides));
    }
    let step = Step::Node(circuit, [(*left_is, left), (*right_is, right)]);
    let made = tree::step(params, &step, ctx, place)?;
    tree::handed_out(&made, ctx)
}
