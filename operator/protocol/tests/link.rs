//! Both ends over a real socket: the daemon's link and the worker's main loop, in one process.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Blocking;
use std::sync::mpsc;
use std::thread::JoinHandle;

use froben_model::{BlobRef, ErrorClass, Kind, Value, limits};
use froben_protocol::codec::{decode_to_worker, encode_from_worker};
use froben_protocol::frame::{self, TO_DAEMON_BYTES, TO_WORKER_BYTES};
use froben_protocol::{
    Error, Failure, FromWorker, Hello, Introduction, Level, Link, Role, Run, RunItem, TaskCtx,
    ToWorker, VERSIONS, Worker, serve_on,
};
use tokio::net::UnixStream;

const TOKEN: &str = "right";

/// Does what the task's input says.
struct Scripted;

impl Worker for Scripted {
    fn introduction(&self) -> Introduction {
        Introduction {
            name: "scripted".to_owned(),
            version: "1".to_owned(),
            role: Role::Cpu,
            kinds: vec![Kind::new("test/1").unwrap()],
            devices: vec![],
            notes: vec![],
        }
    }

    fn run(&mut self, run: &Run, ctx: &TaskCtx) -> Result<(), Failure> {
        match run.input.as_text() {
            Some("panic") => panic!("as told"),
            Some("wait") => {
                ctx.log(Level::Info, "waiting")?;
                while !ctx.cancelled() {
                    std::thread::yield_now();
                }
                ctx.check_cancelled()
            }
            Some("large") => {
                let value = Value::text("x".repeat(limits::VALUE_BYTES));
                ctx.item(0, Ok(value), "")
            }
            _ => {
                // Copies each blob, one byte more.
                for item in &run.items {
                    let blob = item.input.as_blob().unwrap();
                    let mut bytes = ctx.read_blob(blob, 1 << 20)?;
                    bytes.push(0);
                    let copy = ctx.put_blob(&bytes)?;
                    ctx.item(item.index, Ok(Value::Blob(copy)), "cpu")?;
                }
                Ok(())
            }
        }
    }
}

struct Session {
    link: Link,
    hello: Hello,
    worker: JoinHandle<Result<(), Error>>,
    orphaned: mpsc::Receiver<()>,
}

fn pair() -> (UnixStream, Blocking) {
    let (ours, theirs) = Blocking::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (UnixStream::from_std(ours).unwrap(), theirs)
}

async fn session() -> Session {
    let (ours, theirs) = pair();
    let (tell, orphaned) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        serve_on(theirs, TOKEN.to_owned(), &mut Scripted, move || {
            tell.send(()).unwrap();
        })
    });
    let (hello, link) = Link::accept(ours, TOKEN).await.unwrap();
    Session {
        link,
        hello,
        worker,
        orphaned,
    }
}

impl Session {
    fn run(&self, task: u64, input: Value, items: Vec<Value>) {
        let items = (0..).zip(items);
        let run = Run {
            task,
            kind: Kind::new("test/1").unwrap(),
            input,
            items: items
                .map(|(index, input)| RunItem { index, input })
                .collect(),
            device: None,
            cpu_cores: 1,
            ram_bytes: 0,
            vram_bytes: 0,
            timeout_ms: 1000,
            keys: Vec::new(),
        };
        self.link.send(&ToWorker::Run(run)).unwrap();
    }

    /// The next message that is no heartbeat.
    async fn next(&mut self) -> FromWorker {
        loop {
            match self.link.recv().await.unwrap().unwrap() {
                FromWorker::Alive => {}
                message => return message,
            }
        }
    }
}

/// A worker that speaks by hand.
fn say(stream: &mut Blocking, message: &FromWorker) {
    frame::write(stream, &encode_from_worker(message), TO_DAEMON_BYTES).unwrap();
}

fn hear(stream: &mut Blocking) -> Option<ToWorker> {
    let body = frame::read(stream, TO_WORKER_BYTES).unwrap()?;
    Some(decode_to_worker(&body, VERSIONS[0]).unwrap())
}

