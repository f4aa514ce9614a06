//! A SNARK: the final proof, which a contract verifies too.

use std::io::Read;
use std::path::Path;

use froben_circuits::{SEGMENT_BYTES, Statement};
use froben_compress::{FinalProof, Pinned};
use froben_recursion::aggregate::digest_text;
use serde_json::json;

use super::{accept_params, chain, refused, statements};
use crate::args::{Format, Verify};
use crate::error::{Error, Exit};
use crate::output::print_json;

pub(super) fn run(args: &Verify) -> Result<(), Error> {
    let proof = read(&args.proof)?;
    accept_params(proof.params(), args.accept_dev)?;
    if !args.accept_dev {
        proof.for_production().map_err(|error| {
            let hint = "verify with --accept-dev to try things out";
            Error::new(Exit::ProofInvalid, error.to_string())
                .code("FRB-PRF-002")
                .hint(hint)
        })?;
    }
    let input = args.input.as_deref();
    let statements = input
        .map(|path| statements(path, proof.length()))
        .transpose()?;
    print(&proof, statements.as_deref(), args.output)
}

/// Reads a final proof, with a limit on its size.
pub(in crate::command) fn read(path: &Path) -> Result<FinalProof, Error> {
    let mut bytes = Vec::new();
    super::open(path)?
        .take(FinalProof::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::file("read", path, &error))?;
    FinalProof::from_bytes(&bytes).map_err(|error| {
        let refused = refused(error.to_string());
        match FinalProof::is_one(&bytes) {
            true => refused,
            false => refused.hint("`froben submit --until snark` makes one"),
        }
    })
}

/// Verifies, and says what was found.
fn print(
    proof: &FinalProof,
    statements: Option<&[Statement]>,
    format: Format,
) -> Result<(), Error> {
    let held = |error: froben_compress::Error| refused(chain(&error));
    let digest = match statements {
        Some(statements) => proof.verify_statements(statements).map_err(held)?,
        None => proof.verify().map_err(held)?,
    };
    let (digest, key) = (digest_text(&digest), Pinned::of(proof.params()).key.name());
    // Its length is the prover's word, and true where the file has it.
    let bytes = statements.map(|_| proof.length());
    let segments = bytes.map(|bytes| bytes.div_ceil(SEGMENT_BYTES as u64));
    let dev = proof.for_production().is_err();
    if format == Format::Json {
        print_json(&json!({
            "params": proof.params().name(),
            "dev": dev,
            "bytes": bytes,
            "segments": segments,
            "digest": digest,
            "key": key,
            "input_checked": statements.is_some(),
        }));
        return Ok(());
    }
    let size = super::size(segments, bytes);
    println!(
        "verified: one SNARK of {size}; parameters `{}`",
        proof.params()
    );
    println!("key: {key}");
    if dev {
        println!("`dev` parameters or a `dev` key promise nothing: do not rely on this proof");
    }
    println!("digest: {digest}");
    super::print_whose(statements.is_some());
    Ok(())
}
