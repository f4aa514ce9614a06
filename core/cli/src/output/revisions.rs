//! Plans and the history, as text and as JSON.

use std::fmt::Write;
use std::path::Path;

use comfy_table::Table;
use froben_model::TimeMs;
use froben_model::revision::{Plan, ScriptProblem, Served};
use serde_json::json;

use crate::command::scripts::{FileChange, PipelineChange, Planned};
use crate::output::text::{seconds, table, text};

/// A moment for people, in UTC.
fn date(ms: TimeMs) -> String {
    froben_wire::date(i64::try_from(ms / 1000).unwrap_or(i64::MAX))
}

pub(crate) fn history(entries: &[Served]) -> String {
    let mut rows = table(&["index", "revision", "served since", "by", "origin", "note"]);
    for entry in entries {
        let Served {
            index,
            revision,
            time_ms,
            by,
            origin,
            note,
        } = entry;
        rows.add_row([
            format!("#{index}"),
            revision.short(),
            date(*time_ms),
            by.clone(),
            origin.to_string(),
            note.clone(),
        ]);
    }
    text(&rows)
}

pub(crate) fn plan(planned: &Planned, dir: &Path, now: TimeMs) -> String {
    let Planned {
        plan,
        files,
        pipelines,
    } = planned;
    let Plan {
        serving,
        revision,
        known_as,
        problems,
        live,
        omitted,
        before: _,
        after: _,
    } = plan;
    let mut out = String::new();
    for FileChange { diff, .. } in files {
        out.push_str(diff);
        out.push('\n');
    }
    // Writing to a string never fails.
    let age = seconds(now.saturating_sub(serving.time_ms));
    let _ = writeln!(
        out,
        "served: #{}, revision {}, since {} ({age}), by {}",
        serving.index,
        serving.revision.short(),
        date(serving.time_ms),
        serving.by,
    );
    if *revision == serving.revision {
        let _ = writeln!(out, "{}: the same, nothing to apply", dir.display());
    } else {
        let known = known_as.map_or(String::new(), |index| {
            format!(", served before as #{index}")
        });
        let _ = writeln!(
            out,
            "{}: revision {}{known}",
            dir.display(),
            revision.short()
        );
    }
    if !problems.is_empty() {
        return out;
    }
    if *omitted {
        let _ = writeln!(out, "there are too many pipelines to compare them here");
    }
    if !pipelines.is_empty() {
        let _ = writeln!(out, "\npipelines:");
        pipelines
            .iter()
            .for_each(|change| pipeline(&mut out, change));
    }
    if !live.is_empty() {
        let mut rows: Table = table(&["live workflows", "revision"]);
        for (revision, workflows) in live {
            let served = match *revision == serving.revision {
                true => ", which is served",
                false => "",
            };
            rows.add_row([
                workflows.to_string(),
                format!("{}{served}", revision.short()),
            ]);
        }
        let _ = writeln!(out, "\n{}\nThey keep their revision.", text(&rows));
    }
    if *revision != serving.revision {
        let _ = writeln!(
            out,
            "\nTo apply it: froben scripts apply {} --check-index {}",
            dir.display(),
            serving.index
        );
    }
    out
}

fn pipeline(out: &mut String, change: &PipelineChange) {
    let PipelineChange {
        name,
        change,
        signature,
        files,
    } = change;
    let _ = writeln!(out, "  {name}: {}", change.name());
    for line in signature {
        let _ = writeln!(out, "    {line}");
    }
    if !files.is_empty() {
        let _ = writeln!(out, "    by {}", files.join(", "));
    }
}

pub(crate) fn entry_json(entry: &Served) -> serde_json::Value {
    let Served {
        index,
        revision,
        time_ms,
        by,
        origin,
        note,
    } = entry;
    json!({
        "index": index,
        "revision": revision.to_string(),
        "time_ms": time_ms,
        "by": by,
        "origin": origin.name(),
        "note": note,
    })
}

pub(crate) fn problem_json(problem: &ScriptProblem) -> serde_json::Value {
    let ScriptProblem {
        code,
        path,
        line,
        message,
        hint,
    } = problem;
    json!({ "code": code, "path": path, "line": line, "message": message, "hint": hint })
}

pub(crate) fn plan_json(planned: &Planned) -> serde_json::Value {
    let Planned {
        plan,
        files,
        pipelines,
    } = planned;
    let file = |file: &FileChange| {
        let FileChange { path, change, diff } = file;
        json!({ "path": path, "change": change.name(), "diff": diff })
    };
    let pipeline = |pipeline: &PipelineChange| {
        let PipelineChange {
            name,
            change,
            signature,
            files,
        } = pipeline;
        json!({
            "name": name,
            "change": change.name(),
            "signature": signature,
            "files": files,
        })
    };
    let live = plan.live.iter().map(
        |(revision, workflows)| json!({ "revision": revision.to_string(), "workflows": workflows }),
    );
    json!({
        "check_index": plan.serving.index,
        "serving": entry_json(&plan.serving),
        "revision": plan.revision.to_string(),
        "known_as": plan.known_as,
        "changed": plan.revision != plan.serving.revision,
        "problems": plan.problems.iter().map(problem_json).collect::<Vec<_>>(),
        "files": files.iter().map(file).collect::<Vec<_>>(),
        "pipelines": pipelines.iter().map(pipeline).collect::<Vec<_>>(),
        "pipelines_omitted": plan.omitted,
        "live": live.collect::<Vec<_>>(),
    })
}
