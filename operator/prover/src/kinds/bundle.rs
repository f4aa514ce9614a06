//! `commitments.bundle/1`: all statements and proofs of a file in one stream that anyone can verify.
//!
//! The statements are computed from the file, not taken from whoever made the witnesses, and every
//! proof is verified on the way: a bundle that leaves here verifies.

use froben_circuits::{
    BundleWriter, Circuit, MAX_PROOF_BYTES, Params, SEGMENT_BYTES, Statement, verify,
};
use froben_model::{BlobHash, BlobRef, ErrorClass, Value};
use froben_protocol::{Failure, Run, TaskCtx};
use rayon::ThreadPool;
use rayon::prelude::*;

use super::fields::Fields;
use super::witness::read_segment;
use super::{bad_request, chain, failure};

/// Most bytes that a bundle has besides its proofs: for each segment (statement, lengths of proofs)
/// and once (header, checksum).
const SEGMENT_OVERHEAD_BYTES: u64 = 256;
const OVERHEAD_BYTES: u64 = 256;

struct Input {
    data: BlobRef,
    params: Params,
    /// For each segment the proofs of [`Circuit::ALL`], in that order.
    proofs: Vec<[BlobRef; 4]>,
}

/// Bundles; a task has one item, whose input says nothing.
pub(crate) fn run(run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
    let input = Input::read(&run.input)?;
    let [item] = &run.items[..] else {
        let met = run.items.len();
        return Err(bad_request(format!("{met} items, a bundle is one")));
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(run.cpu_cores.max(1) as usize)
        .build()
        .map_err(|error| Failure::new(ErrorClass::WorkerFailed, error.to_string()))?;
    let blob = bundle(&input, ctx, &pool)?;
    let value = Value::map([("bundle", Value::Blob(blob))]);
    ctx.item(item.index, Ok(value), "cpu")
}

impl Input {
    fn read(input: &Value) -> Result<Input, Failure> {
        let input = Fields::of("input", input)?;
        let data = input.blob("data")?;
        let params = input.named("params")?;
        let segments = input.u32("segments")?;
        let expected = data.size_bytes.div_ceil(SEGMENT_BYTES as u64);
        if u64::from(segments) != expected {
            return Err(bad_request(format!(
                "{segments} segments, a file of {} bytes has {expected}",
                data.size_bytes
            )));
        }
        let table = input.table("proofs")?;
        let mut columns = Vec::new();
        for circuit in Circuit::ALL {
            let column = table.list(circuit.name())?;
            if column.len() != segments as usize {
                return Err(bad_request(format!(
                    "{} {circuit} proofs for {segments} segments",
                    column.len()
                )));
            }
            columns.push(column);
        }
        let proof = |circuit: usize, index: usize| {
            let blob = columns[circuit][index].as_blob();
            let circuit = Circuit::ALL[circuit];
            let what = format!("the {circuit} proof of segment {index}");
            match blob {
                Some(blob) if blob.size_bytes <= MAX_PROOF_BYTES as u64 => Ok(blob),
                Some(blob) => Err(Failure::new(
                    ErrorClass::InvalidResult,
                    format!(
                        "{what} has {} bytes, the limit is {MAX_PROOF_BYTES}",
                        blob.size_bytes
                    ),
                )),
                None => Err(bad_request(format!("{what} is no blob"))),
            }
        };
        let proofs = (0..segments as usize)
            .map(|i| Ok([proof(0, i)?, proof(1, i)?, proof(2, i)?, proof(3, i)?]))
            .collect::<Result<_, Failure>>()?;
        Ok(Input {
            data,
            params,
            proofs,
        })
    }

    /// At least the bundle's size.
    fn max_bytes(&self) -> u64 {
        let proofs = self.proofs.iter().flatten();
        let proofs: u64 = proofs.map(|proof| proof.size_bytes).sum();
        proofs + self.proofs.len() as u64 * SEGMENT_OVERHEAD_BYTES + OVERHEAD_BYTES
    }
}

fn bundle(input: &Input, ctx: &TaskCtx, pool: &ThreadPool) -> Result<BlobRef, Failure> {
    let upload = ctx.upload(input.max_bytes())?;
    let mut writer = BundleWriter::new(upload, input.params, input.data.size_bytes)
        .map_err(|error| failure(&error))?;
    let mut hasher = blake3::Hasher::new();
    for (index, blobs) in (0..).zip(&input.proofs) {
        ctx.check_cancelled()?;
        let bytes = read_segment(input.data, index, ctx)?;
        hasher.update(&bytes);
        let statement = Statement::compute(&bytes, index).map_err(|error| failure(&error))?;
        let mut proofs: [Vec<u8>; 4] = Default::default();
        for (proof, blob) in proofs.iter_mut().zip(blobs) {
            *proof = ctx.read_blob(*blob, MAX_PROOF_BYTES as u64)?;
        }
        pool.install(|| check(input.params, &statement, &proofs))?;
        let proofs = proofs.each_ref().map(Vec::as_slice);
        writer
            .segment(&statement, proofs)
            .map_err(|error| failure(&error))?;
    }
    if BlobHash(*hasher.finalize().as_bytes()) != input.data.hash {
        let message = format!("blob {} arrived damaged", input.data.hash);
        return Err(Failure::new(ErrorClass::WorkerFailed, message));
    }
    let upload = writer.finish().map_err(|error| failure(&error))?;
    upload.publish()
}

/// Verifies the proofs of one segment.
fn check(params: Params, statement: &Statement, proofs: &[Vec<u8>; 4]) -> Result<(), Failure> {
    let checked: Vec<_> = Circuit::ALL
        .into_par_iter()
        .zip(proofs)
        .map(|(circuit, proof)| verify(params, circuit, statement, proof))
        .collect();
    checked
        .into_iter()
        .find_map(Result::err)
        .map_or(Ok(()), |error| {
            let message = format!("segment {}: {}", statement.index, chain(&error));
            Err(Failure::new(ErrorClass::InvalidResult, message))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_is_too_large_is_refused_by_name() {
        let blob = |size_bytes| {
            let hash = BlobHash::of(b"");
            Value::Blob(BlobRef { hash, size_bytes })
        };
        let input = |bytes: u64| {
            let proofs = Circuit::ALL.map(|circuit| {
                let size = if circuit == Circuit::ALL[2] { bytes } else { 1 };
                (circuit.name(), Value::List(vec![blob(size)]))
            });
            Value::map([
                ("data", blob(1)),
                ("params", Value::Text(Params::Dev.name().to_owned())),
                ("segments", Value::Int(1)),
                ("proofs", Value::map(proofs)),
            ])
        };
        assert!(Input::read(&input(MAX_PROOF_BYTES as u64)).is_ok());
        let Err(failure) = Input::read(&input(MAX_PROOF_BYTES as u64 + 1)) else {
            panic!("a proof beyond the limit is taken");
        };
        assert_eq!(failure.class, ErrorClass::InvalidResult);
        let name = format!("the {} proof of segment 0 has", Circuit::ALL[2]);
        assert!(failure.message.contains(&name), "{failure}");
    }
}
