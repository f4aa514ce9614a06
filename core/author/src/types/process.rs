//! One question to a helper program, bounded in time and in what it may answer.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Findings are capped by the helper; this is for one that babbles.
const ANSWER_BYTES: u64 = 8 << 20;
const COMPLAINT_BYTES: u64 = 4 << 10;

/// Sends `request` and returns what comes back.
///
/// *Errors*: one line; the helper cannot be started, fails, crashes, is too slow or too wordy. It is
/// gone in any case.
pub(super) fn ask(program: &Path, request: &[u8], patience: Duration) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    let answer = converse(&mut child, request, patience);
    // Whatever came of it: nothing of the helper stays.
    let _ = child.kill();
    let ended = child.wait();
    let (answer, complaint) = answer?;
    match ended {
        Ok(status) if !status.success() => Err(match complaint.trim() {
            "" => format!("the type checker ended with {status}"),
            complaint => froben_model::limits::one_line(complaint),
        }),
        Ok(_) => Ok(answer),
        Err(error) => Err(error.to_string()),
    }
}

fn converse(
    child: &mut Child,
    request: &[u8],
    patience: Duration,
) -> Result<(Vec<u8>, String), String> {
    let piped = "invariant: the pipes were asked for";
    let mut stdin = child.stdin.take().expect(piped);
    let stdout = child.stdout.take().expect(piped);
    let stderr = child.stderr.take().expect(piped);
    let request = request.to_owned();
    // Threads, since a helper that neither reads nor writes must not hold us. They end when the helper
    // is killed and its pipes close.
    std::thread::spawn(move || match stdin.write_all(&request) {
        // It says why itself.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    });
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = bounded(stdout, ANSWER_BYTES);
        let complaint = bounded(stderr, COMPLAINT_BYTES);
        let _ = sender.send((answer, complaint));
    });
    match receiver.recv_timeout(patience) {
        Ok((answer, complaint)) => {
            if answer.len() as u64 > ANSWER_BYTES {
                return Err("the type checker's answer is too long".to_owned());
            }
            // It has closed both pipes, so it is ending.
            let _ = child.wait();
            Ok((answer, String::from_utf8_lossy(&complaint).into_owned()))
        }
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "the type checker took longer than {} s",
            patience.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err("the type checker was lost".to_owned()),
    }
}

fn bounded(from: impl Read, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is what there is.
    let _ = from.take(limit + 1).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A helper that is a shell script.
    fn ask_script(script: &str, patience: Duration) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("helper");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        ask(&path, &vec![b'x'; 1 << 20], patience)
    }

    #[test]
    fn an_answer_is_read_whatever_the_helper_reads() {
        let long = Duration::from_secs(60);
        assert_eq!(
            ask_script("cat > /dev/null; printf hello", long),
            Ok(b"hello".to_vec())
        );
        assert_eq!(ask_script("printf hello", long), Ok(b"hello".to_vec()));
        let copied = ask_script("cat", long).expect("the request itself");
        assert_eq!(copied.len(), 1 << 20);
    }

    #[test]
    fn a_helper_that_fails_hangs_or_babbles_is_given_up() {
        let long = Duration::from_secs(60);
        assert_eq!(
            ask_script("echo broken >&2; exit 2", long),
            Err("broken".to_owned())
        );
        assert!(ask_script("kill -SEGV $$", long).is_err_and(|why| why.contains("ended with")));
        let hung = ask_script("exec sleep 600", Duration::from_millis(200));
        assert!(hung.is_err_and(|why| why.contains("longer")));
        let babble = ask_script("exec yes", long);
        assert!(babble.is_err_and(|why| why.contains("too long")));
        assert!(ask(Path::new("/nonexistent"), b"", long).is_err());
    }
}
