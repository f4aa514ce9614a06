//! `commitments.witness/1`: what a prover needs to prove one segment of a file.

use froben_circuits::{SEGMENT_BYTES, Witness};
use froben_model::{BlobRef, ErrorClass, Value};
use froben_protocol::{Failure, Run, TaskCtx};

use super::fields::Fields;
use super::{bad_request, failure};

/// Makes one witness per item. A machine reads only the segments that it is asked for.
pub(crate) fn run(run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let data = input.blob("data")?;
    check_segment_bytes(input.u32("segment_bytes")?)?;
    for item in &run.items {
        ctx.check_cancelled()?;
        let outcome = match witness(data, &item.input, ctx) {
            Err(failure) if failure.class == ErrorClass::Cancelled => return Err(failure),
            outcome => outcome,
        };
        ctx.item(item.index, outcome, "cpu")?;
    }
    Ok(())
}

fn check_segment_bytes(bytes: u32) -> Result<(), Failure> {
    match bytes as usize == SEGMENT_BYTES {
        true => Ok(()),
        false => Err(bad_request(format!(
            "segments of {bytes} bytes, the circuits are made for {SEGMENT_BYTES}"
        ))),
    }
}

fn witness(data: BlobRef, item: &Value, ctx: &TaskCtx) -> Result<Value, Failure> {
    let index = Fields::of("item", item)?.u32("index")?;
    let bytes = read_segment(data, index, ctx)?;
    let encoded = Witness::compute(bytes, index)
        .and_then(|witness| witness.encode())
        .map_err(|error| failure(&error))?;
    let blob = ctx.put_blob(&encoded)?;
    Ok(Value::map([("witness", Value::Blob(blob))]))
}

/// Segment `index` of a file.
pub(super) fn read_segment(data: BlobRef, index: u32, ctx: &TaskCtx) -> Result<Vec<u8>, Failure> {
    let offset = u64::from(index) * SEGMENT_BYTES as u64;
    let len = data
        .size_bytes
        .checked_sub(offset)
        .filter(|&left| left > 0)
        .map(|left| left.min(SEGMENT_BYTES as u64))
        .ok_or_else(|| {
            let size = data.size_bytes;
            bad_request(format!("a file of {size} bytes has no segment {index}"))
        })?;
    ctx.read_range(data, offset, len)
}
