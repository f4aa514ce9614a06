//! The kinds of tasks that this worker takes, and their inputs and results.
//!
//! | kind | role | input | item | result |
//! |---|---|---|---|---|
//! | `commitments.witness/1` | cpu | `{data = blob, segment_bytes = 4096}` | `{index}` | `{witness = blob}` |
//! | `commitments.prove/1` | device | `{circuit, params}` | `{index, witness = blob}` | `{proof = blob}` |
//! | `commitments.check/1` | cpu | that of what is checked, with `data` | `{item, value}` | `{ok, reason}` |
//! | `commitments.bundle/1` | cpu | `{data = blob, params, segments, proofs = {circuit = {blob, ...}}}` | none | `{bundle = blob}` |
//! | `commitments.leaf/1` | device | `{data = blob, circuit, params}` | `{first, proofs = {blob, ...}}` | `{proof = blob}` or `{refused = {{index, why}, ...}}` |
//! | `commitments.node/1` | device | `{circuit, params}` | `{left = blob, right = blob}` | `{proof = blob}` or `{refused = {{side, why}, ...}}` |
//! | `commitments.tip/1` | device | `{params}` | `{keccak256, sha256, blake3, poseidon2 = blob}` | `{proof = blob}` or `{refused = {{circuit, why}, ...}}` |
//! | `commitments.schedule/1` | device | `{data = blob, params}` | `{proof = blob}` | `{aggregate = blob}` or `{refused = {{why}, ...}}` |
//! | `commitments.compress/1` | device | `{data = blob, params}` | `{aggregate = blob}` | `{snark = blob}` or `{refused = {{why}, ...}}` |
//!
//! An input that is wrong is `bad_request`, as a rule of the one item that it belongs to.

pub mod bundle;
pub mod check;
pub mod compress;
pub mod leaf;
pub mod node;
pub mod prove;
pub mod schedule;
pub mod tip;
pub mod witness;

mod device;
mod fields;
mod tree;

use froben_circuits::Error;
use froben_model::{ErrorClass, Kind};
use froben_protocol::Failure;

pub const WITNESS: &str = "commitments.witness/1";
pub const PROVE: &str = "commitments.prove/1";
pub const CHECK: &str = "commitments.check/1";
pub const BUNDLE: &str = "commitments.bundle/1";
pub const LEAF: &str = "commitments.leaf/1";
pub const NODE: &str = "commitments.node/1";
pub const TIP: &str = "commitments.tip/1";
pub const SCHEDULE: &str = "commitments.schedule/1";
pub const COMPRESS: &str = "commitments.compress/1";

/// Kinds of the role `cpu`.
pub(crate) const ON_CPU: [&str; 3] = [WITNESS, CHECK, BUNDLE];
/// Kinds of the role `device`.
pub(crate) const ON_DEVICE: [&str; 6] = [PROVE, LEAF, NODE, TIP, SCHEDULE, COMPRESS];

/// One of the names above.
pub(crate) fn kind(name: &str) -> Kind {
    Kind::new(name).expect("invariant: the names above are kinds")
}

fn bad_request(message: impl AsRef<str>) -> Failure {
    Failure::new(ErrorClass::BadRequest, message)
}

/// What an error of the circuits means for whoever asked.
fn failure(error: &Error) -> Failure {
    let class = match error {
        Error::SegmentLength { .. }
        | Error::NotCanonical { .. }
        | Error::WrongWitness { .. }
        | Error::Witness { .. }
        | Error::FileLength { .. }
        | Error::Bundle(_)
        | Error::Checksum
        | Error::Digest { .. }
        | Error::InputShort { .. }
        | Error::InputLong { .. } => ErrorClass::BadRequest,
        Error::Refused { .. } => ErrorClass::InvalidResult,
        Error::Prover { .. } => ErrorClass::WorkerFailed,
        Error::Segment { source, .. } => failure(source).class,
        Error::Io { source, .. } => {
            // Streams to and from the daemon carry the failure itself.
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
            return match inner {
                Some(failure) => Failure::clone(failure),
                None => Failure::new(ErrorClass::WorkerFailed, chain(error)),
            };
        }
    };
    Failure::new(class, chain(error))
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use froben_circuits::Circuit;

    use super::*;

    /// What the pipeline says of leaves and setups is what the programs know.
    #[test]
    fn the_pipeline_names_our_slots_and_setups() {
        use froben_circuits::Params;
        use froben_compress::Pinned;
        use froben_recursion::tree::{Keys, Piece, slots};
        let script = include_str!("../../../../scripts/pipelines/data_commitments.lua");
        for circuit in Circuit::ALL {
            let [standard, dev] = [Params::Standard, Params::Dev].map(|it| slots(it, circuit));
            let leaf = format!("leaf = {{ dev = {dev}, standard = {standard} }}");
            let name = format!("name = \"{circuit}\"");
            let line = script.lines().find(|line| line.contains(&name));
            assert!(line.is_some_and(|line| line.contains(&leaf)), "{line:?}");
        }
        for params in Params::ALL {
            let pinned = Pinned::of(params);
            let setup = format!("{params} = \"{}\"", hex::encode(pinned.keys_file));
            assert!(script.contains(&setup), "{setup}");
            let keys = Keys::of(params).expect("keys of the tree");
            assert_eq!(&pinned.scheduler, keys.key(Piece::Scheduler), "{params}");
        }
    }

    #[test]
    fn errors_have_the_class_that_a_retry_needs() {
        let circuit = Circuit::Sha256;
        let refused = Error::Refused {
            circuit,
            cause: "why".to_owned(),
        };
        let segment = Error::Segment {
            index: 3,
            source: Box::new(refused),
        };
        let upload = Failure::new(ErrorClass::Disconnected, "gone");
        let io = |source| Error::Io {
            what: "writing",
            source,
        };
        for (error, expected) in [
            (
                segment,
                "invalid_result: segment 3 is refused: the sha256 proof is refused: why",
            ),
            (
                Error::SegmentLength { len: 0 },
                "bad_request: a segment holds 1 to 4096 bytes, not 0",
            ),
            (io(io::Error::other(upload)), "disconnected: gone"),
            (
                io(io::Error::other("disk")),
                "worker_failed: writing failed: disk",
            ),
        ] {
            assert_eq!(failure(&error).to_string(), expected);
        }
    }
}
