//! A record and its Cap'n Proto struct, both directions.

use capnp::text;
use froben_model::{
    Amount, CallId, Kind, MachineId, SeekerId, TimeBucket, Usage, WorkflowId, limits,
};
use froben_schema::convert::{
    Error, list_len, read_amount, read_bytes, read_item_error, read_outcome, read_task, read_text,
    read_usage, read_value, write_amount, write_item_error, write_outcome, write_task, write_usage,
    write_value,
};
use froben_schema::journal_capnp::{
    assigned, called, ended, finished, forked_from, item, record, submitted, tally,
};

use crate::{
    Assigned, Body, CallOp, Called, End, Ended, Failure, Finish, ForkedFrom, Item, Parent, Record,
    RevisionHash, Status, Submitted, Tally,
};

pub(super) fn write(record: &Record, mut builder: record::Builder<'_>) {
    let Record { time_ms, body } = record;
    builder.set_time_ms(*time_ms);
    match body {
        Body::Submitted(submitted) => write_submitted(submitted, builder.init_submitted()),
        Body::Called(called) => write_called(called, builder.init_called()),
        Body::Assigned(assigned) => write_assigned(assigned, builder.init_assigned()),
        Body::Started { call, attempt } => {
            let mut builder = builder.init_started();
            builder.set_call(call.0);
            builder.set_attempt(*attempt);
        }
        Body::Item(item) => write_item(item, builder.init_item()),
        Body::Claimed(item) => write_item(item, builder.init_claimed()),
        Body::Lost {
            call,
            attempt,
            failure,
        } => {
            let mut builder = builder.init_lost();
            builder.set_call(call.0);
            builder.set_attempt(*attempt);
            write_item_error(failure, builder.init_failure());
        }
        Body::Requeued {
            call,
            attempt,
            reason,
            fault,
        } => {
            let mut builder = builder.init_requeued();
            builder.set_fault(*fault);
            builder.set_call(call.0);
            builder.set_attempt(*attempt);
            builder.set_reason(reason);
        }
        Body::Ended(ended) => write_ended(ended, builder.init_ended()),
        Body::Slept { call } => builder.init_slept().set_call(call.0),
        Body::CancelRequested => builder.set_cancel_requested(()),
        Body::Finished(finish) => write_finish(finish, builder.init_finished()),
        Body::Logged { source, text, of } => {
            let mut builder = builder.init_logged();
            builder.set_source(source);
            builder.set_text(text);
            if let Some((call, attempt)) = of {
                builder.set_call(call.0);
                builder.set_attempt(*attempt);
            }
        }
        Body::ChildEnded { call, finish } => {
            let mut builder = builder.init_child_ended();
            builder.set_call(call.0);
            write_finish(finish, builder.init_finish());
        }
        Body::Tallied(tallies) => {
            let mut list = builder.init_tallied(list_len(tallies.len()));
            for (i, tally) in (0..).zip(tallies) {
                write_tally(tally, list.reborrow().get(i));
            }
        }
        Body::Paused => builder.set_paused(()),
        Body::Resumed => builder.set_resumed(()),
        Body::Migrated { revision } => builder.set_migrated(&revision.0),
    }
}

