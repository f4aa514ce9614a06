//! What the process occupies, and has computed.

/// Resident memory, not what the allocator was asked for: pages half used count whole.
///
/// *Panics*: where there is no `/proc`.
pub fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * 4096
}

/// CPU time of all threads so far, to a hundredth of a second: what remains of a measurement when other
/// work runs on the machine.
///
/// *Panics*: where there is no `/proc`.
pub fn cpu_time() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').expect("it has a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.filter_map(|ticks| ticks.parse::<u64>().ok());
    std::time::Duration::from_millis(10 * ticks.sum::<u64>())
}
