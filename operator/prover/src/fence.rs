//! Which of this machine's devices are offered: those that give their known answers.
//!
//! Each is asked in a process of its own, all at once: a driver that aborts or hangs when its device is
//! opened costs that device alone.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use froben_opencl::{BabyBear, Device, Field};

/// A cold compiler takes some seconds. The daemon waits for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);
/// A test says a few lines; a compiler's log may be among them. More of it is cut off, and ends the test.
const MOST_BYTES: u64 = 1 << 20;

/// Devices, and why some of them are not to be offered.
pub(crate) struct Fenced {
    pub(crate) offered: Vec<Device>,
    pub(crate) notes: Vec<String>,
}

/// Has every device asked for the known answers of the kernels that proofs need.
pub(crate) fn fence(devices: Vec<Device>) -> Fenced {
    let asked: Vec<_> = devices
        .into_iter()
        .map(|device| {
            let id = device.id.clone();
            (device, thread::spawn(move || examine(&id)))
        })
        .collect();
    let mut fenced = Fenced {
        offered: Vec::new(),
        notes: Vec::new(),
    };
    for (device, answer) in asked {
        let answer = answer
            .join()
            .unwrap_or_else(|_| Err("its test panicked".to_owned()));
        match answer {
            Ok(()) => fenced.offered.push(device),
            Err(why) => {
                tracing::error!(%device, why, "a device is fenced");
                fenced
                    .notes
                    .push(format!("device {} is fenced: {why}", device.id));
            }
        }
    }
    fenced
}

fn examine(id: &str) -> Result<(), String> {
    let program =
        std::env::current_exe().map_err(|error| format!("its test cannot be started: {error}"))?;
    let child = Command::new(program)
        .args(["selftest", "--field", BabyBear::NAME, "--device", id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let child = child.map_err(|error| format!("its test cannot be started: {error}"))?;
    let (status, said) = ended(child, PATIENCE)?;
    verdict(status, &said)
}

/// Waits for the end, which is forced when it does not come.
fn ended(mut child: Child, patience: Duration) -> Result<(ExitStatus, String), String> {
    let until = Instant::now() + patience;
    let failed = |error: std::io::Error| format!("its test cannot be followed: {error}");
    // All the while: a child whose pipe is full does not end.
    let (heard, hears) = sync_channel(1);
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut said = Vec::new();
            let read = stdout.take(MOST_BYTES).read_to_end(&mut said);
            // Nobody listens to a child that took too long.
            let _ = heard.send(read.map(|_| said));
        });
    }
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            let seconds = patience.as_secs();
            return Err(format!("it did not answer its test within {seconds} s"));
        }
        sleep(LOOK);
    };
    // What the child has started may hold the pipe open.
    let left = until.saturating_duration_since(Instant::now());
    let said = hears.recv_timeout(left.max(LOOK));
    let said = said.map_err(|_| "its test left its output open".to_owned())?;
    let said = said.map_err(failed)?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

/// What the end of a test means; `said` are its lines of device, check and answer.
fn verdict(status: ExitStatus, said: &str) -> Result<(), String> {
    let answers = said.lines().filter_map(|line| line.splitn(3, '\t').nth(2));
    let wrong: Vec<_> = answers.filter(|answer| *answer != "ok").collect();
    match (status.code(), status.signal()) {
        (Some(0), _) if wrong.is_empty() => Ok(()),
        (Some(_), _) if !wrong.is_empty() => Err(wrong.join("; ")),
        (Some(code), _) => Err(format!("its test ended with code {code}")),
        (None, Some(signal)) => Err(format!("its driver ended the test by signal {signal}")),
        (None, None) => Err("its test went away".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_that_ends_well_lets_a_device_through() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let good = "pci:1\tntt babybear\tok\npci:1\tfold babybear\tok\n";
        let bad = "pci:1\tntt babybear\tok\npci:1\tfold babybear\tit computes wrongly\n";
        for (status, said, expected) in [
            (exited(0), good, Ok(())),
            (exited(11), bad, Err("it computes wrongly")),
            (exited(0), bad, Err("it computes wrongly")),
            (exited(11), "", Err("its test ended with code 11")),
            (
                exited(11),
                "pci:1\tfailed\tno memory\nits log\n",
                Err("no memory"),
            ),
            (
                ExitStatus::from_raw(6),
                "",
                Err("its driver ended the test by signal 6"),
            ),
        ] {
            assert_eq!(verdict(status, said), expected.map_err(str::to_owned));
        }
    }

    fn start(script: &str) -> Child {
        let mut shell = Command::new("sh");
        let started = shell.args(["-c", script]).stdout(Stdio::piped()).spawn();
        started.expect("a shell starts")
    }

    /// A pipe holds 64 KiB.
    #[test]
    fn all_that_a_test_says_is_heard() {
        for (script, bytes) in [
            ("echo ok", 3),
            ("true", 0),
            ("head -c 500000 /dev/zero", 500_000),
        ] {
            let (status, said) = ended(start(script), PATIENCE).expect("it ends");
            assert!(status.success(), "{script}");
            assert_eq!(said.len(), bytes, "{script}");
        }
        let (status, said) = ended(start("exec yes"), PATIENCE).expect("it ends");
        assert!(!status.success() && said.len() == 1 << 20, "{status}");
    }

    #[test]
    fn a_test_that_does_not_end_is_ended() {
        let hung = ended(start("exec sleep 600"), Duration::ZERO);
        assert_eq!(
            hung,
            Err("it did not answer its test within 0 s".to_owned())
        );
    }
}
