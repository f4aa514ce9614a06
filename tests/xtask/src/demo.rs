//! The main job, shown: a network of separate processes, a submit, a verified proof, nothing left.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use crate::{build, setup};

pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let job = Job::parse(args)?;
    if !job.file.is_file() {
        return Err(format!("{} is not a file", job.file.display()));
    }
    setup::run()?;
    let programs = build::programs()?;
    let start = Instant::now();
    let work = env::temp_dir().join(format!("froben-demo-{}", std::process::id()));
    fs::create_dir_all(&work)
        .map_err(|error| format!("cannot make {}: {error}", work.display()))?;
    let shown = job.show(&programs, &work);
    let _ = fs::remove_dir_all(&work);
    shown?;
    eprintln!(
        "demo: done after {:.1} s; nothing is left running",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What is proved, and how far.
struct Job {
    file: PathBuf,
    params: String,
    until: String,
}

impl Job {
    fn parse(args: &[&str]) -> Result<Job, String> {
        let mut job = Job {
            file: build::root().join("LICENSE-APACHE"),
            params: "dev".to_string(),
            until: "snark".to_string(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--params" => job.params = one_of(args.next(), arg, &["dev", "standard"])?,
                "--until" => {
                    job.until = one_of(args.next(), arg, &["bundle", "aggregate", "snark"])?;
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("`{flag}` is not an option of demo"));
                }
                path => job.file = PathBuf::from(path),
            }
        }
        Ok(job)
    }

    fn show(&self, programs: &Path, work: &Path) -> Result<(), String> {
        let froben = programs.join("froben");
        let text = |path: &Path| path.display().to_string();
        let keystore = text(&work.join("keystore"));
        let mut dev = vec!["dev", "--until-stdin-closes", "--data"];
        let network = text(&work.join("network"));
        dev.push(&network);
        if self.until == "snark" {
            let operator = programs.join("froben-operator");
            step(
                &operator,
                &[],
                &["keys", &keystore, "--params", &self.params],
            )?;
            dev.extend(["--keystore", &keystore]);
        }
        let mut network = Network::start(&froben, &dev)?;
        let proof = text(&work.join(format!("{}.bin", self.until)));
        let data = format!("data={}", self.file.display());
        let params = format!("params={}", self.params);
        let submit = [
            "submit",
            "data_commitments",
            "--input",
            &data,
            "--set",
            &params,
            "--until",
            &self.until,
            "--wait",
            "-o",
            &proof,
        ];
        let submitted = step(&froben, &network.environment, &submit);
        let file = text(&self.file);
        let verify = ["verify", &proof, "--input", &file, "--accept-dev"];
        let verified = submitted.and_then(|()| step(&froben, &[], &verify));
        network.stop();
        verified
    }
}

fn one_of(value: Option<&&str>, option: &str, known: &[&str]) -> Result<String, String> {
    match value {
        Some(value) if known.contains(value) => Ok((*value).to_string()),
        _ => Err(format!("{option} takes one of {}", known.join(", "))),
    }
}

/// `froben dev` as a child.
struct Network {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Network {
    fn start(froben: &Path, args: &[&str]) -> Result<Network, String> {
        eprintln!("demo: $ froben {}", args.join(" "));
        let mut child = Command::new(froben)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", froben.display()))?;
        let mut environment = Vec::new();
        let stdout = child.stdout.take().ok_or("froben dev has no output")?;
        // It prints `NAME=VALUE` lines for those who want to submit, then `ready`.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line == "ready" {
                return Ok(Network { child, environment });
            }
            let setting = line
                .strip_prefix("export ")
                .and_then(|line| line.split_once('='));
            environment.extend(setting.map(|(name, value)| (name.to_string(), value.to_string())));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err("froben dev did not come up; its messages are above".to_string())
    }

    fn stop(&mut self) {
        // It and its children stop when its standard input closes.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop();
    }
}

fn step(program: &Path, environment: &[(String, String)], args: &[&str]) -> Result<(), String> {
    let name = program.file_name().unwrap_or_default().display();
    eprintln!("\ndemo: $ {name} {}", args.join(" "));
    let status = Command::new(program)
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .status()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "`{name} {}` failed: {status}",
            args.first().unwrap_or(&"")
        )),
    }
}
