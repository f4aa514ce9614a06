//! Entries of the ledger.

use froben_model::ledger::{Account, Cause, Posting};
use froben_model::{CallId, OperatorId, SeekerId, WorkflowId, limits};

use super::{Error, read_amount, read_bytes, read_text, write_amount};
use crate::common_capnp::posting::{self, account};

pub fn write_posting(entry: &Posting, mut builder: posting::Builder<'_>) {
    let Posting {
        index,
        time_ms,
        workflow,
        call,
        attempt,
        cause,
        from,
        to,
        amount,
    } = entry;
    builder.set_index(*index);
    builder.set_time_ms(*time_ms);
    builder.set_workflow(&workflow.0);
    builder.set_call(call.map_or(0, |call| call.0));
    builder.set_attempt(*attempt);
    builder.set_cause(match cause {
        Cause::Reserve => posting::Cause::Reserve,
        Cause::Settle => posting::Cause::Settle,
        Cause::Release => posting::Cause::Release,
        Cause::Close => posting::Cause::Close,
    });
    write_account(from, builder.reborrow().init_from());
    write_account(to, builder.reborrow().init_to());
    write_amount(*amount, builder.init_amount());
}

pub fn read_posting(reader: posting::Reader<'_>) -> Result<Posting, Error> {
    let cause = reader.get_cause().map_err(Error::unknown("a cause"))?;
    let call = reader.get_call();
    Ok(Posting {
        index: reader.get_index(),
        time_ms: reader.get_time_ms(),
        workflow: WorkflowId(read_bytes("a workflow", reader.get_workflow()?)?),
        call: (call != 0).then_some(CallId(call)),
        attempt: reader.get_attempt(),
        cause: match cause {
            posting::Cause::Reserve => Cause::Reserve,
            posting::Cause::Settle => Cause::Settle,
            posting::Cause::Release => Cause::Release,
            posting::Cause::Close => Cause::Close,
        },
        from: read_account(reader.get_from()?)?,
        to: read_account(reader.get_to()?)?,
        amount: read_amount(reader.get_amount()?),
    })
}

fn write_account(account: &Account, mut builder: account::Builder<'_>) {
    match account {
        Account::Seeker(seeker) => builder.set_seeker(seeker.as_str()),
        Account::Operator(operator) => builder.set_operator(operator.as_str()),
        Account::Budget(workflow) => builder.set_budget(&workflow.0),
        Account::Held(workflow) => builder.set_held(&workflow.0),
    }
}

fn read_account(reader: account::Reader<'_>) -> Result<Account, Error> {
    let which = reader.which().map_err(Error::unknown("an account"))?;
    let workflow = |bytes| read_bytes("a workflow", bytes).map(WorkflowId);
    Ok(match which {
        account::Seeker(name) => {
            let name = read_text("a seeker's name", name?, limits::TEXT_BYTES)?;
            Account::Seeker(SeekerId::new(name)?)
        }
        account::Operator(name) => {
            let name = read_text("an operator's name", name?, limits::TEXT_BYTES)?;
            Account::Operator(OperatorId::new(name)?)
        }
        account::Budget(id) => Account::Budget(workflow(id?)?),
        account::Held(id) => Account::Held(workflow(id?)?),
    })
}
