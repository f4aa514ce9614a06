//! What a task needs of a machine.

/// Requirements of one task. Sizes in bytes; they are needs, not wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// At least this many cores; 0 means one.
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    /// At least this much memory on one device. Above 0 the task claims a device.
    pub vram_bytes: u64,
    /// A CPU task claims all the machine's cores unless this is set; then it claims `cpu_cores`.
    pub shared: bool,
}

impl Needs {
    pub fn device(&self) -> bool {
        self.vram_bytes > 0
    }
}

/// Reads a size with a binary unit: `512MiB`, `4GiB`, `1024` (bytes).
pub fn parse_size(text: &str) -> Result<u64, crate::Error> {
    let malformed =
        || crate::Error::malformed("size", text, "a whole number and KiB, MiB, GiB or TiB");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| malformed())?;
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(malformed()),
    };
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes <= 1 << 50)
        .ok_or_else(malformed)
}

/// Reads a duration with a unit, as milliseconds: `250ms`, `30s`, `5m`, `2h`.
pub fn parse_duration_ms(text: &str) -> Result<u64, crate::Error> {
    let malformed =
        || crate::Error::malformed("duration", text, "a whole number and ms, s, m or h");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| malformed())?;
    let unit_ms = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(malformed()),
    };
    number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= 366 * 24 * 3_600_000)
        .ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        for (text, bytes) in [("0", 0), ("1024", 1024), ("4KiB", 4096), ("2 GiB", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "GiB", "4GB", "-1", "99999999TiB", "1.5GiB", "4é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        for (text, ms) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "5", "s", "1d", "99999999999999h"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }
}
