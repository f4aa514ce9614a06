//! Blobs for workers, over the coordinator's connection.
//!
//! Workers live on one thread and RPC objects on another: requests cross in a bounded channel, and
//! answers come back in one of their own. A carrier belongs to one connection; when that ends, what
//! is under way fails as `disconnected`, as the attempts do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use froben_model::{BlobRef, ErrorClass, limits};
use froben_schema::common_capnp::{blob_reader, blob_store, blob_writer};
use froben_schema::convert;
use froben_wire::{Disposition, call, failed};
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::workers::{BlobAccess, BoxFuture, Failure, Upload};

/// Requests of all workers that may wait.
const REQUESTS: usize = 64;
/// Calls under way at once. The coordinator stops listening to who has four times as many.
const CALLS: usize = 16;
/// Chunks of one upload that may wait, and that may be under way.
const WINDOW: usize = 8;
/// Uploads under way at once, of all workers; the coordinator refuses a connection more than 64.
const UPLOADS: usize = 48;
/// Blobs that stay open for reading.
const READERS: usize = 32;
/// Between two tries at a coordinator that is busy.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a coordinator may be busy.
const BUSY: Duration = Duration::from_secs(60);

enum Request {
    Read {
        blob: BlobRef,
        offset: u64,
        len: u32,
        reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
    },
    Open {
        max_bytes: u64,
        steps: mpsc::Receiver<Step>,
        fate: Fate,
    },
}

/// What happens to an upload, in order. Closing the channel forgets it.
enum Step {
    Chunk(Vec<u8>),
    Finish {
        blob: BlobRef,
        reply: oneshot::Sender<Result<(), Failure>>,
    },
}

/// Why an upload has failed, once it has: the next step says so.
type Fate = Arc<Mutex<Option<Failure>>>;

/// The workers' end.
pub(crate) struct Carrier {
    requests: mpsc::Sender<Request>,
}

/// Carries blobs over `store` for as long as the connection lives: dropping every [`Carrier`] ends
/// it. Call it inside a `LocalSet`.
pub(crate) fn carry(store: blob_store::Client, patience: Duration) -> Arc<Carrier> {
    let (sender, mut requests) = mpsc::channel(REQUESTS);
    let porter = Rc::new(Porter {
        store,
        patience,
        calls: Arc::new(Semaphore::new(CALLS)),
        uploads: Semaphore::new(UPLOADS),
        readers: RefCell::default(),
    });
    spawn_local(async move {
        while let Some(request) = requests.recv().await {
            let porter = porter.clone();
            spawn_local(async move {
                match request {
                    Request::Read {
                        blob,
                        offset,
                        len,
                        mut reply,
                    } => {
                        // A task that has ended does not want it any more.
                        let read = tokio::select! {
                            read = unless_busy(async || porter.read(blob, offset, len).await) => read,
                            () = reply.closed() => return,
                        };
                        let _ = reply.send(read);
                    }
                    Request::Open {
                        max_bytes,
                        mut steps,
                        fate,
                    } => {
                        // The channel closes after its fate is known.
                        if let Err(failure) = porter.upload(max_bytes, &mut steps).await {
                            *fate.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                        }
                    }
                }
            });
        }
    });
    Arc::new(Carrier { requests: sender })
}

/// The RPC end.
struct Porter {
    store: blob_store::Client,
    patience: Duration,
    calls: Arc<Semaphore>,
    uploads: Semaphore,
    /// The blobs that were opened last, the newest at the back.
    readers: RefCell<VecDeque<(BlobRef, blob_reader::Client)>>,
}