pub(super) fn read(reader: record::Reader<'_>) -> Result<Record, Error> {
    let body = match reader.which().map_err(Error::unknown("a record"))? {
        record::Submitted(reader) => Body::Submitted(read_submitted(reader?)?),
        record::Called(reader) => Body::Called(read_called(reader?)?),
        record::Assigned(reader) => Body::Assigned(read_assigned(reader?)?),
        record::Started(reader) => {
            let reader = reader?;
            Body::Started {
                call: CallId(reader.get_call()),
                attempt: reader.get_attempt(),
            }
        }
        record::Item(reader) => Body::Item(read_item(reader?)?),
        record::Claimed(reader) => Body::Claimed(read_item(reader?)?),
        record::Lost(reader) => {
            let reader = reader?;
            Body::Lost {
                call: CallId(reader.get_call()),
                attempt: reader.get_attempt(),
                failure: read_item_error(reader.get_failure()?)?,
            }
        }
        record::Requeued(reader) => {
            let reader = reader?;
            Body::Requeued {
                call: CallId(reader.get_call()),
                attempt: reader.get_attempt(),
                reason: text("a reason", reader.get_reason()?)?,
                fault: reader.get_fault(),
            }
        }
        record::Ended(reader) => Body::Ended(read_ended(reader?)?),
        record::Slept(reader) => Body::Slept {
            call: CallId(reader?.get_call()),
        },
        record::CancelRequested(()) => Body::CancelRequested,
        record::Finished(reader) => Body::Finished(read_finish(reader?)?),
        record::Logged(reader) => {
            let reader = reader?;
            Body::Logged {
                source: text("a log's source", reader.get_source()?)?,
                text: text("a log line", reader.get_text()?)?,
                of: match (reader.get_call(), reader.get_attempt()) {
                    (_, 0) => None,
                    (call, attempt) => Some((CallId(call), attempt)),
                },
            }
        }
        record::ChildEnded(reader) => {
            let reader = reader?;
            Body::ChildEnded {
                call: CallId(reader.get_call()),
                finish: read_finish(reader.get_finish()?)?,
            }
        }
        record::Tallied(list) => {
            let tallies = list?.iter().map(read_tally);
            Body::Tallied(tallies.collect::<Result<_, _>>()?)
        }
        record::Paused(()) => Body::Paused,
        record::Resumed(()) => Body::Resumed,
        record::Migrated(revision) => Body::Migrated {
            revision: RevisionHash(read_bytes("a revision", revision?)?),
        },
    };
    Ok(Record {
        time_ms: reader.get_time_ms(),
        body,
    })
}

fn write_submitted(submitted: &Submitted, mut builder: submitted::Builder<'_>) {
    let Submitted {
        pipeline,
        revision,
        seeker,
        idempotency_key,
        input,
        seed,
        parent,
        forked_from,
        budget,
        wanted_by_ms,
    } = submitted;
    builder.set_pipeline(pipeline);
    builder.set_revision(&revision.0);
    builder.set_seeker(seeker.as_str());
    builder.set_idempotency_key(idempotency_key);
    write_value(input, builder.reborrow().init_input());
    builder.set_seed(*seed);
    if let Some(budget) = budget {
        write_amount(*budget, builder.reborrow().init_budget());
    }
    builder.set_wanted_by_ms(wanted_by_ms.unwrap_or(0));
    if let Some(Parent {
        workflow,
        call,
        depth,
    }) = parent
    {
        let mut builder = builder.reborrow().init_parent();
        builder.set_workflow(&workflow.0);
        builder.set_call(call.0);
        builder.set_depth(*depth);
    }
    if let Some(forked_from) = forked_from {
        write_forked_from(forked_from, builder.init_forked_from());
    }
}

fn read_submitted(reader: submitted::Reader<'_>) -> Result<Submitted, Error> {
    Ok(Submitted {
        pipeline: text("a pipeline's name", reader.get_pipeline()?)?,
        revision: RevisionHash(read_bytes("a revision", reader.get_revision()?)?),
        seeker: SeekerId::new(text("a seeker's name", reader.get_seeker()?)?)?,
        idempotency_key: text("an idempotency key", reader.get_idempotency_key()?)?,
        input: read_value(reader.get_input()?)?,
        seed: reader.get_seed(),
        parent: match reader.has_parent() {
            true => {
                let parent = reader.get_parent()?;
                Some(Parent {
                    workflow: WorkflowId(read_bytes("a workflow", parent.get_workflow()?)?),
                    call: CallId(parent.get_call()),
                    depth: parent.get_depth(),
                })
            }
            false => None,
        },
        forked_from: match reader.has_forked_from() {
            true => Some(read_forked_from(reader.get_forked_from()?)?),
            false => None,
        },
        budget: match reader.has_budget() {
            true => Some(read_amount(reader.get_budget()?)),
            false => None,
        },
        wanted_by_ms: Some(reader.get_wanted_by_ms()).filter(|at| *at != 0),
    })
}

fn write_forked_from(from: &ForkedFrom, mut builder: forked_from::Builder<'_>) {
    let ForkedFrom {
        workflow,
        step,
        carried,
        begun_ms,
    } = from;
    builder.set_workflow(&workflow.0);
    builder.set_step(step.0);
    builder.set_carried(*carried);
    builder.set_begun_ms(*begun_ms);
}

