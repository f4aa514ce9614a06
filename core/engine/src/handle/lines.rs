//! A journal as lines for people: what its script, its machines and the coordinator said.

use froben_journal::{Body, CallOp, Finish, Record, Seq, Store};
use froben_model::view::LogLine;
use froben_model::{WorkflowId, limits};

use crate::children::child_id;

/// Records that a look into the journal reads at once.
const PAGE: usize = 1000;

pub(super) fn log_lines(
    store: &dyn Store,
    workflow: WorkflowId,
    mut from: Seq,
    limit: usize,
) -> Result<Vec<LogLine>, froben_journal::Error> {
    let mut lines = Vec::new();
    loop {
        let page = store.read(workflow, from, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(lines);
        };
        from = last + 1;
        for (seq, record) in page {
            lines.extend(log_line(workflow, seq, record));
            if lines.len() >= limit {
                return Ok(lines);
            }
        }
    }
}

/// What a record says to somebody who reads the log.
fn log_line(workflow: WorkflowId, seq: Seq, record: Record) -> Option<LogLine> {
    let Record { time_ms, body } = record;
    let coordinator = "coordinator".to_string();
    let (source, text) = match body {
        Body::Logged {
            source,
            text,
            of: _,
        } => (source, text),
        Body::Called(called) => match called.op {
            CallOp::Log { text } => ("script".to_string(), text),
            CallOp::Run { pipeline, key, .. } => {
                let name = if key.is_empty() { "" } else { " as " };
                let child = child_id(workflow, called.call);
                let text = format!("{} runs {pipeline}{name}{key}: {child}", called.call);
                (coordinator, text)
            }
            _ => return None,
        },
        Body::Submitted(submitted) => {
            let pipeline = submitted.pipeline;
            let text = match submitted.forked_from {
                None => format!("submitted to {pipeline}"),
                Some(from) => format!("{pipeline} forked from {} at {}", from.workflow, from.step),
            };
            (coordinator, text)
        }
        Body::Assigned(assigned) => {
            let text = format!(
                "{} attempt {} goes to {}",
                assigned.call, assigned.attempt, assigned.machine
            );
            (coordinator, text)
        }
        Body::Lost {
            call,
            attempt,
            failure,
        } => {
            let text = format!(
                "{call} attempt {attempt} ended as {}: {}; its delegation goes on",
                failure.class, failure.message
            );
            (coordinator, text)
        }
        Body::Requeued {
            call,
            attempt,
            reason,
            fault: _,
        } => (
            coordinator,
            format!("{call} attempt {attempt} is over: {reason}; queued again"),
        ),
        Body::Ended(ended) => {
            let failure = ended.failure?;
            let text = format!(
                "{} ended as {}: {}",
                ended.call, failure.class, failure.message
            );
            (coordinator, text)
        }
        Body::ChildEnded { call, finish } => {
            let how = match finish {
                Finish::Output(_) => "succeeded".to_string(),
                Finish::Cancelled => "was cancelled".to_string(),
                Finish::Failed(failure) => format!("failed: {failure}"),
            };
            (coordinator, format!("child {call} {how}"))
        }
        Body::CancelRequested => (coordinator, "cancel was asked for".to_string()),
        Body::Finished(Finish::Output(_)) => (coordinator, "succeeded".to_string()),
        Body::Finished(Finish::Cancelled) => (coordinator, "cancelled".to_string()),
        Body::Finished(Finish::Failed(failure)) => (coordinator, format!("failed: {failure}")),
        Body::Paused => (coordinator, "paused".to_string()),
        Body::Resumed => (coordinator, "goes on".to_string()),
        Body::Migrated { revision } => (coordinator, format!("keeps revision {revision} now")),
        Body::Started { .. }
        | Body::Item(_)
        | Body::Claimed(_)
        | Body::Slept { .. }
        | Body::Tallied(_) => return None,
    };
    let text = limits::one_line(&text);
    Some(LogLine {
        seq,
        time_ms,
        source,
        text,
    })
}
