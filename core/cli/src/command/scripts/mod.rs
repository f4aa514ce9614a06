//! `froben scripts`: which scripts new workflows run, and who said so.

mod changes;
mod check;
mod report;

use std::path::Path;

use froben_author::Sources;
use froben_model::revision::{Plan, Served};
use froben_model::{ScriptSet, limits};
use froben_wire::Identity;

use crate::args::{
    AdminRemote, ChangeArgs, Format, Scripts, ScriptsApply, ScriptsFetch, ScriptsHistory,
    ScriptsPlan, ScriptsRollback,
};
use crate::client::Admin;
use crate::command::new::quoted;
use crate::command::wait::now_ms;
use crate::error::{Error, Exit};
use crate::output::{print_json, revisions};
use crate::scripts;
use crate::session::block_on;

pub(crate) use changes::{FileChange, PipelineChange};
use report::{does_not_check, report};

pub(crate) fn run(command: Scripts) -> Result<(), Error> {
    match command {
        Scripts::Check(args) => check::check(&args),
        Scripts::Plan(args) => plan(&args),
        Scripts::Apply(args) => apply(&args),
        Scripts::History(args) => history(&args),
        Scripts::Rollback(args) => rollback(&args),
        Scripts::Fetch(args) => fetch(&args),
    }
}

async fn connect(remote: &AdminRemote) -> Result<Admin, Error> {
    let Some(remote) = remote.remote() else {
        return Err(
            Error::usage("--identity is needed: an admin's certificate").hint(
                "`froben ca issue --role admin` makes one; FROBEN_ADMIN_IDENTITY names its folder",
            ),
        );
    };
    let identity = Identity::load(&remote.identity)?;
    Ok(Admin::connect(&remote.coordinator, &identity).await?)
}

/// A plan, and what it changes.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) files: Vec<FileChange>,
    pub(crate) pipelines: Vec<PipelineChange>,
}

fn plan(args: &ScriptsPlan) -> Result<(), Error> {
    let ScriptsPlan { dir, query } = args;
    let set = scripts::read_to_send(dir)?;
    let (plan, served) = block_on(async {
        let admin = connect(&query.remote).await?;
        let plan = admin.plan(&set).await?;
        let (_, served) = admin.sources(&plan.serving.revision.to_string()).await?;
        Ok((plan, served))
    })?;
    let changed = plan.revision != plan.serving.revision;
    let files = changes::files(&served, &set);
    let pipelines = changes::pipelines(&plan, &served, &set);
    let planned = Planned {
        plan,
        files,
        pipelines,
    };
    match query.output {
        Format::Json => print_json(&revisions::plan_json(&planned)),
        Format::Text => print!("{}", revisions::plan(&planned, dir, now_ms())),
    }
    if !planned.plan.problems.is_empty() {
        let problems = &planned.plan.problems;
        return Err(does_not_check(problems, &set.files, query.output));
    }
    match changed {
        true => Err(Error::quiet(Exit::Changes)),
        false => Ok(()),
    }
}

fn apply(args: &ScriptsApply) -> Result<(), Error> {
    let ScriptsApply { dir, change, query } = args;
    let set = scripts::read_to_send(dir)?;
    let again = format!("froben scripts apply {}", dir.display());
    let look = format!("froben scripts plan {}", dir.display());
    block_on(async {
        check_note(&change.note)?;
        let admin = connect(&query.remote).await?;
        let index = check_index(&admin, change, &look, &again).await?;
        let changed = admin.apply(&set, index, &change.note).await;
        let changed = changed.map_err(unanswered)?;
        report(changed, index, None, &set.files, &look, query.output)
    })
}

fn rollback(args: &ScriptsRollback) -> Result<(), Error> {
    let ScriptsRollback {
        index: entry,
        to,
        change,
        query,
    } = args;
    let look = "froben scripts history";
    // As it was typed.
    let again = match (entry, to) {
        (Some(entry), _) => format!("froben scripts rollback {entry}"),
        (None, Some(to)) => format!("froben scripts rollback --to {to}"),
        (None, None) => "froben scripts rollback".to_string(),
    };
    let to = entry.or(*to);
    block_on(async {
        check_note(&change.note)?;
        let admin = connect(&query.remote).await?;
        let index = check_index(&admin, change, look, &again).await?;
        let changed = admin.rollback(to, index, &change.note).await;
        let changed = changed.map_err(unanswered)?;
        // The sources are the coordinator's; a problem's place tells its line.
        report(changed, index, to, &Sources::new(), look, query.output)
    })
}

