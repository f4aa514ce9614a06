//! Whether what came of a leaf or a node holds: the proof, or the refusal of children.

use froben_circuits::config::Val;
use froben_circuits::{Circuit, MAX_PROOF_BYTES, Params};
use froben_model::Value;
use froben_protocol::{Failure, TaskCtx};
use froben_recursion::aggregate::{NodeChild, Span};
use froben_recursion::tree::{Piece, lists, segment_proof};
use p3_field::PrimeCharacteristicRing;

use super::super::fields::Fields;
use super::super::{failure, leaf, node, tree};

/// Why the result of a leaf's item does not hold, if it does not.
pub(super) fn of_leaf(
    input: Fields<'_>,
    item: Fields<'_>,
    value: Fields<'_>,
    ctx: &TaskCtx,
) -> Result<Option<String>, Failure> {
    let data = input.blob("data")?;
    let circuit: Circuit = input.named("circuit")?;
    let params: Params = input.named("params")?;
    let keys = tree::keys(params)?;
    let (first, blobs) = leaf::proofs(item, circuit, params)?;
    let statements = tree::statements(data, Some(first + blobs.len()), ctx)?;
    let proof = match value.blob("proof") {
        Ok(proof) => proof,
        Err(_) => {
            return refusals(value, |one| {
                let index = one.u32("index").map_err(|wrong| wrong.message)? as usize;
                let place = index.checked_sub(first).filter(|at| *at < blobs.len());
                let place = place.ok_or(format!("segment {index} is not the leaf's"))?;
                let bytes = tree::fetch(blobs[place], MAX_PROOF_BYTES, ctx);
                Ok(bytes.map(|bytes| {
                    let proof = bytes.map(|bytes| {
                        segment_proof(params, circuit, &statements[index], &bytes).is_ok()
                    });
                    proof == Ok(true)
                }))
            });
        }
    };
    let lifted = tree::child(proof, ctx, |proved| {
        keys.verify(params, Piece::Lift(circuit), proved)
    })?;
    let span = match lifted {
        Ok((proved, ())) => Span::of_publics(&proved.publics),
        Err(why) => return Ok(Some(why)),
    };
    let told = |upto: usize| lists(circuit, &statements[..upto]).map_err(|error| failure(&error));
    let expected = Span {
        start: told(first)?,
        end: told(statements.len())?,
        count: Val::from_usize(blobs.len()),
    };
    let wrong = || format!("it is not about {} segments from {first}", blobs.len());
    Ok((span != expected).then(wrong))
}

/// Why the result of a node's item does not hold, if it does not.
pub(super) fn of_node(
    input: Fields<'_>,
    item: Fields<'_>,
    value: Fields<'_>,
    ctx: &TaskCtx,
) -> Result<Option<String>, Failure> {
    let circuit: Circuit = input.named("circuit")?;
    let params: Params = input.named("params")?;
    let children = node::children(circuit, params, item, ctx)?;
    let proof = match value.blob("proof") {
        Ok(proof) => proof,
        Err(_) => {
            let bad = children.err().unwrap_or_default();
            return refusals(value, |one| {
                let side: Side = one.named("side").map_err(|wrong| wrong.message)?;
                Ok(Ok(!bad.iter().any(|(name, _)| *name == side.0)))
            });
        }
    };
    let keys = tree::keys(params)?;
    let made = tree::child(proof, ctx, |proved| {
        keys.verify_child(params, circuit, proved)
    })?;
    let (kind, span) = match made {
        Ok((_, said)) => said,
        Err(why) => return Ok(Some(why)),
    };
    let Ok([(_, (_, left)), (_, (_, right))]) = children else {
        return Ok(Some("it is of children that do not hold".to_owned()));
    };
    let expected = Span {
        start: left.start,
        end: right.end,
        count: left.count + right.count,
    };
    let holds = kind == NodeChild::Node && span == expected;
    Ok((!holds).then(|| "it does not join these two".to_owned()))
}

/// One of a node's children.
struct Side(&'static str);

impl std::str::FromStr for Side {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let side = node::SIDES.into_iter().find(|side| *side == name);
        side.map(Side).ok_or("neither left nor right")
    }
}

/// Whether all that is refused deserves it. `holds` says of one that it holds, or why it is no child.
fn refusals(
    value: Fields<'_>,
    holds: impl Fn(Fields<'_>) -> Result<Result<bool, Failure>, String>,
) -> Result<Option<String>, Failure> {
    let list = match value.list("refused") {
        Ok([]) => return Ok(Some("it refuses nothing".to_owned())),
        Ok(list) => list,
        Err(_) => {
            return Ok(Some(
                "the value has neither a proof nor a refusal".to_owned(),
            ));
        }
    };
    for one in list {
        let one: &Value = one;
        let fields = match Fields::of("refusal", one) {
            Ok(fields) => fields,
            Err(wrong) => return Ok(Some(wrong.message)),
        };
        match holds(fields) {
            Err(wrong) => return Ok(Some(wrong)),
            Ok(holds) => {
                if holds? {
                    return Ok(Some("it refuses what holds".to_owned()));
                }
            }
        }
    }
    Ok(None)
}
