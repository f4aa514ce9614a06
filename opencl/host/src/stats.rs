//! What ran on a device, so that a proof's trail can say so.

use std::collections::BTreeMap;

/// Launches of one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    /// How often it was launched.
    pub launches: u64,
    /// Bytes of device memory that the launches read and wrote, by the kernels' shapes.
    pub bytes: u64,
}

/// Where a session's programs came from, those of its self-test among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// Compiled from source.
    pub compiled: u64,
    /// Taken from a file that an earlier session left.
    pub loaded: u64,
}

/// Work done by a session since it was opened, its self-test left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// By kernel name.
    pub kernels: BTreeMap<String, KernelStats>,
    /// Programs that were made ready.
    pub programs: ProgramStats,
    /// Bytes copied to the device.
    pub uploaded_bytes: u64,
    /// Bytes copied from the device.
    pub downloaded_bytes: u64,
}

impl Stats {
    /// The work since `earlier`, a snapshot of the same session.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut kernels = BTreeMap::new();
        for (name, now) in &self.kernels {
            let before = earlier.kernels.get(name).copied().unwrap_or_default();
            let difference = KernelStats {
                launches: now.launches - before.launches,
                bytes: now.bytes - before.bytes,
            };
            if difference.launches > 0 {
                kernels.insert(name.clone(), difference);
            }
        }
        Self {
            kernels,
            programs: ProgramStats {
                compiled: self.programs.compiled - earlier.programs.compiled,
                loaded: self.programs.loaded - earlier.programs.loaded,
            },
            uploaded_bytes: self.uploaded_bytes - earlier.uploaded_bytes,
            downloaded_bytes: self.downloaded_bytes - earlier.downloaded_bytes,
        }
    }

    /// Launches of all kernels.
    #[must_use]
    pub fn launches(&self) -> u64 {
        self.kernels.values().map(|kernel| kernel.launches).sum()
    }

    /// Bytes of device memory that all launches read and wrote.
    pub(crate) fn bytes(&self) -> u64 {
        self.kernels.values().map(|kernel| kernel.bytes).sum()
    }

    pub(crate) fn launched(&mut self, kernel: &str, bytes: u64) {
        let stats = match self.kernels.get_mut(kernel) {
            Some(stats) => stats,
            None => self.kernels.entry(kernel.to_owned()).or_default(),
        };
        stats.launches += 1;
        stats.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_only_what_ran() {
        let mut stats = Stats::default();
        stats.launched("ntt_pass_babybear", 8);
        stats.launched("fri_fold2_babybear", 5);
        let before = stats.clone();
        stats.launched("ntt_pass_babybear", 16);
        stats.uploaded_bytes += 3;
        let since = stats.since(&before);
        assert_eq!(since.launches(), 1);
        assert_eq!(since.uploaded_bytes, 3);
        let expected = KernelStats {
            launches: 1,
            bytes: 16,
        };
        assert_eq!(
            since.kernels.into_iter().collect::<Vec<_>>(),
            [("ntt_pass_babybear".to_owned(), expected)]
        );
    }
}