fn history(args: &ScriptsHistory) -> Result<(), Error> {
    let ScriptsHistory {
        limit,
        before,
        query,
    } = args;
    let entries = block_on(async {
        let admin = connect(&query.remote).await?;
        Ok(admin.history(*before, *limit).await?)
    })?;
    match query.output {
        Format::Json => print_json(&entries.iter().map(revisions::entry_json).collect()),
        Format::Text => println!("{}", revisions::history(&entries)),
    }
    Ok(())
}

fn fetch(args: &ScriptsFetch) -> Result<(), Error> {
    let ScriptsFetch {
        revision,
        out,
        remote,
    } = args;
    let (hash, set) = block_on(async {
        let admin = connect(remote).await?;
        Ok(admin.sources(revision).await?)
    })?;
    write_set(&set, out)?;
    println!("wrote revision {hash} to {}", out.display());
    Ok(())
}

fn write_set(set: &ScriptSet, out: &Path) -> Result<(), Error> {
    for (path, source) in &set.files {
        // The coordinator only keeps such paths; that is no reason to trust it with others.
        if !is_plain(path) {
            let why = format!("the coordinator sent a file that is no script: {path:?}");
            return Err(Error::new(Exit::Unexpected, limits::one_line(&why)));
        }
        let to = out.join(path);
        if to.exists() {
            let why = format!("{} exists", to.display());
            return Err(Error::usage(why).hint("choose a folder that is empty, or new, with --out"));
        }
        let folder = to.parent().unwrap_or(out);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&to, source))
            .map_err(|error| Error::file("write", &to, &error))?;
    }
    Ok(())
}

/// Whether a path stays below the folder that it is put into.
fn is_plain(path: &str) -> bool {
    let mut parts = path.split('/');
    let plain = |part: &str| {
        let mut bytes = part.bytes();
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        !part.is_empty() && !part.starts_with('.') && bytes.all(fits)
    };
    parts.all(plain) && path.ends_with(".lua")
}

fn check_note(note: &str) -> Result<(), Error> {
    match note.len() <= limits::NOTE_BYTES {
        true => Ok(()),
        false => {
            let why = format!(
                "--note has {} bytes; at most {} fit",
                note.len(),
                limits::NOTE_BYTES
            );
            Err(Error::usage(why))
        }
    }
}

/// A change that was sent, and of which nothing was heard.
fn unanswered(error: froben_wire::Error) -> Error {
    let unknown = matches!(
        error,
        froben_wire::Error::Lost { .. } | froben_wire::Error::Timeout { .. }
    );
    let error = Error::from(error);
    match unknown {
        true => error.hint("it may have been done: look at `froben scripts history`"),
        false => error,
    }
}

/// The index that was given, or an error that tells it.
async fn check_index(
    admin: &Admin,
    change: &ChangeArgs,
    look: &str,
    again: &str,
) -> Result<u64, Error> {
    if let Some(index) = change.check_index {
        return Ok(index);
    }
    let Served { index, by, .. } = admin.serving().await?;
    let why = format!(
        "--check-index is needed, so that you change what you have seen: the newest entry is \
         #{index}, by {by}"
    );
    let note = match change.note.as_str() {
        "" => String::new(),
        note => format!(" --note {}", quoted(note)),
    };
    let hint = format!("look at `{look}`, then `{again} --check-index {index}{note}`");
    Err(Error::usage(why).code("FRB-SCR-004").hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_an_answer_may_have_been_done() {
        let reason = "reset".to_string();
        let lost = unanswered(froben_wire::Error::Lost { reason });
        let hint = lost.hint.expect("there is one");
        assert!(hint.contains("may have been done: look at `froben scripts history`"));
        let action = "read x".to_string();
        let reason = "gone".to_string();
        let ours = unanswered(froben_wire::Error::Io { action, reason });
        assert_eq!(ours.hint, None);
    }

    #[test]
    fn only_paths_below_the_folder_are_written() {
        for (path, plain) in [
            ("pipelines/x.lua", true),
            ("lib/a/b-c_1.lua", true),
            ("../x.lua", false),
            ("/x.lua", false),
            ("lib//x.lua", false),
            ("lib/..lua", false),
            ("lib/.lua", false),
            ("lib/x.sh", false),
            ("lib\\x.lua", false),
            ("", false),
        ] {
            assert_eq!(is_plain(path), plain, "{path:?}");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let set = ScriptSet {
            files: [("lib/x.lua".to_string(), "return 1".to_string())].into(),
        };
        write_set(&set, dir.path()).expect("it is empty");
        assert_eq!(
            std::fs::read_to_string(dir.path().join("lib/x.lua")).expect("a file"),
            "return 1"
        );
        let again = write_set(&set, dir.path()).expect_err("it is there");
        assert_eq!(again.exit, Exit::Usage);
    }
}
