//! Messages as CBOR maps: `{"v": version, "type": name, ...}`.
//!
//! Fields that a reader does not know are skipped, so that a later release may add some; a type that
//! it does not know is an error, since the version was agreed on. The shapes of `hello`, `welcome`
//! and `refused` are the same in every version, and `v` is 1 in them.

use ciborium::Value as Cbor;
use froben_model::{BlobRef, Kind, limits};

use crate::Error;
use crate::convert::{
    Why, blob_from_cbor, blob_to_cbor, device_from_cbor, device_to_cbor, entries,
    failure_from_cbor, failure_to_cbor, name_from_cbor, uint_from_cbor, value_from_cbor,
    value_to_cbor,
};
use crate::fields::{Reader, Writer};
use crate::message::{FromWorker, Hello, Level, Run, RunItem, RunKey, ToWorker};

/// Notes of one hello.
const NOTES: usize = 16;
/// Most bytes of a path: Linux has none beyond.
const PATH_BYTES: usize = 4096;

/// A message of `FromWorker` as CBOR.
pub fn encode_from_worker(message: &FromWorker) -> Vec<u8> {
    let body = Writer::new(message.name());
    let body = match message {
        FromWorker::Hello(hello) => {
            let Hello {
                token,
                protocols,
                name,
                version,
                role,
                kinds,
                devices,
                notes,
            } = hello;
            let kinds = kinds.iter().map(|kind| Cbor::from(kind.as_str()));
            body.field("token", token.as_str())
                .list("protocols", protocols.iter().copied().map(Cbor::from))
                .field("name", name.as_str())
                .field("version", version.as_str())
                .field("role", role.name())
                .list("kinds", kinds)
                .list("devices", devices.iter().map(device_to_cbor))
                .list("notes", notes.iter().map(|note| Cbor::from(note.as_str())))
        }
        FromWorker::Alive => body,
        FromWorker::Read {
            req,
            blob,
            offset,
            len,
        } => body
            .field("req", *req)
            .field("blob", blob_to_cbor(*blob))
            .field("offset", *offset)
            .field("len", *len),
        FromWorker::Open {
            req,
            upload,
            max_bytes,
        } => body
            .field("req", *req)
            .field("upload", *upload)
            .field("max_bytes", *max_bytes),
        FromWorker::Write { req, upload, bytes } => body
            .field("req", *req)
            .field("upload", *upload)
            .field("bytes", bytes.as_slice()),
        FromWorker::Publish { req, upload, blob } => body
            .field("req", *req)
            .field("upload", *upload)
            .field("blob", blob_to_cbor(*blob)),
        FromWorker::Discard { upload } => body.field("upload", *upload),
        FromWorker::Item {
            task,
            index,
            outcome,
            device,
            vram_bytes,
        } => {
            let body = body.field("task", *task).field("index", *index);
            let body = match outcome {
                Ok(value) => body.field("value", value_to_cbor(value)),
                Err(failure) => body.field("failure", failure_to_cbor(failure)),
            };
            body.optional("device", device.as_deref())
                .optional("vram_bytes", *vram_bytes)
        }
        FromWorker::Finished {
            task,
            failure,
            leaving,
        } => body
            .field("task", *task)
            .optional("failure", failure.as_ref().map(failure_to_cbor))
            .optional("leaving", leaving.then_some(true)),
        FromWorker::Log { task, level, line } => body
            .optional("task", *task)
            .field("level", level.name())
            .field("line", line.as_str()),
    };
    body.encode()
}

