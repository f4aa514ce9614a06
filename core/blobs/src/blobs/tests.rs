use froben_model::BlobHash;
use tempfile::TempDir;

use super::*;

async fn fresh() -> (TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).await.unwrap();
    (dir, blobs)
}

/// The files of every upload that is not published.
fn incoming(dir: &TempDir) -> usize {
    fs::read_dir(dir.path().join(INCOMING)).unwrap().count()
}

fn file(dir: &TempDir, blob: BlobRef) -> PathBuf {
    let name = blob.hash.to_string();
    dir.path().join(&name[..2]).join(name)
}

/// `size` bytes, no two chunks alike.
fn noise(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes.into()
}

#[tokio::test]
async fn what_is_put_is_got() {
    let (dir, blobs) = fresh().await;
    let chunk = limits::CHUNK_BYTES;
    for size in [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk + 7] {
        let bytes = noise(size);
        let blob = blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(blob, BlobRef::of(&bytes));
        assert!(blobs.has(blob).await.unwrap());
        assert_eq!(blobs.get(blob, size as u64).await.unwrap(), bytes);
        assert_eq!(fs::read(file(&dir, blob)).unwrap(), bytes);
        // Twice is once.
        assert_eq!(blobs.put(bytes).await.unwrap(), blob);
    }
    assert_eq!(incoming(&dir), 0);
}

#[tokio::test]
async fn ranges_end_where_the_blob_does() {
    let (_dir, blobs) = fresh().await;
    let bytes = noise(limits::CHUNK_BYTES + 10);
    let reader = blobs.put(bytes.clone()).await.unwrap();
    let reader = blobs.reader(reader).await.unwrap();
    let end = bytes.len() as u64;
    for (offset, len, expected) in [
        (0, 5, 0..5),
        (3, 0, 0..0),
        (0, limits::CHUNK_BYTES, 0..limits::CHUNK_BYTES),
        (end - 4, 100, bytes.len() - 4..bytes.len()),
        (end, 100, 0..0),
        (end + 1, 100, 0..0),
        (u64::MAX, 100, 0..0),
    ] {
        let read = reader.read(offset, len).await.unwrap();
        assert_eq!(read, bytes[expected], "{len} at {offset}");
    }
    let refused = reader.read(0, limits::CHUNK_BYTES + 1).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_dir, blobs) = fresh().await;
    let there = blobs.put(noise(10)).await.unwrap();
    let size_bytes = 11;
    for absent in [
        BlobRef::of(b"absent"),
        BlobRef {
            size_bytes,
            ..there
        },
    ] {
        assert!(!blobs.has(absent).await.unwrap());
        for error in [
            blobs.reader(absent).await.err(),
            blobs.get(absent, 100).await.err(),
        ] {
            let Some(Error::NotFound(hash)) = error else {
                panic!("{error:?}");
            };
            assert_eq!(hash, absent.hash);
        }
    }
    let refused = blobs.get(there, 9).await;
    assert!(matches!(
        refused,
        Err(Error::TooLarge { size_bytes: 10, .. })
    ));
}

#[tokio::test]
async fn an_upload_that_is_another_blob_is_refused() {
    let (dir, blobs) = fresh().await;
    let bytes = noise(1000);
    let right = BlobRef::of(&bytes);
    let (hash, size_bytes) = (BlobHash([1; 32]), 999);
    for wrong in [
        BlobRef { hash, ..right },
        BlobRef {
            size_bytes,
            ..right
        },
    ] {
        let mut upload = blobs.writer(1000).await.unwrap();
        upload.write(bytes.clone()).await.unwrap();
        let Err(Error::Mismatch { expected, got }) = upload.finish(wrong).await else {
            panic!("accepted");
        };
        assert_eq!((expected, got), (wrong, right));
        for blob in [right, wrong] {
            assert!(!blobs.has(blob).await.unwrap());
        }
        assert_eq!(incoming(&dir), 0);
    }
}

#[tokio::test]
async fn an_upload_stays_within_its_limit() {
    let (dir, blobs) = fresh().await;
    let mut upload = blobs.writer(10).await.unwrap();
    upload.write(noise(6)).await.unwrap();
    upload.write(Bytes::new()).await.unwrap();
    let over = upload.write(noise(5)).await;
    assert!(matches!(over, Err(Error::TooLarge { size_bytes: 11, .. })));
    // It is over, not shorter: what was hashed must be what is on disk.
    let late = upload.write(noise(1)).await;
    assert!(matches!(late, Err(Error::GivenUp)), "{late:?}");
    let finish = upload.finish(BlobRef::of(&noise(6))).await;
    assert!(matches!(finish, Err(Error::GivenUp)), "{finish:?}");
    assert_eq!(incoming(&dir), 0);

    let refused = blobs.writer(limits::BLOB_BYTES + 1).await.err();
    assert!(matches!(refused, Some(Error::TooLarge { .. })));
}

