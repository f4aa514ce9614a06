//! `froben dev FILE`: runs one pipeline of a folder of scripts, and again whenever a file of them is
//! saved.
//!
//! A save takes the way of `froben scripts apply`: the running coordinator checks the set and serves it,
//! or says where it is wrong and keeps the old one. The run that was going on is cancelled.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use froben_model::view::{WorkflowDetail, WorkflowState};
use froben_model::{Terms, WorkflowId};
use froben_wire::Identity;

use crate::args::Remote;
use crate::client::{Admin, Changed};
use crate::command::lack::Lack;
use crate::command::submit::{self, Input};
use crate::error::{Error, Exit};
use crate::output::progress::Progress;
use crate::output::{findings, json};
use crate::scripts;
use crate::session::Session;
use crate::watch::Watch;

/// Between two looks at a run. An author waits for it.
const EVERY: Duration = Duration::from_millis(50);
/// How long a coordinator that has gone is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is run.
pub(crate) struct Subject {
    /// The folder of scripts.
    pub(crate) folder: PathBuf,
    /// The pipeline's file in it.
    file: PathBuf,
    input: Input,
}

impl Subject {
    /// *Errors*: no such file, or one that is not in a folder `pipelines/`.
    pub(crate) fn new(file: &Path, input: Input) -> Result<Subject, Error> {
        let (folder, path) = place(file)?;
        Ok(Subject {
            file: folder.join(path),
            folder,
            input,
        })
    }

    /// The name that the file gives its workflow, or else its own.
    fn pipeline(&self) -> String {
        let source = std::fs::read_to_string(&self.file).unwrap_or_default();
        declared_name(&source).unwrap_or_else(|| {
            let stem = self.file.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        })
    }
}

/// The folder of scripts that a pipeline's file is in, and its path in that.
///
/// *Errors*: no such file, or one that is not in a folder `pipelines/`.
pub(crate) fn place(file: &Path) -> Result<(PathBuf, String), Error> {
    let found = std::fs::canonicalize(file);
    let file = found.map_err(|error| Error::file("read", file, &error))?;
    let mut above = file.ancestors().skip(1);
    let folder = above
        .find(|dir| dir.ends_with("pipelines"))
        .and_then(Path::parent);
    let Some(folder) = folder.map(Path::to_path_buf) else {
        let why = format!("{} is not in a folder pipelines/", file.display());
        return Err(Error::usage(why)
            .hint("a folder of scripts has its pipelines in pipelines/, its modules in lib/"));
    };
    let inner = file.strip_prefix(&folder).unwrap_or(&file);
    let parts = inner
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    Ok((folder.clone(), parts.collect::<Vec<_>>().join("/")))
}

/// The first argument of the first `workflow(...)`, if it is written out.
fn declared_name(source: &str) -> Option<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join("\n");
    let (_, rest) = code.split_once("return workflow")?;
    let rest = rest.trim_start().trim_start_matches('(').trim_start();
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let (name, _) = rest[1..].split_once(quote)?;
    Some(name.to_string())
}

/// Runs for ever.
pub(crate) async fn keep(
    subject: &Subject,
    address: &str,
    identities: &Path,
) -> Result<Infallible, Error> {
    let remote = Remote {
        coordinator: address.to_string(),
        identity: identities.join("seeker"),
    };
    let admin = Identity::load(&identities.join("admin"))?;
    let mut session = Session::new(&remote)?;
    let mut watch = Watch::new(&subject.folder)?;
    let running: Cell<Option<WorkflowId>> = Cell::new(None);
    let mut saved = Instant::now();
    loop {
        let run = async {
            match once(subject, address, &admin, &mut session, &running, saved).await {
                Ok(()) => {}
                // One bad run is no reason to stop: the next save may mend it.
                Err(error) => error.print(),
            }
            eprintln!(
                "froben dev: waiting for a change in {}",
                subject.folder.display()
            );
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = run => {}
            () = watch.changed() => {}
        }
        saved = Instant::now();
        if let Some(id) = running.take() {
            eprintln!("froben dev: cancelling {id}");
            let quiet = |_: &froben_wire::Error| {};
            let cancelled = session.insist(PATIENCE, quiet, async |client| client.cancel(id).await);
            if let Err(error) = cancelled.await {
                error.print();
            }
        }
    }
}

