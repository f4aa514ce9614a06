//! Blobs, up and down.

use froben_model::{BlobRef, limits};
use froben_schema::convert;
use froben_wire::{Error, FaultCode, blobs, call};

use crate::host::{Coordinator, PATIENCE, Seeker, run};

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 + i) as u8).collect()
}

async fn upload(seeker: &Seeker, blob: BlobRef, bytes: &[u8]) -> Result<(), Error> {
    blobs::upload(&seeker.store, &blob, &mut &*bytes, PATIENCE).await
}

async fn fetch(seeker: &Seeker, blob: BlobRef) -> Result<Vec<u8>, Error> {
    blobs::fetch_bytes(&seeker.store, &blob, limits::BLOB_BYTES, PATIENCE).await
}

fn code(error: &Error) -> Option<FaultCode> {
    match error {
        Error::Fault(fault) => Some(fault.code),
        _ => None,
    }
}

#[test]
fn blobs_of_every_size_come_back_as_they_went() {
    let coordinator = Coordinator::start();
    run(async {
        let seeker = coordinator.seeker("ada").await;
        let chunk = limits::CHUNK_BYTES;
        for len in [0, 1, chunk - 1, chunk, chunk + 1, 5 * (1 << 20) + 321] {
            let bytes = bytes(len);
            let blob = BlobRef::of(&bytes);
            assert!(
                !blobs::has(&seeker.store, &blob, PATIENCE).await.unwrap(),
                "{len}"
            );
            upload(&seeker, blob, &bytes).await.unwrap();
            assert!(
                blobs::has(&seeker.store, &blob, PATIENCE).await.unwrap(),
                "{len}"
            );
            assert!(fetch(&seeker, blob).await.unwrap() == bytes, "{len}");
            // What is there is not sent again: an empty source would fail otherwise.
            upload(&seeker, blob, &[]).await.unwrap();
        }
    });
}

#[test]
fn what_is_not_there_is_said_so() {
    let coordinator = Coordinator::start();
    run(async {
        let seeker = coordinator.seeker("ada").await;
        let error = fetch(&seeker, BlobRef::of(b"nowhere")).await.unwrap_err();
        assert_eq!(code(&error), Some(FaultCode::NoSuchBlob), "{error}");
        // The hash is right and the size is not.
        upload(&seeker, BlobRef::of(b"here"), b"here")
            .await
            .unwrap();
        let other = BlobRef {
            size_bytes: 5,
            ..BlobRef::of(b"here")
        };
        let error = fetch(&seeker, other).await.unwrap_err();
        assert_eq!(code(&error), Some(FaultCode::NoSuchBlob), "{error}");
    });
}

#[test]
fn other_bytes_than_announced_are_never_published() {
    let coordinator = Coordinator::start();
    run(async {
        let seeker = coordinator.seeker("ada").await;
        // The file changed between hashing and sending: noticed before it is announced.
        let blob = BlobRef::of(b"before");
        let error = upload(&seeker, blob, b"aftert").await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let error = upload(&seeker, blob, b"bef").await.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");

        // A peer that announces it all the same.
        let mut request = seeker.store.write_request();
        request.get().set_size_bytes(6);
        let writer = request.send().pipeline.get_writer();
        let mut request = writer.write_request();
        request.get().set_chunk(b"aftert");
        call("writing", PATIENCE, request.send().promise)
            .await
            .unwrap();
        let mut request = writer.finish_request();
        convert::write_blob(&blob, request.get().init_blob());
        let error = call("finishing", PATIENCE, request.send().promise)
            .await
            .err()
            .unwrap();
        assert_eq!(code(&error), Some(FaultCode::WrongBytes), "{error}");
        for blob in [blob, BlobRef::of(b"aftert")] {
            assert!(!blobs::has(&seeker.store, &blob, PATIENCE).await.unwrap());
        }
    });
}

#[test]
fn an_upload_keeps_to_its_bounds_and_its_order() {
    let coordinator = Coordinator::start();
    run(async {
        let seeker = coordinator.seeker("ada").await;
        let open = |size_bytes: u64| {
            let mut request = seeker.store.write_request();
            request.get().set_size_bytes(size_bytes);
            request.send()
        };
        let too_large = call("opening", PATIENCE, open(limits::BLOB_BYTES + 1).promise).await;
        assert_eq!(code(&too_large.err().unwrap()), Some(FaultCode::Invalid));

        for (size, chunk) in [(4, 5), (1 << 20, limits::CHUNK_BYTES + 1)] {
            let writer = open(size).pipeline.get_writer();
            let mut request = writer.write_request();
            request.get().set_chunk(&vec![0; chunk]);
            let error = call("writing", PATIENCE, request.send().promise)
                .await
                .err()
                .unwrap();
            assert_eq!(code(&error), Some(FaultCode::Invalid), "{error}");
        }

        // All sent at once, before the first one is answered.
        let writer = open(1000).pipeline.get_writer();
        let sent: Vec<_> = (0..100_u8)
            .map(|i| {
                let mut request = writer.write_request();
                request.get().set_chunk(&[i; 10]);
                request.send().promise
            })
            .collect();
        let whole: Vec<u8> = (0..100_u8).flat_map(|i| [i; 10]).collect();
        let mut request = writer.finish_request();
        convert::write_blob(&BlobRef::of(&whole), request.get().init_blob());
        let finished = request.send().promise;
        for sent in sent {
            call("writing", PATIENCE, sent).await.unwrap();
        }
        call("finishing", PATIENCE, finished).await.unwrap();
        assert_eq!(fetch(&seeker, BlobRef::of(&whole)).await.unwrap(), whole);
    });
}

#[test]
fn a_peer_holds_only_so_many_uploads() {
    let coordinator = Coordinator::start();
    run(async {
        let seeker = coordinator.seeker("ada").await;
        let open = || async {
            let sent = seeker.store.write_request().send().promise;
            let answer = call("opening", PATIENCE, sent).await?;
            Ok::<_, Error>(answer.get().unwrap().get_writer().unwrap())
        };
        let mut held = Vec::new();
        let error = loop {
            match open().await {
                Ok(writer) => held.push(writer),
                Err(error) => break error,
            }
        };
        assert_eq!((code(&error), held.len()), (Some(FaultCode::TooMany), 64));
        // Another seeker is not affected; and what is dropped makes room.
        let other = coordinator.seeker("bob").await;
        upload(&other, BlobRef::of(b"x"), b"x").await.unwrap();
        held.pop();
        crate::host::eventually(async || open().await.ok()).await;
    });
}