fn read_forked_from(reader: forked_from::Reader<'_>) -> Result<ForkedFrom, Error> {
    Ok(ForkedFrom {
        workflow: WorkflowId(read_bytes("a workflow", reader.get_workflow()?)?),
        step: CallId(reader.get_step()),
        carried: reader.get_carried(),
        begun_ms: reader.get_begun_ms(),
    })
}

fn write_tally(tally: &Tally, mut builder: tally::Builder<'_>) {
    let Tally {
        machine,
        kind,
        ok,
        failed,
        at_ms,
        times,
        checked,
    } = tally;
    builder.set_checked(*checked);
    builder.set_machine(machine.as_str());
    builder.set_kind(kind.as_str());
    builder.set_ok(*ok);
    builder.set_failed(*failed);
    builder.set_at_ms(*at_ms);
    let mut list = builder.init_times(list_len(times.len()));
    for (i, (TimeBucket(bucket), count)) in (0..).zip(times) {
        let mut builder = list.reborrow().get(i);
        builder.set_bucket(*bucket);
        builder.set_count(*count);
    }
}

fn read_tally(reader: tally::Reader<'_>) -> Result<Tally, Error> {
    Ok(Tally {
        machine: MachineId::new(text("a machine's name", reader.get_machine()?)?)?,
        kind: Kind::new(text("a kind", reader.get_kind()?)?)?,
        ok: reader.get_ok(),
        failed: reader.get_failed(),
        at_ms: reader.get_at_ms(),
        checked: reader.get_checked(),
        times: reader
            .get_times()?
            .iter()
            .map(|time| (TimeBucket(time.get_bucket()), time.get_count()))
            .collect(),
    })
}

fn write_called(called: &Called, mut builder: called::Builder<'_>) {
    let Called {
        call,
        line,
        op,
        fed,
    } = called;
    builder.set_call(call.0);
    builder.set_line(*line);
    builder.set_fed(*fed);
    match op {
        CallOp::Delegate(task) => write_task(task, builder.init_delegate()),
        CallOp::Sleep { ms } => builder.set_sleep(*ms),
        CallOp::Status(Status { phase, done, total }) => {
            let mut builder = builder.init_status();
            builder.set_phase(phase);
            builder.set_done(*done);
            builder.set_total(*total);
        }
        CallOp::Run {
            pipeline,
            input,
            key,
        } => {
            let mut builder = builder.init_run();
            builder.set_pipeline(pipeline);
            write_value(input, builder.reborrow().init_input());
            builder.set_key(key);
        }
        CallOp::Log { text } => builder.set_log(text),
        CallOp::Cancel { target } => builder.set_cancel(target.0),
    }
}

fn read_called(reader: called::Reader<'_>) -> Result<Called, Error> {
    let op = match reader.which().map_err(Error::unknown("a call"))? {
        called::Delegate(task) => CallOp::Delegate(read_task(task?)?),
        called::Sleep(ms) => CallOp::Sleep { ms },
        called::Status(reader) => {
            let reader = reader?;
            CallOp::Status(Status {
                phase: text("a phase", reader.get_phase()?)?,
                done: reader.get_done(),
                total: reader.get_total(),
            })
        }
        called::Run(reader) => {
            let reader = reader?;
            CallOp::Run {
                pipeline: text("a pipeline's name", reader.get_pipeline()?)?,
                input: read_value(reader.get_input()?)?,
                key: text("a key", reader.get_key()?)?,
            }
        }
        called::Log(line) => CallOp::Log {
            text: text("a log line", line?)?,
        },
        called::Cancel(target) => CallOp::Cancel {
            target: CallId(target),
        },
    };
    Ok(Called {
        call: CallId(reader.get_call()),
        line: reader.get_line(),
        op,
        fed: reader.get_fed(),
    })
}

fn write_assigned(assigned: &Assigned, mut builder: assigned::Builder<'_>) {
    let Assigned {
        call,
        attempt,
        epoch,
        machine,
        device,
        deadline_ms,
        cpu_cores,
        ram_bytes,
        vram_bytes,
        price,
    } = assigned;
    builder.set_call(call.0);
    builder.set_attempt(*attempt);
    builder.set_epoch(*epoch);
    builder.set_machine(machine.as_str());
    builder.set_device(device.as_deref().unwrap_or_default());
    builder.set_deadline_ms(*deadline_ms);
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    builder.set_vram_bytes(*vram_bytes);
    if !price.is_zero() {
        write_amount(*price, builder.init_price());
    }
}

