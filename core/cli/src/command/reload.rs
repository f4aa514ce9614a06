//! The coordinator's own folder of scripts, read again: on SIGHUP, and on a change if that was asked for.
//!
//! The same path as an admin's apply, but for the comparison of indexes: whoever writes to the folder of
//! a coordinator means what is in it. A set that does not check, or cannot be read, changes nothing.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use froben_engine::serve::COORDINATOR;
use froben_engine::{Applied, Busy, Change, EngineHandle, NotServed};
use froben_model::revision::{Origin, ScriptProblem};
use tokio::signal::unix::Signal;

use crate::error::{Error, Exit};
use crate::scripts;
use crate::watch::Watch;

/// Before a coordinator that was too busy is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the scripts again, for ever.
pub(crate) async fn keep(
    handle: &EngineHandle,
    folder: &Path,
    mut hangup: Signal,
    mut watch: Option<Watch>,
) -> Infallible {
    loop {
        let changed = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        // What comes while one set is being checked is remembered by both, and leads to one more look.
        tokio::select! {
            _ = hangup.recv() => tracing::info!(target: "froben::scripts", "SIGHUP: reading the scripts"),
            () = changed => tracing::debug!("the scripts have changed"),
        }
        again(handle, folder).await;
    }
}

async fn again(handle: &EngineHandle, folder: &Path) {
    let owned = folder.to_path_buf();
    let read = tokio::task::spawn_blocking(move || scripts::read(&owned)).await;
    let set = match read {
        Ok(Ok(set)) => set,
        Ok(Err(error)) => return log(&error),
        Err(error) => return log(&Error::new(Exit::Unexpected, error.to_string())),
    };
    loop {
        let change = Change {
            by: COORDINATOR.to_string(),
            origin: Origin::Folder,
            note: String::new(),
            check_index: None,
        };
        match handle.apply(set.clone(), change).await {
            // The engine has told of it.
            Ok(Ok(Applied::Served(_))) => {}
            Ok(Ok(Applied::Unchanged(entry))) => tracing::info!(
                target: "froben::scripts",
                "the folder holds what is served already, revision {}",
                entry.revision.short()
            ),
            Ok(Err(NotServed::Broken(problems))) => {
                for problem in problems {
                    tracing::error!(target: "froben::scripts", "{}", told(folder, &problem));
                }
            }
            Ok(Err(not @ (NotServed::Moved(_) | NotServed::NoEntry { .. }))) => {
                unreachable!("invariant: no index was compared and none named, not {not:?}")
            }
            Err(broken @ Busy::Broken { .. }) => tracing::error!(
                target: "froben::scripts",
                "{broken} [FRB-RPC-005]; what was served goes on being served"
            ),
            Err(busy) => {
                tracing::warn!(target: "froben::scripts", "{busy}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        }
        return;
    }
}

/// A problem at its place in the folder, or with all of it.
fn told(folder: &Path, problem: &ScriptProblem) -> String {
    let between = if problem.path.is_empty() { ": " } else { "/" };
    format!("{}{between}{problem}", folder.display())
}

/// Scripts that can't be read: what was served goes on.
pub(crate) fn log(error: &Error) {
    let Error {
        exit: _,
        code,
        message,
        hint,
    } = error;
    let code = code.as_deref().unwrap_or("no code");
    let hint = hint.as_deref().unwrap_or_default();
    tracing::error!(
        target: "froben::scripts",
        "{message} [{code}]; what was served goes on being served. {hint}"
    );
}