/// Serves what is in the folder, and runs it to its end.
async fn once(
    subject: &Subject,
    address: &str,
    admin: &Identity,
    session: &mut Session,
    running: &Cell<Option<WorkflowId>>,
    saved: Instant,
) -> Result<(), Error> {
    serve(subject, address, admin).await?;
    let pipeline = subject.pipeline();
    let known = session.client().await?.pipelines().await?;
    let info = submit::find(&known, &pipeline)?;
    let input = subject.input.upload(session, info).await?;
    let key = hex::encode(rand::random::<[u8; 16]>());
    let quiet = |_: &froben_wire::Error| {};
    let submitted = session.insist(PATIENCE, quiet, async |client| {
        client
            .submit(&pipeline, &input, &key, Terms::default())
            .await
    });
    let id = submitted
        .await?
        .map_err(|failure| submit::unfit(failure, info, &input))?;
    running.set(Some(id));
    eprintln!("froben dev: {pipeline} is running as {id}");
    let mut progress = Progress::new();
    let mut lack = Lack::new(id);
    let detail = loop {
        let status = session.insist(PATIENCE, quiet, async |client| client.status(id).await);
        let detail = status.await?;
        if detail.summary.state.ended() {
            break detail;
        }
        progress.show(&detail);
        if lack.due()
            && let Some(line) = lack.look(session, &detail).await?
        {
            progress.note(&line);
        }
        tokio::time::sleep(EVERY).await;
    };
    drop(progress);
    running.set(None);
    tell(&pipeline, &detail, saved.elapsed())
}

/// Lets new workflows get the scripts in the folder.
///
/// *Errors*: they do not check; the coordinator cannot be reached.
async fn serve(subject: &Subject, address: &str, admin: &Identity) -> Result<(), Error> {
    let set = scripts::read_to_send(&subject.folder)?;
    let admin = Admin::connect(address, admin).await?;
    loop {
        let newest = admin.serving().await?;
        match admin.apply(&set, newest.index, "froben dev").await? {
            Changed::Served(entry) => {
                eprintln!("froben dev: serving revision {}", entry.revision.short());
                return Ok(());
            }
            Changed::Unchanged(_) => return Ok(()),
            // Somebody else applied in between: what is in the folder counts here.
            Changed::Moved(_) | Changed::NoEntry { .. } => {}
            Changed::Broken(problems) => {
                findings::print_problems(&problems, &set.files);
                let code = problems.into_iter().next().map(|problem| problem.code);
                let error =
                    Error::new(Exit::Script, "the scripts do not check; the last ones stay");
                return Err(match code {
                    Some(code) => error.code(code),
                    None => error,
                });
            }
        }
    }
}

/// One line for the result: on standard output if there is one.
fn tell(pipeline: &str, detail: &WorkflowDetail, took: Duration) -> Result<(), Error> {
    let summary = &detail.summary;
    let seconds = took.as_secs_f64();
    match (summary.state, &summary.failure) {
        (WorkflowState::Succeeded, _) => {
            println!(
                "{pipeline} succeeded in {seconds:.2} s: {}",
                json::value(&summary.output)
            );
            Ok(())
        }
        (_, Some(failure)) => {
            let why = format!("{pipeline} failed in {seconds:.2} s: {}", failure.message);
            Err(Error::new(Exit::WorkflowFailed, why).code(&failure.code))
        }
        (state, None) => {
            let why = format!("{pipeline} is {state}");
            Err(Error::new(Exit::WorkflowFailed, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_pipelines_name() {
        for (source, name) in [
            (
                "-- return workflow(\"no\")\nreturn workflow(\"squares\", {}, f)",
                Some("squares"),
            ),
            ("return workflow 'x'", Some("x")),
            ("return workflow(name, {}, f)", None),
            ("", None),
        ] {
            assert_eq!(declared_name(source).as_deref(), name, "{source}");
        }
    }

    #[test]
    fn a_pipeline_lies_in_pipelines() {
        let dir = tempfile::tempdir().expect("a folder");
        let inside = dir.path().join("pipelines");
        std::fs::create_dir(&inside).expect("a folder");
        std::fs::write(inside.join("x.lua"), "return workflow('y', {})").expect("a file");
        std::fs::write(dir.path().join("x.lua"), "").expect("a file");
        let input = || Input::read(&[], &[]).expect("nothing is wrong with it");
        let subject = Subject::new(&inside.join("x.lua"), input()).expect("it is one");
        assert_eq!(subject.pipeline(), "y");
        assert!(subject.folder.join("pipelines/x.lua").exists());
        let stray = Subject::new(&dir.path().join("x.lua"), input()).err();
        assert_eq!(stray.expect("it is none").exit, Exit::Usage);
        let gone = Subject::new(&inside.join("z.lua"), input()).err();
        assert_eq!(gone.expect("it is gone").exit, Exit::NotFound);
    }
}
