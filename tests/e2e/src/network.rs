//! A coordinator and its operators, started one by one, so that a test can kill each.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::books::PRICES;
use crate::process::{Finished, Process, eventually, program};

/// The identity of the network's admin, which every network has.
pub(crate) const ADMIN: &str = "ops";
const POLICY: &str = "policy.toml";

/// What a test's network looks like. Every operator asks for [`PRICES`].
pub struct Options {
    pub operators: usize,
    /// Options for each operator.
    pub operator_args: Vec<String>,
    /// Options for the coordinator.
    pub coordinator_args: Vec<String>,
    /// The coordinator's policy file, if it has one.
    pub policy: Option<String>,
    /// Scripts that are served beside those of the repository, by their paths in the set.
    pub scripts: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            operators: 2,
            operator_args: Vec::new(),
            coordinator_args: Vec::new(),
            policy: None,
            scripts: Vec::new(),
        }
    }
}

pub struct Network {
    folder: tempfile::TempDir,
    address: String,
    /// What the coordinator is started with.
    scripts: PathBuf,
    operator_args: Vec<String>,
    coordinator_args: Vec<String>,
    pub coordinator: Option<Process>,
    pub operators: Vec<Option<Process>>,
}

impl Network {
    pub fn start(options: Options) -> Network {
        let Options {
            operators,
            operator_args,
            coordinator_args,
            policy,
            scripts,
        } = options;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut network = Network {
            address: format!("127.0.0.1:{}", free_port()),
            scripts: repository_scripts(),
            folder,
            operator_args,
            coordinator_args,
            coordinator: None,
            operators: Vec::new(),
        };
        if !scripts.is_empty() {
            network.scripts = network.folder().join("scripts");
            copy_scripts(&repository_scripts(), &network.scripts);
            for (path, source) in scripts {
                network.write_script(path, &source);
            }
        }
        if let Some(policy) = policy {
            network.write_policy(&policy);
            let path = network.path(POLICY);
            network
                .coordinator_args
                .extend(["--policy".to_string(), path]);
        }
        network.ca(&["init", &network.path("ca")]).ok();
        network.issue("coordinator", "coordinator", &[]);
        network.issue("seeker", "seeker", &[]);
        network.issue("admin", ADMIN, &[]);
        network.start_coordinator();
        for number in 0..operators {
            network.issue("operator", &format!("operator-{}", number + 1), &[]);
            network.operators.push(None);
            network.start_operator(number);
        }
        network
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// A file of `size` bytes that look like nothing in particular.
    pub fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut state = size as u64 + 1;
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    pub fn ca(&self, args: &[&str]) -> Finished {
        Finished::run(Command::new(program("froben")).arg("ca").args(args))
    }

    /// Issues a certificate into the folder that has its owner's name.
    pub fn issue(&self, role: &str, name: &str, more: &[&str]) {
        let (ca, out) = (self.path("ca"), self.path(name));
        let args = [
            "issue", "--ca", &ca, "--role", role, "--name", name, "--out", &out,
        ];
        self.ca(&[&args, more].concat()).ok();
    }

    /// The folder of scripts, for a network that has one of its own.
    pub fn scripts(&self) -> &Path {
        &self.scripts
    }

    pub fn write_script(&self, path: &str, source: &str) {
        let own = self.scripts.starts_with(self.folder());
        assert!(own, "the repository's scripts stay as they are");
        std::fs::write(self.scripts.join(path), source).expect("a script can be written");
    }

    /// Writes the coordinator's policy file, which it reads when it is told to.
    pub fn write_policy(&self, policy: &str) {
        std::fs::write(self.path(POLICY), policy).expect("a file can be written");
    }

    /// Gives the coordinator another policy file to read, and waits until it has said `words` of it.
    pub fn change_policy(&self, policy: &str, words: &str) {
        self.write_policy(policy);
        let coordinator = self.coordinator.as_ref().expect("it runs");
        let told = || coordinator.output().matches(words).count();
        let before = told();
        coordinator.signal(Signal::SIGHUP);
        eventually(words, || (told() > before).then_some(()));
    }

    pub fn coordinator_args(&self) -> Vec<String> {
        let args = [
            "coordinator",
            "run",
            "--until-stdin-closes",
            "--listen",
            &self.address,
            "--data",
            &self.path("data"),
            "--identity",
            &self.path("coordinator"),
            "--crl",
            &self.path("ca/crl.pem"),
            "--scripts",
            &self.scripts.display().to_string(),
            "--metrics",
            "0",
        ];
        let args = args.map(str::to_string);
        [&args[..], &self.coordinator_args].concat()
    }

    pub fn start_coordinator(&mut self) {
        let mut process = Process::start("coordinator", "froben", &self.coordinator_args());
        process.wait_for("coordinator listens on");
        self.coordinator = Some(process);
    }

    pub fn start_operator(&mut self, number: usize) {
        self.start_operator_with(number, &[]);
    }

    pub fn start_operator_with(&mut self, number: usize, more: &[&str]) {
        let args = self.operator_args(number, more);
        self.run_operator(number, &args, &[]);
    }

    /// The same with other values for some options, and with more options.
    pub fn start_operator_as(&mut self, number: usize, other: &[(&str, &str)], more: &[&str]) {
        self.start_operator_in(number, other, more, &[]);
    }

    /// The same with variables in its environment.
    pub fn start_operator_in(
        &mut self,
        number: usize,
        other: &[(&str, &str)],
        more: &[&str],
        variables: &[(&str, &str)],
    ) {
        let mut args = self.operator_args(number, more);
        for (option, value) in other {
            let at = args.iter().position(|arg| arg == option);
            args[at.expect("an option that it has") + 1] = value.to_string();
        }
        self.run_operator(number, &args, variables);
    }

    fn run_operator(&mut self, number: usize, args: &[String], variables: &[(&str, &str)]) {
        let name = format!("operator-{}", number + 1);
        let mut command = Command::new(program("froben-operator"));
        command.args(args).envs(variables.iter().copied());
        let mut process = Process::start_with(&name, &mut command);
        process.wait_for("registered ");
        self.operators[number] = Some(process);
    }

    pub fn operator_args(&self, number: usize, more: &[&str]) -> Vec<String> {
        let identity = self.path(&format!("operator-{}", number + 1));
        let prover = program("froben-prover").display().to_string();
        let args = [
            "run",
            "--until-stdin-closes",
            "--coordinator",
            &self.address,
            "--identity",
            &identity,
            "--label",
            "machine-1",
            "--prover",
            &prover,
        ];
        let prices = PRICES.map(|(kind, price)| format!("{kind}={price}"));
        let prices = prices.iter().flat_map(|price| ["--price", price]);
        let own = self.operator_args.iter().map(String::as_str);
        let args = args.into_iter().chain(prices).chain(own);
        let args = args.chain(more.iter().copied());
        args.map(str::to_string).collect()
    }

    /// A command line of the seeker's.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_as("seeker", args)
    }

