//! The command line, as clap reads it. `--help` is the manual page.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Offer this machine to a proving network.
#[derive(Debug, Parser)]
#[command(name = "froben-operator", version, disable_help_subcommand = true, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// What to log on standard error, like `info` or `froben_operator=debug`
    #[arg(
        long,
        global = true,
        env = "FROBEN_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    pub log: String,
}

const AFTER: &str = "\
`froben-operator devices` shows what this machine would offer; `selftest`, `tune` and `bench` try its devices.
Data goes to standard output, everything else to standard error.
Exit codes: 0 stopped as told, 1 unexpected, 2 usage, 3 not found, 5 denied by the coordinator, \
6 coordinator unreachable, 7 timeout, 10 no device, 11 a device failed, 75 coordinator busy, try again.";

const BENCH_EXAMPLES: &str = "\
Examples:
  froben-operator bench                                    every kernel of every device
  froben-operator bench --kernel ntt --field goldilocks    one of them
  froben-operator bench --kernel msm -o json               for another program";

const TUNE_EXAMPLES: &str = "\
Examples:
  froben-operator tune                                     everything, once
  froben-operator tune --kernel ntt_pass --kernel msm      two kernels alone";

const SELFTEST_EXAMPLES: &str = "\
Examples:
  froben-operator selftest                                 every kernel of every device
  froben-operator selftest --field bn254_fr --field bn254  what BN254 needs";

const KEYS_EXAMPLES: &str = "\
Examples:
  froben-operator keys ~/keystore                          for proofs with `standard` parameters
  froben-operator keys ~/keystore --params dev             for proofs that are tried out
  froben-operator run --keystore ~/keystore ...            offers them";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Connect to a coordinator and take tasks until told to stop
    Run(Box<Run>),
    /// Show the devices and kinds that the prover finds on this machine
    Devices(Devices),
    /// Measure how fast each kernel runs on each device
    ///
    /// Needs no coordinator. The kernels: ntt transforms every column of a matrix, lde extends it by four, spread
    /// puts the rows of an inverse transform in order, fold folds a layer of FRI by eight, poseidon2 permutes states,
    /// merkle builds a tree over a matrix, msm adds up multiples of points.
    ///
    /// Each result is checked before it is timed, on data that lies on the device
    /// already; the figure is the median. MEMORY is what the kernel's launches read and write, and OF COPY
    /// holds its rate against that of a plain copy on the same device: a kernel near 100 % cannot be faster
    /// there. Hashes and msm compute far longer than they read, and have small shares.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Find the best layout of each kernel on each device and keep it
    ///
    /// Needs no coordinator; takes from seconds to a minute a kernel and field, when the machine should have no
    /// other work. A layout is how many elements a lane has and how many work-items a group; of ntt_pass also how
    /// much local memory a tile takes and how many levels a pass does at most; of msm how long runs are and how wide
    /// windows. No layout changes a result: each is checked before it is timed. What is found holds for this device and driver and lies in the
    /// user's cache folder, ~/.cache/froben/opencl/tunings; workers use it from their next start. Run it as the
    /// user that runs the daemon, and again after an update of the driver.
    #[command(after_help = TUNE_EXAMPLES)]
    Tune(Tune),
    /// Ask each device for known answers of each kernel
    ///
    /// Needs no coordinator; the first time every kernel is compiled, which takes a processor a minute or two. A
    /// device that gives a wrong answer computes wrongly: update its driver, undo its
    /// overclocking, and do not prove on it until this passes. Exit code 11 if any does.
    #[command(after_help = SELFTEST_EXAMPLES)]
    Selftest(Selftest),
    /// Put into a keystore what compressing proofs needs
    ///
    /// Needs no coordinator; takes some seconds. It is the setup of the last step, tens of megabytes, with an entry in the
    /// folder's manifest.toml. `run --keystore DIR` offers it; a machine without it is not asked to compress. The setup is
    /// called `dev` because its secret is public: proofs under it show that everything works and nothing else.
    #[command(after_help = KEYS_EXAMPLES)]
    Keys(Keys),
}

