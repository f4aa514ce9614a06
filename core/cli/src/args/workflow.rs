//! `froben workflow`: what is done to a workflow as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Query, Remote, Replay, Workflow};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowVerb {
    /// Stop a workflow where it is: nothing new is handed out, what runs may finish and is kept
    Pause(Workflow),
    /// Let a paused workflow go on
    Resume(Workflow),
    /// Start a new workflow that begins where another one was, and keeps what was proved before
    Fork(Fork),
    /// Move a live workflow to another revision of its scripts, or see where it would differ
    Migrate(Migrate),
    /// Write a workflow into one file that replays anywhere
    Export(Export),
    /// Go through a workflow's journal offline: where its script waits, what its locals hold
    Replay(Replay),
}

#[derive(Debug, Args)]
#[command(after_help = FORK_AFTER)]
pub(crate) struct Fork {
    /// The workflow to fork, live or over: wf-...
    pub(crate) id: String,
    /// The first step that is done anew: a call's number, or the key of a delegation
    #[arg(long, value_name = "STEP")]
    pub(crate) from: String,
    /// Scripts of the fork: `newest`, or a revision's hash; those that the workflow keeps by default
    #[arg(
        long,
        value_name = "HASH|newest",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) revision: String,
    /// The same key never starts two workflows: a repeated fork gives the first one's id
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) query: Query,
}

const FORK_AFTER: &str = "\
Example: froben workflow fork wf-0123... --from bundle/1

All calls before the step are kept, with their results, so nothing is proved or paid a second time. With
another revision the fork is refused if its script would not make the kept calls again; the message
names the first line that differs.
`froben status ID` lists the keys of the delegations, `-o json` the numbers of the calls.";

#[derive(Debug, Args)]
#[command(after_help = MIGRATE_AFTER)]
pub(crate) struct Migrate {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    /// Only try it: say whether the workflow could move, and the first call that differs if not
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where to: `newest`, or a revision's hash
    #[arg(long, value_name = "HASH|newest", default_value = "newest")]
    pub(crate) revision: String,
    #[command(flatten)]
    pub(crate) query: Query,
}

const MIGRATE_AFTER: &str = "\
A running workflow keeps the scripts that it began with. This replays its journal on others: if they make
the same calls up to here, it goes on with them. If not, `froben workflow fork` keeps what is the same.";

#[derive(Debug, Args)]
#[command(after_help = EXPORT_AFTER)]
pub(crate) struct Export {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    /// The file to write
    #[arg(short, long = "output", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Keep the names of seekers, operators and machines instead of pseudonyms
    #[arg(long)]
    pub(crate) keep_names: bool,
    /// Overwrite FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

const EXPORT_AFTER: &str = "\
The file holds the scripts, the inputs, every call and every result, but no blobs and no key. Inputs and
results are in it as they are: look at them before you give the file away.";
