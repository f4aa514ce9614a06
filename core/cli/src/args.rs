//! The command line, as clap reads it. `--help` is the manual page.

mod author;
mod proof;
mod scripts;
mod sim;
mod specs;
mod workflow;

use std::net::SocketAddr;
use std::path::PathBuf;

use froben_model::{Amount, OperatorId};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use author::{Explain, Fmt, Lint, New, Report, ScriptsCheck};
pub(crate) use proof::{Calldata as ProofCalldata, ProofVerb, Solidity as ProofSolidity};
pub(crate) use scripts::{
    AdminRemote, ChangeArgs, Scripts, ScriptsApply, ScriptsFetch, ScriptsHistory, ScriptsPlan,
    ScriptsRollback,
};
pub(crate) use sim::Sim;
pub(crate) use specs::{Replay, Test};
pub(crate) use workflow::{Export, Fork, Migrate, WorkflowVerb};

/// An open proving network: submit a workflow, get a verified proof.
#[derive(Debug, Parser)]
#[command(name = "froben", version, disable_help_subcommand = true, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log on standard error, like `info` or `froben_engine=debug`
    #[arg(
        long,
        global = true,
        env = "FROBEN_LOG",
        default_value = "warn,froben::scripts=info,froben::ca=info,froben::policy=info",
        value_name = "FILTER"
    )]
    pub(crate) log: String,
}

const AFTER: &str = "\
Try it: `froben dev` starts a network on this machine and prints what to type next.
Data goes to standard output, everything else to standard error.
`froben help exit-codes` lists the exit codes.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a pipeline on your files, and wait for its result if asked to
    Submit(Submit),
    /// Wait for a workflow's end, and fetch its result
    Wait(Wait),
    /// Verify a proof of data_commitments: a bundle, an aggregate or a SNARK
    Verify(Verify),
    /// Get what a chain needs of a SNARK: calldata, contracts
    #[command(subcommand)]
    Proof(ProofVerb),
    /// Show one workflow: stages, delegations, machines
    Status(Workflow),
    /// List your workflows, the newest first
    List(List),
    /// Cancel a workflow
    Cancel(Workflow),
    /// Show what a workflow's script, machines and coordinator said
    Logs(Logs),
    /// Show what became of a workflow's delegations, attempt by attempt: where, when, and why not
    Trail(Trail),
    /// Tell why a delegation waits, or who has it: the reason for each machine
    Why(Why),
    /// Pause, resume, cancel, fork, migrate, export or replay a workflow
    #[command(subcommand)]
    Workflow(WorkflowVerb),
    /// List the pipelines that the coordinator serves
    Pipelines(Query),
    /// List the machines that are connected
    Machines(Query),
    /// Show what kinds of tasks are known to take: time and memory, by kind and device
    #[command(after_help = PROFILES_AFTER)]
    Profiles(Query),
    /// Show who is owed what: your own accounts, or all of them to an admin
    Ledger(Ledger),
    /// Check a set of scripts; as an admin, say which ones new workflows run
    #[command(subcommand)]
    Scripts(Scripts),
    /// Make and use the private CA of a network
    #[command(subcommand)]
    Ca(Ca),
    /// Run the coordinator
    #[command(subcommand)]
    Coordinator(Coordinator),
    /// Show or check the numbers that the matchmaker goes by
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Start a coordinator and operators on this machine, and stay up
    Dev(Dev),
    /// Format scripts in the house style
    Fmt(Fmt),
    /// Find what breaks determinism or wastes your time, without running anything
    Lint(Lint),
    /// Start a pipeline of your own from a template
    New(New),
    /// Explain an error code or a lint, like FRB-LUA-002 or unused-result
    Explain(Explain),
    /// Run the specs of a script set: no network, no waiting
    Test(Test),
    /// Plan a fleet: how long a pipeline would take on machines that nobody has bought yet
    Sim(Sim),
    /// Explain a topic: exit-codes
    Help { topic: Option<String> },
}

