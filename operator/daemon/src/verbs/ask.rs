//! One question to a prover, in a process of its own.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::{Document, FORMAT};
use crate::{Error, Exit};

/// What came of a question.
#[derive(Debug)]
pub(super) enum Answer<R> {
    Document(Vec<R>),
    /// The process ended otherwise; how.
    Died(String),
}

/// Runs `program` and reads the document that it prints. What it says on standard error goes to ours: its
/// progress, and what is wrong with its arguments.
pub(super) fn ask<R: DeserializeOwned>(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> Result<Answer<R>, Error> {
    let shown = program.display();
    let ran = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = ran.map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Unexpected,
        };
        Error::new(exit, format!("cannot run the prover {shown}: {error}"))
    })?;
    let refused = |exit, why: &str| Err(Error::new(exit, format!("the prover {shown} {why}")));
    match output.status.code() {
        // A document that tells of failures is one.
        Some(0 | 11) => {}
        Some(2) => return refused(Exit::Usage, "takes no such arguments"),
        Some(3) => return refused(Exit::NotFound, "has no such device"),
        Some(10) => return refused(Exit::NoCapacity, "finds no OpenCL device"),
        _ => return Ok(Answer::Died(how(output.status))),
    }
    match serde_json::from_slice::<Document<R>>(&output.stdout) {
        Ok(document) if document.format == FORMAT => Ok(Answer::Document(document.devices)),
        Ok(document) => {
            let why = format!("answers in format {}, not {FORMAT}", document.format);
            refused(Exit::Unexpected, &why)
        }
        Err(error) => {
            let why = format!("does not answer as expected: {error}");
            refused(Exit::Unexpected, &why)
        }
    }
}

fn how(status: ExitStatus) -> String {
    let signal = status
        .signal()
        .and_then(|number| Signal::try_from(number).ok());
    match (signal, status.code()) {
        (Some(signal), _) => {
            format!("was ended by {signal}, which is most likely its driver's doing")
        }
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
