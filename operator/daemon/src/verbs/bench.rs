//! How fast each kernel runs.

use serde::{Deserialize, Serialize};

use super::Findings;
use super::table::{duration, rate, table};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Found {
    /// A plain copy, which the kernels are held against.
    copy: Option<Figures>,
    kernels: Vec<Kernel>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kernel {
    kernel: String,
    field: String,
    figures: Option<Figures>,
    /// Bytes a second, as a share of those of the copy.
    of_copy: Option<f64>,
    error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    shape: String,
    runs: u64,
    median_ns: u64,
    elements: u64,
    elements_per_s: f64,
    bytes: u64,
    bytes_per_s: f64,
}

impl Figures {
    fn cells(&self) -> [String; 4] {
        [
            self.shape.clone(),
            duration(self.median_ns),
            rate(self.elements_per_s, ""),
            rate(self.bytes_per_s, "B"),
        ]
    }
}

impl Findings for Found {
    fn failed(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.error.is_some())
    }

    fn table(&self) -> String {
        let row = |names: [&str; 2], figures: &Figures, share: Option<f64>| {
            let share = share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share));
            let names = names.map(str::to_owned).into_iter();
            names.chain(figures.cells()).chain([share]).collect()
        };
        let copy = self.copy.as_ref();
        let mut rows: Vec<Vec<String>> = copy
            .map(|figures| row(["copy", ""], figures, Some(1.0)))
            .into_iter()
            .collect();
        let mut failures = String::new();
        for kernel in &self.kernels {
            let names = [kernel.kernel.as_str(), &kernel.field];
            match &kernel.figures {
                Some(figures) => rows.push(row(names, figures, kernel.of_copy)),
                None => {
                    let why = kernel.error.as_deref().unwrap_or("no figures");
                    failures += &format!("\n{} {} failed: {why}", names[0], names[1]);
                }
            }
        }
        let header = [
            "KERNEL", "FIELD", "SHAPE", "TIME", "ELEMENTS", "MEMORY", "OF COPY",
        ];
        table(&header, 3, rows) + &failures
    }
}