fn hello(token: &str, protocols: Vec<u32>) -> FromWorker {
    FromWorker::Hello(Hello {
        token: token.to_owned(),
        protocols,
        name: "hand".to_owned(),
        version: "1".to_owned(),
        role: Role::Cpu,
        kinds: vec![],
        devices: vec![],
        notes: vec![],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn blobs_travel_in_chunks_and_arrive_whole() {
    let mut session = session().await;
    assert_eq!(session.hello.name, "scripted");
    let blob: Vec<u8> = (0..2 * limits::CHUNK_BYTES + 5).map(|i| i as u8).collect();
    let given = BlobRef::of(&blob);
    session.run(7, Value::Nil, vec![Value::Blob(given)]);

    let mut written = Vec::new();
    let mut largest = 0;
    let (outcome, device) = loop {
        let answer = match session.next().await {
            FromWorker::Read {
                req,
                blob: asked,
                offset,
                len,
            } => {
                assert_eq!(asked, given);
                let bytes = blob[offset as usize..][..len as usize].to_vec();
                largest = largest.max(bytes.len());
                ToWorker::Chunk { req, bytes }
            }
            FromWorker::Open { req, max_bytes, .. } => {
                assert_eq!(max_bytes, blob.len() as u64 + 1);
                ToWorker::Done { req }
            }
            FromWorker::Write { req, bytes, .. } => {
                written.extend(bytes);
                ToWorker::Done { req }
            }
            FromWorker::Publish { req, blob, .. } => {
                assert_eq!(blob, BlobRef::of(&written));
                ToWorker::Done { req }
            }
            FromWorker::Item {
                task: 7,
                index: 0,
                outcome,
                device,
                vram_bytes: None,
            } => break (outcome, device),
            other => panic!("{other:?}"),
        };
        session.link.send(&answer).unwrap();
    };
    assert_eq!(largest, limits::CHUNK_BYTES);
    assert_eq!(written[..blob.len()], blob);
    assert_eq!(outcome, Ok(Value::Blob(BlobRef::of(&written))));
    assert_eq!(device.as_deref(), Some("cpu"));
    let FromWorker::Finished {
        task: 7, failure, ..
    } = session.next().await
    else {
        panic!();
    };
    assert_eq!(failure, None);

    session.link.send(&ToWorker::Shutdown).unwrap();
    session.worker.join().unwrap().unwrap();
    assert!(session.orphaned.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_damaged_blob_and_a_failed_read_fail_the_task() {
    let mut session = session().await;
    let given = BlobRef::of(b"abc");
    for (task, expected) in [
        (1, "arrived damaged"),
        (2, "no such blob"),
        (3, "2 bytes for 3"),
    ] {
        session.run(task, Value::Nil, vec![Value::Blob(given)]);
        let FromWorker::Read { req, .. } = session.next().await else {
            panic!();
        };
        let answer = match task {
            1 => ToWorker::Chunk {
                req,
                bytes: b"abd".to_vec(),
            },
            2 => ToWorker::Failed {
                req,
                failure: Failure::new(ErrorClass::BadRequest, "no such blob"),
            },
            _ => ToWorker::Chunk {
                req,
                bytes: b"ab".to_vec(),
            },
        };
        session.link.send(&answer).unwrap();
        let FromWorker::Finished {
            failure: Some(failure),
            ..
        } = session.next().await
        else {
            panic!();
        };
        assert!(failure.message.contains(expected), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_cancelled_task_stops_and_the_worker_takes_the_next() {
    let mut session = session().await;
    session.run(1, Value::text("wait"), vec![]);
    assert!(matches!(
        session.next().await,
        FromWorker::Log { task: Some(1), .. }
    ));
    session.link.send(&ToWorker::Cancel { task: 2 }).unwrap();
    session.link.send(&ToWorker::Cancel { task: 1 }).unwrap();
    let FromWorker::Finished {
        task: 1, failure, ..
    } = session.next().await
    else {
        panic!();
    };
    assert_eq!(failure.unwrap().class, ErrorClass::Cancelled);

    // Cancelled while it waits for an answer.
    let given = BlobRef::of(b"abc");
    session.run(2, Value::Nil, vec![Value::Blob(given)]);
    let FromWorker::Read { req, .. } = session.next().await else {
        panic!();
    };
    session.link.send(&ToWorker::Cancel { task: 2 }).unwrap();
    // Too late, and to nobody.
    session.link.send(&ToWorker::Done { req }).unwrap();
    let FromWorker::Finished {
        task: 2, failure, ..
    } = session.next().await
    else {
        panic!();
    };
    assert_eq!(failure.unwrap().class, ErrorClass::Cancelled);

    session.run(3, Value::Nil, vec![]);
    let finished = FromWorker::Finished {
        task: 3,
        failure: None,
        leaving: false,
    };
    assert_eq!(session.next().await, finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_value_that_is_too_large_is_a_failed_item() {
    let mut session = session().await;
    session.run(1, Value::text("large"), vec![Value::Nil]);
    let FromWorker::Item { outcome, .. } = session.next().await else {
        panic!();
    };
    assert_eq!(outcome.unwrap_err().class, ErrorClass::InvalidResult);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_panic_is_reported_and_ends_the_worker() {
    let mut session = session().await;
    session.run(1, Value::text("panic"), vec![Value::Nil]);
    let FromWorker::Finished {
        failure,
        leaving: true,
        ..
    } = session.next().await
    else {
        panic!();
    };
    let failure = failure.unwrap();
    assert_eq!(failure.class, ErrorClass::WorkerFailed);
    assert!(failure.message.contains("as told"), "{failure}");
    assert!(session.link.recv().await.unwrap().is_none());
    let error = session.worker.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Panicked { .. }), "{error}");
    assert!(session.orphaned.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_notices_that_the_daemon_is_gone_while_it_works() {
    let mut session = session().await;
    session.run(1, Value::text("wait"), vec![]);
    session.next().await;
    drop(session.link);
    session.orphaned.recv().unwrap();
    session.worker.join().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wrong_hello_is_refused_with_a_reason() {
    let cases = [
        (hello("wrong", vec![1]), "the token is not that"),
        (hello("", vec![1]), "the token is not that"),
        (hello(TOKEN, vec![2, 3]), "the worker speaks [2, 3]"),
        (hello(TOKEN, vec![]), "the worker speaks []"),
        (FromWorker::Discard { upload: 1 }, "expected `hello`"),
    ];
    for (message, expected) in cases {
        let (ours, mut theirs) = pair();
        say(&mut theirs, &message);
        let error = Link::accept(ours, TOKEN).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        let Some(ToWorker::Refused { reason }) = hear(&mut theirs) else {
            panic!("{expected}");
        };
        assert_eq!(reason, error);
        assert!(hear(&mut theirs).is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_says_what_the_daemon_refused_it_for() {
    let (ours, theirs) = pair();
    let worker =
        std::thread::spawn(move || serve_on(theirs, "wrong".to_owned(), &mut Scripted, || {}));
    assert!(Link::accept(ours, TOKEN).await.is_err());
    let error = worker.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

/// What a worker may do at any time without harm to the daemon beyond the end of the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_peer_that_breaks_off_or_talks_rubbish_is_an_error() {
    let long = (TO_DAEMON_BYTES as u32 + 1).to_le_bytes();
    let cases: [(&[u8], &str); 6] = [
        (b"", ""),
        (b"\x05", "closed inside a frame"),
        (b"\x05\0\0\0abc", "closed inside a frame"),
        (&long, "the limit is 1048576"),
        (b"\x01\0\0\0\xff", "no CBOR"),
        (b"\0\0\0\0", "it is empty"),
    ];
    for (bytes, expected) in cases {
        let (ours, mut theirs) = pair();
        say(&mut theirs, &hello(TOKEN, vec![9, 1]));
        let (_, mut link) = Link::accept(ours, TOKEN).await.unwrap();
        assert_eq!(hear(&mut theirs), Some(ToWorker::Welcome { protocol: 1 }));
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        match link.recv().await {
            Ok(None) => assert_eq!(expected, ""),
            Ok(Some(message)) => panic!("{message:?}"),
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_that_does_not_read_is_not_waited_for() {
    let (ours, mut theirs) = pair();
    say(&mut theirs, &hello(TOKEN, vec![1]));
    let (_, link) = Link::accept(ours, TOKEN).await.unwrap();
    let error = loop {
        let bytes = vec![0; limits::CHUNK_BYTES];
        match link.send(&ToWorker::Chunk { req: 1, bytes }) {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NotReading { .. }), "{error}");

    // A message that fits no frame is refused and harms nothing.
    let (ours, mut theirs) = pair();
    say(&mut theirs, &hello(TOKEN, vec![1]));
    let (_, link) = Link::accept(ours, TOKEN).await.unwrap();
    let bytes = vec![0; TO_WORKER_BYTES];
    let error = link.send(&ToWorker::Chunk { req: 1, bytes }).unwrap_err();
    assert!(matches!(error, Error::FrameTooLarge { .. }), "{error}");
    link.send(&ToWorker::Shutdown).unwrap();
    drop(link);
    let mut rest = Vec::new();
    tokio::task::spawn_blocking(move || theirs.read_to_end(&mut rest).map(|n| assert!(n > 0)))
        .await
        .unwrap()
        .unwrap();
}
