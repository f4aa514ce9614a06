//! `froben policy`, and the file that a coordinator reads again on SIGHUP.

use std::convert::Infallible;
use std::path::Path;

use froben_engine::{EngineHandle, Policy};
use froben_model::OperatorId;
use tokio::signal::unix::Signal;

use crate::args::PolicyVerb;
use crate::error::Error;
use crate::policy;

pub(crate) fn run(verb: &PolicyVerb) -> Result<(), Error> {
    match verb {
        PolicyVerb::Show => print!("{}", policy::write(&Policy::default())),
        PolicyVerb::Check { file } => {
            policy::read(file)?;
            println!("{} can be read", file.display());
        }
    }
    Ok(())
}

/// Reads the file again on each SIGHUP, for ever. One that cannot be read changes nothing and is told.
/// `trusted`: by the command line, besides those of the file.
pub(crate) async fn keep(
    engine: &EngineHandle,
    path: &Path,
    trusted: &[OperatorId],
    mut hangup: Signal,
) -> Infallible {
    loop {
        if hangup.recv().await.is_none() {
            return std::future::pending().await;
        }
        match policy::read(path) {
            Ok(mut rules) => {
                rules.trusted.extend(trusted.iter().cloned());
                engine.rules(rules);
                tracing::info!(target: "froben::policy", "SIGHUP: {} is in force", path.display());
            }
            Err(error) => {
                let code = error.code.as_deref().unwrap_or("no code");
                tracing::error!(
                    target: "froben::policy",
                    "{} [{code}]; the rules stay as they were",
                    error.message
                );
            }
        }
    }
}
