//! `commitments.prove/1`: the proof of one circuit about one segment, on a device.
//!
//! A proof is verified before it is handed out: that costs little beside the proving, and a device
//! that begins to compute wrongly is found out by its owner before anybody else.

use froben_circuits::{Circuit, MAX_WITNESS_BYTES, Params, Witness, verify};
use froben_model::Value;
use froben_protocol::{Failure, Run, TaskCtx};

use super::device::{self, Refused};
use super::fields::Fields;
use super::{bad_request, chain, failure};
use crate::place::Place;

/// Proves each item's witness. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    place: &mut Place,
    fit: &mut bool,
) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let circuit: Circuit = input.named("circuit")?;
    let params: Params = input.named("params")?;
    device::each_item(run, ctx, place, fit, |item, place| {
        proof(circuit, params, item, ctx, place)
    })
}

fn proof(
    circuit: Circuit,
    params: Params,
    item: &Value,
    ctx: &TaskCtx,
    place: &mut Place,
) -> Result<Value, Refused> {
    let item = Fields::of("item", item)?;
    let index = item.u32("index")?;
    let encoded = ctx.read_blob(item.blob("witness")?, MAX_WITNESS_BYTES as u64)?;
    let witness = Witness::decode(&encoded).map_err(|error| failure(&error))?;
    if witness.statement.index != index {
        let met = witness.statement.index;
        return Err(bad_request(format!("the witness of segment {index} is that of {met}")).into());
    }
    let what = format!("{circuit}, segment {index}");
    let bytes = device::prove(ctx, place, &what, |place, control| {
        place.prove(params, circuit, &witness, control)
    })?;
    verify(params, circuit, &witness.statement, &bytes)
        .map_err(|error| device::unsound(place, &chain(&error)))?;
    let blob = ctx.put_blob(&bytes)?;
    Ok(Value::map([("proof", Value::Blob(blob))]))
}