/// How to reach a coordinator.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// Where the coordinator listens, as HOST:PORT
    #[arg(long, env = "FROBEN_COORDINATOR", value_name = "HOST:PORT")]
    pub(crate) coordinator: String,
    /// The folder with your cert.pem, key.pem and ca.pem, as `froben ca issue` makes it
    #[arg(long, env = "FROBEN_IDENTITY", value_name = "DIR")]
    pub(crate) identity: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = SUBMIT_AFTER)]
pub(crate) struct Submit {
    /// A pipeline of the coordinator, like data_commitments: see `froben pipelines`
    pub(crate) pipeline: String,
    /// A file for one of the pipeline's inputs; may be given several times
    #[arg(long = "input", value_name = "NAME=FILE")]
    pub(crate) inputs: Vec<String>,
    /// A plain value for one of the pipeline's inputs, a table as JSON; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Where to stop, for a pipeline with an input `until`: data_commitments ends in a `bundle` of all
    /// proofs, in one `aggregate` of them, or in a `snark` for a chain
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Option<String>,
    /// Wait for the end, showing progress
    #[arg(long)]
    pub(crate) wait: bool,
    /// The same key never starts two workflows: a repeated submit gives the first one's id
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// What the workflow and its children may cost together, like 2.50; no limit by default
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) budget: Option<Amount>,
    /// How soon you would like to have the result, like 30m: of your workflows those in a hurry go first.
    /// It is no timeout
    #[arg(long, value_name = "DURATION", value_parser = froben_model::resources::parse_duration_ms)]
    pub(crate) within: Option<u64>,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Where a workflow's result goes.
#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// FILE for the result (which means waiting), or `json` or `text` for how to print; may be given
    /// twice
    #[arg(short, long = "output", value_name = "FILE|json|text")]
    pub(crate) output: Vec<String>,
    /// Overwrite FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// While waiting, how long to try to reach a coordinator that has gone, like 10m
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub(crate) patience: String,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

const SUBMIT_AFTER: &str = "\
Example: froben submit data_commitments --input data=batch.bin --wait -o bundle.bin
Example: froben submit data_commitments --input data=batch.bin --until snark -o proof.bin

Once the id is printed the workflow survives anything: interrupting this command, a crash of the
coordinator, a loss of machines. `froben status ID` finds it again.
To write to a file that is really called `json`, say `-o ./json`.";

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The proof: a bundle, an aggregate or a SNARK
    pub(crate) proof: PathBuf,
    /// The file that it is about: recomputes every digest from it. Without it, a bundle's digests are
    /// shown to be of the same bytes, whatever these are, and other proofs to be about some file
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Also accept a proof with `dev` parameters or a `dev` key, which promise nothing
    #[arg(long)]
    pub(crate) accept_dev: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Workflow {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, Args)]
#[command(after_help = LEDGER_AFTER)]
pub(crate) struct Ledger {
    /// An account to show entry by entry, like operator/NAME or seeker/NAME; without it, what each holds
    pub(crate) account: Option<String>,
    /// The first entry to show
    #[arg(long, default_value_t = 1, value_name = "INDEX")]
    pub(crate) from: u64,
    /// How many entries at most
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: BookFormat,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BookFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// A line an entry, for a spreadsheet
    Csv,
}

const PROFILES_AFTER: &str = "\
Learned from the items that came with a value, the last few thousand of each kind. The matchmaker asks the \
faster machines first, reserves at least the memory that a kind is known to need, and gives a task whose \
script names no timeout one that suits its kind. For operators and admins.";

const LEDGER_AFTER: &str = "\
An operator is paid for each item that was accepted, at the price that its machine asked when it got the \
task. Money is reserved when a task is assigned, settled item by item, and released otherwise; a seeker \
owes what its workflow had spent at its end. Each entry takes from one account what it gives to another.
Example: froben ledger operator/op-1 -o csv > op-1.csv";

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The workflow's id: wf-...
    pub(crate) id: String,
    /// Stay, and show new lines until the workflow is over
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) query: Query,
}

fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => text.parse().map_err(|_| {
            "give a port like 9464, or an address with one like 0.0.0.0:9464".to_owned()
        }),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The workflow's id, live: wf-...
    pub(crate) id: String,
    /// The number of a call, or the key of a delegation: see `froben status ID`
    #[arg(value_name = "CALL|KEY")]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) query: Query,
}

#[derive(Debug, Args)]
#[command(after_help = TRAIL_AFTER)]
pub(crate) struct Trail {
    /// The workflow's id, live or over: wf-...
    pub(crate) id: String,
    /// The number of a call, or the key of a delegation; the key of a job that was tried several times
    /// stands for all of its tries
    #[arg(value_name = "CALL|KEY")]
    pub(crate) which: Option<String>,
    /// Only those of which something went wrong, also if another attempt made it good
    #[arg(long)]
    pub(crate) failed: bool,
    /// Tell also those in full that went well at once
    #[arg(long)]
    pub(crate) full: bool,
    /// How many delegations at most
    #[arg(long, default_value_t = 200, value_parser = trails)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) query: Query,
}

fn trails(text: &str) -> Result<usize, String> {
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=10_000).contains(limit));
    limit.ok_or_else(|| "give a number from 1 to 10000".to_owned())
}

const TRAIL_AFTER: &str = "\
Example: froben trail wf-0123456789abcdef0123456789abcdef --failed
Example: froben trail wf-0123456789abcdef0123456789abcdef bundle/1

A delegation that went well at once is one line; of the others, and of one that is named, every attempt is
told: machine and device, when it was queued, assigned, started, had its first item and its last one, how it
ended, whose fault that was, and the last lines of its worker. Times are of day in UTC, and since the
delegation was handed out. `operator` faults count in a machine's reputation; `workflow` is the script's or
whoever cancelled it, `data` what the task was given, `platform` the network's.";

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Make a new CA: a key that must stay where it is, and its certificate
    Init {
        /// Where to keep it; made if it is missing
        dir: PathBuf,
    },
    /// Issue a certificate: a folder with cert.pem, key.pem and ca.pem
    Issue(Issue),
    /// Take certificates back: coordinators refuse them, and cut their connections
    Revoke(Revoke),
    /// List what was issued: serial numbers, owners, what is revoked
    List(Issued),
    /// Make the revocation list anew, as it is, so that it is good for longer
    Crl(Crl),
}

#[derive(Debug, Args)]
#[command(after_help = REVOKE_AFTER)]
pub(crate) struct Revoke {
    /// The CA's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    #[command(flatten)]
    pub(crate) which: Which,
    /// With --name, where a name has several roles: in which
    #[arg(long, requires = "name")]
    pub(crate) role: Option<RoleArg>,
    /// By when you mean to have made the next list
    #[arg(long, default_value = "2160h", value_name = "DURATION")]
    pub(crate) valid: String,
}

/// Which certificates are meant, in one of three ways.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// All that this owner has so far; what is issued to the name later is good
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The one with this number, in hexadecimal as `froben ca list` shows it
    #[arg(long)]
    pub(crate) serial: Option<String>,
    /// The one in this file, like an owner's cert.pem
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
}

const REVOKE_AFTER: &str = "\
Example: froben ca revoke --ca ca --name rig-7
The list is ca/crl.pem. A coordinator that was started with `--crl FILE` takes it within a second of its
being there, and cuts the connections of who is on it; copy it to the coordinator's machine if that is
another one.";