/// Reads a message of a worker.
pub fn decode_from_worker(bytes: &[u8], agreed: u32) -> Result<FromWorker, Error> {
    let mut body = Reader::new(bytes)?;
    if body.name != "hello" {
        body.check_version(agreed)?;
    }
    Ok(match body.name.as_str() {
        "hello" => FromWorker::Hello(Hello {
            token: body.required("token", name_from_cbor)?,
            protocols: body.list("protocols", 16, |cbor| {
                u32::try_from(uint_from_cbor(cbor)?).map_err(|_| "holds no version".to_owned())
            })?,
            name: body.required("name", name_from_cbor)?,
            version: body.required("version", name_from_cbor)?,
            role: body.required("role", |cbor| {
                name_from_cbor(cbor)?
                    .parse()
                    .map_err(|_| "is neither `cpu` nor `device`".to_owned())
            })?,
            kinds: body.list("kinds", limits::KINDS, kind)?,
            devices: body.list("devices", limits::DEVICES, device_from_cbor)?,
            notes: body.list("notes", NOTES, |cbor| text(cbor).map(one_line))?,
        }),
        "alive" => FromWorker::Alive,
        "read" => FromWorker::Read {
            req: body.uint("req")?,
            blob: body.required("blob", blob_from_cbor)?,
            offset: body.uint("offset")?,
            len: body.required("len", |cbor| match uint_from_cbor(cbor)? {
                len if len <= limits::CHUNK_BYTES as u64 => Ok(len as u32),
                len => Err(format!("is {len}, the limit is {}", limits::CHUNK_BYTES)),
            })?,
        },
        "open" => FromWorker::Open {
            req: body.uint("req")?,
            upload: body.uint("upload")?,
            max_bytes: body.required("max_bytes", |cbor| match uint_from_cbor(cbor)? {
                max if max <= limits::BLOB_BYTES => Ok(max),
                max => Err(format!("is {max}, the limit is {}", limits::BLOB_BYTES)),
            })?,
        },
        "write" => FromWorker::Write {
            req: body.uint("req")?,
            upload: body.uint("upload")?,
            bytes: body.required("bytes", chunk)?,
        },
        "publish" => FromWorker::Publish {
            req: body.uint("req")?,
            upload: body.uint("upload")?,
            blob: body.required("blob", blob_from_cbor)?,
        },
        "discard" => FromWorker::Discard {
            upload: body.uint("upload")?,
        },
        "item" => FromWorker::Item {
            task: body.uint("task")?,
            index: body.required("index", index)?,
            outcome: match (body.take("value"), body.failure("failure")?) {
                (Some(value), None) => {
                    Ok(value_from_cbor(value).map_err(|why| body.field_error("value", why))?)
                }
                (None, Some(failure)) => Err(failure),
                _ => return Err(body.field_error("value", "or `failure`: one of them".to_owned())),
            },
            device: body.optional("device", name_from_cbor)?,
            vram_bytes: body.optional("vram_bytes", uint_from_cbor)?,
        },
        "finished" => FromWorker::Finished {
            task: body.uint("task")?,
            failure: body.failure("failure")?,
            leaving: body
                .optional("leaving", |cbor| {
                    cbor.as_bool().ok_or_else(|| "is not a boolean".to_owned())
                })?
                .unwrap_or(false),
        },
        "log" => FromWorker::Log {
            task: body.optional("task", uint_from_cbor)?,
            level: body.required("level", |cbor| {
                let name = name_from_cbor(cbor)?;
                Level::ALL
                    .into_iter()
                    .find(|level| level.name() == name)
                    .ok_or_else(|| "is not debug, info, warn or error".to_owned())
            })?,
            line: body.required("line", |cbor| text(cbor).map(one_line))?,
        },
        _ => return Err(body.unknown()),
    })
}

/// A message of `ToWorker` as CBOR.
pub fn encode_to_worker(message: &ToWorker) -> Vec<u8> {
    let body = Writer::new(message.name());
    let body = match message {
        ToWorker::Welcome { protocol } => body.field("protocol", *protocol),
        ToWorker::Refused { reason } => body.field("reason", reason.as_str()),
        ToWorker::Run(run) => {
            let Run {
                task,
                kind,
                input,
                items,
                device,
                cpu_cores,
                ram_bytes,
                vram_bytes,
                timeout_ms,
                keys,
            } = run;
            let items = items.iter().map(|item| {
                let RunItem { index, input } = item;
                Cbor::Map(vec![
                    (Cbor::from("index"), Cbor::from(*index)),
                    (Cbor::from("input"), value_to_cbor(input)),
                ])
            });
            body.field("task", *task)
                .field("kind", kind.as_str())
                .field("input", value_to_cbor(input))
                .list("items", items)
                .optional("device", device.as_deref())
                .field("cpu_cores", *cpu_cores)
                .field("ram_bytes", *ram_bytes)
                .field("vram_bytes", *vram_bytes)
                .field("timeout_ms", *timeout_ms)
                .list("keys", keys.iter().map(key_to_cbor))
        }
        ToWorker::Cancel { task } => body.field("task", *task),
        ToWorker::Shutdown => body,
        ToWorker::Chunk { req, bytes } => body.field("req", *req).field("bytes", bytes.as_slice()),
        ToWorker::Done { req } => body.field("req", *req),
        ToWorker::Failed { req, failure } => body
            .field("req", *req)
            .field("failure", failure_to_cbor(failure)),
    };
    body.encode()
}

