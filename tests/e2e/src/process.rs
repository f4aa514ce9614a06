//! Programs under test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take before a test gives up. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program of the workspace, which `cargo xtask test` builds before it runs the tests.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a test knows where it is");
    let folder = here.ancestors().nth(2).expect("tests lie two folders deep");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build --workspace`",
        path.display()
    );
    path
}

/// A program of the tests' own, which `cargo test` builds, and `cargo test --test` does not.
pub fn example(name: &str) -> PathBuf {
    program(&format!("examples/{name}"))
}

/// Waits until `what` gives something.
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn run(command: &mut Command) -> Finished {
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Finished {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the program ended with `code` and said one `error:` line with all `words`.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Finished {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        let errors: Vec<_> = self
            .stderr
            .lines()
            .filter(|l| l.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "one line says what: {}", self.stderr);
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is not in: {}",
                self.stderr
            );
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A program that runs. Killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    output: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it; its output is kept, to be shown when a test fails.
    pub fn start<S: AsRef<OsStr>>(name: &str, program: &str, args: &[S]) -> Process {
        Process::start_with(name, Command::new(self::program(program)).args(args))
    }

    pub fn start_with(name: &str, command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped"), output.clone());
        collect(child.stderr.take().expect("piped"), output.clone());
        Process {
            child,
            name: name.to_string(),
            output,
        }
    }

    pub fn id(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn output(&self) -> String {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Waits until it has said something.
    pub fn wait_for(&mut self, words: &str) {
        let start = Instant::now();
        while !self.output().contains(words) {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                panic!("{} ended ({status}): {}", self.name, self.output());
            }
            let said = start.elapsed() < PATIENCE;
            assert!(
                said,
                "{} has not said `{words}`: {}",
                self.name,
                self.output()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal).expect("it can be signalled");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("it ends");
    }

    /// Waits for its end and gives the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return status.code();
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} does not end: {}",
                self.name,
                self.output()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its living children, by process id.
    pub fn children(&self) -> Vec<i32> {
        children_of(self.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.output());
        }
    }
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().expect("no reader panics");
            output.push_str(&line);
            output.push('\n');
        }
    });
}

fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; state and parent follow it.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = rest.split_whitespace();
        let (state, ppid) = (fields.next(), fields.next());
        state != Some("Z") && ppid == Some(parent.to_string().as_str())
    })
    .collect()
}
