//! `froben scripts`, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, Remote, ScriptsCheck};

#[derive(Debug, Subcommand)]
pub(crate) enum Scripts {
    /// Check a folder of scripts as the coordinator would, and more: syntax, declarations, types, lints
    Check(ScriptsCheck),
    /// Show what applying DIR would change: sources, pipelines, and who runs what
    Plan(ScriptsPlan),
    /// Give new workflows the scripts in DIR, if they check and nobody was faster
    Apply(ScriptsApply),
    /// List the revisions that were served, the newest first
    History(ScriptsHistory),
    /// Give new workflows an earlier revision again
    Rollback(ScriptsRollback),
    /// Write the scripts of a revision to a folder
    Fetch(ScriptsFetch),
}

/// How to reach a coordinator as an admin.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminRemote {
    /// Where the coordinator listens, as HOST:PORT
    #[arg(long, env = "FROBEN_COORDINATOR", value_name = "HOST:PORT")]
    pub(crate) coordinator: String,
    /// The folder with an admin's cert.pem, key.pem and ca.pem; FROBEN_IDENTITY if neither this nor
    /// FROBEN_ADMIN_IDENTITY is given
    #[arg(long, env = "FROBEN_ADMIN_IDENTITY", value_name = "DIR")]
    pub(crate) identity: Option<PathBuf>,
    #[arg(long, env = "FROBEN_IDENTITY", hide = true, hide_env = true)]
    pub(crate) seeker_identity: Option<PathBuf>,
}

impl AdminRemote {
    pub(crate) fn remote(&self) -> Option<Remote> {
        let AdminRemote {
            coordinator,
            identity,
            seeker_identity,
        } = self;
        let identity = identity.as_ref().or(seeker_identity.as_ref())?;
        Some(Remote {
            coordinator: coordinator.clone(),
            identity: identity.clone(),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct AdminQuery {
    #[command(flatten)]
    pub(crate) remote: AdminRemote,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = PLAN_AFTER)]
pub(crate) struct ScriptsPlan {
    /// A folder with pipelines/ and lib/
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) query: AdminQuery,
}

const PLAN_AFTER: &str = "\
Nothing is changed. The exit code is 0 if DIR is what is served already, 20 if there is a change to
apply, 4 if DIR does not check.";

#[derive(Debug, Args)]
#[command(after_help = APPLY_AFTER)]
pub(crate) struct ScriptsApply {
    /// A folder with pipelines/ and lib/
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    #[command(flatten)]
    pub(crate) query: AdminQuery,
}

const APPLY_AFTER: &str = "\
Example: froben scripts plan scripts; froben scripts apply scripts --check-index 3 --note 'fewer chunks'

Workflows that run keep their revision; those that are submitted from now on get the new one. A set
that does not check changes nothing.";

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The index that `froben scripts plan` or `history` has shown: refused if it is not the newest any
    /// more, so that nobody undoes what they have not seen
    #[arg(long, value_name = "N")]
    pub(crate) check_index: Option<u64>,
    /// Why, for the history: one line
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

#[derive(Debug, Args)]
pub(crate) struct ScriptsHistory {
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Only entries below this index
    #[arg(
        long,
        value_name = "INDEX",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) before: u64,
    #[command(flatten)]
    pub(crate) query: AdminQuery,
}

#[derive(Debug, Args)]
#[command(after_help = ROLLBACK_AFTER)]
pub(crate) struct ScriptsRollback {
    /// The entry of the history whose revision is to be served again; the one before the newest by
    /// default
    #[arg(value_name = "INDEX", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) index: Option<u64>,
    /// The same as INDEX
    #[arg(long, value_name = "INDEX", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "index")]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    #[command(flatten)]
    pub(crate) query: AdminQuery,
}

const ROLLBACK_AFTER: &str = "\
Example: froben scripts rollback 3 --check-index 5

A rollback is a new entry of the history: nothing is lost, and it can be rolled back itself.";

#[derive(Debug, Args)]
pub(crate) struct ScriptsFetch {
    /// The revision's hash, or the beginning of it
    pub(crate) revision: String,
    /// Where to write pipelines/ and lib/; made if it is missing, and never overwritten
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) remote: AdminRemote,
}
