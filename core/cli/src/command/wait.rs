//! `froben wait`: progress until a workflow is over, then its result.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use froben_model::resources::parse_duration_ms;
use froben_model::view::{WorkflowDetail, WorkflowState};
use froben_model::{BlobRef, ErrorClass, TimeMs, WorkflowId};

use crate::args::{Format, ResultArgs, Wait};
use crate::error::{Error, Exit};
use crate::output::progress::Progress;
use crate::output::{json, print_json, text};
use crate::session::{Session, block_on};

/// Between two looks at a workflow.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) fn run(args: Wait) -> Result<(), Error> {
    let Wait { id, result, remote } = args;
    let id = parse_id(&id)?;
    let target = Target::new(result)?;
    block_on(async {
        let mut session = Session::new(&remote)?;
        until_the_end(&mut session, id, &target).await
    })
}

pub(crate) fn parse_id(id: &str) -> Result<WorkflowId, Error> {
    id.parse().map_err(|error: froben_model::Error| {
        Error::usage(error.to_string()).hint("`froben list` shows the ids of your workflows")
    })
}

pub(crate) fn now_ms() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis() as TimeMs
}

/// Where a result goes and how the rest is printed.
pub(crate) struct Target {
    pub(crate) file: Option<PathBuf>,
    pub(crate) format: Format,
    patience: Duration,
}

impl Target {
    pub(crate) fn new(args: ResultArgs) -> Result<Target, Error> {
        let ResultArgs {
            output,
            force,
            patience,
        } = args;
        let patience = parse_duration_ms(&patience)
            .map_err(|error| Error::usage(format!("--patience: {error}")))?;
        let (mut file, mut format) = (None, Format::Text);
        for output in output {
            match output.as_str() {
                "json" => format = Format::Json,
                "text" => format = Format::Text,
                path if file.is_none() => file = Some(PathBuf::from(path)),
                path => {
                    let why = format!("-o {path}: the result goes to one file");
                    return Err(Error::usage(why));
                }
            }
        }
        if let Some(path) = file.as_ref().filter(|path| path.exists() && !force) {
            let why = format!("{} exists", path.display());
            return Err(Error::usage(why).hint("--force overwrites it"));
        }
        Ok(Target {
            file,
            format,
            patience: Duration::from_millis(patience),
        })
    }
}

/// Waits, fetches the result, prints the report.
pub(crate) async fn until_the_end(
    session: &mut Session,
    id: WorkflowId,
    target: &Target,
) -> Result<(), Error> {
    let detail = watch(session, id, target.patience).await?;
    let result = match (&target.file, detail.summary.state) {
        (Some(file), WorkflowState::Succeeded) => {
            let blob = result_blob(&detail)?;
            let quiet = |_: &froben_wire::Error| {};
            let fetch = async |client: &crate::client::Client| client.download(blob, file).await;
            session.insist(target.patience, quiet, fetch).await?;
            Some((file, blob))
        }
        _ => None,
    };
    match target.format {
        Format::Json => print_json(&json::detail(&detail)),
        Format::Text => {
            println!("{}", text::detail(&detail, now_ms()));
            if let Some((file, blob)) = result {
                println!("\nwrote {} ({} bytes)", file.display(), blob.size_bytes);
            }
        }
    }
    outcome(&detail)
}

async fn watch(
    session: &mut Session,
    id: WorkflowId,
    patience: Duration,
) -> Result<WorkflowDetail, Error> {
    let mut progress = Progress::new();
    loop {
        let away = |error: &froben_wire::Error| {
            progress.say(&format!("{error}; the workflow goes on, trying again"));
        };
        let detail = session
            .insist(patience, away, async |client| client.status(id).await)
            .await?;
        if detail.summary.state.ended() {
            return Ok(detail);
        }
        progress.show(&detail);
        tokio::time::sleep(EVERY).await;
    }
}

/// The one blob of the output.
fn result_blob(detail: &WorkflowDetail) -> Result<BlobRef, Error> {
    let blobs = detail.summary.output.blobs();
    match blobs.as_slice() {
        [blob] => Ok(*blob),
        blobs => {
            let why = format!("the output holds {} blobs, -o FILE writes one", blobs.len());
            Err(Error::new(Exit::Unexpected, why).hint("see `froben status ID -o json`"))
        }
    }
}

/// Whether the last delegation that ended was one that no machine took.
fn wanted_a_machine(detail: &WorkflowDetail) -> bool {
    let ended = detail.delegations.iter().filter(|d| d.state.ended());
    let last = ended.max_by_key(|d| d.ended_ms);
    let error = last.and_then(|d| d.error.as_ref());
    error.is_some_and(|error| error.class == ErrorClass::NoCapacity)
}

/// Success, or why the workflow has none.
fn outcome(detail: &WorkflowDetail) -> Result<(), Error> {
    let summary = &detail.summary;
    match (summary.state, &summary.failure) {
        (WorkflowState::Succeeded, _) => Ok(()),
        (_, Some(failure)) => {
            let shown = Error::new(Exit::WorkflowFailed, failure.message.clone());
            let shown = match wanted_a_machine(detail) {
                true => Error {
                    exit: Exit::NoCapacity,
                    ..shown
                }
                .hint("`froben machines` lists who is connected, and what they offer"),
                false => shown,
            };
            Err(shown.code(&failure.code))
        }
        (state, None) => Err(Error::new(
            Exit::WorkflowFailed,
            format!("the workflow is {state}"),
        )),
    }
}