/// What may also stand in the file of --config, under the same names; the command line wins.
#[derive(Debug, Default, Args)]
pub struct Run {
    /// Where the coordinator listens, as HOST:PORT
    #[arg(long, env = "FROBEN_COORDINATOR", value_name = "HOST:PORT")]
    pub coordinator: Option<String>,
    /// The folder with your cert.pem, key.pem and ca.pem, as `froben ca issue` makes it
    #[arg(long, env = "FROBEN_IDENTITY", value_name = "DIR")]
    pub identity: Option<PathBuf>,
    /// This machine's name among those of your identity [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// What an item of a kind costs, like data.prove/1=0.05; may be given several times. Kinds without a
    /// price cost nothing; 10000 is the most
    #[arg(long = "price", value_name = "KIND=AMOUNT")]
    pub prices: Vec<String>,
    /// A folder of proving keys with a manifest.toml, which says each file's name and SHA-256. All are
    /// verified before they are offered
    #[arg(long, value_name = "DIR")]
    pub keystore: Option<PathBuf>,
    #[command(flatten)]
    pub provers: Provers,
    /// What a worker may occupy beyond the memory that its task claims, before it is ended: its program,
    /// its libraries, its driver. Tasks that claim no memory are not limited [default: 512MiB]
    #[arg(long, value_name = "SIZE")]
    pub memory_slack: Option<String>,
    /// How long it finishes what it has when it is told to stop, by SIGTERM or Ctrl-C, and takes nothing
    /// new; told twice, it stops at once [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub drain_within: Option<String>,
    /// Where the sockets of the workers lie [default: XDG_RUNTIME_DIR or the temporary folder]
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// A TOML file with these options
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stop when standard input closes, as it does when the parent process ends
    #[arg(long)]
    pub until_stdin_closes: bool,
}

#[derive(Debug, Default, Args)]
pub struct Provers {
    /// A prover to run; may be given several times [default: froben-prover beside this program]
    #[arg(long = "prover", value_name = "PATH")]
    pub programs: Vec<PathBuf>,
    /// Offer no devices: take CPU tasks alone
    #[arg(long)]
    pub cpu_only: bool,
}

#[derive(Debug, Args)]
pub struct Devices {
    #[command(flatten)]
    pub provers: Provers,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// This kernel alone, like ntt, merkle or msm; may be given several times. A wrong name lists all
    #[arg(long = "kernel", value_name = "NAME")]
    pub kernels: Vec<String>,
    /// This field alone, like goldilocks or bn254_fr; may be given several times
    #[arg(long = "field", value_name = "NAME")]
    pub fields: Vec<String>,
    /// Samples whose median counts, 7 at least
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub runs: u32,
    #[command(flatten)]
    pub on: OnDevices,
}

#[derive(Debug, Args)]
pub struct Tune {
    /// This kernel alone, like ntt_pass, merkle_leaves or msm; may be given several times. A wrong name lists all
    #[arg(long = "kernel", value_name = "NAME")]
    pub kernels: Vec<String>,
    /// This field or permutation alone, like goldilocks or babybear_16; may be given several times
    #[arg(long = "field", value_name = "NAME")]
    pub fields: Vec<String>,
    #[command(flatten)]
    pub on: OnDevices,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// This kernel alone, like ntt, merkle or msm; may be given several times. A wrong name lists all
    #[arg(long = "kernel", value_name = "NAME")]
    pub kernels: Vec<String>,
    /// This field alone, like goldilocks or bn254_fr; may be given several times
    #[arg(long = "field", value_name = "NAME")]
    pub fields: Vec<String>,
    #[command(flatten)]
    pub on: OnDevices,
}

#[derive(Debug, Args)]
pub struct Keys {
    /// The keystore: a folder, made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The proofs' parameters: dev or standard
    #[arg(long, value_name = "NAME", default_value = "standard")]
    pub params: String,
    /// The prover whose keys they are [default: froben-prover beside this program]
    #[arg(long, value_name = "PATH")]
    pub prover: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct OnDevices {
    /// A prover whose devices they are; may be given several times [default: froben-prover beside this program]
    #[arg(long = "prover", value_name = "PATH")]
    pub programs: Vec<PathBuf>,
    /// This device alone, by the id that `devices` shows
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

/// What can be found out about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Bench,
    Tune,
    Selftest,
}

/// What all verbs about devices take.
#[derive(Debug)]
pub struct Examine {
    pub programs: Vec<PathBuf>,
    pub device: Option<String>,
    /// For the prover.
    pub arguments: Vec<String>,
    pub output: Format,
}

impl OnDevices {
    fn examine(self, kernels: Vec<String>, fields: Vec<String>, more: Vec<String>) -> Examine {
        let OnDevices {
            programs,
            device,
            output,
        } = self;
        let named = |flag: &'static str, names: Vec<String>| {
            let each = names.into_iter();
            each.flat_map(move |name| [flag.to_owned(), name])
        };
        let chosen = named("--kernel", kernels).chain(named("--field", fields));
        Examine {
            programs,
            device,
            arguments: chosen.chain(more).collect(),
            output,
        }
    }
}

impl From<Bench> for Examine {
    fn from(
        Bench {
            kernels,
            fields,
            runs,
            on,
        }: Bench,
    ) -> Self {
        on.examine(kernels, fields, vec!["--runs".to_owned(), runs.to_string()])
    }
}

impl From<Tune> for Examine {
    fn from(
        Tune {
            kernels,
            fields,
            on,
        }: Tune,
    ) -> Self {
        on.examine(kernels, fields, Vec::new())
    }
}

impl From<Selftest> for Examine {
    fn from(
        Selftest {
            kernels,
            fields,
            on,
        }: Selftest,
    ) -> Self {
        on.examine(kernels, fields, Vec::new())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
