//! The daemon's end of one connection.
//!
//! A link neither starts the worker nor judges what it says beyond the wire: who sends what when is
//! the daemon's to check.

use nix::unistd::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::frame::{Frames, TO_DAEMON_BYTES, TO_WORKER_BYTES, frame};
use crate::message::{FromWorker, Hello, ToWorker};
use crate::{Error, VERSIONS, codec};

/// Messages that may wait for a worker that does not read. Its unanswered requests are limited, so
/// that one that does read never has as many.
const QUEUE: usize = 64;

/// Room for one read from the socket.
const READ_BYTES: usize = 64 << 10;

/// A connection to a worker that has said hello.
#[derive(Debug)]
pub struct Link {
    reading: OwnedReadHalf,
    frames: Frames,
    queue: mpsc::Sender<Vec<u8>>,
    protocol: u32,
}

impl Link {
    /// Takes a connection: checks who is there, reads its hello, holds `token` against it and agrees
    /// on a version. The caller limits the time.
    ///
    /// *Errors*: [`Error::WrongUser`], [`Error::WrongToken`], [`Error::NoCommonVersion`] and what
    /// reading a message can meet. The peer is told why, and the connection is closed.
    pub async fn accept(stream: UnixStream, token: &str) -> Result<(Hello, Link), Error> {
        let (met, expected) = (stream.peer_cred()?.uid(), geteuid().as_raw());
        if met != expected {
            return Err(Error::WrongUser { met, expected });
        }
        let (mut reading, mut writing) = stream.into_split();
        let mut frames = Frames::new(TO_DAEMON_BYTES);
        match greet(&mut reading, &mut frames, token).await {
            Ok((hello, protocol)) => {
                let (queue, messages) = mpsc::channel(QUEUE);
                tokio::spawn(write_all(writing, messages));
                let link = Link {
                    reading,
                    frames,
                    queue,
                    protocol,
                };
                link.send(&ToWorker::Welcome { protocol })?;
                Ok((hello, link))
            }
            Err(error) => {
                let reason = error.to_string();
                let body = codec::encode_to_worker(&ToWorker::Refused { reason });
                // The peer may be gone already; the error says what matters.
                let _ = writing.write_all(&frame(&body, TO_WORKER_BYTES)?).await;
                Err(error)
            }
        }
    }

    /// The next message; none if the worker closed the connection between two.
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<FromWorker>, Error> {
        match next_frame(&mut self.reading, &mut self.frames).await? {
            Some(body) => codec::decode_from_worker(&body, self.protocol).map(Some),
            None => Ok(None),
        }
    }

    /// Queues a message; does not wait for the worker.
    ///
    /// *Errors*: [`Error::FrameTooLarge`], and then nothing was sent and the connection is as it
    /// was; [`Error::NotReading`]; [`Error::Closed`].
    pub fn send(&self, message: &ToWorker) -> Result<(), Error> {
        let frame = frame(&codec::encode_to_worker(message), TO_WORKER_BYTES)?;
        self.queue.try_send(frame).map_err(|error| match error {
            TrySendError::Full(_) => Error::NotReading { queued: QUEUE },
            TrySendError::Closed(_) => Error::Closed,
        })
    }
}

/// Reads the hello and says which version is spoken from here on.
async fn greet(
    reading: &mut OwnedReadHalf,
    frames: &mut Frames,
    token: &str,
) -> Result<(Hello, u32), Error> {
    let body = next_frame(reading, frames).await?.ok_or(Error::Closed)?;
    let hello = match codec::decode_from_worker(&body, VERSIONS[0])? {
        FromWorker::Hello(hello) => hello,
        other => {
            return Err(Error::Unexpected {
                expected: "hello",
                met: other.name(),
            });
        }
    };
    if !same_secret(&hello.token, token) {
        return Err(Error::WrongToken);
    }
    let protocol = VERSIONS
        .into_iter()
        .find(|version| hello.protocols.contains(version))
        .ok_or_else(|| Error::NoCommonVersion {
            offered: hello.protocols.clone(),
            ours: &VERSIONS,
        })?;
    Ok((hello, protocol))
}

/// Compares without telling by its time how much was right: digests differ everywhere or nowhere.
fn same_secret(met: &str, expected: &str) -> bool {
    blake3::hash(met.as_bytes()) == blake3::hash(expected.as_bytes())
}

async fn next_frame(
    reading: &mut OwnedReadHalf,
    frames: &mut Frames,
) -> Result<Option<Vec<u8>>, Error> {
    loop {
        if let Some(body) = frames.next_frame()? {
            return Ok(Some(body));
        }
        frames.pending.reserve(READ_BYTES);
        if reading.read_buf(&mut frames.pending).await? == 0 {
            return frames.check_closed().map(|()| None);
        }
    }
}

/// Sends what is queued until the link is dropped or the worker is gone.
async fn write_all(mut writing: OwnedWriteHalf, mut messages: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = messages.recv().await {
        if writing.write_all(&frame).await.is_err() {
            return;
        }
    }
}
