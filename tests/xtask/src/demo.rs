//! The main job, shown: a network of separate processes, a submit, a verified bundle, nothing left.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use crate::{build, setup};

pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let (file, params) = parse(args)?;
    if !file.is_file() {
        return Err(format!("{} is not a file", file.display()));
    }
    setup::run()?;
    let programs = build::programs()?;
    let start = Instant::now();
    let work = env::temp_dir().join(format!("froben-demo-{}", std::process::id()));
    fs::create_dir_all(&work)
        .map_err(|error| format!("cannot make {}: {error}", work.display()))?;
    let shown = show(&programs, &work, &file, &params);
    let _ = fs::remove_dir_all(&work);
    shown?;
    eprintln!(
        "demo: done after {:.1} s; nothing is left running",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn parse(args: &[&str]) -> Result<(PathBuf, String), String> {
    let mut file = build::root().join("LICENSE-APACHE");
    let mut params = "dev".to_string();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--params" => {
                params = args
                    .next()
                    .ok_or("--params takes `dev` or `standard`")?
                    .to_string()
            }
            flag if flag.starts_with('-') => {
                return Err(format!("`{flag}` is not an option of demo"));
            }
            path => file = PathBuf::from(path),
        }
    }
    Ok((file, params))
}

fn show(programs: &Path, work: &Path, file: &Path, params: &str) -> Result<(), String> {
    let froben = programs.join("froben");
    let mut network = Network::start(&froben, &work.join("network"))?;
    let bundle = work.join("bundle.bin");
    let submitted = step(
        &froben,
        &network.environment,
        &[
            "submit",
            "data_commitments",
            "--input",
            &format!("data={}", file.display()),
            "--set",
            &format!("params={params}"),
            "--wait",
            "-o",
            &bundle.display().to_string(),
        ],
    );
    let verified = submitted.and_then(|()| {
        let bundle = bundle.display().to_string();
        let file = file.display().to_string();
        step(
            &froben,
            &[],
            &["verify", &bundle, "--input", &file, "--accept-dev"],
        )
    });
    network.stop();
    verified
}

/// `froben dev` as a child.
struct Network {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Network {
    fn start(froben: &Path, data: &Path) -> Result<Network, String> {
        eprintln!("demo: $ froben dev --data {}", data.display());
        let mut child = Command::new(froben)
            .args(["dev", "--until-stdin-closes", "--data"])
            .arg(data)
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

fn step(froben: &Path, environment: &[(String, String)], args: &[&str]) -> Result<(), String> {
    eprintln!("\ndemo: $ froben {}", args.join(" "));
    let status = Command::new(froben)
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .status()
        .map_err(|error| format!("cannot run {}: {error}", froben.display()))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "`froben {}` failed: {status}",
            args.first().unwrap_or(&"")
        )),
    }
}