fn read_assigned(reader: assigned::Reader<'_>) -> Result<Assigned, Error> {
    Ok(Assigned {
        call: CallId(reader.get_call()),
        attempt: reader.get_attempt(),
        epoch: reader.get_epoch(),
        machine: MachineId::new(text("a machine's name", reader.get_machine()?)?)?,
        device: device(reader.get_device()?)?,
        deadline_ms: reader.get_deadline_ms(),
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        vram_bytes: reader.get_vram_bytes(),
        price: match reader.has_price() {
            true => read_amount(reader.get_price()?),
            false => Amount::ZERO,
        },
    })
}

fn write_item(item: &Item, mut builder: item::Builder<'_>) {
    let Item {
        call,
        attempt,
        index,
        outcome,
        device,
        usage,
    } = item;
    builder.set_call(call.0);
    builder.set_attempt(*attempt);
    builder.set_index(*index);
    write_outcome(outcome, builder.reborrow().init_outcome());
    builder.set_device(device.as_deref().unwrap_or_default());
    if *usage != Usage::default() {
        write_usage(usage, builder.init_usage());
    }
}

fn read_item(reader: item::Reader<'_>) -> Result<Item, Error> {
    Ok(Item {
        call: CallId(reader.get_call()),
        attempt: reader.get_attempt(),
        index: reader.get_index(),
        outcome: read_outcome(reader.get_outcome()?)?,
        device: device(reader.get_device()?)?,
        usage: match reader.has_usage() {
            true => read_usage(reader.get_usage()?),
            false => Usage::default(),
        },
    })
}

fn write_ended(ended: &Ended, mut builder: ended::Builder<'_>) {
    let Ended {
        call,
        attempt,
        end,
        failure,
    } = ended;
    builder.set_call(call.0);
    builder.set_attempt(*attempt);
    builder.set_end(match end {
        End::Succeeded => ended::End::Succeeded,
        End::Failed => ended::End::Failed,
        End::TimedOut => ended::End::TimedOut,
        End::Cancelled => ended::End::Cancelled,
    });
    if let Some(failure) = failure {
        write_item_error(failure, builder.init_failure());
    }
}

fn read_ended(reader: ended::Reader<'_>) -> Result<Ended, Error> {
    let end = match reader.get_end().map_err(Error::unknown("an end"))? {
        ended::End::Succeeded => End::Succeeded,
        ended::End::Failed => End::Failed,
        ended::End::TimedOut => End::TimedOut,
        ended::End::Cancelled => End::Cancelled,
    };
    let failure = match reader.has_failure() {
        true => Some(read_item_error(reader.get_failure()?)?),
        false => None,
    };
    Ok(Ended {
        call: CallId(reader.get_call()),
        attempt: reader.get_attempt(),
        end,
        failure,
    })
}

fn write_finish(finish: &Finish, mut builder: finished::Builder<'_>) {
    match finish {
        Finish::Output(output) => write_value(output, builder.init_output()),
        Finish::Failed(Failure { code, message }) => {
            let mut builder = builder.init_failure();
            builder.set_code(code);
            builder.set_message(message);
        }
        Finish::Cancelled => builder.set_cancelled(()),
    }
}

fn read_finish(reader: finished::Reader<'_>) -> Result<Finish, Error> {
    Ok(match reader.which().map_err(Error::unknown("a finish"))? {
        finished::Output(output) => Finish::Output(read_value(output?)?),
        finished::Failure(reader) => {
            let reader = reader?;
            Finish::Failed(Failure {
                code: text("a failure's code", reader.get_code()?)?,
                message: text("a failure's message", reader.get_message()?)?,
            })
        }
        finished::Cancelled(()) => Finish::Cancelled,
    })
}

/// A text that only the record's own limit bounds.
fn text(field: &'static str, text: text::Reader<'_>) -> Result<String, Error> {
    read_text(field, text, limits::MESSAGE_BYTES)
}

/// No device is written as an empty name: a device has none.
fn device(name: text::Reader<'_>) -> Result<Option<String>, Error> {
    let name = text("a device", name)?;
    Ok(Some(name).filter(|name| !name.is_empty()))
}
