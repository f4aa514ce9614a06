//! What the operating system says of this machine.

use std::fs;

/// Cores that this process may use.
pub(crate) fn cpu_cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// Memory that tasks may count on: the machine's, or what its control group allows.
pub(crate) fn ram_bytes() -> u64 {
    let total = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_bytes(&text));
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match (total, group) {
        (Some(total), Some(group)) => u64::min(total, group),
        (Some(bytes), None) | (None, Some(bytes)) => bytes,
        (None, None) => 0,
    }
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The host name as a label: what does not fit one becomes `-`.
pub(crate) fn label() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    as_label(name.trim())
}

fn as_label(name: &str) -> String {
    let fit = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) => c,
        _ => '-',
    };
    match name.is_empty() {
        true => "machine".to_owned(),
        false => name.chars().take(64).map(fit).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kibibytes() {
        let text = "MemFree: 1 kB\nMemTotal:       16384 kB\n";
        assert_eq!(total_bytes(text), Some(16 << 20));
        assert_eq!(total_bytes(""), None);
        assert!(ram_bytes() > 0 && cpu_cores() > 0);
    }

    #[test]
    fn any_host_name_makes_a_label() {
        for (name, label) in [
            ("Rig-1.lan", "rig-1.lan"),
            ("a b/ü", "a-b--"),
            ("", "machine"),
        ] {
            assert_eq!(as_label(name), label);
            assert!(froben_model::OperatorId::new(as_label(name)).is_ok());
        }
    }
}