impl Porter {
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let calls = self.calls.clone();
        calls.acquire_owned().await.map_err(|_| gone())
    }

    /// A reader of `blob`. The call that opens it need not have come back: what is asked of the
    /// reader meanwhile waits at the coordinator.
    fn reader(&self, blob: BlobRef) -> blob_reader::Client {
        let mut readers = self.readers.borrow_mut();
        if let Some((_, reader)) = readers.iter().find(|(open, _)| *open == blob) {
            return reader.clone();
        }
        let mut request = self.store.read_request();
        convert::write_blob(&blob, request.get().init_blob());
        let reader = request.send().pipeline.get_reader();
        if readers.len() == READERS {
            readers.pop_front();
        }
        readers.push_back((blob, reader.clone()));
        reader
    }

    async fn read(&self, blob: BlobRef, offset: u64, len: u32) -> Result<Vec<u8>, Refusal> {
        let _permit = self.permit().await?;
        let reader = self.reader(blob);
        let mut request = reader.read_request();
        request.get().set_offset(offset);
        request.get().set_size_bytes(len);
        let read = async {
            let answer = call("reading a blob", self.patience, request.send().promise).await?;
            let data = answer.get().and_then(|results| results.get_data());
            Ok(data
                .map_err(|error| failed("reading a blob", &error))?
                .to_vec())
        };
        let read = read.await.map_err(|error: froben_wire::Error| {
            // Whatever is wrong with this reader, the next task gets a fresh one.
            self.readers.borrow_mut().retain(|(open, _)| *open != blob);
            Refusal::from(error)
        })?;
        match read.len() == len as usize {
            true => Ok(read),
            false => Err(Failure::new(
                ErrorClass::BadRequest,
                format!("{len} bytes at {offset} are not inside blob {}", blob.hash),
            )
            .into()),
        }
    }

    async fn open(&self, max_bytes: u64) -> Result<blob_writer::Client, Refusal> {
        let _permit = self.permit().await?;
        let mut request = self.store.write_request();
        request.get().set_size_bytes(max_bytes);
        let opened = call("starting an upload", self.patience, request.send().promise).await?;
        let writer = opened.get().and_then(|results| results.get_writer());
        Ok(writer.map_err(|error| failed("starting an upload", &error))?)
    }

    async fn upload(
        self: &Rc<Self>,
        max_bytes: u64,
        steps: &mut mpsc::Receiver<Step>,
    ) -> Result<(), Failure> {
        let opened = async {
            let slot = self.uploads.acquire().await.map_err(|_| gone())?;
            let writer = unless_busy(async || self.open(max_bytes).await).await?;
            Ok::<_, Failure>((slot, writer))
        };
        let (_slot, writer) = tokio::select! {
            opened = opened => opened?,
            () = abandoned(steps) => return Ok(()),
        };

        let mut under_way = FuturesOrdered::<JoinHandle<_>>::new();
        loop {
            let step = tokio::select! {
                biased;
                Some(written) = under_way.next() => {
                    written.unwrap_or_else(|_| Err(gone()))?;
                    continue;
                }
                step = steps.recv(), if under_way.len() < WINDOW => step,
            };
            match step {
                Some(Step::Chunk(bytes)) => under_way.push_back(self.write(&writer, bytes).await?),
                Some(Step::Finish { blob, reply }) => {
                    let mut done = Ok(());
                    while let Some(written) = under_way.next().await {
                        done = done.and(written.unwrap_or_else(|_| Err(gone())));
                    }
                    if done.is_ok() {
                        done = self.finish(&writer, blob).await;
                    }
                    let _ = reply.send(done);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    /// Sends a chunk once there is a permit. Its answer is awaited by a task of its own: a permit
    /// must not depend on somebody who waits for another one.
    async fn write(
        self: &Rc<Self>,
        writer: &blob_writer::Client,
        bytes: Vec<u8>,
    ) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
        let permit = self.permit().await?;
        let mut request = writer.write_request();
        request.get().set_chunk(&bytes);
        let (sent, patience) = (request.send().promise, self.patience);
        Ok(spawn_local(async move {
            let _permit = permit;
            let written = call("uploading a blob", patience, sent).await;
            written.map(drop).map_err(|error| class_of(&error))
        }))
    }

    async fn finish(&self, writer: &blob_writer::Client, blob: BlobRef) -> Result<(), Failure> {
        let _permit = self.permit().await?;
        let mut request = writer.finish_request();
        convert::write_blob(&blob, request.get().init_blob());
        let finished = call("finishing an upload", self.patience, request.send().promise).await;
        finished.map(drop).map_err(|error| class_of(&error))
    }
}

/// A failure of a call that could be made again.
struct Refusal {
    failure: Failure,
    /// Whether it may do better later.
    busy: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let busy = false;
        Refusal { failure, busy }
    }
}

impl From<froben_wire::Error> for Refusal {
    fn from(error: froben_wire::Error) -> Self {
        Refusal {
            failure: class_of(&error),
            busy: error.disposition() == Disposition::Busy,
        }
    }
}

/// Makes a call that may be made twice until the coordinator is not too busy for it.
async fn unless_busy<T>(call: impl AsyncFn() -> Result<T, Refusal>) -> Result<T, Failure> {
    let until = Instant::now() + BUSY;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(refusal) if refusal.busy && Instant::now() < until => sleep(PAUSE).await,
            Err(refusal) => return Err(refusal.failure),
        }
    }
}

