//! One worker process: started, greeted, stopped.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use froben_model::limits;
use froben_protocol::{Hello, Link, TOKEN_VARIABLE, ToWorker};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::death::{Death, oom_kill_count};
use super::error::Error;
use super::output::Output;
use super::runtime_dir::RuntimeDir;
use super::spec::{Timing, WorkerSpec};

/// The daemon's own variables carry this prefix, and no worker gets them.
const OWN_VARIABLES: &str = "FROBEN_";

/// A process that has said hello.
pub(super) struct Live {
    pub(super) hello: Hello,
    pub(super) link: Link,
    pub(super) process: Process,
}

/// A process of ours, with a process group of its own.
pub(super) struct Process {
    child: Child,
    group: Pid,
    output: Output,
    oom_kills_before: u64,
}

/// Starts a worker with the protocol's flags and waits for its hello.
pub(super) async fn launch(
    spec: &WorkerSpec,
    flags: &[&str],
    runtime: &RuntimeDir,
    timing: &Timing,
) -> Result<Live, Error> {
    let path = runtime.fresh_socket();
    let listener = UnixListener::bind(&path).map_err(|cause| Error::Listen {
        path: path.clone(),
        cause,
    })?;
    let result = launch_at(spec, flags, &path, &listener, timing).await;
    // Nobody else is to connect. What cannot be removed goes with the directory.
    let _ = std::fs::remove_file(&path);
    result
}

async fn launch_at(
    spec: &WorkerSpec,
    flags: &[&str],
    path: &Path,
    listener: &UnixListener,
    timing: &Timing,
) -> Result<Live, Error> {
    let token = hex::encode(rand::random::<[u8; 32]>());
    let mut process = Process::spawn(spec, flags, path, &token)?;
    let until = Instant::now() + timing.hello;
    // Kept, since a worker that was refused gives up and dies.
    let mut refusal = None;
    let greeted = tokio::select! {
        greeted = timeout_at(until, greet(listener, &token, &mut refusal)) => greeted,
        _ = process.child.wait() => {
            let death = process.kill().await;
            let program = spec.program.clone();
            return Err(Error::Died { program, death });
        }
    };
    match greeted {
        Ok((hello, link)) => Ok(Live {
            hello,
            link,
            process,
        }),
        Err(_) => {
            process.kill().await;
            Err(Error::NoHello {
                program: spec.program.clone(),
                waited_ms: timing.hello.as_millis(),
                why: refusal.map(|why| format!(": {why}")).unwrap_or_default(),
            })
        }
    }
}

/// Takes connections until one of them is the worker's.
async fn greet(
    listener: &UnixListener,
    token: &str,
    refusal: &mut Option<froben_protocol::Error>,
) -> (Hello, Link) {
    loop {
        let accepted = async {
            let (stream, _): (UnixStream, _) = listener.accept().await?;
            Link::accept(stream, token).await
        };
        match accepted.await {
            Ok(greeted) => return greeted,
            Err(error) => {
                tracing::warn!(%error, "refused a connection to a worker's socket");
                *refusal = Some(error);
            }
        }
    }
}

impl Process {
    fn spawn(spec: &WorkerSpec, flags: &[&str], socket: &Path, token: &str) -> Result<Self, Error> {
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.args)
            .arg("--socket")
            .arg(socket)
            .args(flags);
        for (name, _) in std::env::vars_os() {
            if name
                .as_encoded_bytes()
                .starts_with(OWN_VARIABLES.as_bytes())
            {
                command.env_remove(name);
            }
        }
        command
            .envs(&spec.env)
            .env(TOKEN_VARIABLE, token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal from the daemon's terminal is the daemon's to act on.
            .process_group(0)
            .kill_on_drop(true);
        let oom_kills_before = oom_kill_count();
        let failed = |cause| Error::Spawn {
            program: spec.program.clone(),
            cause,
        };
        let mut child = command.spawn().map_err(failed)?;
        let id = child
            .id()
            .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let mut output = Output::new();
        if let Some(stdout) = child.stdout.take() {
            output.follow(id, stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(id, stderr);
        }
        Ok(Process {
            child,
            group: Pid::from_raw(id.cast_signed()),
            output,
            oom_kills_before,
        })
    }

    /// Sends a signal to the process and to all that it started.
    pub(super) fn signal(&self, signal: Signal) {
        // While the child is not waited for, its number is nobody else's; afterwards there may be
        // nobody left to signal.
        let _ = killpg(self.group, signal);
    }

    /// The process group, which is the worker's own.
    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// Waits a while for the process to end by itself, and says whether it did.
    pub(super) async fn ends_within(&mut self, patience: std::time::Duration) -> bool {
        timeout(patience, self.child.wait()).await.is_ok()
    }

    /// Kills the process, if it still lives, and says how it ended.
    ///
    /// A process that was about to end by itself is given the moment to do so, since its own end
    /// says more than ours.
    pub(super) async fn kill(&mut self) -> Death {
        let moment = std::time::Duration::from_millis(100);
        let (status, by_us) = match timeout(moment, self.child.wait()).await {
            Ok(status) => (status, false),
            Err(_) => {
                self.signal(Signal::SIGKILL);
                (self.child.wait().await, true)
            }
        };
        // What it may have left behind.
        self.signal(Signal::SIGKILL);
        let status: Option<ExitStatus> = status.ok();
        let oom_kills = oom_kill_count() > self.oom_kills_before;
        Death::new(status, by_us, self.output.last_lines().await, oom_kills)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The child itself is killed and waited for by Tokio; this is for what it started.
        if self.child.id().is_some() {
            self.signal(Signal::SIGKILL);
        }
    }
}

impl Live {
    /// Asks the worker to exit, and sees to it that it does.
    pub(super) async fn shut_down(mut self, timing: &Timing) {
        // A worker that does not read is killed like one that does not listen.
        let _ = self.link.send(&ToWorker::Shutdown);
        if !self.process.ends_within(timing.term).await {
            self.process.signal(Signal::SIGTERM);
            self.process
                .ends_within(timing.kill.saturating_sub(timing.term))
                .await;
        }
        self.process.kill().await;
    }

    /// What names the process in the daemon's own log.
    pub(super) fn label(&self) -> String {
        let Hello { name, role, .. } = &self.hello;
        limits::one_line(&format!("{name} {role} {}", self.process.group))
    }
}
