use froben_model::{CallId, LeaseToken, WorkflowId};

use super::{Error, read_bytes};
use crate::common_capnp::lease_token;

pub fn read_token(reader: lease_token::Reader<'_>) -> Result<LeaseToken, Error> {
    Ok(LeaseToken {
        workflow: WorkflowId(read_bytes("a workflow id", reader.get_workflow()?)?),
        call: CallId(reader.get_call()),
        attempt: reader.get_attempt(),
        epoch: reader.get_epoch(),
    })
}

pub fn write_token(token: &LeaseToken, mut builder: lease_token::Builder<'_>) {
    let LeaseToken {
        workflow,
        call,
        attempt,
        epoch,
    } = token;
    builder.set_workflow(&workflow.0);
    builder.set_call(call.0);
    builder.set_attempt(*attempt);
    builder.set_epoch(*epoch);
}
