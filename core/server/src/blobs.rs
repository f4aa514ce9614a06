//! The blob store as peers see it. Whoever has a certificate may read any blob whose hash it knows.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use froben_blobs::{BlobHandle, Upload};
use froben_model::limits;
use froben_schema::common_capnp::{blob_reader, blob_store, blob_writer};
use froben_schema::convert;
use froben_wire::FaultCode;
use tokio::sync::oneshot;

use crate::answer::{fault, invalid, of_blobs};
use crate::door::{Hold, Peer};

pub(crate) struct Store {
    pub(crate) peer: Rc<Peer>,
}

impl blob_store::Server for Store {
    async fn read(
        self: Rc<Self>,
        params: blob_store::ReadParams,
        mut results: blob_store::ReadResults,
    ) -> Result<(), capnp::Error> {
        let blob = convert::read_blob(params.get()?.get_blob()?).map_err(invalid)?;
        let hold = self.peer.readers.take()?;
        let handle = self.peer.blobs.reader(blob).await.map_err(of_blobs)?;
        let reader = Reader {
            handle,
            _hold: hold,
        };
        results.get().set_reader(capnp_rpc::new_client(reader));
        Ok(())
    }

    async fn write(
        self: Rc<Self>,
        params: blob_store::WriteParams,
        mut results: blob_store::WriteResults,
    ) -> Result<(), capnp::Error> {
        let size_bytes = params.get()?.get_size_bytes();
        let hold = self.peer.writers.take()?;
        let upload = self.peer.blobs.writer(size_bytes).await.map_err(of_blobs)?;
        let writer = Writer {
            upload: RefCell::new(Some(upload)),
            last: Cell::new(None),
            _hold: hold,
        };
        results.get().set_writer(capnp_rpc::new_client(writer));
        Ok(())
    }

    async fn has(
        self: Rc<Self>,
        params: blob_store::HasParams,
        mut results: blob_store::HasResults,
    ) -> Result<(), capnp::Error> {
        let blob = convert::read_blob(params.get()?.get_blob()?).map_err(invalid)?;
        let present = self.peer.blobs.has(blob).await.map_err(of_blobs)?;
        results.get().set_present(present);
        Ok(())
    }
}

struct Reader {
    handle: BlobHandle,
    _hold: Hold,
}

impl blob_reader::Server for Reader {
    async fn read(
        self: Rc<Self>,
        params: blob_reader::ReadParams,
        mut results: blob_reader::ReadResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let wanted = usize::try_from(params.get_size_bytes()).unwrap_or(usize::MAX);
        let bytes = wanted.min(limits::CHUNK_BYTES);
        let chunk = self.handle.read(params.get_offset(), bytes).await;
        results.get().set_data(&chunk.map_err(of_blobs)?);
        Ok(())
    }
}

/// An upload. Calls overlap and are taken in the order in which they came.
struct Writer {
    /// `None` while a call is at it, and after one has failed, was given up or has finished it.
    upload: RefCell<Option<Upload>>,
    /// Fires when the call that came last is done.
    last: Cell<Option<oneshot::Receiver<()>>>,
    _hold: Hold,
}

impl Writer {
    /// A place in the line. To be taken before anything is awaited, while the order is still known;
    /// dropping the second part lets the next one in.
    fn queue(&self) -> (Option<oneshot::Receiver<()>>, oneshot::Sender<()>) {
        let (done, next) = oneshot::channel();
        (self.last.replace(Some(next)), done)
    }

    fn take(&self) -> Result<Upload, capnp::Error> {
        let upload = self.upload.borrow_mut().take();
        upload.ok_or_else(|| of_blobs(froben_blobs::Error::GivenUp))
    }
}

impl blob_writer::Server for Writer {
    fn write(
        self: Rc<Self>,
        params: blob_writer::WriteParams,
        _results: blob_writer::WriteResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        let (turn, done) = self.queue();
        async move {
            let _done = done;
            if let Some(turn) = turn {
                // An error only says that the call before was given up: our turn all the same.
                let _ = turn.await;
            }
            let chunk = params.get()?.get_chunk()?;
            if chunk.len() > limits::CHUNK_BYTES {
                let (bytes, limit) = (chunk.len(), limits::CHUNK_BYTES);
                return Err(fault(
                    FaultCode::Invalid,
                    format!("a chunk has {bytes} bytes, the limit is {limit}"),
                ));
            }
            let chunk = Bytes::copy_from_slice(chunk);
            let mut upload = self.take()?;
            upload.write(chunk).await.map_err(of_blobs)?;
            *self.upload.borrow_mut() = Some(upload);
            Ok(())
        }
    }

    fn finish(
        self: Rc<Self>,
        params: blob_writer::FinishParams,
        _results: blob_writer::FinishResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        let (turn, done) = self.queue();
        async move {
            let _done = done;
            if let Some(turn) = turn {
                let _ = turn.await;
            }
            let blob = convert::read_blob(params.get()?.get_blob()?).map_err(invalid)?;
            self.take()?.finish(blob).await.map_err(of_blobs)
        }
    }
}
