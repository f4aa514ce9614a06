use froben_model::{BlobHash, BlobRef};

use super::{Error, read_bytes};
use crate::common_capnp::blob_ref;

pub fn read_blob(reader: blob_ref::Reader<'_>) -> Result<BlobRef, Error> {
    Ok(BlobRef {
        hash: BlobHash(read_bytes("a blob hash", reader.get_hash()?)?),
        size_bytes: reader.get_size_bytes(),
    })
}

pub fn write_blob(blob: &BlobRef, mut builder: blob_ref::Builder<'_>) {
    let BlobRef { hash, size_bytes } = blob;
    builder.set_hash(&hash.0);
    builder.set_size_bytes(*size_bytes);
}
