//! What a seeker does to a workflow that has a past: fork it, move it to another revision, take it home.

use std::rc::Rc;

use froben_engine::{Migrated, Parting, Unfit, Want};
use froben_model::{BlobRef, limits};
use froben_schema::common_capnp::blob_reader;
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session;
use froben_wire::FaultCode;

use crate::answer::{busy, fault, text};
use crate::door::Hold;
use crate::seeker::{Seeker, idempotency_key, no_such_workflow, workflow};

/// A step's name: a call's number or the key of a delegation or child.
const STEP_BYTES: usize = 256;

/// `newest`, the beginning of a hash, or nothing.
fn wanted(revision: capnp::text::Reader<'_>) -> Result<Want, capnp::Error> {
    let revision = text("a revision", revision, limits::TEXT_BYTES)?;
    match revision.as_str() {
        "" => Ok(Want::Kept),
        "newest" => Ok(Want::Newest),
        name => match name.parse() {
            Ok(prefix) => Ok(Want::Named(prefix)),
            Err(why) => Err(fault(FaultCode::Invalid, format!("{why}, or `newest`"))),
        },
    }
}

pub(crate) async fn fork(
    seeker: &Seeker,
    params: seeker_session::ForkParams,
    mut results: seeker_session::ForkResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let id = workflow(params.get_id()?)?;
    let step = text("a step", params.get_step()?, STEP_BYTES)?;
    let revision = wanted(params.get_revision()?)?;
    let key = idempotency_key(params.get_idempotency_key()?)?;
    let engine = &seeker.peer.engine;
    let forked = engine
        .fork(seeker.id.clone(), id, step, revision, key)
        .await;
    let forked = forked.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
    let mut answer = results.get().init_answer();
    match forked {
        Ok(id) => answer.set_id(id.to_string()),
        Err(failure) => convert::write_failure(&failure, answer.init_refused()),
    }
    Ok(())
}

pub(crate) async fn migrate(
    seeker: &Seeker,
    params: seeker_session::MigrateParams,
    mut results: seeker_session::MigrateResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let id = workflow(params.get_id()?)?;
    let revision = wanted(params.get_revision()?)?;
    let dry_run = params.get_dry_run();
    let engine = &seeker.peer.engine;
    let moved = engine.migrate(seeker.id.clone(), id, revision, dry_run);
    let moved = moved.await.map_err(busy)?;
    let mut answer = results.get().init_answer();
    match moved.ok_or_else(|| no_such_workflow(id))? {
        Ok(Migrated {
            revision,
            calls,
            beyond,
            switched,
        }) => {
            let mut done = answer.init_done();
            done.set_revision(revision.to_string());
            done.set_calls(calls);
            done.set_beyond(beyond);
            done.set_switched(switched);
        }
        Err(Unfit { why, parting }) => {
            if let Some(Parting { call, revision }) = parting {
                let mut parting = answer.reborrow().init_parting();
                parting.set_call(call.0);
                parting.set_revision(revision.to_string());
            }
            convert::write_failure(&why, answer.init_refused());
        }
    }
    Ok(())
}

pub(crate) async fn export(
    seeker: &Seeker,
    params: seeker_session::ExportParams,
    mut results: seeker_session::ExportResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let id = workflow(params.get_id()?)?;
    let keep_names = params.get_keep_names();
    // Held in memory, unlike blobs, so a peer has only so many.
    let hold = seeker.peer.exports.take()?;
    let engine = &seeker.peer.engine;
    let exported = engine.export(seeker.id.clone(), id, keep_names).await;
    let exported = exported
        .map_err(busy)?
        .ok_or_else(|| no_such_workflow(id))?;
    let answer = results.get().init_answer();
    match exported {
        Ok(bytes) => {
            let mut file = answer.init_file();
            convert::write_blob(&BlobRef::of(&bytes), file.reborrow().init_blob());
            let reader = Exported { bytes, _hold: hold };
            file.set_reader(capnp_rpc::new_client(reader));
        }
        Err(failure) => convert::write_failure(&failure, answer.init_refused()),
    }
    Ok(())
}

/// An export that is being fetched.
struct Exported {
    bytes: Vec<u8>,
    _hold: Hold,
}

impl blob_reader::Server for Exported {
    async fn read(
        self: Rc<Self>,
        params: blob_reader::ReadParams,
        mut results: blob_reader::ReadResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let size = (params.get_size_bytes() as usize).min(limits::CHUNK_BYTES);
        let offset = usize::try_from(params.get_offset()).unwrap_or(usize::MAX);
        let rest = self.bytes.get(offset..).unwrap_or_default();
        results.get().set_data(&rest[..size.min(rest.len())]);
        Ok(())
    }
}
