//! Waits for a folder to change. The only file that knows of notify.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Exit};

/// An editor writes in several steps: a change is over when nothing more came for so long.
const QUIET: Duration = Duration::from_millis(150);
/// At the latest after this, a folder that never comes to rest has changed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks for a folder that is gone.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Watch {
    folder: PathBuf,
    watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
    /// Whether the folder is being watched; it may not be there.
    armed: bool,
}

impl Watch {
    /// A folder that is not there is waited for.
    ///
    /// *Errors*: no more watches to be had from the system.
    pub(crate) fn new(folder: &Path) -> Result<Watch, Error> {
        // One event that waits says as much as many.
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let changed = match event {
                Ok(event) => is_change(&event),
                // Events were lost: something has changed.
                Err(_) => true,
            };
            if changed {
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher.map_err(|error| {
            let why = format!("cannot watch {}: {error}", folder.display());
            Error::new(Exit::Unexpected, why)
                .hint("without --watch, SIGHUP reads the scripts again")
        })?;
        let mut watch = Watch {
            folder: folder.to_path_buf(),
            watcher,
            events,
            armed: false,
        };
        if let Err(error) = watch.arm() {
            tracing::warn!("cannot watch {} yet: {error}", folder.display());
        }
        Ok(watch)
    }

    fn arm(&mut self) -> notify::Result<()> {
        self.watcher.watch(&self.folder, RecursiveMode::Recursive)?;
        self.armed = true;
        Ok(())
    }

    /// Waits until something in the folder has changed, and has come to rest. What happens between two
    /// calls is not missed. Whoever gives up on a call must look at the folder, as if it had returned.
    pub(crate) async fn changed(&mut self) {
        if self.armed {
            if self.events.recv().await.is_none() {
                // The watcher is ours and holds the other end: it can't be gone.
                return std::future::pending().await;
            }
            let latest = Instant::now() + PATIENCE;
            while timeout_at(latest.min(Instant::now() + QUIET), self.events.recv())
                .await
                .is_ok()
            {}
            // The folder itself may have been replaced; the watch would stay with the old one.
            let _ = self.watcher.unwatch(&self.folder);
            self.armed = false;
        }
        while self.arm().is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether an event is of interest: that somebody reads is not.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let test = async { tokio::time::timeout(LONG, test).await };
        runtime.expect("a runtime").block_on(test).expect("in time");
    }

    #[test]
    fn changes_are_seen_and_reads_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("lib/x.lua");
        fs::create_dir(dir.path().join("lib")).expect("a folder");
        fs::write(&file, "1").expect("a file");
        run(async {
            let mut watch = Watch::new(dir.path()).expect("it can be watched");
            fs::write(&file, "2").expect("a file");
            watch.changed().await;
            // A new folder is watched as well.
            fs::create_dir(dir.path().join("pipelines")).expect("a folder");
            watch.changed().await;
            fs::write(dir.path().join("pipelines/y.lua"), "3").expect("a file");
            watch.changed().await;
            fs::rename(&file, dir.path().join("lib/z.lua")).expect("it can be moved");
            watch.changed().await;
            fs::remove_file(dir.path().join("lib/z.lua")).expect("it can be removed");
            watch.changed().await;

            fs::read(dir.path().join("pipelines/y.lua")).expect("it can be read");
            let seen = tokio::time::timeout(4 * QUIET, watch.changed()).await;
            assert!(seen.is_err(), "reading is no change");
        });
    }

    #[test]
    fn a_folder_that_was_replaced_is_watched_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (scripts, old, new) = (
            dir.path().join("scripts"),
            dir.path().join("old"),
            dir.path().join("new"),
        );
        fs::create_dir(&scripts).expect("a folder");
        fs::create_dir(&new).expect("a folder");
        run(async {
            let mut watch = Watch::new(&scripts).expect("it can be watched");
            fs::rename(&scripts, &old).expect("it can be moved");
            fs::rename(&new, &scripts).expect("it can be moved");
            watch.changed().await;
            fs::write(scripts.join("x.lua"), "1").expect("a file");
            watch.changed().await;
        });
    }

    #[test]
    fn a_folder_that_is_not_there_is_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let scripts = dir.path().join("scripts");
        run(async {
            let mut watch = Watch::new(&scripts).expect("it will be there");
            let nothing = tokio::time::timeout(PAUSE, watch.changed()).await;
            assert!(nothing.is_err(), "there is nothing yet");
            fs::create_dir(&scripts).expect("a folder");
            watch.changed().await;
            fs::write(scripts.join("x.lua"), "1").expect("a file");
            watch.changed().await;
        });
    }
}
