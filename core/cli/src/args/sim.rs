//! What a planner types.

use std::path::PathBuf;

use clap::Args;

use super::Format;

#[derive(Debug, Args)]
#[command(after_help = SIM_AFTER)]
pub(crate) struct Sim {
    /// The pipeline: a file in the folder pipelines/ of a set of scripts
    #[arg(long, value_name = "FILE")]
    pub(crate) pipeline: PathBuf,
    /// The fleet and what its tasks take: `era`, or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) profile: String,
    /// How many machines
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) machines: u32,
    /// How often to play it; each seed has other slow machines and other losses
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub(crate) from: u64,
    /// A plain value for one of the pipeline's inputs, a table as JSON; may be given several times. Files
    /// are made up
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Workflows that are submitted at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) workflows: u64,
    /// Workflows before those, one after the other and not counted, so that the coordinator knows the
    /// machines
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub(crate) before: u64,
    /// Price of an hour of one GPU, in place of the profile's prices
    #[arg(long, value_name = "PRICE")]
    pub(crate) price: Option<f64>,
    /// Leave out what one machine fewer, and one more of each class of the profile, would change. Without
    /// this each seed is played up to twice, and once more for each class
    #[arg(long)]
    pub(crate) alone: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

const SIM_AFTER: &str = "\
Example: froben sim --machines 33 --pipeline scripts/pipelines/era_batch.lua --profile era

Nothing is proved and nobody is asked: the real scheduler and the real script run by a virtual clock, on
machines that take as long as the profile says, some of them slow, some of them lost. The same seeds give
the same figures. A profile of your own: begin with tests/sim/profiles/era.toml.";
