//! How much memory a worker occupies, and how much it may.
//!
//! A machine's memory is handed out by what tasks claim. A worker that takes more than its task claims
//! takes it from others, and in the end the kernel ends one of them, or the daemon. So it is looked at
//! now and then, and ended first. What it may have is the claim and a *slack*: its program, its libraries
//! and its driver need memory that no task knows of. A task that claims no memory is only watched.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

/// How often a worker is looked at. One that grows faster than the machine's free memory in this time is
/// the kernel's to end.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// What one task may occupy, and what it has.
#[derive(Debug)]
pub(super) struct Watch {
    group: Pid,
    claim_bytes: u64,
    slack_bytes: u64,
    peak_bytes: u64,
}

/// A worker that occupies more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) used_bytes: u64,
    pub(super) claim_bytes: u64,
    pub(super) slack_bytes: u64,
}

impl std::fmt::Display for Excess {
    /// A clause that follows "the worker".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [used, claim, slack] =
            [self.used_bytes, self.claim_bytes, self.slack_bytes].map(mebibytes);
        write!(
            f,
            "occupied {used} MiB, its task claims {claim} MiB and {slack} MiB more are allowed"
        )
    }
}

pub(super) fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl Watch {
    pub(super) fn new(group: Pid, claim_bytes: u64, slack_bytes: u64) -> Watch {
        Watch {
            group,
            claim_bytes,
            slack_bytes,
            peak_bytes: 0,
        }
    }

    /// Looks once. Some if the worker has too much.
    pub(super) fn look(&mut self) -> Option<Excess> {
        let mut used_bytes = rough_bytes(self.group);
        let most = self.claim_bytes.saturating_add(self.slack_bytes);
        let capped = self.claim_bytes > 0;
        if capped && used_bytes > most {
            // Pages that processes of the group share were counted for each of them.
            used_bytes = exact_bytes(self.group).unwrap_or(used_bytes);
        }
        self.peak_bytes = self.peak_bytes.max(used_bytes);
        (capped && used_bytes > most).then_some(Excess {
            used_bytes,
            claim_bytes: self.claim_bytes,
            slack_bytes: self.slack_bytes,
        })
    }

    /// The most that was seen.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }
}

/// What the processes of a group keep in memory: of their own, and shared. Pages of files do not count,
/// since the kernel drops them when it needs the room.
fn rough_bytes(group: Pid) -> u64 {
    let sizes = members(group).map(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        sum(&status, &["RssAnon:", "RssShmem:"])
    });
    sizes.sum()
}

/// The same, shared pages in equal shares: slower, since the kernel looks at every page.
fn exact_bytes(group: Pid) -> Option<u64> {
    let sizes = members(group).map(|id| {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        Some(sum(&rollup, &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"]))
    });
    sizes.sum()
}

/// The processes of a group.
fn members(group: Pid) -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(move |id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        group_in(&stat) == Some(group.as_raw())
    })
}

/// The process group in a line of `/proc/PID/stat`. The name, in parentheses, may hold anything; state,
/// parent and group follow it.
fn group_in(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(2)?.parse().ok()
}

/// The sum of the lines that begin with one of `names`, which are in kibibytes.
fn sum(text: &str, names: &[&str]) -> u64 {
    let sizes = text.lines().filter_map(|line| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn figures_are_read_from_what_the_kernel_prints() {
        let status = "VmRSS:\t  9999 kB\nRssAnon:\t    100 kB\nRssFile:\t 7 kB\nRssShmem:\t 3 kB\n";
        assert_eq!(sum(status, &["RssAnon:", "RssShmem:"]), 103 << 10);
        assert_eq!(group_in("7 (a) b) S 1 42 42 0"), Some(42));
        assert_eq!(group_in(""), None);
    }

    #[test]
    fn a_whole_group_is_counted_and_only_a_claim_caps_it() {
        // Two processes, one of which holds some memory until it is killed.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "sh -c 'x=$(head -c 20000000 /dev/zero | tr \"\\\\0\" a); echo up; read y'; true",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let group = Pid::from_raw(child.id().cast_signed());
        let mut free = Watch::new(group, 0, 0);
        assert_eq!(free.look(), None);
        assert!(free.peak_bytes() > 20_000_000, "{}", free.peak_bytes());
        assert_eq!(Watch::new(group, 1 << 20, 1 << 30).look(), None);
        let excess = Watch::new(group, 1 << 20, 2 << 20).look().unwrap();
        assert!(excess.used_bytes > 20_000_000);
        let words = "its task claims 1 MiB and 2 MiB more are allowed";
        assert!(excess.to_string().ends_with(words), "{excess}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