/// Reads a message of a daemon.
pub fn decode_to_worker(bytes: &[u8], agreed: u32) -> Result<ToWorker, Error> {
    let mut body = Reader::new(bytes)?;
    if !matches!(body.name.as_str(), "welcome" | "refused") {
        body.check_version(agreed)?;
    }
    Ok(match body.name.as_str() {
        "welcome" => ToWorker::Welcome {
            protocol: body.required("protocol", index)?,
        },
        "refused" => ToWorker::Refused {
            reason: body.required("reason", |cbor| text(cbor).map(one_line))?,
        },
        "run" => ToWorker::Run(Run {
            task: body.uint("task")?,
            kind: body.required("kind", kind)?,
            input: body.required("input", value_from_cbor)?,
            items: body.list("items", limits::ITEMS, item)?,
            device: body.optional("device", name_from_cbor)?,
            cpu_cores: body.required("cpu_cores", index)?,
            ram_bytes: body.uint("ram_bytes")?,
            vram_bytes: body.uint("vram_bytes")?,
            timeout_ms: body.uint("timeout_ms")?,
            // A daemon of before does not say.
            keys: match body.peek("keys") {
                true => body.list("keys", limits::SETUP_KEYS, key_from_cbor)?,
                false => Vec::new(),
            },
        }),
        "cancel" => ToWorker::Cancel {
            task: body.uint("task")?,
        },
        "shutdown" => ToWorker::Shutdown,
        "chunk" => ToWorker::Chunk {
            req: body.uint("req")?,
            bytes: body.required("bytes", chunk)?,
        },
        "done" => ToWorker::Done {
            req: body.uint("req")?,
        },
        "failed" => ToWorker::Failed {
            req: body.uint("req")?,
            failure: body.required("failure", failure_from_cbor)?,
        },
        _ => return Err(body.unknown()),
    })
}

fn item(cbor: Cbor) -> Result<RunItem, Why> {
    let mut fields = entries(cbor)?;
    let mut take = |name: &str| fields.remove(name).ok_or_else(|| format!("lacks `{name}`"));
    Ok(RunItem {
        index: index(take("index")?)?,
        input: value_from_cbor(take("input")?)?,
    })
}

fn key_to_cbor(key: &RunKey) -> Cbor {
    let RunKey { name, sha256, path } = key;
    Cbor::Map(vec![
        (Cbor::from("name"), Cbor::from(name.as_str())),
        (Cbor::from("sha256"), Cbor::from(sha256.as_slice())),
        (Cbor::from("path"), Cbor::from(path.as_str())),
    ])
}

fn key_from_cbor(cbor: Cbor) -> Result<RunKey, Why> {
    let mut fields = entries(cbor)?;
    let mut take = |name: &str| fields.remove(name).ok_or_else(|| format!("lacks `{name}`"));
    Ok(RunKey {
        name: text(take("name")?)?,
        sha256: match take("sha256")? {
            Cbor::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
        .ok_or("holds a `sha256` that is not 32 bytes")?,
        path: match text(take("path")?)? {
            path if path.len() <= PATH_BYTES => path,
            path => {
                let len = path.len();
                return Err(format!(
                    "holds a path of {len} bytes, the limit is {PATH_BYTES}"
                ));
            }
        },
    })
}

fn kind(cbor: Cbor) -> Result<Kind, Why> {
    Kind::new(text(cbor)?).map_err(|error| format!("is no kind: {error}"))
}

fn index(cbor: Cbor) -> Result<u32, Why> {
    u32::try_from(uint_from_cbor(cbor)?).map_err(|_| "is more than 2^32-1".to_owned())
}

fn text(cbor: Cbor) -> Result<String, Why> {
    match cbor {
        Cbor::Text(text) => Ok(text),
        _ => Err("is not text".to_owned()),
    }
}

fn one_line(text: String) -> String {
    limits::one_line(&text)
}

fn chunk(cbor: Cbor) -> Result<Vec<u8>, Why> {
    match cbor {
        Cbor::Bytes(bytes) if bytes.len() <= limits::CHUNK_BYTES => Ok(bytes),
        Cbor::Bytes(bytes) => Err(format!(
            "are {} bytes, the limit is {}",
            bytes.len(),
            limits::CHUNK_BYTES
        )),
        _ => Err("is not a byte string".to_owned()),
    }
}

/// Says whether a read stays inside its blob.
pub fn check_read(blob: BlobRef, offset: u64, len: u32) -> Result<(), Why> {
    match offset.checked_add(len.into()) {
        Some(end) if end <= blob.size_bytes => Ok(()),
        _ => Err(format!(
            "{len} bytes from {offset} lie outside a blob of {} bytes",
            blob.size_bytes
        )),
    }
}
