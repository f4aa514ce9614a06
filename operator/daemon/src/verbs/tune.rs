//! Which layout is the best for each kernel.

use serde::{Deserialize, Serialize};

use super::Findings;
use super::table::{duration, table};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tunings {
    kernels: Vec<Kernel>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kernel {
    kernel: String,
    field: String,
    found: Option<Found>,
    error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Found {
    shape: String,
    layout: String,
    candidates: u64,
    /// Layouts that failed, and how.
    rejected: Vec<String>,
    default_ns: u64,
    best_ns: u64,
    /// Why later sessions do not know of it, if they do not.
    not_kept: Option<String>,
}

impl Findings for Tunings {
    fn failed(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.error.is_some())
    }

    fn table(&self) -> String {
        let (mut rows, mut notes) = (Vec::new(), String::new());
        for kernel in &self.kernels {
            let names = format!("{} {}", kernel.kernel, kernel.field);
            let Some(found) = &kernel.found else {
                let why = kernel.error.as_deref().unwrap_or("nothing was found");
                notes += &format!("\n{names} failed: {why}");
                continue;
            };
            let gain = found.default_ns as f64 / found.best_ns.max(1) as f64;
            rows.push(vec![
                kernel.kernel.clone(),
                kernel.field.clone(),
                found.layout.clone(),
                found.candidates.to_string(),
                duration(found.default_ns),
                duration(found.best_ns),
                format!("{gain:.2}"),
            ]);
            for rejected in &found.rejected {
                notes += &format!("\n{names}: left out {rejected}");
            }
            if let Some(why) = &found.not_kept {
                notes += &format!("\n{names}: not kept for later: {why}");
            }
        }
        let header = [
            "KERNEL", "FIELD", "LAYOUT", "TRIED", "DEFAULT", "BEST", "GAIN",
        ];
        table(&header, 3, rows) + &notes
    }
}
