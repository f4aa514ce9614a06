//! Whether each kernel gives its known answers.

use serde::{Deserialize, Serialize};

use super::Findings;
use super::table::table;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Found {
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Check {
    kernel: String,
    field: String,
    ok: bool,
    error: Option<String>,
}

impl Findings for Found {
    fn failed(&self) -> bool {
        self.checks.iter().any(|check| !check.ok)
    }

    fn table(&self) -> String {
        let rows = self.checks.iter().map(|check| {
            let said = match (&check.error, check.ok) {
                (_, true) => "right",
                (Some(error), false) => error,
                (None, false) => "wrong",
            };
            [&check.kernel, &check.field, said]
                .map(str::to_owned)
                .to_vec()
        });
        table(&["KERNEL", "FIELD", "ANSWERS"], 3, rows.collect())
    }
}
