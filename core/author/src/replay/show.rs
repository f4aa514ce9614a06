//! A step of a replay, for people and for programs.

use std::fmt::Write;

use froben_model::Value;
use froben_script::Standing;
use serde_json::{Value as Json, json};

use super::{End, Step};

/// Of a value that a script was told or returned.
const SHOWN_CHARS: usize = 120;

/// The step, a line for each thing that happened in it.
pub fn step_lines(step: &Step) -> String {
    let mut text = String::new();
    let seconds = step.since_ms as f64 / 1000.0;
    let Step {
        number,
        seq,
        since_ms: _,
        fed,
        calls,
        standings,
        end,
    } = step;
    line(
        &mut text,
        &format!("step {number}, record {seq}, {seconds:.3} s"),
    );
    for fed in fed {
        line(&mut text, &format!("  told   {fed}"));
    }
    for call in calls {
        let record = match call.seq {
            Some(seq) => format!("record {seq}"),
            None => "not in the journal".to_string(),
        };
        let at = call.line;
        line(
            &mut text,
            &format!("  call   #{} {} ({record}, line {at})", call.id, call.what),
        );
    }
    match end {
        End::Waits => {
            for standing in standings {
                line(&mut text, &format!("  waits  {}", place(standing)));
            }
        }
        End::Returned(value) => line(&mut text, &format!("  returned {value}")),
        End::Failed(failure) => line(&mut text, &format!("  failed {failure}")),
        End::Diverged { seq, expected, got } => {
            line(&mut text, &format!("  DIVERGES at record {seq}"));
            line(&mut text, &format!("    expected  {expected}"));
            line(&mut text, &format!("    got       {got}"));
        }
    }
    text
}

/// Where a thread waits: the innermost line, then those that called it.
fn place(standing: &Standing) -> String {
    let mut text = match standing.number {
        0 => String::new(),
        number => format!("fiber {number}: "),
    };
    for (position, frame) in standing.frames.iter().enumerate() {
        if position > 0 {
            text.push_str(", called at ");
        }
        let _ = write!(text, "{}:{}", frame.path, frame.line);
    }
    text
}

/// The locals of every frame.
pub fn locals(step: &Step) -> String {
    let mut text = String::new();
    for standing in &step.standings {
        for frame in &standing.frames {
            let name = match frame.function.as_str() {
                "" => String::new(),
                name => format!(" in {name}"),
            };
            let fiber = match standing.number {
                0 => String::new(),
                number => format!(" (fiber {number})"),
            };
            line(
                &mut text,
                &format!("  {}:{}{name}{fiber}", frame.path, frame.line),
            );
            for local in &frame.locals {
                line(&mut text, &format!("    {} = {}", local.name, local.value));
            }
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

pub fn json(step: &Step) -> Json {
    let Step {
        number,
        seq,
        since_ms,
        fed,
        calls,
        standings,
        end,
    } = step;
    let calls = calls.iter().map(
        |call| json!({ "id": call.id, "line": call.line, "what": call.what, "record": call.seq }),
    );
    let standings = standings.iter().map(|standing| {
        let frames = standing.frames.iter().map(|frame| {
            let locals = frame.locals.iter();
            let locals = locals.map(|local| json!({ "name": local.name, "value": local.value }));
            json!({
                "path": frame.path,
                "line": frame.line,
                "function": frame.function,
                "locals": locals.collect::<Vec<_>>(),
            })
        });
        json!({ "fiber": standing.number, "frames": frames.collect::<Vec<_>>() })
    });
    let end = match end {
        End::Waits => json!({ "state": "waits" }),
        End::Returned(value) => json!({ "state": "returned", "value": value }),
        End::Failed(failure) => json!({
            "state": "failed", "code": failure.code.as_str(), "message": failure.message,
        }),
        End::Diverged { seq, expected, got } => json!({
            "state": "diverged", "record": seq, "expected": expected, "got": got,
        }),
    };
    json!({
        "step": number,
        "record": seq,
        "ms": since_ms,
        "told": fed,
        "calls": calls.collect::<Vec<_>>(),
        "standings": standings.collect::<Vec<_>>(),
        "end": end,
    })
}

/// A value in few words.
pub(super) fn value(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn write_value(text: &mut String, value: &Value) {
    if text.len() > 4 * SHOWN_CHARS {
        return;
    }
    match value {
        Value::Nil => text.push_str("nil"),
        Value::Bool(bool) => text.push_str(if *bool { "true" } else { "false" }),
        Value::Int(int) => text.push_str(&int.to_string()),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::Text(string) => {
            let short: String = string.chars().take(SHOWN_CHARS).collect();
            text.push_str(&format!("{short:?}"));
        }
        Value::List(list) => {
            text.push('{');
            for (position, element) in list.iter().enumerate() {
                text.push_str(if position == 0 { " " } else { ", " });
                write_value(text, element);
            }
            text.push_str(" }");
        }
        Value::Map(map) => {
            text.push('{');
            for (position, (name, element)) in map.iter().enumerate() {
                text.push_str(if position == 0 { " " } else { ", " });
                text.push_str(name);
                text.push_str(" = ");
                match froben_script::is_secret_name(name) {
                    true => text.push_str("(hidden)"),
                    false => write_value(text, element),
                }
            }
            text.push_str(if map.is_empty() { "}" } else { " }" });
        }
        Value::Blob(blob) => {
            let hash: String = blob.hash.to_string().chars().take(12).collect();
            text.push_str(&format!("blob {hash} ({} bytes)", blob.size_bytes));
        }
    }
}
