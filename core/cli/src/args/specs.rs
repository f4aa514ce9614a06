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
