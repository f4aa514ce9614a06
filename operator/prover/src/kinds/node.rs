//! `commitments.node/1`: one proof of two that are neighbours in one circuit's tree.

use froben_circuits::{Circuit, Params};
use froben_model::Value;
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::aggregate::{NodeChild, Proved, Span};
use froben_recursion::tree::Step;

use super::device::{self, Refused};
use super::fields::Fields;
use super::tree;
use crate::place::Place;

/// A node's children, by name.
pub(super) const SIDES: [&str; 2] = ["left", "right"];

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
    let children = match children(circuit, params, Fields::of("item", item)?, ctx)? {
        Ok(children) => children,
        Err(bad) => {
            let named = |(side, why)| (Some(("side", Value::text(side))), why);
            return Ok(tree::refused(bad.into_iter().map(named)));
        }
    };
    let [(left, (left_is, _)), (right, (right_is, _))] = &children;
    let step = Step::Node(circuit, [(*left_is, left), (*right_is, right)]);
    let made = tree::step(params, &step, ctx, place)?;
    tree::handed_out(&made, ctx)
}

/// A child, which of the two it is, and what it says.
type Child = (Proved, (NodeChild, Span));

/// The sides that are not good, and why.
type Bad = Vec<(&'static str, String)>;

/// The two proofs of an item, if they hold and are neighbours; or the sides that are not good, and why.
pub(super) fn children(
    circuit: Circuit,
    params: Params,
    item: Fields<'_>,
    ctx: &TaskCtx,
) -> Result<Result<[Child; 2], Bad>, Failure> {
    let keys = tree::keys(params)?;
    let read = |blob| {
        tree::child(blob, ctx, |proved| {
            keys.verify_child(params, circuit, proved)
        })
    };
    let blobs = [item.blob("left")?, item.blob("right")?];
    let [left, right] = blobs.map(read);
    Ok(match (left?, right?) {
        (Ok(left), Ok(right)) if left.1.1.end == right.1.1.start => Ok([left, right]),
        (Ok(_), Ok(_)) => {
            // One of them is about other segments than it was made for, and which one it is does not show here.
            let why = "the right proof does not begin where the left one ends";
            Err(SIDES.map(|side| (side, why.to_owned())).into())
        }
        (left, right) => {
            let sides = SIDES.into_iter().zip([left.err(), right.err()]);
            Err(sides.filter_map(|(side, why)| Some((side, why?))).collect())
        }
    })
}
