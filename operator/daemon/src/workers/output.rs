//! What a worker prints: the last lines are kept, to say why it died.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use froben_model::limits;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinSet;

/// Lines that are kept.
const LINES: usize = 8;
/// Bytes of a line that are kept.
const LINE_BYTES: usize = 400;
/// How long a dead worker's output may take to end: a process that it left behind may hold it open.
const DRAIN: Duration = Duration::from_millis(200);

/// Reads a process's output for as long as there is some.
#[derive(Debug)]
pub(super) struct Output {
    last: Arc<Mutex<VecDeque<String>>>,
    readers: JoinSet<()>,
}

impl Output {
    pub(super) fn new() -> Self {
        Output {
            last: Arc::default(),
            readers: JoinSet::new(),
        }
    }

    /// Adds a stream, named after the worker in the daemon's own log.
    pub(super) fn follow(&mut self, worker: u32, stream: impl AsyncRead + Send + Unpin + 'static) {
        let last = self.last.clone();
        self.readers.spawn(async move {
            each_line(stream, |line| {
                tracing::debug!(target: "worker", pid = worker, "{line}");
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.len() == LINES {
                    last.pop_front();
                }
                last.push_back(line);
            })
            .await;
        });
    }

    /// The last lines of a process that has died.
    pub(super) async fn last_lines(&mut self) -> Vec<String> {
        let ended = async { while self.readers.join_next().await.is_some() {} };
        // What has been read by then is all that there is to say.
        let _ = tokio::time::timeout(DRAIN, ended).await;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect()
    }
}

/// Calls `take` for each line that is not empty, cut to [`LINE_BYTES`], whatever the stream holds.
async fn each_line(mut stream: impl AsyncRead + Unpin, mut take: impl FnMut(String)) {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    let mut end = |line: &mut Vec<u8>| {
        let text = limits::one_line(String::from_utf8_lossy(line).trim());
        line.clear();
        if !text.is_empty() {
            take(text);
        }
    };
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        for &byte in &buffer[..read] {
            match byte {
                b'\n' => end(&mut line),
                _ if line.len() < LINE_BYTES => line.push(byte),
                _ => {}
            }
        }
    }
    end(&mut line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_and_counted_and_kept_printable() {
        let mut output = Output::new();
        let mut text: Vec<u8> = (0..20)
            .flat_map(|n| format!("line {n}\n\n").into_bytes())
            .collect();
        text.extend(b"\x1b[31mred\xff\n");
        text.extend(vec![b'x'; 10_000]);
        output.follow(1, std::io::Cursor::new(text));
        let lines = output.last_lines().await;
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 14");
        assert_eq!(lines[LINES - 2], " [31mred\u{fffd}");
        assert_eq!(lines[LINES - 1].len(), LINE_BYTES);
    }
}
