//! Whether each kernel gives its known answers.

use serde::{Deserialize, Serialize};

use super::Subject;
use super::table::table;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(flatten)]
    subject: Subject,
    checks: Vec<Check>,
    error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Check {
    kernel: String,
    field: String,
    ok: bool,
    error: Option<String>,
}

impl super::Report for Report {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn without(subject: Subject, error: String) -> Self {
        Report {
            subject,
            checks: Vec::new(),
            error: Some(error),
        }
    }

    fn failed(&self) -> bool {
        self.error.is_some() || self.checks.iter().any(|check| !check.ok)
    }

    fn table(&self) -> String {
        if let Some(error) = &self.error {
            return format!("failed: {error}");
        }
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
