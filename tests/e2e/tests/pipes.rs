//! Output that nobody reads: `froben ... | head -1`, a log whose reader has gone, a full disk.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use froben_e2e::{Network, Options, program};

/// A pipe whose reader has gone already.
fn nobody() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// Runs a command and gives its exit code and what it said on standard error.
fn unread(command: &mut Command) -> (Option<i32>, String) {
    let command = command.stdin(Stdio::null()).stdout(nobody());
    let output = command.stderr(Stdio::piped()).output();
    let output = output.expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_command_whose_output_nobody_reads_ends_quietly() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let file = network.file("data.bin", 1);
    let id = network.submit(&file);
    let export = network.path("run.export");
    network
        .froben(&["workflow", "export", &id, "-o", &export])
        .ok();
    let template = network.path("mine");
    for args in [
        &["explain"][..],
        &["explain", "FRB-LUA-001"],
        &["help", "exit-codes"],
        &["list"],
        &["list", "-o", "json"],
        &["status", &id],
        &["logs", &id],
        &["logs", &id, "--follow"],
        &["pipelines"],
        &["machines"],
        &["new", "hello", "--dir", &template],
        &["workflow", "pause", &id],
        &["workflow", "replay", &export],
        &["workflow", "replay", &export, "--until", "0"],
        &["workflow", "replay", &export, "-o", "json"],
        &["workflow", "replay", &export, "--step"],
        &["cancel", &id],
        &[
            "submit",
            "data_commitments",
            "--input",
            &format!("data={}", file.display()),
        ],
    ] {
        let (code, said) = unread(&mut network.command(args));
        assert_eq!((code, said.as_str()), (Some(141), ""), "{args:?}");
    }
    // What is wrong is said all the same.
    let (code, said) = unread(&mut network.command(&["status", "nonsense"]));
    assert_eq!(code, Some(2), "{said}");
    // The manual is printed by another hand.
    for args in [&["--help"][..], &["workflow", "--help"], &["--version"]] {
        let (code, said) = unread(&mut network.command(args));
        assert_eq!((code, said.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    for (args, expected) in [(&["nonsense"][..], 2), (&["verify", "/no/such/bundle"], 3)] {
        let mut command = Command::new(program("froben"));
        let command = command.args(args).stdin(Stdio::null()).stderr(nobody());
        let output = command.output().expect("the program can be run");
        assert_eq!(output.status.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn output_that_does_not_fit_is_an_error() {
    let full = File::create("/dev/full").expect("a device that is always full");
    let mut command = Command::new(program("froben"));
    let command = command.arg("explain").stdin(Stdio::null()).stdout(full);
    let output = command.stderr(Stdio::piped()).output();
    let output = output.expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: cannot write to standard output"),
        "{said}"
    );
}

/// Starts a program whose log nobody reads, and waits until it has said `words` on standard output.
fn start_unheard(name: &str, args: &[String], words: &str) -> Child {
    let mut child = Command::new(program(name))
        .args(args)
        .args(["--log", "trace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(nobody())
        .spawn()
        .expect("it can be started");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says something");
    assert!(line.starts_with(words), "{line}");
    child
}

#[test]
fn a_network_whose_logs_nobody_reads_goes_on() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    network.operators[0].take().expect("it runs").kill();
    network.coordinator.take().expect("it runs").kill();
    let args = network.coordinator_args();
    let coordinator = start_unheard("froben", &args, "coordinator listens on");
    let args = network.operator_args(0, &[]);
    let operator = start_unheard("froben-operator", &args, "registered ");
    let file = network.file("data.bin", 1);
    let id = network.submit(&file);
    network.fetch_and_verify(&id, &file);
    for mut part in [operator, coordinator] {
        drop(part.stdin.take());
        let ended = part.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0));
    }
}
