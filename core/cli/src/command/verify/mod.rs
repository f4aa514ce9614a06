//! `froben verify`: a proof, and perhaps the file that it is about. Needs no network.

mod aggregate;
mod bundle;
pub(super) mod snark;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use froben_circuits::{Params, Statement};
use froben_compress::FinalProof;
use froben_recursion::tree;

use crate::args::Verify;
use crate::error::{Error, Exit};

/// As many bytes as tell what a file is.
const HEAD_BYTES: u64 = 16;

pub(crate) fn run(args: &Verify) -> Result<(), Error> {
    match Form::of(&args.proof)? {
        Form::Aggregate => aggregate::run(args),
        Form::Snark => snark::run(args),
        // Whatever it is, the reader of bundles says what is wrong with it.
        Form::Bundle => bundle::run(args),
    }
}

/// What a file says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bundle,
    Aggregate,
    Snark,
}

impl Form {
    fn of(path: &Path) -> Result<Self, Error> {
        let mut head = Vec::new();
        open(path)?
            .take(HEAD_BYTES)
            .read_to_end(&mut head)
            .map_err(|error| Error::file("read", path, &error))?;
        Ok(match head.as_slice() {
            head if tree::is_aggregate(head) => Self::Aggregate,
            head if FinalProof::is_one(head) => Self::Snark,
            _ => Self::Bundle,
        })
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    File::open(path)
        .map(BufReader::new)
        .map_err(|error| Error::file("read", path, &error))
}

/// The statements that a proof of the whole file at `path` is about.
///
/// A file that has not `expected` bytes is refused before it is read.
fn statements(path: &Path, expected: u64) -> Result<Vec<Statement>, Error> {
    let unreadable = |error: &std::io::Error| Error::file("read", path, error);
    let file = open(path)?;
    let bytes = file
        .get_ref()
        .metadata()
        .map_err(|error| unreadable(&error))?
        .len();
    if bytes != expected {
        let why = format!(
            "the proof is about {expected} bytes, {} has {bytes}",
            path.display()
        );
        return Err(refused(why));
    }
    tree::statements(file).map_err(|error| match &error {
        froben_circuits::Error::Io { source, .. } => unreadable(source),
        _ => refused(chain(&error)),
    })
}

/// Whoever made a proof chose its parameters, and `dev` ones are forged in no time: they must not pass for
/// a verified proof unless the caller knows.
fn accept_params(params: Params, accept_dev: bool) -> Result<(), Error> {
    match params {
        Params::Standard => Ok(()),
        Params::Dev if accept_dev => Ok(()),
        Params::Dev => {
            let why = "the proof has `dev` parameters, which promise nothing";
            Err(Error::new(Exit::ProofInvalid, why).code("FRB-PRF-002").hint(
                "submit with --set params=standard, or verify with --accept-dev to try things out",
            ))
        }
    }
}

fn print_security(params: &str, conjectured_bits: usize, proven_bits: usize) {
    println!(
        "security: {conjectured_bits} bits by the random-words conjecture, {proven_bits} bits proven"
    );
    if params == Params::Dev.name() {
        println!("`dev` parameters promise nothing: do not rely on this proof");
    }
}

/// What a proof is about, as far as it is known: without the file, that is a digest alone.
fn size(segments: Option<u64>, bytes: Option<u64>) -> String {
    match (segments, bytes) {
        (Some(segments), Some(bytes)) => format!("{segments} segments, {bytes} bytes"),
        _ => "some file".to_owned(),
    }
}

fn print_whose(input_checked: bool) {
    match input_checked {
        true => println!("the digest is that of the file, recomputed independently"),
        false => {
            println!("it is about some file with that digest; give --input FILE to check whose");
        }
    }
}

pub(super) fn refused(message: impl AsRef<str>) -> Error {
    let message = froben_model::limits::one_line(message.as_ref());
    Error::new(Exit::ProofInvalid, message).code("FRB-PRF-001")
}

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    message
}
