//! What is printed: one line a kernel and shape.

use froben_opencl::bench::Measurement;

use crate::contest::Standing;

/// The table, printed line by line.
pub(crate) struct Table {
    filters: Vec<String>,
}

impl Table {
    /// A table of the lines whose names contain one of the words, or of all.
    pub(crate) fn new(filters: Vec<String>) -> Self {
        println!(
            "| {:<37} | {:>9} | {:<22} | {:>9} | {:>6} | {:>6} | {:>5} |",
            "kernel", "ours ms", "fastest peer", "ms", "wall", "cpu", "goal"
        );
        println!(
            "|{:-<39}|{:->11}|{:-<24}|{:->11}|{:->8}|{:->8}|{:->7}|",
            "", ":", "", ":", ":", ":", ":"
        );
        Self { filters }
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| name.contains(filter.as_str()))
    }

    /// The first is ours. Ratios are of the peer that is fastest by that measure; above one, ours is
    /// faster.
    ///
    /// The goal of a line that the table of goals does not name is left out.
    pub(crate) fn row(&self, name: &str, goal: impl Into<Option<f64>>, standings: &[Standing]) {
        let goal = goal
            .into()
            .map_or_else(String::new, |goal| format!("{goal:.1}"));
        let (ours, peers) = standings.split_first().expect("ours");
        let fastest = peers.iter().min_by_key(|peer| peer.wall).expect("a peer");
        let least_cpu = peers.iter().map(|peer| peer.cpu).min().expect("a peer");
        println!(
            "| {name:<37} | {:>9.2} | {:<22} | {:>9.2} | {:>6.2} | {:>6.2} | {goal:>5} |",
            ours.wall.as_secs_f64() * 1e3,
            fastest.name,
            fastest.wall.as_secs_f64() * 1e3,
            fastest.wall.as_secs_f64() / ours.wall.as_secs_f64(),
            least_cpu.as_secs_f64() / ours.cpu.as_secs_f64(),
        );
    }

    /// A kernel on its device and a copy there of as many bytes: the ratio is that of bytes a second.
    pub(crate) fn of_copy(&self, name: &str, goal: f64, ours: &Measurement, copy: &Measurement) {
        let ms = |measured: &Measurement| measured.median_ns as f64 / 1e6;
        println!(
            "| {name:<37} | {:>9.2} | {:<22} | {:>9.2} | {:>6.2} | {:>6} | {goal:>5.1} |",
            ms(ours),
            "copy on the device",
            ms(copy),
            ours.bytes_per_s() / copy.bytes_per_s(),
            "",
        );
    }
}
