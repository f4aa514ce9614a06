//! `commitments.bundle/1`: all statements and proofs of a file in one stream that anyone can verify.
//!
//! The statements are computed from the file, not taken from whoever made the witnesses, and every
//! proof is verified on the way: a bundle that leaves here verifies. If some proofs do not hold, the
//! result is a list of all of them in place of a bundle, so that whoever made them can be passed over.

use froben_circuits::{
    BundleWriter, Circuit, MAX_PROOF_BYTES, Params, SEGMENT_BYTES, Statement, verify,
};
use froben_model::{BlobHash, BlobRef, ErrorClass, Value, limits};
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

/// A proof that does not hold.
#[derive(Debug, PartialEq)]
struct Refused {
    circuit: Circuit,
    segment: u32,
    why: String,
}

/// What was fetched of a proof.
enum Proof {
    Read(Vec<u8>),
    /// Its size; nothing is fetched that can't be a proof.
    TooLarge(u64),
}

impl Default for Proof {
    fn default() -> Self {
        Proof::Read(Vec::new())
    }
}

impl Proof {
    fn bytes(&self) -> &[u8] {
        match self {
            Proof::Read(bytes) => bytes,
            Proof::TooLarge(_) => &[],
        }
    }
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
    let value = match bundle(&input, ctx, &pool)? {
        Ok(blob) => Value::map([("bundle", Value::Blob(blob))]),
        Err(refused) => {
            let list = refused.into_iter().map(Refused::into_value).collect();
            Value::map([("refused", Value::List(list))])
        }
    };
    ctx.item(item.index, Ok(value), "cpu")
}

impl Refused {
    fn into_value(self) -> Value {
        let Refused {
            circuit,
            segment,
            why,
        } = self;
        Value::map([
            ("circuit", Value::text(circuit.name())),
            ("index", Value::Int(i64::from(segment))),
            ("why", Value::text(limits::one_line(&why))),
        ])
    }
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
            blob.ok_or_else(|| bad_request(format!("{what} is no blob")))
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
        let proofs: u64 = proofs
            .map(|proof| proof.size_bytes.min(MAX_PROOF_BYTES as u64))
            .sum();
        proofs + self.proofs.len() as u64 * SEGMENT_OVERHEAD_BYTES + OVERHEAD_BYTES
    }
}

fn bundle(
    input: &Input,
    ctx: &TaskCtx,
    pool: &ThreadPool,
) -> Result<Result<BlobRef, Vec<Refused>>, Failure> {
    let upload = ctx.upload(input.max_bytes())?;
    let mut writer = BundleWriter::new(upload, input.params, input.data.size_bytes)
        .map_err(|error| failure(&error))?;
    let mut hasher = blake3::Hasher::new();
    let mut refused = Vec::new();
    for (index, blobs) in (0..).zip(&input.proofs) {
        ctx.check_cancelled()?;
        let bytes = read_segment(input.data, index, ctx)?;
        hasher.update(&bytes);
        let statement = Statement::compute(&bytes, index).map_err(|error| failure(&error))?;
        let mut proofs: [Proof; 4] = Default::default();
        for (proof, blob) in proofs.iter_mut().zip(blobs) {
            *proof = match blob.size_bytes <= MAX_PROOF_BYTES as u64 {
                true => Proof::Read(ctx.read_blob(*blob, MAX_PROOF_BYTES as u64)?),
                false => Proof::TooLarge(blob.size_bytes),
            };
        }
        refused.extend(pool.install(|| check(input.params, &statement, &proofs)));
        // Once a proof is refused there will be no bundle; the rest is only checked.
        if refused.is_empty() {
            let proofs = proofs.each_ref().map(Proof::bytes);
            writer
                .segment(&statement, proofs)
                .map_err(|error| failure(&error))?;
        }
    }
    if BlobHash(*hasher.finalize().as_bytes()) != input.data.hash {
        let message = format!("blob {} arrived damaged", input.data.hash);
        return Err(Failure::new(ErrorClass::WorkerFailed, message));
    }
    if !refused.is_empty() {
        return Ok(Err(refused));
    }
    let upload = writer.finish().map_err(|error| failure(&error))?;
    upload.publish().map(Ok)
}

/// The proofs of one segment that do not hold.
fn check(params: Params, statement: &Statement, proofs: &[Proof; 4]) -> Vec<Refused> {
    Circuit::ALL
        .into_par_iter()
        .zip(proofs)
        .filter_map(|(circuit, proof)| {
            let why = match proof {
                Proof::Read(bytes) => chain(&verify(params, circuit, statement, bytes).err()?),
                Proof::TooLarge(bytes) => {
                    format!("the proof has {bytes} bytes, the limit is {MAX_PROOF_BYTES}")
                }
            };
            Some(Refused {
                circuit,
                segment: statement.index,
                why,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_is_too_large_is_refused_by_name() {
        let statement = Statement::compute(b"x", 7).expect("a statement");
        let large = MAX_PROOF_BYTES as u64 + 1;
        let proofs = std::array::from_fn(|_| Proof::TooLarge(large));
        let refused = check(Params::Dev, &statement, &proofs);
        let named: Vec<_> = refused
            .iter()
            .map(|one| (one.circuit, one.segment))
            .collect();
        assert_eq!(named, Circuit::ALL.map(|circuit| (circuit, 7)));
        let why = format!("the proof has {large} bytes");
        assert!(refused.iter().all(|one| one.why.contains(&why)));
    }
}
