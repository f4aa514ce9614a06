//! Blobs over the wire: from a coordinator's store to here, and back.
//!
//! Several chunks are under way at once, so that a transfer is bound by the link and not by its
//! round trip. Bytes are hashed on the way, both ways: what arrives is what was asked for or an
//! error, and an upload that the coordinator would refuse is not announced as another blob.

use std::future::Future;
use std::time::Duration;

use froben_model::{BlobHash, BlobRef, limits};
use froben_schema::common_capnp::{blob_reader, blob_store, blob_writer};
use froben_schema::convert;
use futures::stream::{self, FuturesOrdered};
use futures::{FutureExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::call::{call, failed};
use crate::{Error, Fault, FaultCode};

/// Chunks under way at once: 2 MiB, which fills 1 Gbit/s at a round trip of 16 ms.
const WINDOW: usize = 8;

/// Whether the store holds `blob`.
pub async fn has(
    store: &blob_store::Client,
    blob: &BlobRef,
    patience: Duration,
) -> Result<bool, Error> {
    let mut request = store.has_request();
    convert::write_blob(blob, request.get().init_blob());
    let answer = call("asking for a blob", patience, request.send().promise).await?;
    let answer = answer.get().map_err(|e| failed("asking for a blob", &e))?;
    Ok(answer.get_present())
}

/// Writes the bytes of `blob` to `sink`, in order.
///
/// *Errors*: [`FaultCode::NoSuchBlob`]; [`Error::Damaged`] if other bytes came than those that `blob`
/// names, after they were written: the caller must discard what it has then.
pub async fn fetch<W: AsyncWrite + Unpin>(
    store: &blob_store::Client,
    blob: &BlobRef,
    sink: &mut W,
    patience: Duration,
) -> Result<(), Error> {
    let mut request = store.read_request();
    convert::write_blob(blob, request.get().init_blob());
    let opened = call("opening a blob", patience, request.send().promise).await?;
    let reader = opened
        .get()
        .and_then(|results| results.get_reader())
        .map_err(|error| failed("opening a blob", &error))?;
    fetch_from(&reader, blob, sink, patience).await
}

/// The same from a reader that is open already.
pub async fn fetch_from<W: AsyncWrite + Unpin>(
    reader: &blob_reader::Client,
    blob: &BlobRef,
    sink: &mut W,
    patience: Duration,
) -> Result<(), Error> {
    let damaged = |reason: String| Error::Damaged {
        what: format!("blob {}", blob.hash),
        reason,
    };
    let mut hasher = blake3::Hasher::new();
    let chunk_bytes = limits::CHUNK_BYTES as u64;
    let offsets = (0..blob.size_bytes.div_ceil(chunk_bytes)).map(|index| index * chunk_bytes);
    let mut chunks = stream::iter(offsets)
        .map(|offset| {
            let expected = (blob.size_bytes - offset).min(chunk_bytes);
            let reading = read_chunk(reader, offset);
            async move { Ok((expected, reading.await?)) }
        })
        .buffered(WINDOW);
    // Patience is for the next chunk: on a slow link a whole window may well take longer.
    while let Some((expected, chunk)) = call(
        "reading a blob",
        patience,
        chunks.next().map(Option::transpose),
    )
    .await?
    {
        if chunk.len() as u64 != expected {
            let came = chunk.len();
            return Err(damaged(format!("a chunk has {came} bytes, not {expected}")));
        }
        hasher.update(&chunk);
        sink.write_all(&chunk)
            .await
            .map_err(|e| io("write a blob", &e))?;
    }
    sink.flush().await.map_err(|e| io("write a blob", &e))?;
    let came = BlobHash(*hasher.finalize().as_bytes());
    match came == blob.hash {
        true => Ok(()),
        false => Err(damaged(format!("the bytes that came are those of {came}"))),
    }
}

fn read_chunk(
    reader: &blob_reader::Client,
    offset: u64,
) -> impl Future<Output = Result<Vec<u8>, capnp::Error>> + use<> {
    let mut request = reader.read_request();
    request.get().set_offset(offset);
    request.get().set_size_bytes(limits::CHUNK_BYTES as u32);
    let sent = request.send().promise;
    async move { Ok(sent.await?.get()?.get_data()?.to_vec()) }
}

/// Uploads the bytes of `source` as `blob`, unless the store has them. On `Ok` they are on the
/// coordinator's disk.
///
/// *Errors*: [`Error::Damaged`] if `source` holds other bytes than `blob` names.
pub async fn upload<R: AsyncRead + Unpin>(
    store: &blob_store::Client,
    blob: &BlobRef,
    source: &mut R,
    patience: Duration,
) -> Result<(), Error> {
    if has(store, blob, patience).await? {
        return Ok(());
    }
    let mut request = store.write_request();
    request.get().set_size_bytes(blob.size_bytes);
    let opened = call("starting an upload", patience, request.send().promise).await?;
    let writer = opened
        .get()
        .and_then(|results| results.get_writer())
        .map_err(|error| failed("starting an upload", &error))?;

    let mut hasher = blake3::Hasher::new();
    let mut left = blob.size_bytes;
    let mut under_way = FuturesOrdered::new();
    const WRITING: &str = "uploading a blob";
    while left > 0 {
        let bytes = left.min(limits::CHUNK_BYTES as u64);
        let mut chunk = vec![0; usize::try_from(bytes).expect("invariant: at most CHUNK_BYTES")];
        source
            .read_exact(&mut chunk)
            .await
            .map_err(|e| io("read what is to be uploaded", &e))?;
        hasher.update(&chunk);
        left -= bytes;
        if under_way.len() == WINDOW {
            call(WRITING, patience, under_way.next().map(Option::transpose)).await?;
        }
        under_way.push_back(write_chunk(&writer, &chunk));
    }
    while let Some(()) = call(WRITING, patience, under_way.next().map(Option::transpose)).await? {}
    let read = BlobHash(*hasher.finalize().as_bytes());
    if read != blob.hash {
        return Err(Error::Damaged {
            what: format!("the upload of blob {}", blob.hash),
            reason: format!("the bytes to send are those of {read}: they changed meanwhile"),
        });
    }

    let mut request = writer.finish_request();
    convert::write_blob(blob, request.get().init_blob());
    call("finishing an upload", patience, request.send().promise).await?;
    Ok(())
}

fn write_chunk(
    writer: &blob_writer::Client,
    chunk: &[u8],
) -> impl Future<Output = Result<(), capnp::Error>> + use<> {
    let mut request = writer.write_request();
    request.get().set_chunk(chunk);
    let sent = request.send().promise;
    async move { sent.await.map(drop) }
}

/// The bytes of a small blob, at most `limit`.
pub async fn fetch_bytes(
    store: &blob_store::Client,
    blob: &BlobRef,
    limit: u64,
    patience: Duration,
) -> Result<Vec<u8>, Error> {
    if blob.size_bytes > limit {
        let (hash, size) = (blob.hash, blob.size_bytes);
        return Err(Error::Fault(Fault::new(
            FaultCode::Invalid,
            format!("blob {hash} has {size} bytes, at most {limit} are taken here"),
        )));
    }
    let mut bytes = Vec::new();
    fetch(store, blob, &mut bytes, patience).await?;
    Ok(bytes)
}

fn io(action: &str, error: &std::io::Error) -> Error {
    Error::Io {
        action: action.to_owned(),
        reason: error.to_string(),
    }
}
