//! The requests of one task for blobs: limited in number, each answered once.

use std::collections::HashMap;
use std::sync::Arc;

use froben_model::{BlobRef, ErrorClass};
use froben_protocol::codec::check_read;
use froben_protocol::{Failure, REQUESTS_IN_FLIGHT, ToWorker, UPLOADS_OPEN};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::blobs::{BlobAccess, Upload};

/// A worker that does what the protocol forbids, in words that follow "the worker".
pub(super) type Violation = String;

/// What a worker may ask for.
#[derive(Debug)]
pub(super) enum Request {
    Read {
        blob: BlobRef,
        offset: u64,
        len: u32,
    },
    Open {
        upload: u64,
        max_bytes: u64,
    },
    Write {
        upload: u64,
        bytes: Vec<u8>,
    },
    Publish {
        upload: u64,
        blob: BlobRef,
    },
}

/// The traffic of one task. Dropping it cuts off what is under way.
pub(super) struct Traffic {
    blobs: Arc<dyn BlobAccess>,
    unanswered: usize,
    uploads: HashMap<u64, mpsc::Sender<Step>>,
    answers: mpsc::Receiver<ToWorker>,
    answer: mpsc::Sender<ToWorker>,
    /// One per read and one per upload, so that uploads go on side by side, each in order.
    work: JoinSet<()>,
}

/// A step of an upload after its start.
enum Step {
    Write { req: u64, bytes: Vec<u8> },
    Publish { req: u64, blob: BlobRef },
}

impl Traffic {
    pub(super) fn new(blobs: Arc<dyn BlobAccess>) -> Self {
        let (answer, answers) = mpsc::channel(REQUESTS_IN_FLIGHT);
        Traffic {
            blobs,
            unanswered: 0,
            uploads: HashMap::new(),
            answers,
            answer,
            work: JoinSet::new(),
        }
    }

    /// Takes a request; its answer comes from [`Self::next_answer`].
    pub(super) fn take(&mut self, req: u64, request: Request) -> Result<(), Violation> {
        if self.unanswered == REQUESTS_IN_FLIGHT {
            return Err(format!(
                "sent a request while {REQUESTS_IN_FLIGHT} were unanswered"
            ));
        }
        self.unanswered += 1;
        while self.work.try_join_next().is_some() {}
        match request {
            Request::Read { blob, offset, len } => {
                check_read(blob, offset, len).map_err(|why| format!("asked for {why}"))?;
                let (blobs, answer) = (self.blobs.clone(), self.answer.clone());
                self.work.spawn(async move {
                    let message = match blobs.read(blob, offset, len).await {
                        Ok(bytes) => ToWorker::Chunk { req, bytes },
                        Err(failure) => ToWorker::Failed { req, failure },
                    };
                    reply(&answer, message).await;
                });
            }
            Request::Open { upload, max_bytes } => {
                if self.uploads.len() == UPLOADS_OPEN {
                    return Err(format!("opened more than {UPLOADS_OPEN} uploads"));
                }
                let (step, steps) = mpsc::channel(REQUESTS_IN_FLIGHT);
                if self.uploads.insert(upload, step).is_some() {
                    return Err(format!("opened upload {upload} twice"));
                }
                let (blobs, answer) = (self.blobs.clone(), self.answer.clone());
                self.work.spawn(carry(blobs, req, max_bytes, steps, answer));
            }
            Request::Write { upload, bytes } => {
                self.step(upload, Step::Write { req, bytes })?;
            }
            Request::Publish { upload, blob } => {
                self.step(upload, Step::Publish { req, blob })?;
                self.uploads.remove(&upload);
            }
        }
        Ok(())
    }

    fn step(&self, upload: u64, step: Step) -> Result<(), Violation> {
        let unknown = || format!("spoke of upload {upload}, which is not open");
        let steps = self.uploads.get(&upload).ok_or_else(unknown)?;
        // There is room for as many steps as may be unanswered.
        steps.try_send(step).map_err(|_| unknown())
    }

    /// Forgets an upload. Unknown ones are fine.
    pub(super) fn discard(&mut self, upload: u64) {
        self.uploads.remove(&upload);
    }

    /// The next answer; waits for ever if nothing is asked. Dropping the future loses nothing.
    pub(super) async fn next_answer(&mut self) -> ToWorker {
        match self.answers.recv().await {
            Some(answer) => {
                self.unanswered -= 1;
                answer
            }
            // Never: this value holds a sender itself.
            None => std::future::pending().await,
        }
    }
}

