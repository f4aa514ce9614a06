//! The CA's list of revoked certificates, read again when its file changes, and on SIGHUP.
//!
//! A list that cannot be read, or is older than the one in force, changes nothing and is told. So does
//! one whose date is past: what it revokes stays revoked, and the network goes on.

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use froben_server::Server;
use froben_wire::{Identity, RevocationList, date};
use tokio::signal::unix::Signal;

use crate::error::Error;

/// How often the file is looked at. Whoever is revoked is cut off within 5 s.
const LOOK: Duration = Duration::from_secs(1);
/// How often a list whose date is past is told of.
const REMIND: Duration = Duration::from_secs(3600);

/// Where the list is, and what its file looked like when it was read last.
pub(crate) struct Revoked {
    path: PathBuf,
    seen: Option<Look>,
    /// What was told of a list that could not be taken; told once.
    trouble: Option<String>,
    until_s: Option<i64>,
    reminded: Option<Instant>,
}

/// What changes with a file's content: when it was written, its size, and which file it is.
type Look = (SystemTime, u64, u64);

impl Revoked {
    /// Reads the list for a start. Without it the coordinator does not start: who is revoked would be
    /// let in.
    pub(crate) fn load(
        path: &Path,
        identity: &Identity,
    ) -> Result<(Revoked, RevocationList), Error> {
        // The look comes first: what is written meanwhile is seen the next time.
        let seen = look(path);
        let list = RevocationList::load(path, identity).map_err(|error| {
            Error::from(error)
                .hint("--crl is the CA's crl.pem, which `froben ca crl` makes, or a copy of it")
        })?;
        let mut revoked = Revoked {
            path: path.to_owned(),
            seen,
            trouble: None,
            until_s: None,
            reminded: None,
        };
        revoked.in_force(&list);
        Ok((revoked, list))
    }

    /// Keeps the list that is in force up to date, for ever.
    pub(crate) async fn keep(
        mut self,
        server: &Server,
        identity: &Identity,
        mut hangup: Signal,
    ) -> Infallible {
        loop {
            tokio::select! {
                _ = hangup.recv() => (self.seen, self.trouble) = (None, None),
                () = tokio::time::sleep(LOOK) => {}
            }
            let seen = look(&self.path);
            if seen.is_none() || seen != self.seen {
                self.again(server, identity, seen);
            }
            self.remind();
        }
    }

    fn again(&mut self, server: &Server, identity: &Identity, seen: Option<Look>) {
        self.seen = seen;
        let read = RevocationList::load(&self.path, identity);
        match read.and_then(|list| server.revoke(list.clone()).map(|()| list)) {
            Ok(list) => {
                self.trouble = None;
                self.in_force(&list);
            }
            Err(error) => {
                let trouble = error.to_string();
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::error!(
                        target: "froben::ca",
                        "{trouble}; the revocation list that was in force stays so"
                    );
                    self.trouble = Some(trouble);
                }
            }
        }
    }

    fn in_force(&mut self, list: &RevocationList) {
        self.until_s = list.until_s;
        self.reminded = None;
        let until = list.until_s.map(date).unwrap_or_default();
        let (number, len) = (list.number, list.len());
        tracing::info!(
            target: "froben::ca",
            "revocation list {number} is in force: {len} revoked, the next is due by {until}"
        );
        self.remind();
    }

    /// Says, now and then, that the list's date is past.
    fn remind(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_s = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let Some(until_s) = self.until_s.filter(|until_s| *until_s < now_s) else {
            return;
        };
        if self.reminded.is_some_and(|at| at.elapsed() < REMIND) {
            return;
        }
        self.reminded = Some(Instant::now());
        tracing::warn!(
            target: "froben::ca",
            "the revocation list was good until {}, and stays in force; `froben ca crl` makes another",
            date(until_s)
        );
    }
}

fn look(path: &Path) -> Option<Look> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}
