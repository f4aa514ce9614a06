//! The program itself: how it starts, stops, and what it leaves behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use froben_model::Value;
use froben_wire::Role;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::{Network, PATIENCE, eventually, run, worker};

struct Daemon {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

fn command(address: &str, identity: &Path, dir: &Path) -> Command {
    command_of(&worker(), address, identity, dir)
}

fn command_of(prover: &Path, address: &str, identity: &Path, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_froben-operator"));
    command
        .args(["run", "--coordinator", address])
        .arg("--identity")
        .arg(identity)
        .arg("--prover")
        .arg(prover)
        .arg("--runtime-dir")
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

impl Daemon {
    fn start(network: &Network, identity: &Path) -> Daemon {
        Self::start_as(command(&network.address, identity, network.dir()))
    }

    fn start_as(mut command: Command) -> Daemon {
        let mut child = command
            .args(["--label", "m1", "--until-stdin-closes"])
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Daemon { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// The processes that it has started and that still run.
    fn children(&self) -> Vec<Pid> {
        let ppid = self.child.id().to_string();
        let stats = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                // The name, in parentheses, may hold anything; state and parent follow it.
                let parent = stat
                    .rsplit_once(')')?
                    .1
                    .split_whitespace()
                    .nth(1)?
                    .to_owned();
                (parent == ppid).then_some(Pid::from_raw(pid))
            });
        stats.collect()
    }

    fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_none_or(|state| state == "Z")
}

#[test]
fn a_device_that_goes_bad_is_fenced_and_the_machine_registers_without_it() {
    let network = Network::start();
    let identity = network.issue(Role::Operator, "op");
    // Good when it is asked what it can do, and bad from then on.
    let prover = network.dir().join("unfit");
    let script = format!("#!/bin/sh\nexec {} --unfit \"$@\"\n", worker().display());
    std::fs::write(&prover, script).unwrap();
    std::fs::set_permissions(&prover, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = command_of(&prover, &network.address, &identity, network.dir());
    let mut daemon = Daemon::start_as(command);
    // Its devices may be found out before it registers first, or after; one by one, or together.
    let without = (0..3).any(|_| {
        let line = daemon.line();
        assert!(line.starts_with("registered op/m1 with "), "{line}");
        line.contains(" with 0 devices")
    });
    assert!(without, "it keeps its devices");
    // The processor is still offered.
    run(async {
        let id = network.submit("echo", froben_model::Value::Int(1)).await;
        let value = network.outcome(id, "value").await;
        assert_eq!(value, Some(froben_model::Value::Int(1)));
    });
    kill(daemon.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_task_that_names_a_key_is_told_where_its_file_lies() {
    const CONTENT: &str = "powers of tau";
    const SHA256: &str = "c1e4edd0641fd2b76d2bddbd29711077bbbac7254b80bd81049f4d8638cb14c5";
    let network = Network::start();
    let identity = network.issue(Role::Operator, "op");
    let keystore = network.dir().join("keystore");
    std::fs::create_dir(&keystore).unwrap();
    std::fs::write(keystore.join("setup"), CONTENT).unwrap();
    let manifest = format!(
        "[[key]]\nname = \"tau\"\nversion = \"1\"\nfile = \"setup\"\nsha256 = \"{SHA256}\"\n"
    );
    std::fs::write(keystore.join("manifest.toml"), manifest).unwrap();
    let mut command = command(&network.address, &identity, network.dir());
    command.arg("--keystore").arg(&keystore);
    let mut daemon = Daemon::start_as(command);
    let line = daemon.line();
    assert!(line.starts_with("registered op/m1"), "{line}");
    run(async {
        // A key is its content: the task may call it what it likes.
        let keys = Value::map([("crs", Value::text(SHA256))]);
        let input = [("what", Value::text("keys")), ("keys", keys)];
        let id = network.submit_input(Value::map(input)).await;
        let value = network.outcome(id, "value").await;
        let expected = Value::map([("crs", Value::text(CONTENT))]);
        assert_eq!(value, Some(expected));
    });
}

#[test]
fn it_registers_serves_and_leaves_nothing_behind() {
    let network = Network::start();
    let identity = network.issue(Role::Operator, "op");
    for way in ["SIGTERM", "SIGINT twice", "closed input"] {
        let mut daemon = Daemon::start(&network, &identity);
        let line = daemon.line();
        assert!(
            line.starts_with("registered op/m1 with 2 devices"),
            "{line}"
        );
        let waiting = run(async {
            let id = network.submit("echo", froben_model::Value::Int(1)).await;
            let value = network.outcome(id, "value").await;
            assert_eq!(value, Some(froben_model::Value::Int(1)));
            let waiting = network.submit("wait", froben_model::Value::Nil).await;
            network.wait_running(waiting).await;
            waiting
        });
        let children = daemon.children();
        assert!(!children.is_empty());
        let drains = || {
            run(eventually(async || {
                network.is_draining("op/m1").await.then_some(())
            }));
        };
        match way {
            // It ends with what it had.
            "SIGTERM" => {
                kill(daemon.pid(), Signal::SIGTERM).unwrap();
                drains();
                run(network.cancel(waiting));
            }
            "SIGINT twice" => {
                kill(daemon.pid(), Signal::SIGINT).unwrap();
                drains();
                kill(daemon.pid(), Signal::SIGINT).unwrap();
            }
            _ => drop(daemon.child.stdin.take()),
        }
        assert_eq!(daemon.wait(), Some(0), "{way}");
        assert!(children.into_iter().all(gone), "{way} left a worker behind");
        run(eventually(async || {
            network.machines().await.is_empty().then_some(())
        }));
        let left = std::fs::read_dir(network.dir()).unwrap().flatten();
        let sockets = left.filter(|e| e.file_name().to_string_lossy().starts_with("froben-"));
        assert_eq!(sockets.count(), 0, "{way} left its sockets behind");
    }
}

#[test]
fn killed_it_takes_its_workers_along() {
    let network = Network::start();
    let mut daemon = Daemon::start(&network, &network.issue(Role::Operator, "op"));
    daemon.line();
    run(async {
        let waiting = network.submit("wait", froben_model::Value::Nil).await;
        network.wait_running(waiting).await;
        let children = daemon.children();
        // Frozen for a heartbeat first: a socket that closes with bytes unread is reset, and then
        // the workers read an error instead of an end.
        kill(daemon.pid(), Signal::SIGSTOP).unwrap();
        tokio::time::sleep(Duration::from_millis(froben_protocol::ALIVE_MS + 500)).await;
        kill(daemon.pid(), Signal::SIGKILL).unwrap();
        // The coordinator knows at once; the workers find out by themselves.
        let class = network.outcome(waiting, "class").await;
        assert_eq!(class, Some(froben_model::Value::text("disconnected")));
        eventually(async || children.iter().copied().all(gone).then_some(())).await;
    });
}

#[test]
fn it_comes_back_when_its_coordinator_does() {
    let mut network = Network::start();
    let mut daemon = Daemon::start(&network, &network.issue(Role::Operator, "op"));
    daemon.line();
    run(async {
        network.close().await;
        network.open();
    });
    assert!(daemon.line().starts_with("registered op/m1"));
}

#[test]
fn it_stops_while_nobody_answers_and_says_what_is_wrong() {
    let network = Network::start();
    let identity = network.issue(Role::Operator, "op");
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let mut command = command(&nowhere, &identity, network.dir());
    command.arg("--until-stdin-closes").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(
        line.contains("cannot reach") && line.contains(&nowhere),
        "{line}"
    );
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Told once, however often it tried.
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("cannot reach"), "{rest}");
}

#[test]
fn what_it_cannot_use_ends_it_with_the_documented_code() {
    let network = Network::start();
    let (operator, seeker) = (
        network.issue(Role::Operator, "op"),
        network.issue(Role::Seeker, "ada"),
    );
    let nothing = network.dir().join("nothing");
    let prover = worker().with_file_name("no-such-prover");
    let prover = prover.display().to_string();
    let cases: [(&Path, &[&str], i32, &str); 5] = [
        (&seeker, &[], 5, "seeker ada"),
        (&nothing, &[], 1, "nothing/cert.pem"),
        (&operator, &["--label", "Not One"], 2, "Not One"),
        (&operator, &["--prover", &prover], 3, "no-such-prover"),
        (&operator, &["--config", "/no/file"], 3, "/no/file"),
    ];
    for (identity, more, code, words) in cases {
        let mut command = command(&network.address, identity, network.dir());
        command.args(more);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|l| l.starts_with("error: "))
            .collect();
        assert!(
            errors.len() == 1 && errors[0].contains(words),
            "{words}: {stderr}"
        );
    }
}
