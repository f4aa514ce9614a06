//! `froben-operator keys`: a keystore for compressing proofs, made by the prover.

use std::process::{Command, Stdio};

use crate::args::Keys;
use crate::config::or_built_in;
use crate::{Error, Exit};

/// Has the prover make it, and passes on what it says.
pub fn keys(args: Keys) -> Result<(), Error> {
    let Keys {
        dir,
        params,
        prover,
    } = args;
    let programs = or_built_in(prover.into_iter().collect())?;
    for program in programs {
        let ran = Command::new(&program)
            .arg("keys")
            .arg(&dir)
            .args(["--params", &params])
            .stdin(Stdio::null())
            .status();
        let shown = program.display();
        let wrong = |exit, why: &str| Error::new(exit, format!("the prover {shown} {why}"));
        match ran.map(|status| status.code()) {
            Ok(Some(0)) => {}
            // It has said why.
            Ok(Some(2)) => return Err(wrong(Exit::Usage, "takes no such arguments")),
            Ok(_) => return Err(wrong(Exit::Unexpected, "could not make the keystore")),
            Err(error) => return Err(wrong(Exit::NotFound, &format!("cannot be run: {error}"))),
        }
    }
    Ok(())
}