    /// The same with the certificate of `identity`.
    pub fn command_as(&self, identity: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program("froben"));
        command
            .args(args)
            .env("FROBEN_COORDINATOR", &self.address)
            .env("FROBEN_IDENTITY", self.path(identity));
        command
    }

    pub fn froben(&self, args: &[&str]) -> Finished {
        Finished::run(&mut self.command(args))
    }

    /// Submits `file` with `dev` parameters and gives the id.
    pub fn submit(&self, file: &Path) -> String {
        self.submit_with(file, &[])
    }

    /// The same with more options.
    pub fn submit_with(&self, file: &Path, more: &[&str]) -> String {
        let data = format!("data={}", file.display());
        let args = [
            "submit",
            "data_commitments",
            "--input",
            &data,
            "--set",
            "params=dev",
            "-o",
            "json",
        ];
        let submitted = self.froben(&[&args, more].concat()).ok().json();
        submitted["workflow"]["id"]
            .as_str()
            .expect("an id")
            .to_string()
    }

    pub fn status(&self, id: &str) -> serde_json::Value {
        self.froben(&["status", id, "-o", "json"]).ok().json()
    }

    /// Waits until at least `done` of a stage are done.
    pub fn wait_for_stage(&self, id: &str, phase: &str, done: u64) {
        eventually(&format!("{done} of {phase}"), || {
            let status = self.status(id);
            assert_ne!(status["workflow"]["state"], "failed", "{status:#}");
            let stages = status["stages"].as_array()?;
            let stage = stages.iter().find(|stage| stage["phase"] == phase)?;
            (stage["done"].as_u64()? >= done).then_some(())
        });
    }

    /// Waits for the end, downloads the bundle and verifies it against `file`.
    pub fn fetch_and_verify(&self, id: &str, file: &Path) -> PathBuf {
        let bundle = self.folder.path().join(format!("{id}.bundle"));
        let bundle_text = bundle.display().to_string();
        self.froben(&["wait", id, "-o", &bundle_text]).ok();
        self.verify(&bundle, file).ok();
        bundle
    }

    pub fn verify(&self, bundle: &Path, file: &Path) -> Finished {
        let (bundle, file) = (bundle.display().to_string(), file.display().to_string());
        self.froben(&["verify", &bundle, "--input", &file, "--accept-dev"])
    }
}

fn repository_scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts")
}

fn copy_scripts(from: &Path, to: &Path) {
    for folder in ["pipelines", "lib"] {
        std::fs::create_dir_all(to.join(folder)).expect("a folder");
        let entries = std::fs::read_dir(from.join(folder)).expect("the repository's scripts");
        for entry in entries.flatten() {
            let to = to.join(folder).join(entry.file_name());
            std::fs::copy(entry.path(), to).expect("a script can be copied");
        }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
