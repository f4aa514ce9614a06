//! A seeker's session. It sees its own workflows only; the engine holds every id against the seeker.

use std::rc::Rc;

use froben_model::view::Failure;
use froben_model::{SeekerId, Terms, WorkflowId, limits};
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session;
use froben_wire::FaultCode;

use crate::answer::{
    self, busy, fault, first_that_fit, invalid, of_blobs, shorten_detail, shorten_list,
};
use crate::blobs::Store;
use crate::door::Peer;
use crate::durable;
use crate::trail;

/// A pipeline's name.
const PIPELINE_BYTES: usize = 256;
/// A call's number or the key of a delegation.
const WHICH_BYTES: usize = 256;
/// What a seeker may call one submit.
const KEY_BYTES: usize = 256;
/// Workflows or lines in one answer.
const ENTRIES: u32 = 1000;

pub(crate) struct Seeker {
    pub(crate) peer: Rc<Peer>,
    pub(crate) id: SeekerId,
}

impl Seeker {
    pub(crate) fn new(peer: Rc<Peer>, id: SeekerId) -> Seeker {
        Seeker { peer, id }
    }

    /// The first blob of `input` that is not in the store.
    async fn missing(
        &self,
        input: &froben_model::Value,
    ) -> Result<Option<froben_model::BlobRef>, capnp::Error> {
        for blob in input.blobs() {
            if !self.peer.blobs.has(blob).await.map_err(of_blobs)? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }
}

pub(crate) fn workflow(id: capnp::text::Reader<'_>) -> Result<WorkflowId, capnp::Error> {
    let id = answer::text("a workflow id", id, limits::TEXT_BYTES)?;
    id.parse()
        .map_err(|error: froben_model::Error| fault(FaultCode::Invalid, error.to_string()))
}

pub(crate) fn idempotency_key(key: capnp::text::Reader<'_>) -> Result<String, capnp::Error> {
    answer::text("an idempotency key", key, KEY_BYTES)
}

pub(crate) fn no_such_workflow(id: WorkflowId) -> capnp::Error {
    fault(
        FaultCode::NoSuchWorkflow,
        format!("you have no such workflow: {id}; `froben list` shows yours"),
    )
}

impl seeker_session::Server for Seeker {
    async fn blobs(
        self: Rc<Self>,
        _params: seeker_session::BlobsParams,
        mut results: seeker_session::BlobsResults,
    ) -> Result<(), capnp::Error> {
        let store = Store {
            peer: self.peer.clone(),
        };
        results.get().set_blobs(capnp_rpc::new_client(store));
        Ok(())
    }

    async fn submit(
        self: Rc<Self>,
        params: seeker_session::SubmitParams,
        mut results: seeker_session::SubmitResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let pipeline = answer::text("a pipeline", params.get_pipeline()?, PIPELINE_BYTES)?;
        let input = convert::read_value(params.get_input()?).map_err(invalid)?;
        let key = idempotency_key(params.get_idempotency_key()?)?;
        let terms = Terms {
            budget: match params.has_budget() {
                true => Some(convert::read_amount(params.get_budget()?)),
                false => None,
            },
            wanted_by_ms: Some(params.get_wanted_by_ms()).filter(|at| *at != 0),
        };

        let submitted = match self.missing(&input).await? {
            Some(blob) => Err(Failure {
                code: "FRB-SUB-003".to_owned(),
                message: format!(
                    "the input names blob {} of {} bytes, which is not in the store; upload it first",
                    blob.hash, blob.size_bytes
                ),
            }),
            None => {
                let engine = &self.peer.engine;
                let asked = engine
                    .submit(self.id.clone(), pipeline, input, key, terms)
                    .await;
                asked.map_err(busy)?
            }
        };
        let mut answer = results.get().init_answer();
        match submitted {
            Ok(id) => answer.set_id(id.to_string()),
            Err(failure) => convert::write_failure(&failure, answer.init_refused()),
        }
        Ok(())
    }

    async fn status(
        self: Rc<Self>,
        params: seeker_session::StatusParams,
        mut results: seeker_session::StatusResults,
    ) -> Result<(), capnp::Error> {
        let id = workflow(params.get()?.get_id()?)?;
        let found = self.peer.engine.status(self.id.clone(), id).await;
        let mut detail = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        shorten_detail(&mut detail);
        convert::write_detail(&detail, results.get().init_detail());
        Ok(())
    }

    async fn list(
        self: Rc<Self>,
        params: seeker_session::ListParams,
        mut results: seeker_session::ListResults,
    ) -> Result<(), capnp::Error> {
        let limit = params.get()?.get_limit().min(ENTRIES) as usize;
        let found = self.peer.engine.list(self.id.clone(), limit).await;
        let mut found = found.map_err(busy)?;
        shorten_list(&mut found);
        // Outputs have their own bound.
        let found = first_that_fit(&found, |summary| {
            let failure = summary.failure.as_ref().map_or(0, |f| f.message.len());
            256 + summary.pipeline.len() + failure
        });
        let mut list = results.get().init_workflows(convert::list_len(found.len()));
        for (i, summary) in (0..).zip(found) {
            convert::write_summary(summary, list.reborrow().get(i));
        }
        Ok(())
    }