#[test]
fn a_write_that_was_given_up_half_way_ends_the_upload() {
    // The one thread that could write is busy, so the write begins and cannot end.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (_dir, blobs) = fresh().await;
        let bytes = noise(100);
        let mut upload = blobs.writer(100).await.unwrap();
        let (release, busy) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || busy.recv());
        tokio::select! {
            biased;
            written = upload.write(bytes.clone()) => panic!("{written:?}"),
            () = std::future::ready(()) => {}
        }
        drop(release);
        assert!(busy.await.unwrap().is_err());

        let blob = BlobRef::of(&bytes);
        let finish = upload.finish(blob).await;
        assert!(matches!(finish, Err(Error::GivenUp)), "{finish:?}");
        assert!(!blobs.has(blob).await.unwrap());
    });
}

#[tokio::test]
async fn a_dropped_upload_is_forgotten() {
    let (dir, blobs) = fresh().await;
    let mut upload = blobs.writer(10).await.unwrap();
    upload.write(noise(10)).await.unwrap();
    assert_eq!(incoming(&dir), 1);
    upload.abort().await;
    assert_eq!(incoming(&dir), 0);

    let mut upload = blobs.writer(10).await.unwrap();
    upload.write(noise(10)).await.unwrap();
    drop(upload);
    // The file is removed on a thread of the runtime's.
    let gone = async {
        while incoming(&dir) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, gone).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_leaves_is_swept() {
    let (dir, blobs) = fresh().await;
    let kept = blobs.put(noise(9)).await.unwrap();
    drop(blobs);
    // As the store names them: complete, and not.
    for name in ["7", "8#1"] {
        fs::write(dir.path().join(INCOMING).join(name), "half").unwrap();
    }
    let blobs = Blobs::open(dir.path()).await.unwrap();
    assert_eq!(incoming(&dir), 0);
    assert_eq!(blobs.get(kept, 9).await.unwrap(), noise(9));
}

#[tokio::test]
async fn a_failed_publish_leaves_nothing() {
    let (dir, blobs) = fresh().await;
    let bytes = noise(10);
    let blob = BlobRef::of(&bytes);
    // A folder where the file should go: the rename fails.
    fs::create_dir_all(file(&dir, blob).join("in the way")).unwrap();
    let failed = blobs.put(bytes).await;
    assert!(matches!(failed, Err(Error::Io(_))), "{failed:?}");
    assert_eq!(incoming(&dir), 0);
}

#[tokio::test]
async fn damage_on_disk_is_found_and_healed() {
    let (dir, blobs) = fresh().await;
    let bytes = noise(100);
    let blob = blobs.put(bytes.clone()).await.unwrap();

    let mut damaged = bytes.to_vec();
    damaged[50] ^= 1;
    fs::write(file(&dir, blob), &damaged).unwrap();
    let Err(Error::Mismatch { expected, got }) = blobs.get(blob, 100).await else {
        panic!("damaged bytes were given");
    };
    assert_eq!((expected, got), (blob, BlobRef::of(&damaged)));

    // A truncated blob is not there.
    fs::write(file(&dir, blob), &bytes[..50]).unwrap();
    assert!(!blobs.has(blob).await.unwrap());
    let truncated = blobs.get(blob, 100).await;
    assert!(matches!(truncated, Err(Error::NotFound(_))));

    blobs.put(bytes.clone()).await.unwrap();
    assert_eq!(blobs.get(blob, 100).await.unwrap(), bytes);
}

#[tokio::test]
async fn uploads_of_the_same_bytes_do_not_disturb_each_other() {
    let (dir, blobs) = fresh().await;
    let bytes = noise(3 * limits::CHUNK_BYTES);
    let puts: Vec<_> = (0..8)
        .map(|_| {
            let (blobs, bytes) = (blobs.clone(), bytes.clone());
            tokio::spawn(async move { blobs.put(bytes).await })
        })
        .collect();
    for put in puts {
        assert_eq!(put.await.unwrap().unwrap(), BlobRef::of(&bytes));
    }
    let blob = BlobRef::of(&bytes);
    assert_eq!(blobs.get(blob, u64::MAX).await.unwrap(), bytes);
    assert_eq!(incoming(&dir), 0);
}

#[tokio::test]
async fn a_directory_is_opened_once() {
    let (dir, blobs) = fresh().await;
    let clone = blobs.clone();
    drop(blobs);
    let second = Blobs::open(dir.path()).await.err();
    assert!(matches!(second, Some(Error::Locked { .. })), "{second:?}");
    drop(clone);
    Blobs::open(dir.path()).await.unwrap();

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Blobs::open(&file).await.err();
    assert!(matches!(refused, Some(Error::Open { .. })), "{refused:?}");
}
