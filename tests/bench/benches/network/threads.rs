//! Which threads of this process computed, and for how long: tells the coordinator from its machines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

/// CPU time by the threads' names, numbers cut off, in hundredths of a second.
pub(crate) struct CpuOfThreads(BTreeMap<String, u64>);

impl CpuOfThreads {
    /// *Panics*: where there is no `/proc`.
    pub(crate) fn now() -> CpuOfThreads {
        let mut by_name = BTreeMap::new();
        for thread in fs::read_dir("/proc/self/task").expect("Linux tells") {
            let path = thread.expect("it reads").path();
            // A thread may end while we look.
            let Ok(stat) = fs::read_to_string(path.join("stat")) else {
                continue;
            };
            let (Some(open), Some((before, fields))) = (stat.find('('), stat.rsplit_once(')'))
            else {
                continue;
            };
            let name =
                before[open + 1..].trim_end_matches(|c: char| c == '-' || c.is_ascii_digit());
            let ticks = fields.split_whitespace().skip(11).take(2);
            let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
            *by_name.entry(name.to_owned()).or_default() += ticks;
        }
        CpuOfThreads(by_name)
    }

    /// What each has computed since, over `count`. The main thread plays the machines.
    pub(crate) fn since(&self, count: u64) -> String {
        let now = CpuOfThreads::now();
        let mut line = String::new();
        for (name, ticks) in now.0 {
            let spent = ticks - self.0.get(&name).copied().unwrap_or(0);
            if spent > 0 {
                let micros = spent * 10_000 / count.max(1);
                let _ = write!(line, "{name} {micros} us, ");
            }
        }
        line.trim_end_matches(", ").to_owned()
    }
}
