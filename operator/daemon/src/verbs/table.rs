//! Figures for people.

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines; columns from `first_number` on are aligned to the right.
pub(super) fn table(header: &[&str], first_number: usize, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(first_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Like `2.52 ms`.
pub(super) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Like `417 M/s` or `6.67 GB/s`, in powers of ten.
pub(super) fn rate(per_s: f64, of: &str) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (scale, prefix) = prefixes
        .into_iter()
        .find(|(scale, _)| per_s >= *scale)
        .unwrap_or((1.0, ""));
    format!("{} {prefix}{of}/s", three_digits(per_s / scale))
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        for (ns, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (12_345, "12.3 us"),
            (2_516_822, "2.52 ms"),
            (99_960_000, "100 ms"),
            (3_000_000_000, "3.00 s"),
        ] {
            assert_eq!(duration(ns), expected);
        }
        for (per_s, expected) in [
            (0.0, "0.00 B/s"),
            (999.0, "999 B/s"),
            (6.666e9, "6.67 GB/s"),
            (3.2e12, "3.20 TB/s"),
        ] {
            assert_eq!(rate(per_s, "B"), expected);
        }
        assert_eq!(rate(4.166e8, ""), "417 M/s");
    }
}
