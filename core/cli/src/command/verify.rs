//! `froben verify`: a bundle, and perhaps the file that it is about. Needs no network.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use froben_circuits::{BundleReader, Params, Report, verify_bundle};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Format, Verify};
use crate::error::{Error, Exit};
use crate::output::print_json;

/// A bundle that ends too early is a bad bundle, not a bad disk.
const UNEXPECTED_END: std::io::ErrorKind = std::io::ErrorKind::UnexpectedEof;

pub(crate) fn run(args: Verify) -> Result<(), Error> {
    let Verify {
        bundle,
        input,
        accept_dev,
        output,
    } = args;
    check_params(&bundle, accept_dev)?;
    let opened = open(&bundle)?;
    let mut input = input.as_deref().map(open).transpose()?;
    let input = input.as_mut().map(|file| file as &mut dyn Read);

    let bar = progress_bar();
    let mut progress = |progress: froben_circuits::Progress| {
        bar.set_length(u64::from(progress.total));
        bar.set_position(u64::from(progress.done));
    };
    let verified = verify_bundle(opened, input, &mut progress);
    bar.finish_and_clear();
    let report = verified.map_err(refused)?;
    print(&report, output)
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    File::open(path)
        .map(BufReader::new)
        .map_err(|error| Error::file("read", path, &error))
}

/// Drawn on a terminal only: indicatif sees to that.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{elapsed:>4}  verifying segment {pos}/{len}  {bar:30}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn refused(error: froben_circuits::Error) -> Error {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        message.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    let message = froben_model::limits::one_line(&message);
    match error {
        froben_circuits::Error::Io { what: _, source } if source.kind() != UNEXPECTED_END => {
            Error::new(Exit::Unexpected, message)
        }
        _ => Error::new(Exit::ProofInvalid, message).code("FRB-PRF-001"),
    }
}

/// Whoever made the bundle chose its parameters, and `dev` ones are forged in no time: they must not
/// pass for a verified bundle unless the caller knows.
fn check_params(bundle: &Path, accept_dev: bool) -> Result<(), Error> {
    match BundleReader::new(open(bundle)?).map_err(refused)?.params() {
        Params::Standard => Ok(()),
        Params::Dev if accept_dev => Ok(()),
        Params::Dev => {
            let why = "the bundle has `dev` parameters, which promise nothing";
            Err(Error::new(Exit::ProofInvalid, why).code("FRB-PRF-002").hint(
                "submit with --set params=standard, or verify with --accept-dev to try things out",
            ))
        }
    }
}

fn print(report: &Report, format: Format) -> Result<(), Error> {
    if format == Format::Json {
        let json = serde_json::to_value(report)
            .map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
        print_json(&json);
        return Ok(());
    }
    println!(
        "verified: {} proofs of {} segments, {} bytes; parameters `{}`",
        report.proofs,
        report.segments.len(),
        report.bytes,
        report.params
    );
    println!(
        "security: {} bits by the random-words conjecture, {} bits proven",
        report.conjectured_security_bits, report.proven_security_bits
    );
    if report.params == Params::Dev.name() {
        println!("`dev` parameters promise nothing: do not rely on this bundle");
    }
    match report.input_checked {
        true => println!("the digests are those of the file, recomputed independently"),
        false => println!(
            "the digests in the bundle are of the same bytes; give --input FILE to check whose"
        ),
    }
    for segment in &report.segments {
        println!("segment {} ({} bytes)", segment.index, segment.len);
        println!("  keccak256  {}", segment.keccak256);
        println!("  sha256     {}", segment.sha256);
        println!("  blake3     {}", segment.blake3);
        println!("  poseidon2  {}", segment.poseidon2);
    }
    Ok(())
}
