//! Views as text and tables.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{Table, presets};
use froben_model::view::{
    DelegationView, LogLine, MachineView, PipelineInfo, WorkflowDetail, WorkflowSummary,
};
use froben_model::{TimeMs, Value, limits};

use crate::output::json;

pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().copied());
    table
}

/// A table's text, without the blanks at the ends of its lines.
pub(crate) fn text(table: &Table) -> String {
    let lines = table.to_string();
    let lines: Vec<_> = lines.lines().map(str::trim_end).collect();
    lines.join("\n")
}

pub(crate) fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{size:.1} {}", UNITS[unit]),
    }
}

/// The whole of a workflow: headline, stages, delegations by kind, machines.
pub(crate) fn detail(detail: &WorkflowDetail, now: TimeMs) -> String {
    let WorkflowDetail {
        summary,
        stages,
        delegations,
        waiting,
    } = detail;
    let mut parts = vec![headline(summary, now), output(&summary.output)];
    if !stages.is_empty() {
        let mut rows = table(&["stage", "done", "time"]);
        for stage in stages {
            let until = stage.ended_ms.unwrap_or(now);
            rows.add_row([
                stage.phase.clone(),
                format!("{}/{}", stage.done, stage.total),
                seconds(until.saturating_sub(stage.started_ms)),
            ]);
        }
        parts.push(text(&rows));
    }
    if !delegations.is_empty() {
        parts.push(by_kind(delegations, now));
        parts.push(by_machine(delegations, now));
    }
    let failures: Vec<_> = delegations.iter().filter_map(failure_line).collect();
    if !failures.is_empty() {
        parts.push(format!("failed delegations:\n{}", failures.join("\n")));
    }
    if !waiting.is_empty() {
        parts.push(format!("waiting because:\n  {}", waiting.join("\n  ")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

pub(crate) fn headline(summary: &WorkflowSummary, now: TimeMs) -> String {
    let took = summary
        .ended_ms
        .unwrap_or(now)
        .saturating_sub(summary.submitted_ms);
    let mut line = format!(
        "{}  {} ({})  {} after {}",
        summary.id,
        summary.pipeline,
        summary.inputs,
        summary.state,
        seconds(took)
    );
    if let Some(parent) = &summary.parent {
        line.push_str(&format!("\nchild of {parent}"));
    }
    if let Some(failure) = &summary.failure {
        line.push_str(&format!("\n{failure}"));
    }
    line
}

/// What the workflow gave, a line each.
fn output(output: &Value) -> String {
    let Value::Map(map) = output else {
        return String::new();
    };
    let lines = map.iter().map(|(name, value)| {
        let value = match value {
            Value::Blob(blob) => format!("blob {} ({})", blob.hash, bytes(blob.size_bytes)),
            Value::Text(text) => text.clone(),
            other => json::value(other).to_string(),
        };
        limits::one_line(&format!("{name} = {value}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn by_kind(delegations: &[DelegationView], now: TimeMs) -> String {
    let mut kinds: BTreeMap<String, Vec<&DelegationView>> = BTreeMap::new();
    for delegation in delegations {
        kinds
            .entry(delegation.kind.to_string())
            .or_default()
            .push(delegation);
    }
    let header = [
        "kind",
        "delegations",
        "ended",
        "items ok",
        "items failed",
        "busy",
        "device",
    ];
    let mut rows = table(&header);
    for (kind, group) in kinds {
        let devices: BTreeSet<&str> = group.iter().filter_map(|d| d.device.as_deref()).collect();
        let sum = |count: fn(&DelegationView) -> u32| group.iter().map(|d| count(d)).sum::<u32>();
        rows.add_row([
            kind,
            group.len().to_string(),
            group.iter().filter(|d| d.state.ended()).count().to_string(),
            format!("{}/{}", sum(|d| d.items_ok), sum(|d| d.items_total)),
            sum(|d| d.items_failed).to_string(),
            seconds(group.iter().map(|d| busy_ms(d, now)).sum()),
            match devices.is_empty() {
                true => "CPU".to_string(),
                false => devices.into_iter().collect::<Vec<_>>().join(", "),
            },
        ]);
    }
    text(&rows)
}

fn by_machine(delegations: &[DelegationView], now: TimeMs) -> String {
    let mut machines: BTreeMap<String, (usize, u32, u64)> = BTreeMap::new();
    for delegation in delegations {
        let Some(machine) = &delegation.machine else {
            continue;
        };
        let (count, items, busy) = machines.entry(machine.to_string()).or_default();
        *count += 1;
        *items += delegation.items_ok;
        *busy += busy_ms(delegation, now);
    }
    if machines.is_empty() {
        return String::new();
    }
    let mut rows = table(&["machine", "delegations", "items ok", "busy"]);
    for (machine, (count, items, busy)) in machines {
        rows.add_row([machine, count.to_string(), items.to_string(), seconds(busy)]);
    }
    text(&rows)
}

fn busy_ms(delegation: &DelegationView, now: TimeMs) -> u64 {
    let since = delegation.assigned_ms;
    since.map_or(0, |since| {
        delegation.ended_ms.unwrap_or(now).saturating_sub(since)
    })
}

fn failure_line(delegation: &DelegationView) -> Option<String> {
    let error = delegation.error.as_ref()?;
    let machine = delegation
        .machine
        .as_ref()
        .map_or("nobody", |machine| machine.as_str());
    Some(format!(
        "  {} on {machine}: {}: {}",
        delegation.key, error.class, error.message
    ))
}

pub(crate) fn list(workflows: &[WorkflowSummary], now: TimeMs) -> String {
    if workflows.is_empty() {
        return "no workflows".to_string();
    }
    let parents = workflows.iter().any(|summary| summary.parent.is_some());
    let header = [
        "id", "pipeline", "inputs", "state", "age", "time", "child of",
    ];
    let mut rows = table(&header[..if parents { 7 } else { 6 }]);
    for summary in workflows {
        let ended = summary.ended_ms.unwrap_or(now);
        let mut row = vec![
            summary.id.to_string(),
            summary.pipeline.clone(),
            summary.inputs.clone(),
            summary.state.to_string(),
            seconds(now.saturating_sub(summary.submitted_ms)),
            seconds(ended.saturating_sub(summary.submitted_ms)),
        ];
        row.extend(summary.parent.map(|parent| parent.to_string()));
        rows.add_row(row);
    }
    text(&rows)
}

pub(crate) fn machines(machines: &[MachineView]) -> String {
    if machines.is_empty() {
        return "no machines are connected".to_string();
    }
    let header = [
        "machine", "cores", "ram", "device", "running", "ok", "failed", "kinds",
    ];
    let mut rows = table(&header);
    for machine in machines {
        let devices: Vec<_> = machine
            .devices
            .iter()
            .map(|device| device.name.as_str())
            .collect();
        let kinds: Vec<_> = machine.kinds.iter().map(|kind| kind.as_str()).collect();
        rows.add_row([
            machine.name.to_string(),
            machine.cpu_cores.to_string(),
            bytes(machine.ram_bytes),
            devices.join(", "),
            match machine.draining {
                true => format!("{}, the last", machine.attempts),
                false => machine.attempts.to_string(),
            },
            machine.succeeded.to_string(),
            machine.failed.to_string(),
            kinds.join(" "),
        ]);
    }
    text(&rows)
}

pub(crate) fn pipelines(pipelines: &[PipelineInfo]) -> String {
    let mut rows = table(&["pipeline", "inputs", "revision"]);
    for pipeline in pipelines {
        let inputs: Vec<_> = pipeline
            .inputs
            .iter()
            .map(|input| {
                let optional = if input.optional { "?" } else { "" };
                format!("{}{optional}: {}", input.name, input.kind)
            })
            .collect();
        let revision = pipeline.revision.chars().take(12).collect::<String>();
        rows.add_row([pipeline.name.clone(), inputs.join(", "), revision]);
    }
    text(&rows)
}

/// One line of a log, its time since the workflow's first line.
pub(crate) fn log_line(line: &LogLine, begin: TimeMs) -> String {
    let since = line.time_ms.saturating_sub(begin);
    format!("{:>9}  {:<24}  {}", seconds(since), line.source, line.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_returns_steers_no_terminal() {
        let given = Value::map([
            ("a\u{202e}", Value::text("b\u{1b}[31m")),
            ("c", Value::List(vec![Value::text("d\u{2066}\u{9b}e")])),
            ("f", Value::Int(1)),
        ]);
        assert_eq!(output(&given), "a  = b [31m\nc = [\"d  e\"]\nf = 1");
    }

    #[test]
    fn sizes_are_readable() {
        for (size, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (24 << 30, "24.0 GiB"),
        ] {
            assert_eq!(bytes(size), shown);
        }
    }
}
