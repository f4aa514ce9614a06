//! What an author types to try a pipeline.

use std::path::PathBuf;

use clap::Args;

use super::Format;

#[derive(Debug, Args)]
#[command(after_help = TEST_AFTER)]
pub(crate) struct Test {
    /// Spec files, FILE:LINE for one case, folders of specs, or folders of scripts with a spec/ in them
    #[arg(value_name = "PATH", default_value = "scripts")]
    pub(crate) paths: Vec<PathBuf>,
    /// Run only cases with this in their name
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) filter: String,
    /// Of everything that is drawn at random; a new one each time by default, and it is printed
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Also write what came of it to FILE, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

const TEST_AFTER: &str = "\
Specs are Lua files in scripts/spec/, made of `describe`, `it` and `expect`. `simulate` runs a workflow
with scripted operators and a virtual clock: no network, no waiting.

  it(\"tries elsewhere\", function()
    local run = simulate { pipeline = \"p\", operators = { a = die(), b = ok(1) } }
    expect(run.state):to_equal(\"succeeded\")
  end)

Exit code 4 if a case fails or a script does not check. All verbs: docs/spec-api.md";

#[derive(Debug, Args)]
#[command(after_help = REPLAY_AFTER)]
pub(crate) struct Replay {
    /// A file that `froben workflow export` wrote, or a workflow's id: wf-...
    #[arg(value_name = "FILE|ID")]
    pub(crate) workflow: String,
    /// Stop after this record of the journal, and show the locals there
    #[arg(long, value_name = "RECORD")]
    pub(crate) until: Option<u64>,
    /// Go step by step, forwards and backwards; on a terminal
    #[arg(long)]
    pub(crate) step: bool,
    /// Replay on the scripts in DIR instead of its own, and see where they would differ
    #[arg(long, value_name = "DIR")]
    pub(crate) scripts: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
    /// For an ID: where the coordinator listens, as HOST:PORT
    #[arg(long, env = "FROBEN_COORDINATOR", value_name = "HOST:PORT")]
    pub(crate) coordinator: Option<String>,
    /// For an ID: the folder with your cert.pem, key.pem and ca.pem
    #[arg(long, env = "FROBEN_IDENTITY", value_name = "DIR")]
    pub(crate) identity: Option<PathBuf>,
}

const REPLAY_AFTER: &str = "\
Example: froben workflow replay run.export --step
Example: froben workflow replay run.export --until 37
Example: froben workflow replay run.export --scripts scripts

Nothing is handed out and nothing is written: the script is told what the journal holds, and shown where
it waits after each step. With --step: n next, p previous, g RECORD go to, l locals, q quit.
Exit code 4 if the script does not make the journal's calls; the first that differs is shown.";
