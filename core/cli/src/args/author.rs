//! What a pipeline's author types.

use std::path::PathBuf;

use clap::Args;

use super::Format;

#[derive(Debug, Args)]
#[command(after_help = FMT_AFTER)]
pub(crate) struct Fmt {
    /// Files, or folders with scripts in them
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write nothing: show what would change, and exit with 4 if anything would
    #[arg(long)]
    pub(crate) check: bool,
}

const FMT_AFTER: &str = "\
The style is fixed: two spaces, 120 columns, double quotes. What a script means never changes: the
result is parsed and compared with the source before it is written.";

#[derive(Debug, Args)]
#[command(after_help = LINT_AFTER)]
pub(crate) struct Lint {
    /// Files, or folders with scripts in them
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// How findings are judged and printed.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The kinds of task that machines will offer; others are warned of
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',')]
    pub(crate) kinds: Option<Vec<String>>,
    /// Let warnings fail too
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

const LINT_AFTER: &str = "\
`froben explain NAME` tells about a lint. A comment at the end of a line, or on the line before it,
silences one: `-- lint: allow(unused-result) nobody waits for the warm-up`. The reason is required.";

#[derive(Debug, Args)]
pub(crate) struct ScriptsCheck {
    /// The folder that holds pipelines/ and lib/
    #[arg(value_name = "DIR", default_value = "scripts")]
    pub(crate) dir: PathBuf,
    /// Leave types out
    #[arg(long)]
    pub(crate) no_types: bool,
    #[command(flatten)]
    pub(crate) report: Report,
}

#[derive(Debug, Args)]
#[command(after_help = NEW_AFTER)]
pub(crate) struct New {
    /// What to begin with; without it, the templates are listed
    pub(crate) template: Option<String>,
    /// The pipeline's name: lower-case letters, digits, `_`; the template's by default
    pub(crate) name: Option<String>,
    /// The folder that holds pipelines/ and spec/; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "scripts")]
    pub(crate) dir: PathBuf,
}

const NEW_AFTER: &str = "\
Example: froben new fan-out squares

Writes a pipeline, a spec that holds it to what it promises when operators fail (`froben test` runs it),
and the modules that they require. Nothing is overwritten.";

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// An error code or a lint's name; without it, all are listed
    pub(crate) code: Option<String>,
}