/// Carries one upload from its start to its end. After a failure each further step gets the same.
async fn carry(
    blobs: Arc<dyn BlobAccess>,
    open: u64,
    max_bytes: u64,
    mut steps: mpsc::Receiver<Step>,
    answer: mpsc::Sender<ToWorker>,
) {
    let mut left = max_bytes;
    let mut state = blobs.open(max_bytes).await;
    reply(&answer, done(open, state.as_ref().err())).await;
    while let Some(step) = steps.recv().await {
        let (req, result) = match step {
            Step::Write { req, bytes } => {
                let result = write(&mut state, &mut left, bytes).await;
                if let Err(failure) = &result {
                    state = Err(failure.clone());
                }
                (req, result)
            }
            Step::Publish { req, blob } => {
                let closed = Failure::new(ErrorClass::WorkerFailed, "the upload has ended");
                let result = match std::mem::replace(&mut state, Err(closed)) {
                    Ok(upload) => upload.finish(blob).await,
                    Err(failure) => Err(failure),
                };
                (req, result)
            }
        };
        reply(&answer, done(req, result.as_ref().err())).await;
    }
}

async fn write(
    state: &mut Result<Box<dyn Upload>, Failure>,
    left: &mut u64,
    bytes: Vec<u8>,
) -> Result<(), Failure> {
    let upload = match state {
        Ok(upload) => upload,
        Err(failure) => return Err(failure.clone()),
    };
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
        Failure::new(
            ErrorClass::WorkerFailed,
            "an upload has more bytes than it was opened for",
        )
    })?;
    upload.write(bytes).await
}

fn done(req: u64, failure: Option<&Failure>) -> ToWorker {
    match failure {
        None => ToWorker::Done { req },
        Some(failure) => ToWorker::Failed {
            req,
            failure: failure.clone(),
        },
    }
}

async fn reply(answer: &mpsc::Sender<ToWorker>, message: ToWorker) {
    // Nobody takes it once the task is over.
    let _ = answer.send(message).await;
}

#[cfg(test)]
mod tests {
    use super::super::blobs::BoxFuture;
    use super::*;

    /// A coordinator that never answers.
    struct Stuck;

    impl BlobAccess for Stuck {
        fn read(&self, _: BlobRef, _: u64, _: u32) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
            Box::pin(std::future::pending())
        }

        fn open(&self, _: u64) -> BoxFuture<'_, Result<Box<dyn Upload>, Failure>> {
            Box::pin(async { Ok(Box::new(Stuck) as Box<dyn Upload>) })
        }
    }

    impl Upload for Stuck {
        fn write(&mut self, _: Vec<u8>) -> BoxFuture<'_, Result<(), Failure>> {
            Box::pin(async { Ok(()) })
        }

        fn finish(self: Box<Self>, _: BlobRef) -> BoxFuture<'static, Result<(), Failure>> {
            Box::pin(std::future::pending())
        }
    }

    fn traffic() -> Traffic {
        Traffic::new(Arc::new(Stuck))
    }

    fn read(offset: u64, len: u32) -> Request {
        let blob = BlobRef::of(b"four");
        Request::Read { blob, offset, len }
    }

    fn open(upload: u64) -> Request {
        let max_bytes = 3;
        Request::Open { upload, max_bytes }
    }

    fn write(upload: u64, bytes: &[u8]) -> Request {
        let bytes = bytes.to_vec();
        Request::Write { upload, bytes }
    }

    #[tokio::test]
    async fn what_the_protocol_forbids_is_a_violation() {
        let mut many = traffic();
        for req in 0..REQUESTS_IN_FLIGHT as u64 {
            many.take(req, read(0, 4)).unwrap();
        }
        let flood = many.take(99, read(0, 4)).unwrap_err();
        assert!(flood.contains("while 8 were unanswered"), "{flood}");

        for (request, expected) in [
            (read(3, 2), "asked for 2 bytes from 3"),
            (read(u64::MAX, 1), "lie outside a blob of 4 bytes"),
            (write(5, b"x"), "spoke of upload 5, which is not open"),
        ] {
            let violation = traffic().take(1, request).unwrap_err();
            assert!(violation.contains(expected), "{violation}");
        }

        let mut twice = traffic();
        twice.take(1, open(1)).unwrap();
        assert!(twice.take(2, open(1)).unwrap_err().contains("twice"));

        let mut hoard = traffic();
        for upload in 0..UPLOADS_OPEN as u64 {
            hoard.take(upload, open(upload)).unwrap();
            hoard.next_answer().await;
        }
        assert!(
            hoard
                .take(99, open(99))
                .unwrap_err()
                .contains("more than 8")
        );
        hoard.discard(0);
        hoard.take(100, open(100)).unwrap();
    }

    #[tokio::test]
    async fn an_upload_is_answered_in_order_and_fails_for_good() {
        let mut traffic = traffic();
        traffic.take(1, open(1)).unwrap();
        for (req, bytes) in [(2, &b"ab"[..]), (3, b"cd"), (4, b"e")] {
            traffic.take(req, write(1, bytes)).unwrap();
        }
        for req in [1, 2] {
            assert_eq!(traffic.next_answer().await, ToWorker::Done { req });
        }
        for expected in [3, 4] {
            let ToWorker::Failed { req, failure } = traffic.next_answer().await else {
                panic!();
            };
            assert_eq!(req, expected);
            assert!(failure.message.contains("more bytes than"), "{failure}");
        }
    }
}
