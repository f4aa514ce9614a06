//! Live progress on standard error: one line that is redrawn on a terminal, a line now and then
//! elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use froben_model::view::{DelegationState, WorkflowDetail};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed when it can't be redrawn.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last: String,
    printed: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4}  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Progress {
            bar,
            last: String::new(),
            printed: None,
        }
    }

    pub(crate) fn show(&mut self, detail: &WorkflowDetail) {
        self.line(line(detail));
    }

    /// Says something that is not progress, like a lost connection. Once, until it changes.
    pub(crate) fn say(&mut self, text: &str) {
        if self.last != text {
            self.printed = None;
        }
        self.line(text.to_string());
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn line(&mut self, line: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(line);
            return;
        }
        let due = self
            .printed
            .is_none_or(|printed| printed.elapsed() >= EVERY);
        if due && line != self.last {
            eprintln!("{line}");
            self.last = line;
            self.printed = Some(Instant::now());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(detail: &WorkflowDetail) -> String {
    let stages = detail.stages.iter().map(|stage| match stage.ended_ms {
        Some(_) => format!("{} done", stage.phase),
        None => format!("{} {}/{}", stage.phase, stage.done, stage.total),
    });
    let mut line = stages.collect::<Vec<_>>().join(" · ");
    if line.is_empty() {
        line.push_str("started");
    }
    let count = |wanted| {
        detail
            .delegations
            .iter()
            .filter(|d| d.state == wanted)
            .count()
    };
    let (running, queued) = (
        count(DelegationState::Running),
        count(DelegationState::Queued),
    );
    if running + queued > 0 {
        line.push_str(&format!(" ({running} delegations run, {queued} wait"));
        // Only when nothing moves is it of interest why.
        if let (0, Some(why)) = (running, detail.waiting.first()) {
            line.push_str(&format!(": {why}"));
        }
        line.push(')');
    }
    line
}
