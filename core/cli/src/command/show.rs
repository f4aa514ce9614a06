//! Commands that ask and print: status, list, cancel, logs, pipelines, machines.

use std::time::Duration;

use froben_model::view::LogLine;
use serde_json::json;

use crate::args::{Format, List, Logs, Query, Workflow};
use crate::client::Client;
use crate::command::wait::{now_ms, parse_id};
use crate::error::Error;
use crate::output::{json, print_json, text};
use crate::session::{Session, block_on};

/// Between two looks for new log lines.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Lines that are asked for at once.
const PAGE: u32 = 1000;

/// Asks once.
pub(crate) fn ask<T>(
    query: &Query,
    ask: impl AsyncFn(&Client) -> Result<T, froben_wire::Error>,
) -> Result<T, Error> {
    block_on(async {
        let mut session = Session::new(&query.remote)?;
        Ok(ask(session.client().await?).await?)
    })
}

pub(crate) fn status(args: &Workflow) -> Result<(), Error> {
    let id = parse_id(&args.id)?;
    let detail = ask(&args.query, async |client| client.status(id).await)?;
    match args.query.output {
        Format::Json => print_json(&json::detail(&detail)),
        Format::Text => println!("{}", text::detail(&detail, now_ms())),
    }
    Ok(())
}

pub(crate) fn list(args: &List) -> Result<(), Error> {
    let workflows = ask(&args.query, async |client| client.list(args.limit).await)?;
    match args.query.output {
        Format::Json => print_json(&workflows.iter().map(json::summary).collect()),
        Format::Text => println!("{}", text::list(&workflows, now_ms())),
    }
    Ok(())
}

pub(crate) fn cancel(args: &Workflow) -> Result<(), Error> {
    let id = parse_id(&args.id)?;
    let state = ask(&args.query, async |client| client.cancel(id).await)?;
    match args.query.output {
        Format::Json => print_json(&json!({ "id": id.to_string(), "state": state.name() })),
        Format::Text => println!("{id} is {state}"),
    }
    Ok(())
}

pub(crate) fn pipelines(query: &Query) -> Result<(), Error> {
    let pipelines = ask(query, async |client| client.pipelines().await)?;
    match query.output {
        Format::Json => print_json(&pipelines.iter().map(json::pipeline).collect()),
        Format::Text => println!("{}", text::pipelines(&pipelines)),
    }
    Ok(())
}

pub(crate) fn machines(query: &Query) -> Result<(), Error> {
    let machines = ask(query, async |client| client.machines().await)?;
    match query.output {
        Format::Json => print_json(&machines.iter().map(json::machine).collect()),
        Format::Text => println!("{}", text::machines(&machines)),
    }
    Ok(())
}

pub(crate) fn logs(args: &Logs) -> Result<(), Error> {
    let Logs { id, follow, query } = args;
    let id = parse_id(id)?;
    block_on(async {
        let mut session = Session::new(&query.remote)?;
        let (mut from, mut begin) = (0, None);
        let mut over = !follow;
        loop {
            // Asked before the lines are read, so that the last ones are not missed.
            if *follow {
                over = session
                    .client()
                    .await?
                    .status(id)
                    .await?
                    .summary
                    .state
                    .ended();
            }
            loop {
                let lines = session.client().await?.logs(id, from, PAGE).await?;
                let Some(last) = lines.last() else { break };
                from = last.seq + 1;
                lines
                    .iter()
                    .for_each(|line| print_line(line, query.output, &mut begin));
            }
            if over {
                return Ok(());
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    })
}

/// One line; with `json`, one document a line.
fn print_line(line: &LogLine, format: Format, begin: &mut Option<u64>) {
    let begin = *begin.get_or_insert(line.time_ms);
    match format {
        Format::Json => println!("{}", json::log_line(line)),
        Format::Text => println!("{}", text::log_line(line, begin)),
    }
}