    async fn cancel(
        self: Rc<Self>,
        params: seeker_session::CancelParams,
        mut results: seeker_session::CancelResults,
    ) -> Result<(), capnp::Error> {
        let id = workflow(params.get()?.get_id()?)?;
        let found = self.peer.engine.cancel(self.id.clone(), id).await;
        let state = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        results
            .get()
            .set_state(convert::write_workflow_state(state));
        Ok(())
    }

    async fn pause(
        self: Rc<Self>,
        params: seeker_session::PauseParams,
        mut results: seeker_session::PauseResults,
    ) -> Result<(), capnp::Error> {
        let id = workflow(params.get()?.get_id()?)?;
        let found = self.peer.engine.pause(self.id.clone(), id).await;
        let state = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        let state = convert::write_workflow_state(state);
        results.get().set_state(state);
        Ok(())
    }

    async fn resume(
        self: Rc<Self>,
        params: seeker_session::ResumeParams,
        mut results: seeker_session::ResumeResults,
    ) -> Result<(), capnp::Error> {
        let id = workflow(params.get()?.get_id()?)?;
        let found = self.peer.engine.resume(self.id.clone(), id).await;
        let state = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        let state = convert::write_workflow_state(state);
        results.get().set_state(state);
        Ok(())
    }

    async fn fork(
        self: Rc<Self>,
        params: seeker_session::ForkParams,
        results: seeker_session::ForkResults,
    ) -> Result<(), capnp::Error> {
        durable::fork(&self, params, results).await
    }

    async fn migrate(
        self: Rc<Self>,
        params: seeker_session::MigrateParams,
        results: seeker_session::MigrateResults,
    ) -> Result<(), capnp::Error> {
        durable::migrate(&self, params, results).await
    }

    async fn export(
        self: Rc<Self>,
        params: seeker_session::ExportParams,
        results: seeker_session::ExportResults,
    ) -> Result<(), capnp::Error> {
        durable::export(&self, params, results).await
    }

    async fn logs(
        self: Rc<Self>,
        params: seeker_session::LogsParams,
        mut results: seeker_session::LogsResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let id = workflow(params.get_id()?)?;
        let from = params.get_from_seq();
        let limit = params.get_limit().min(ENTRIES) as usize;
        let found = self
            .peer
            .engine
            .logs(self.id.clone(), id, from, limit)
            .await;
        let lines = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        let lines = first_that_fit(&lines, |line| 64 + line.source.len() + line.text.len());
        let mut list = results.get().init_lines(convert::list_len(lines.len()));
        for (i, line) in (0..).zip(lines) {
            convert::write_log_line(line, list.reborrow().get(i));
        }
        Ok(())
    }

    async fn trail(
        self: Rc<Self>,
        params: seeker_session::TrailParams,
        results: seeker_session::TrailResults,
    ) -> Result<(), capnp::Error> {
        trail::answer(&self, params, results).await
    }

    async fn why(
        self: Rc<Self>,
        params: seeker_session::WhyParams,
        mut results: seeker_session::WhyResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let id = workflow(params.get_id()?)?;
        let which = answer::text("a delegation", params.get_which()?, WHICH_BYTES)?;
        let found = self.peer.engine.why(self.id.clone(), id, which).await;
        let found = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
        let answer = results.get().init_answer();
        match found {
            Ok(mut why) => {
                let fit = first_that_fit(&why.machines, |machine| 160 + machine.reason.len());
                why.machines.truncate(fit.len());
                convert::write_why(&why, answer.init_why());
            }
            Err(failure) => convert::write_failure(&failure, answer.init_refused()),
        }
        Ok(())
    }

    async fn pipelines(
        self: Rc<Self>,
        _params: seeker_session::PipelinesParams,
        mut results: seeker_session::PipelinesResults,
    ) -> Result<(), capnp::Error> {
        let found = self.peer.engine.pipelines().await.map_err(busy)?;
        let found = first_that_fit(&found, |pipeline| {
            let inputs = pipeline.inputs.iter();
            192 + pipeline.name.len() + inputs.map(|i| 64 + i.name.len()).sum::<usize>()
        });
        let mut list = results.get().init_pipelines(convert::list_len(found.len()));
        for (i, pipeline) in (0..).zip(found) {
            convert::write_pipeline(pipeline, list.reborrow().get(i));
        }
        Ok(())
    }

    async fn machines(
        self: Rc<Self>,
        _params: seeker_session::MachinesParams,
        mut results: seeker_session::MachinesResults,
    ) -> Result<(), capnp::Error> {
        let found = self.peer.engine.machines().await.map_err(busy)?;
        let found = first_that_fit(&found, |machine| {
            let devices = machine.devices.iter().map(|device| {
                let texts = [&device.id, &device.name, &device.vendor, &device.driver];
                128 + texts.iter().map(|text| text.len()).sum::<usize>()
            });
            256 + devices.sum::<usize>() + machine.kinds.len() * 96
        });
        let mut list = results.get().init_machines(convert::list_len(found.len()));
        for (i, machine) in (0..).zip(found) {
            convert::write_machine_view(machine, list.reborrow().get(i));
        }
        Ok(())
    }
}
