//! `froben trail`: what became of a workflow's delegations, attempt by attempt.

use froben_model::trail::{DelegationTrail, TrailPage, TrailQuery};
use serde_json::json;

use crate::args::{Format, Trail};
use crate::command::wait::{now_ms, parse_id};
use crate::command::workflow::refused;
use crate::error::Error;
use crate::output::{print_json, text, trail};
use crate::session::{Session, block_on};

/// Delegations that are asked for at once.
const PAGE: usize = 500;

pub(crate) fn trail(args: &Trail) -> Result<(), Error> {
    let Trail {
        id,
        which,
        failed,
        full,
        limit,
        query,
    } = args;
    let id = parse_id(id)?;
    let (summary, trails, more) = block_on(async {
        let mut session = Session::new(&query.remote)?;
        let client = session.client().await?;
        let summary = client.status(id).await?.summary;
        let mut trails: Vec<DelegationTrail> = Vec::new();
        let mut from = Some(froben_model::CallId(0));
        while let Some(call) = from.filter(|_| trails.len() < *limit) {
            let asked = TrailQuery {
                which: which.clone().unwrap_or_default(),
                failed: *failed,
                from: call,
                limit: PAGE.min(*limit - trails.len()),
            };
            let TrailPage { delegations, next } =
                client.trail(id, &asked).await?.map_err(refused)?;
            trails.extend(delegations);
            from = next;
        }
        Ok::<_, Error>((summary, trails, from.is_some()))
    })?;
    match query.output {
        Format::Json => {
            let delegations: Vec<_> = trails.iter().map(trail::json).collect();
            print_json(&json!({
                "workflow": id.to_string(),
                "delegations": delegations,
                "more": more,
            }));
        }
        Format::Text => {
            let now = now_ms();
            println!("{}", text::headline(&summary, now));
            let in_full = *full || which.is_some();
            for delegation in &trails {
                println!("{}", trail::trail(delegation, in_full, now));
            }
            if trails.is_empty() {
                println!("{}", nothing(*failed));
            }
        }
    }
    if more {
        eprintln!(
            "there are more: `--limit` shows up to 10000, a key or the number of a call one of them"
        );
    }
    Ok(())
}

fn nothing(failed: bool) -> &'static str {
    match failed {
        true => "nothing has failed",
        false => "it has handed out nothing",
    }
}
