//! A bundle: every proof of a file.

use std::io::Read;

use froben_circuits::{BundleReader, Report, verify_bundle};
use indicatif::{ProgressBar, ProgressStyle};

use super::{accept_params, chain, refused as invalid};
use crate::args::{Format, Verify};
use crate::error::{Error, Exit};
use crate::output::print_json;

/// A bundle that ends too early is a bad bundle, not a bad disk.
const UNEXPECTED_END: std::io::ErrorKind = std::io::ErrorKind::UnexpectedEof;

pub(super) fn run(args: &Verify) -> Result<(), Error> {
    let params = BundleReader::new(super::open(&args.proof)?)
        .map_err(refused)?
        .params();
    accept_params(params, args.accept_dev)?;
    let opened = super::open(&args.proof)?;
    let mut input = args.input.as_deref().map(super::open).transpose()?;
    let input = input.as_mut().map(|file| file as &mut dyn Read);

    let bar = progress_bar();
    let mut progress = |progress: froben_circuits::Progress| {
        bar.set_length(u64::from(progress.total));
        bar.set_position(u64::from(progress.done));
    };
    let verified = verify_bundle(opened, input, &mut progress);
    bar.finish_and_clear();
    let report = verified.map_err(refused)?;
    print(&report, args.output)
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
    let message = chain(&error);
    match error {
        froben_circuits::Error::Io { what: _, source } if source.kind() != UNEXPECTED_END => {
            Error::new(Exit::Unexpected, message)
        }
        _ => invalid(message),
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
    super::print_security(
        report.params,
        report.conjectured_security_bits,
        report.proven_security_bits,
    );
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
