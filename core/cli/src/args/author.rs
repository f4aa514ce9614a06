//! What a pipeline's author types.

use std::path::PathBuf;

use clap::Args;

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
