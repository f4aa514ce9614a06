//! `froben workflow`: what is done to a workflow as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Query, Remote, Replay, Workflow};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowVerb {
    /// Stop a workflow where it is: nothing new is handed out, what runs may finish and is kept
    #[command(after_help = PAUSE_AFTER)]
    Pause(Workflow),
    /// Let a paused workflow go on
    #[command(after_help = RESUME_AFTER)]
    Resume(Workflow),
    /// Cancel a workflow, as `froben cancel` does
    #[command(after_help = CANCEL_AFTER)]
    Cancel(Workflow),
    /// Start a new workflow that begins where another one was, and keeps what was proved before
    Fork(Fork),
    /// Move a live workflow to another revision of its scripts, or see where it would differ
    Migrate(Migrate),
    /// Write a workflow into one file that replays anywhere
    Export(Export),
    /// Go through a workflow's journal offline: where its script waits, what its locals hold
    Replay(Replay),
}

const PAUSE_AFTER: &str = "\
Example: froben workflow pause wf-0123456789abcdef0123456789abcdef

Its script is told nothing while it is paused, and the workflows that it runs are paused with it. A pause
lasts until `froben workflow resume`, also over restarts of the coordinator.";

const RESUME_AFTER: &str = "\
Example: froben workflow resume wf-0123456789abcdef0123456789abcdef

What has come while it was paused is told to its script in the order in which it came.";

const CANCEL_AFTER: &str = "\
Example: froben workflow cancel wf-0123456789abcdef0123456789abcdef

What was proved stays: `froben workflow fork` begins a new workflow from it.";

#[derive(Debug, Args)]
#[command(after_help = FORK_AFTER)]
pub(crate) struct Fork {
    /// The workflow to fork, live or over: wf-...
    pub(crate) id: String,
    /// The first step that is done anew: a call's number, or the key of a delegation or child
    #[arg(long, value_name = "STEP")]
    pub(crate) from: String,
    /// Scripts of the fork: `newest`, or the beginning of a revision's hash; those that the workflow
    /// keeps by default
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
Example: froben workflow fork wf-0123456789abcdef0123456789abcdef --from bundle/1/1
Example: froben workflow fork wf-0123456789abcdef0123456789abcdef --from 14 --revision newest

All calls before the step are kept, with their results, so nothing is proved or paid a second time. With
another revision the fork is refused if its script would not make the kept calls again; the message
names the first line that differs.
A step that is none is answered with those that there are. `froben status ID` lists the keys of the
delegations, `-o json` the numbers of the calls.";

#[derive(Debug, Args)]
#[command(after_help = MIGRATE_AFTER)]
pub(crate) struct Migrate {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    /// Only try it: say whether the workflow could move, and the first call that differs if not
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where to: `newest`, or the beginning of a revision's hash
    #[arg(long, value_name = "HASH|newest", default_value = "newest")]
    pub(crate) revision: String,
    #[command(flatten)]
    pub(crate) query: Query,
}

const MIGRATE_AFTER: &str = "\
Example: froben workflow migrate wf-0123456789abcdef0123456789abcdef --dry-run

A running workflow keeps the scripts that it began with. This replays its journal on others: if they make
the same calls up to here, it goes on with them. If not, the first call that differs is named, with the
command for a fork that keeps what is the same before it.";

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
Example: froben workflow export wf-0123456789abcdef0123456789abcdef -o run.export

The file holds the scripts, the inputs, every call and every result, but no blobs and no key. Inputs and
results are in it as they are: look at them before you give the file away. `froben workflow replay` reads
it, without a coordinator.";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::args::Cli;

    #[test]
    fn every_verb_has_an_example_that_can_be_typed() {
        let cli = Cli::command();
        let workflow = cli.find_subcommand("workflow").expect("it is there");
        for verb in workflow.get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let begin = format!("Example: froben workflow {} ", verb.get_name());
            let examples: Vec<_> = help
                .lines()
                .filter(|line| line.starts_with(&begin))
                .collect();
            assert!(!examples.is_empty(), "{}: {help}", verb.get_name());
            for example in examples {
                let words = example.split_whitespace().skip(1);
                let remote = ["--coordinator", "host:7420", "--identity", "dir"];
                let typed = Cli::try_parse_from(words.chain(remote));
                typed.unwrap_or_else(|error| panic!("{example}: {error}"));
            }
        }
    }
}
