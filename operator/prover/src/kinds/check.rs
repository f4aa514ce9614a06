//! `commitments.check/1`: whether what came for an item of a witness, proof, leaf or node task holds.
//!
//! What should have come is computed from the file, not taken from whoever made it, and proofs go through
//! the verifier that `froben verify` uses. So whoever runs this tells more than that results look well. A
//! bundle, an aggregate and what lies below one are not checked here: whoever gets the end verifies it.

mod tree;

use froben_circuits::{
    Circuit, MAX_PROOF_BYTES, MAX_WITNESS_BYTES, Params, Statement, Witness, verify,
};
use froben_model::{BlobRef, ErrorClass, Value, limits};
use froben_protocol::{Failure, Run, TaskCtx};

use super::fields::Fields;
use super::witness::read_segment;
use super::{chain, failure};

/// Says of each item whether its value holds.
pub(crate) fn run(run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    for item in &run.items {
        ctx.check_cancelled()?;
        let outcome = match verdict(input, &item.input, ctx) {
            Err(failure) if failure.class == ErrorClass::Cancelled => return Err(failure),
            outcome => outcome.map(|refused| match refused {
                None => Value::map([("ok", Value::Bool(true))]),
                Some(why) => Value::map([
                    ("ok", Value::Bool(false)),
                    ("reason", Value::text(limits::one_line(&why))),
                ]),
            }),
        };
        ctx.item(item.index, outcome, "cpu")?;
    }
    Ok(())
}

/// Why the value does not hold, if it does not.
fn verdict(input: Fields<'_>, question: &Value, ctx: &TaskCtx) -> Result<Option<String>, Failure> {
    let question = Fields::of("item", question)?;
    let item = question.table("item")?;
    // Whatever is wrong with the value is its maker's fault, not that of whoever asks.
    let value = match question.table("value") {
        Ok(value) => value,
        Err(wrong) => return Ok(Some(wrong.message)),
    };
    if item.has("first") {
        return tree::of_leaf(input, item, value, ctx);
    }
    if item.has("left") {
        return tree::of_node(input, item, value, ctx);
    }
    let index = item.u32("index")?;
    let data = input.blob("data")?;
    match (value.blob("witness"), value.blob("proof")) {
        (Ok(witness), _) => of_witness(data, index, witness, ctx),
        (_, Ok(proof)) => {
            let (circuit, params) = (input.named("circuit")?, input.named("params")?);
            of_proof(data, index, (circuit, params), proof, ctx)
        }
        _ => Ok(Some(
            "the value has neither a witness nor a proof".to_owned(),
        )),
    }
}

/// A segment has one witness, so the two are compared by their hashes.
fn of_witness(
    data: BlobRef,
    index: u32,
    witness: BlobRef,
    ctx: &TaskCtx,
) -> Result<Option<String>, Failure> {
    if witness.size_bytes > MAX_WITNESS_BYTES as u64 {
        return Ok(Some(too_large("witness", witness, MAX_WITNESS_BYTES)));
    }
    let bytes = read_segment(data, index, ctx)?;
    let made = Witness::compute(bytes, index).and_then(|made| made.encode());
    let made = made.map_err(|error| failure(&error))?;
    let same = BlobRef::of(&made) == witness;
    Ok((!same).then(|| format!("it is not the witness of segment {index}")))
}

fn of_proof(
    data: BlobRef,
    index: u32,
    (circuit, params): (Circuit, Params),
    proof: BlobRef,
    ctx: &TaskCtx,
) -> Result<Option<String>, Failure> {
    if proof.size_bytes > MAX_PROOF_BYTES as u64 {
        return Ok(Some(too_large("proof", proof, MAX_PROOF_BYTES)));
    }
    let bytes = read_segment(data, index, ctx)?;
    let statement = Statement::compute(&bytes, index).map_err(|error| failure(&error))?;
    let proof = ctx.read_blob(proof, MAX_PROOF_BYTES as u64)?;
    let refused = verify(params, circuit, &statement, &proof).err();
    Ok(refused.map(|error| chain(&error)))
}

fn too_large(what: &str, blob: BlobRef, most: usize) -> String {
    let size = blob.size_bytes;
    format!("a {what} of {size} bytes, there are none beyond {most}")
}