/// Waits until nobody wants an upload any more, to within a pause.
async fn abandoned(steps: &mpsc::Receiver<Step>) {
    while !steps.is_closed() {
        sleep(PAUSE).await;
    }
}

/// Whose fault it is, as the script will see it.
fn class_of(error: &froben_wire::Error) -> Failure {
    let class = match error.disposition() {
        // The task names what is not there, or asks for what cannot be.
        Disposition::NotFound => ErrorClass::BadRequest,
        // The worker's own bytes are not what it said.
        Disposition::Invalid => ErrorClass::WorkerFailed,
        Disposition::Unreachable
        | Disposition::Denied
        | Disposition::Timeout
        | Disposition::Busy
        | Disposition::Unexpected => ErrorClass::Disconnected,
    };
    Failure::new(class, error.to_string())
}

fn gone() -> Failure {
    Failure::new(
        ErrorClass::Disconnected,
        "the connection to the coordinator is gone",
    )
}

impl BlobAccess for Carrier {
    fn read(
        &self,
        blob: BlobRef,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            if len as usize > limits::CHUNK_BYTES {
                let limit = limits::CHUNK_BYTES;
                let why = format!("a read of {len} bytes, the limit is {limit}");
                return Err(Failure::new(ErrorClass::WorkerFailed, why));
            }
            let (reply, answer) = oneshot::channel();
            let request = Request::Read {
                blob,
                offset,
                len,
                reply,
            };
            self.requests.send(request).await.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn open(&self, max_bytes: u64) -> BoxFuture<'_, Result<Box<dyn Upload>, Failure>> {
        Box::pin(async move {
            let (sender, steps) = mpsc::channel(WINDOW);
            let fate = Fate::default();
            let request = Request::Open {
                max_bytes,
                steps,
                fate: fate.clone(),
            };
            self.requests.send(request).await.map_err(|_| gone())?;
            let upload: Box<dyn Upload> = Box::new(Sending {
                steps: sender,
                fate,
            });
            Ok(upload)
        })
    }
}

/// The workers' end of an upload.
struct Sending {
    steps: mpsc::Sender<Step>,
    fate: Fate,
}

impl Sending {
    async fn step(&self, step: Step) -> Result<(), Failure> {
        self.steps.send(step).await.map_err(|_| {
            let fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
            fate.clone().unwrap_or_else(gone)
        })
    }
}

impl Upload for Sending {
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.step(Step::Chunk(bytes)))
    }

    fn finish(self: Box<Self>, blob: BlobRef) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.step(Step::Finish { blob, reply }).await?;
            match answer.await {
                Ok(done) => done,
                Err(_) => {
                    let fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
                    Err(fate.clone().unwrap_or_else(gone))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use froben_wire::{Fault, FaultCode};

    use super::*;

    #[tokio::test]
    async fn only_a_busy_coordinator_is_asked_again() {
        for (code, class) in [
            (FaultCode::TooMany, None),
            (FaultCode::Busy, None),
            (FaultCode::NoSuchBlob, Some(ErrorClass::BadRequest)),
            (FaultCode::Internal, Some(ErrorClass::Disconnected)),
        ] {
            let calls = Cell::new(0);
            let answer = unless_busy(async || {
                calls.set(calls.get() + 1);
                match calls.get() {
                    1 => Err(froben_wire::Error::from(Fault::new(code, "no")).into()),
                    _ => Ok(()),
                }
            });
            assert_eq!(answer.await.err().map(|failure| failure.class), class);
            assert_eq!(calls.get(), if class.is_none() { 2 } else { 1 }, "{code:?}");
        }
    }
}
