//! An aggregate: one proof of all proofs of a file.

use froben_recursion::tree::{Aggregate, AggregateError, AggregateReport};

use super::{accept_params, chain, print_security, refused, statements};
use crate::args::{Format, Verify};
use crate::error::{Error, Exit};
use crate::output::print_json;

pub(super) fn run(args: &Verify) -> Result<(), Error> {
    let aggregate = Aggregate::read(super::open(&args.proof)?).map_err(|error| match &error {
        AggregateError::Io(_) => Error::new(Exit::Unexpected, chain(&error)),
        _ => refused(chain(&error)),
    })?;
    accept_params(aggregate.params(), args.accept_dev)?;
    let input = args.input.as_deref();
    let statements = input.map(|path| statements(path, aggregate.file_bytes()));
    let statements = statements.transpose()?;
    let report = aggregate
        .check(statements.as_deref())
        .map_err(|error| refused(chain(&error)))?;
    print(&report, args.output)
}

fn print(report: &AggregateReport, format: Format) -> Result<(), Error> {
    if format == Format::Json {
        let json = serde_json::to_value(report)
            .map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
        print_json(&json);
        return Ok(());
    }
    let size = super::size(report.segments, report.bytes);
    println!(
        "verified: one proof of {size}; parameters `{}`",
        report.params
    );
    print_security(
        report.params,
        report.conjectured_security_bits,
        report.proven_security_bits,
    );
    println!("digest: {}", report.digest);
    super::print_whose(report.input_checked);
    Ok(())
}