#[derive(Debug, Args)]
pub(crate) struct Issued {
    /// The CA's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Crl {
    /// The CA's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    /// By when you mean to have made the next list
    #[arg(long, default_value = "2160h", value_name = "DURATION")]
    pub(crate) valid: String,
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// The CA's folder, as `froben ca init` made it
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    /// What the certificate is for
    #[arg(long)]
    pub(crate) role: RoleArg,
    /// The name of its owner: lower-case letters, digits, `-`, `_`, `.`
    #[arg(long)]
    pub(crate) name: String,
    /// Where to put it; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How long it is valid, like 24h
    #[arg(long, default_value = "2160h", value_name = "DURATION")]
    pub(crate) valid: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    Coordinator,
    Operator,
    Seeker,
    /// A seeker who may also change the scripts: `froben scripts`
    Admin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Coordinator {
    /// Run in the foreground until SIGINT or SIGTERM; SIGHUP reads scripts and revocations again
    Run(Box<CoordinatorRun>),
}

#[derive(Debug, Args)]
pub(crate) struct CoordinatorRun {
    /// Show figures for Prometheus at http://HOST:PORT/metrics, to whoever reaches it; a port alone is of
    /// this machine only
    #[arg(long, value_name = "[HOST:]PORT", value_parser = metrics_address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where the journal and the blobs are kept; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The coordinator's cert.pem, key.pem and ca.pem
    #[arg(long, value_name = "DIR")]
    pub(crate) identity: PathBuf,
    /// The CA's list of revoked certificates, its crl.pem or a copy of it. It is read again whenever it
    /// changes, and on SIGHUP; whoever is on it is refused, and cut off if connected
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Option<PathBuf>,
    /// The coordinator's own scripts: a folder with pipelines/ and lib/. They are served if nothing was
    /// served before, or if they are news; SIGHUP reads them again
    #[arg(long, default_value = "scripts", value_name = "DIR")]
    pub(crate) scripts: PathBuf,
    /// Read the scripts again whenever a file of them changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// The matchmaker's numbers and the weights of seekers, as `froben policy show` prints them. The file is
    /// read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// An operator that is trusted to check what others have made; may be given several times. Nobody
    /// checks his own, so where trusted operators also do the work, there should be two
    #[arg(long, value_name = "OPERATOR")]
    pub(crate) trust: Vec<OperatorId>,
    /// Threads that serve connections
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) shards: u8,
    #[command(flatten)]
    pub(crate) capacity: CapacityArgs,
    /// Stop when standard input closes, as a child of another program
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Print a file with every number, its default and what it means
    Show,
    /// Read a file as the coordinator would, and say what is wrong with it
    Check {
        /// What `froben coordinator run --policy` is given
        file: PathBuf,
    },
}

/// How much a coordinator takes on.
#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    /// Threads that run scripts; as many as there are cores, and at least 2, by default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) script_threads: Option<u16>,
    /// What the scripts' sandboxes may occupy together. Those that wait longest go when it is used up,
    /// and are rebuilt from the journal when something comes for them
    #[arg(long, default_value = "512MiB", value_name = "SIZE")]
    pub(crate) script_memory: String,
    /// Workflows that may be live at once
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    pub(crate) workflows: usize,
    /// Of them, those of one seeker
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) workflows_of_one: usize,
}

#[derive(Debug, Args)]
#[command(after_help = DEV_AFTER)]
pub(crate) struct Dev {
    /// A pipeline to run, and to run again whenever a file of its folder of scripts is saved
    #[arg(value_name = "FILE", conflicts_with_all = ["scripts", "watch"])]
    pub(crate) pipeline: Option<PathBuf>,
    /// With FILE: a file for one of its inputs; may be given several times
    #[arg(long = "input", value_name = "NAME=FILE", requires = "pipeline")]
    pub(crate) inputs: Vec<String>,
    /// With FILE: a plain value for one of its inputs, a table as JSON; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "pipeline")]
    pub(crate) settings: Vec<String>,
    /// Where to keep everything; a temporary folder that is removed at the end by default
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Port of the coordinator on the loopback interface; a free one by default
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// How many operators
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) operators: u8,
    /// The scripts to serve; those that come with the program by default
    #[arg(long, value_name = "DIR")]
    pub(crate) scripts: Option<PathBuf>,
    /// Serve the scripts anew whenever a file of them changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// Setup data for the operators, as `froben-operator keys` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) keystore: Option<PathBuf>,
    /// Stop when standard input closes, as a child of another program
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

const DEV_AFTER: &str = "\
Without FILE the network stays up for you to submit to from another shell.

Example: froben dev scripts/pipelines/x.lua --input data=batch.bin
A save cancels the run, serves the scripts anew and runs the pipeline again; the result is one line on
standard output. Scripts that do not check are told with file and line, and nothing changes.";
