//! `commitments.tip/1`: one proof of the four trees of a file, each a lift's or a node's.

use froben_circuits::{Circuit, Params};
use froben_model::Value;
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::aggregate::{Lists, Proved, Span};
use froben_recursion::tree::Step;

use super::device::{self, Refused};
use super::fields::Fields;
use super::tree;
use crate::place::Place;

/// Makes a tip of each item's four proofs. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
) -> Result<(), Failure> {
    let params: Params = Fields::of("input", &run.input)?.named("params")?;
    tree::keys(params)?;
    device::each_item(run, ctx, place, fit, |item, place| {
        tip(params, item, ctx, place)
    })
}

fn tip(params: Params, item: &Value, ctx: &TaskCtx, place: &mut Place) -> Result<Value, Refused> {
    let keys = tree::keys(params)?;
    let item = Fields::of("item", item)?;
    let mut blobs = Vec::new();
    for circuit in Circuit::ALL {
        blobs.push((circuit, item.blob(circuit.name())?));
    }
    let mut children = Vec::new();
    for (circuit, blob) in blobs {
        let child = tree::child(blob, ctx, |proved| {
            keys.verify_child(params, circuit, proved)
        })?;
        children.push((Some(("circuit", Value::text(circuit.name()))), child));
    }
    let children = match tree::all_hold(children) {
        Ok(children) => children,
        Err(refused) => return Ok(refused),
    };
    let Ok(children) = <[(Proved, _); Circuit::ALL.len()]>::try_from(children) else {
        unreachable!("invariant: one for each circuit went in");
    };
    let refused = strangers(children.each_ref().map(|(_, (_, span))| *span));
    if !refused.is_empty() {
        let refused = refused.into_iter();
        return Ok(tree::refused(refused.map(|(circuit, why)| {
            (
                Some(("circuit", Value::text(circuit.name()))),
                why.to_owned(),
            )
        })));
    }
    let step = Step::Tip(std::array::from_fn(|i| {
        let (proved, (child, _)) = &children[i];
        (*child, proved)
    }));
    let made = tree::step(params, &step, ctx, place)?;
    tree::handed_out(&made, ctx)
}

/// The proofs that are about something else than the file, as far as four of them tell: those that do not begin with it,
/// and those that most others disagree with.
fn strangers(spans: [Span; Circuit::ALL.len()]) -> Vec<(Circuit, &'static str)> {
    let about = |span: &Span| (span.end.common, span.count);
    let mut strangers = Vec::new();
    for (circuit, span) in Circuit::ALL.into_iter().zip(&spans) {
        let agree = spans.iter().filter(|other| about(other) == about(span));
        if span.start != Lists::default() {
            strangers.push((circuit, "it does not begin with the file"));
        } else if 2 * agree.count() <= spans.len() {
            strangers.push((circuit, "it is about other segments than most"));
        }
    }
    strangers
}
