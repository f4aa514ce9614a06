//! `commitments.compress/1`: an aggregate as a SNARK that a contract verifies.
//!
//! The task names the file that is needed, in `needs.keys`, by its hash: a machine that does not hold it is not asked.

use std::path::PathBuf;

use froben_circuits::{Params, Statement};
use froben_compress::{Error, Pinned};
use froben_model::{BlobRef, ErrorClass, Value};
use froben_protocol::{Failure, Run, TaskCtx};
use froben_recursion::tree::{Aggregate, MAX_AGGREGATE_BYTES};

use super::device::{self, Refused};
use super::fields::Fields;
use super::{bad_request, chain, tree};
use crate::place::{NoProof, Place};
use crate::snarks::{NoSnark, Snarks};

/// Makes a SNARK of each item's aggregate. Sets `fit` to false if the device has to be opened anew.
pub(crate) fn run(
    run: &Run,
    ctx: &TaskCtx,
    (place, snarks): (&mut Place, &mut Snarks),
    fit: &mut bool,
) -> Result<(), Failure> {
    let input = Fields::of("input", &run.input)?;
    let data = input.blob("data")?;
    let params: Params = input.named("params")?;
    tree::keys(params)?;
    let keys_file = keys_file(run, params)?;
    device::each_item(run, ctx, place, fit, |item, place| {
        let blob = Fields::of("item", item)?.blob("aggregate")?;
        let statements = tree::statements(data, None, ctx)?;
        let aggregate = match aggregate(params, blob, &statements, ctx)? {
            Ok(aggregate) => aggregate,
            Err(why) => {
                return Ok(tree::refused([(None, why)]));
            }
        };
        let scheduler = aggregate.into_proved();
        let scheduler = scheduler.map_err(|error| bad_request(chain(&error)))?;
        let length = data.size_bytes;
        let made = device::prove(ctx, place, "SNARK", |place, control| {
            snarks
                .compress(place, params, &keys_file, (&scheduler, length), control)
                .map_err(|error| match error {
                    NoSnark::Device(error) => NoProof::Device(error),
                    NoSnark::Compress(error) => NoProof::Snark(error),
                })
        })?;
        let blob = ctx.put_blob(&made.to_bytes())?;
        Ok(Value::map([("snark", Value::Blob(blob))]))
    })
}

/// Where the file lies that these parameters' keys are made from.
fn keys_file(run: &Run, params: Params) -> Result<PathBuf, Failure> {
    let needed = Pinned::of(params).keys_file;
    let found = run.keys.iter().find(|key| key.sha256 == needed);
    found.map(|key| PathBuf::from(&key.path)).ok_or_else(|| {
        let name = Pinned::of(params).keys_file_name();
        let digits = hex::encode(needed);
        bad_request(format!(
            "`{params}` parameters need {name} with the SHA-256 {digits}, which `needs.keys` does not name"
        ))
    })
}

/// An aggregate that holds and is about just these segments, or why it is not.
fn aggregate(
    params: Params,
    blob: BlobRef,
    statements: &[Statement],
    ctx: &TaskCtx,
) -> Result<Result<Aggregate, String>, Failure> {
    let bytes = match tree::fetch(blob, MAX_AGGREGATE_BYTES, ctx)? {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why)),
    };
    let aggregate = match Aggregate::decode(&bytes) {
        Ok(aggregate) if aggregate.params() == params => aggregate,
        Ok(other) => return Ok(Err(format!("it has `{}` parameters", other.params()))),
        Err(error) => return Ok(Err(chain(&error))),
    };
    Ok(match aggregate.check(Some(statements)) {
        Ok(_) => Ok(aggregate),
        Err(error) => Err(chain(&error)),
    })
}

/// What was given has been verified by now. A SNARK that does not hold is the device's, since its
/// multiplications are all that was done there.
pub(super) fn snark_failure(place: &Place, error: &Error) -> Refused {
    match error {
        Error::Snark(_) => device::unsound(place, &error.to_string()),
        _ => Failure::new(ErrorClass::WorkerFailed, chain(error)).into(),
    }
}
