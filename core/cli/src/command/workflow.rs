//! `froben workflow`: pause, resume, cancel, fork, migrate, export.

use froben_model::WorkflowId;
use froben_model::view::{Failure, WorkflowState};
use serde_json::json;

use crate::args::{Export, Fork, Format, Migrate, Workflow, WorkflowVerb};
use crate::client::{Client, Moved, Stays};
use crate::command::replay;
use crate::command::show::{self, ask};
use crate::command::submit::{PATIENCE, fresh_key};
use crate::command::wait::parse_id;
use crate::error::{Error, Exit};
use crate::output::print_json;
use crate::session::{Session, block_on};

pub(crate) fn run(verb: &WorkflowVerb) -> Result<(), Error> {
    match verb {
        WorkflowVerb::Pause(args) => set(args, async |client, id| client.pause(id).await),
        WorkflowVerb::Resume(args) => set(args, async |client, id| client.resume(id).await),
        WorkflowVerb::Cancel(args) => show::cancel(args),
        WorkflowVerb::Fork(args) => fork(args),
        WorkflowVerb::Migrate(args) => migrate(args),
        WorkflowVerb::Export(args) => export(args),
        WorkflowVerb::Replay(args) => replay::run(args),
    }
}

fn set(
    args: &Workflow,
    change: impl AsyncFn(&Client, WorkflowId) -> Result<WorkflowState, froben_wire::Error>,
) -> Result<(), Error> {
    let id = parse_id(&args.id)?;
    let state = ask(&args.query, async |client| change(client, id).await)?;
    match args.query.output {
        Format::Json => print_json(&json!({ "id": id.to_string(), "state": state.name() })),
        Format::Text if state.ended() => {}
        Format::Text => println!("{id} is {state}"),
    }
    match state.ended() {
        // Nothing was changed, and nobody should wait for what can't come.
        true => Err(Error::new(Exit::Usage, format!("{id} is over: {state}"))
            .code("FRB-WFL-006")
            .hint(format!(
                "`froben workflow fork {id} --from STEP` begins a new one from it"
            ))),
        false => Ok(()),
    }
}

fn fork(args: &Fork) -> Result<(), Error> {
    let Fork {
        id,
        from,
        revision,
        key,
        query,
    } = args;
    let id = parse_id(id)?;
    let key = key.clone().unwrap_or_else(fresh_key);
    let forked = block_on(async {
        let mut session = Session::new(&query.remote)?;
        let quiet = |_: &froben_wire::Error| {};
        session
            .insist(PATIENCE, quiet, async |client| {
                client.fork(id, from, revision, &key).await
            })
            .await
    })?;
    let fork = forked.map_err(refused)?;
    match query.output {
        Format::Json => {
            print_json(&json!({ "id": fork.to_string(), "forked_from": id.to_string() }))
        }
        Format::Text => println!("{fork}"),
    }
    Ok(())
}

fn migrate(args: &Migrate) -> Result<(), Error> {
    let Migrate {
        id,
        dry_run,
        revision,
        query,
    } = args;
    let id = parse_id(id)?;
    let moved = ask(query, async |client| {
        client.migrate(id, revision, *dry_run).await
    })?;
    let Moved {
        revision,
        calls,
        beyond,
        switched,
    } = moved.map_err(|stays| stayed(id, stays))?;
    match query.output {
        Format::Json => print_json(&json!({
            "id": id.to_string(),
            "revision": revision,
            "calls": calls,
            "new_calls": beyond,
            "switched": switched,
        })),
        Format::Text => {
            let fits = match switched {
                true => "moved to",
                false => "could move to",
            };
            println!("{id} {fits} {revision}: its {calls} calls are the same, {beyond} are new");
        }
    }
    Ok(())
}

fn stayed(id: WorkflowId, stays: Stays) -> Error {
    let Stays { why, parting } = stays;
    let shown = refused(why);
    match parting {
        Some((call, revision)) => shown.hint(format!(
            "to go on from there: froben workflow fork {id} --from {} --revision {}",
            call.0,
            revision.short()
        )),
        None => shown,
    }
}

fn export(args: &Export) -> Result<(), Error> {
    let Export {
        id,
        output,
        keep_names,
        force,
        remote,
    } = args;
    let id = parse_id(id)?;
    if output.exists() && !force {
        let message = format!("{} exists already", output.display());
        return Err(Error::usage(message).hint("choose another file, or give --force"));
    }
    let bytes = block_on(async {
        let mut session = Session::new(remote)?;
        let client = session.client().await?;
        Ok(client.export(id, *keep_names, output).await?)
    })?;
    let bytes = bytes.map_err(refused)?;
    eprintln!("wrote {}, {bytes} bytes", output.display());
    eprintln!("{}", what_it_tells(*keep_names));
    Ok(())
}

/// Of an export, before it is given away.
fn what_it_tells(keep_names: bool) -> &'static str {
    match keep_names {
        true => "people, machines, secrets and the scripts are in it as they are",
        false => {
            "people and machines have pseudonyms in it, secrets have stand-ins; the scripts are in it as \
             they are"
        }
    }
}

/// A refusal of the coordinator's.
pub(crate) fn refused(failure: Failure) -> Error {
    let Failure { code, message } = failure;
    let (exit, hint) = match code.as_str() {
        "FRB-WFL-004" => (Exit::NotFound, None),
        "FRB-WFL-005" => {
            let hint = "`newest`, or a revision that was served: `froben scripts history` lists them, \
                        `froben status ID -o json` has the one that a workflow keeps";
            (Exit::NotFound, Some(hint))
        }
        "FRB-WFL-006" => (Exit::Usage, None),
        "FRB-WFL-007" => (Exit::Script, Some("add --keep-names")),
        "FRB-SUB-004" => (Exit::RetryLater, None),
        "FRB-LUA-008" => {
            let hint = "`froben workflow fork` from that call keeps what is the same before it";
            (Exit::Script, Some(hint))
        }
        _ => (Exit::Script, None),
    };
    let shown = Error::new(exit, message).code(code);
    match hint {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}
