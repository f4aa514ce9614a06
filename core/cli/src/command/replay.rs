//! `froben workflow replay`: an exported journal, offline.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use froben_author::Sources;
use froben_author::replay::{self, End, Replay, ReplayError, Step};
use froben_journal::Export;
use froben_model::WorkflowId;
use froben_model::revision::ScriptProblem;

use crate::args::{self, Format, Remote};
use crate::command::workflow::refused;
use crate::error::{Error, Exit};
use crate::output::{findings, print_json};
use crate::scripts;
use crate::session::{Session, block_on};

pub(crate) fn run(args: &args::Replay) -> Result<(), Error> {
    let export = read(args)?;
    let files = match &args.scripts {
        Some(dir) => Some(scripts::read(dir)?.files),
        None => None,
    };
    let files = files.as_ref().unwrap_or(&export.scripts.files);
    let replay = Replay::new(&export, files);
    let mut replay = replay.map_err(|error| unfit(error, files))?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.step && args.output == Format::Text {
        // Piped commands work as well: it is how this is scripted.
        return walk(&mut replay, args.until, terminal);
    }
    list(&mut replay, args.until, args.output)
}

fn read(args: &args::Replay) -> Result<Export, Error> {
    let path = Path::new(&args.workflow);
    if path.exists() {
        return open(path);
    }
    let Ok(id) = args.workflow.parse::<WorkflowId>() else {
        let why = format!("{} is neither a file nor a workflow's id", args.workflow);
        return Err(Error::new(Exit::NotFound, why)
            .hint("`froben workflow export ID -o FILE` writes a file that replays anywhere"));
    };
    let (Some(coordinator), Some(identity)) = (&args.coordinator, &args.identity) else {
        let why = "an id needs a coordinator to ask: --coordinator and --identity are missing";
        return Err(Error::usage(why).hint("or give the file of an export"));
    };
    let remote = Remote {
        coordinator: coordinator.clone(),
        identity: identity.clone(),
    };
    let file = temporary_file();
    let exported = block_on(async {
        let mut session = Session::new(&remote)?;
        Ok(session.client().await?.export(id, true, &file).await?)
    });
    let read = match exported {
        Ok(Ok(_)) => open(&file),
        Ok(Err(failure)) => Err(refused(failure)),
        Err(error) => Err(error),
    };
    // Whether or not it could be read.
    let _ = std::fs::remove_file(&file);
    read
}

fn temporary_file() -> PathBuf {
    let name = hex::encode(rand::random::<[u8; 8]>());
    std::env::temp_dir().join(format!("froben-replay-{name}"))
}

fn open(path: &Path) -> Result<Export, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, &error))?;
    Export::read(&bytes).map_err(|error| {
        Error::new(Exit::Script, format!("{}: {error}", path.display()))
            .code("FRB-RPL-001")
            .hint("`froben workflow export ID -o FILE` writes such files")
    })
}

fn unfit(error: ReplayError, files: &Sources) -> Error {
    match error {
        ReplayError::Journal(misfit) => {
            Error::new(Exit::Script, misfit.to_string()).code("FRB-RPL-001")
        }
        ReplayError::Scripts(problems) => {
            let problems: Vec<_> = problems.into_iter().map(ScriptProblem::from).collect();
            findings::print_problems(&problems, files);
            let shown = Error::new(Exit::Script, "the scripts do not check");
            match problems.into_iter().next() {
                Some(first) => shown.code(first.code),
                None => shown,
            }
        }
    }
}

/// Every step up to `until`, with the locals of the last one if it was asked for.
fn list(replay: &mut Replay, until: Option<u64>, format: Format) -> Result<(), Error> {
    let last = until.map_or(usize::MAX, |record| replay.step_at(record));
    let mut documents = Vec::new();
    while let Some(step) = replay.forward() {
        match format {
            Format::Json => documents.push(replay::json(step)),
            Format::Text => print!("{}", replay::step_lines(step)),
        }
        if step.number >= last {
            break;
        }
    }
    match (format, replay.last()) {
        (Format::Json, _) => print_json(&documents.into()),
        (Format::Text, Some(step)) if until.is_some() => print!("{}", replay::locals(step)),
        _ => {}
    }
    judge(replay.last())
}

/// A divergence is a failure of the command, so that a script can ask for it.
fn judge(last: Option<&Step>) -> Result<(), Error> {
    match last.map(|step| &step.end) {
        Some(End::Diverged { seq, .. }) => {
            let why = format!("the script differs from its journal at record {seq}");
            Err(Error::new(Exit::Script, why).code("FRB-LUA-008"))
        }
        _ => Ok(()),
    }
}

fn walk(replay: &mut Replay, until: Option<u64>, terminal: bool) -> Result<(), Error> {
    let first = until.map_or(0, |record| replay.step_at(record));
    replay.go_to(first);
    show(replay);
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if terminal {
            print!("n next, p previous, g RECORD, l locals, q quit > ");
            let _ = std::io::stdout().flush();
        }
        let Some(Ok(line)) = lines.next() else {
            return Ok(());
        };
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("n" | "next") | None, None) => {
                if replay.forward().is_some() {
                    show(replay);
                } else {
                    println!("there is no next step");
                }
            }
            (Some("p" | "previous"), None) => {
                let number = replay.last().map_or(0, |step| step.number);
                match number.checked_sub(1) {
                    Some(before) => {
                        replay.go_to(before);
                        show(replay);
                    }
                    None => println!("this is the first step"),
                }
            }
            (Some("g" | "goto"), Some(record)) => match record.parse() {
                Ok(record) => {
                    let step = replay.step_at(record);
                    replay.go_to(step);
                    show(replay);
                }
                Err(_) => println!("g RECORD: the number of a record, as in `record 12`"),
            },
            (Some("l" | "locals"), None) => {
                if let Some(step) = replay.last() {
                    print!("{}", replay::locals(step));
                }
            }
            (Some("q" | "quit"), None) => return Ok(()),
            _ => println!("n next, p previous, g RECORD go to, l locals, q quit"),
        }
    }
}

fn show(replay: &Replay) {
    if let Some(step) = replay.last() {
        print!("{}", replay::step_lines(step));
    }
}
