//! What became of delegations, as seekers are shown it.

use froben_model::trail::{
    AttemptEnd, AttemptTrail, Cause, Claimed, DelegationTrail, Fault, TrailPage,
};
use froben_model::{CallId, Kind, MachineId, WorkflowId};

use super::view::{
    line, moment, present, read_delegation_state, read_log_line, write_delegation_state,
    write_log_line,
};
use super::{
    Error, check_size, list_len, read_amount, read_class, read_needs, write_amount, write_class,
    write_needs,
};
use crate::seeker_capnp::seeker_session::trail_answer::page;
use crate::seeker_capnp::{self, attempt_trail, cause, claimed, delegation_trail};

/// Entries of any list in here: far more than a message has room for.
const ENTRIES: u64 = 1 << 17;

fn read_fault(fault: seeker_capnp::Fault) -> Fault {
    match fault {
        seeker_capnp::Fault::Operator => Fault::Operator,
        seeker_capnp::Fault::Workflow => Fault::Workflow,
        seeker_capnp::Fault::Data => Fault::Data,
        seeker_capnp::Fault::Platform => Fault::Platform,
    }
}

fn write_fault(fault: Fault) -> seeker_capnp::Fault {
    match fault {
        Fault::Operator => seeker_capnp::Fault::Operator,
        Fault::Workflow => seeker_capnp::Fault::Workflow,
        Fault::Data => seeker_capnp::Fault::Data,
        Fault::Platform => seeker_capnp::Fault::Platform,
    }
}

fn read_end(end: seeker_capnp::AttemptEnd) -> AttemptEnd {
    match end {
        seeker_capnp::AttemptEnd::Open => AttemptEnd::Open,
        seeker_capnp::AttemptEnd::Succeeded => AttemptEnd::Succeeded,
        seeker_capnp::AttemptEnd::Failed => AttemptEnd::Failed,
        seeker_capnp::AttemptEnd::TimedOut => AttemptEnd::TimedOut,
        seeker_capnp::AttemptEnd::Cancelled => AttemptEnd::Cancelled,
        seeker_capnp::AttemptEnd::Requeued => AttemptEnd::Requeued,
    }
}

fn write_end(end: AttemptEnd) -> seeker_capnp::AttemptEnd {
    match end {
        AttemptEnd::Open => seeker_capnp::AttemptEnd::Open,
        AttemptEnd::Succeeded => seeker_capnp::AttemptEnd::Succeeded,
        AttemptEnd::Failed => seeker_capnp::AttemptEnd::Failed,
        AttemptEnd::TimedOut => seeker_capnp::AttemptEnd::TimedOut,
        AttemptEnd::Cancelled => seeker_capnp::AttemptEnd::Cancelled,
        AttemptEnd::Requeued => seeker_capnp::AttemptEnd::Requeued,
    }
}

fn read_cause(reader: cause::Reader<'_>) -> Result<Cause, Error> {
    let class = match reader.get_given_back() {
        true => None,
        false => {
            let class = reader.get_class();
            Some(read_class(class.map_err(Error::unknown("an error class"))?))
        }
    };
    Ok(Cause {
        class,
        message: line("a cause", reader.get_message()?)?,
        fault: read_fault(reader.get_fault().map_err(Error::unknown("a fault"))?),
    })
}

fn write_cause(cause: &Cause, mut builder: cause::Builder<'_>) {
    let Cause {
        class,
        message,
        fault,
    } = cause;
    match class {
        Some(class) => builder.set_class(write_class(*class)),
        None => builder.set_given_back(true),
    }
    builder.set_message(message);
    builder.set_fault(write_fault(*fault));
}

fn read_claimed(reader: claimed::Reader<'_>) -> Result<Claimed, Error> {
    Ok(Claimed {
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        vram_bytes: reader.get_vram_bytes(),
        price: read_amount(reader.get_price()?),
    })
}

fn write_claimed(claimed: &Claimed, mut builder: claimed::Builder<'_>) {
    let Claimed {
        cpu_cores,
        ram_bytes,
        vram_bytes,
        price,
    } = claimed;
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    builder.set_vram_bytes(*vram_bytes);
    if !price.is_zero() {
        write_amount(*price, builder.init_price());
    }
}

fn read_attempt(reader: attempt_trail::Reader<'_>) -> Result<AttemptTrail, Error> {
    let end = reader
        .get_end()
        .map_err(Error::unknown("an attempt's end"))?;
    let log = reader.get_log()?;
    check_size("the number of lines", u64::from(log.len()), ENTRIES)?;
    Ok(AttemptTrail {
        number: reader.get_number(),
        machine: MachineId::new(line("a machine", reader.get_machine()?)?)?,
        device: present(line("a device", reader.get_device()?)?),
        claimed: match reader.has_claimed() {
            true => Some(read_claimed(reader.get_claimed()?)?),
            false => None,
        },
        queued_ms: reader.get_queued_ms(),
        assigned_ms: reader.get_assigned_ms(),
        started_ms: moment(reader.get_started_ms()),
        items_ok: reader.get_items_ok(),
        items_failed: reader.get_items_failed(),
        first_item_ms: moment(reader.get_first_item_ms()),
        last_item_ms: moment(reader.get_last_item_ms()),
        ended_ms: moment(reader.get_ended_ms()),
        end: read_end(end),
        cause: match reader.has_cause() {
            true => Some(read_cause(reader.get_cause()?)?),
            false => None,
        },
        log: log.iter().map(read_log_line).collect::<Result<_, _>>()?,
    })
}

fn write_attempt(attempt: &AttemptTrail, mut builder: attempt_trail::Builder<'_>) {
    let AttemptTrail {
        number,
        machine,
        device,
        claimed,
        queued_ms,
        assigned_ms,
        started_ms,
        items_ok,
        items_failed,
        first_item_ms,
        last_item_ms,
        ended_ms,
        end,
        cause,
        log,
    } = attempt;
    builder.set_number(*number);
    builder.set_machine(machine.as_str());
    if let Some(device) = device {
        builder.set_device(device);
    }
    builder.set_queued_ms(*queued_ms);
    builder.set_assigned_ms(*assigned_ms);
    builder.set_started_ms(started_ms.unwrap_or(0));
    builder.set_items_ok(*items_ok);
    builder.set_items_failed(*items_failed);
    builder.set_first_item_ms(first_item_ms.unwrap_or(0));
    builder.set_last_item_ms(last_item_ms.unwrap_or(0));
    builder.set_ended_ms(ended_ms.unwrap_or(0));
    builder.set_end(write_end(*end));
    if let Some(cause) = cause {
        write_cause(cause, builder.reborrow().init_cause());
    }
    if let Some(claimed) = claimed {
        write_claimed(claimed, builder.reborrow().init_claimed());
    }
    let mut list = builder.init_log(list_len(log.len()));
    for (i, line) in (0..).zip(log) {
        write_log_line(line, list.reborrow().get(i));
    }
}

fn read_trail(reader: delegation_trail::Reader<'_>) -> Result<DelegationTrail, Error> {
    let state = reader
        .get_state()
        .map_err(Error::unknown("a delegation's state"))?;
    let kept_from = present(line("a workflow id", reader.get_kept_from()?)?);
    let attempts = reader.get_attempts()?;
    check_size("the number of attempts", u64::from(attempts.len()), ENTRIES)?;
    Ok(DelegationTrail {
        call: CallId(reader.get_call()),
        key: line("a key", reader.get_key()?)?,
        kind: Kind::new(line("a kind", reader.get_kind()?)?)?,
        state: read_delegation_state(state),
        needs: read_needs(reader.get_needs()?),
        items_total: reader.get_items_total(),
        items_ok: reader.get_items_ok(),
        items_failed: reader.get_items_failed(),
        queued_ms: reader.get_queued_ms(),
        ended_ms: moment(reader.get_ended_ms()),
        cause: match reader.has_cause() {
            true => Some(read_cause(reader.get_cause()?)?),
            false => None,
        },
        kept_from: kept_from.map(|id| id.parse::<WorkflowId>()).transpose()?,
        attempts: attempts
            .iter()
            .map(read_attempt)
            .collect::<Result<_, _>>()?,
    })
}

fn write_trail(trail: &DelegationTrail, mut builder: delegation_trail::Builder<'_>) {
    let DelegationTrail {
        call,
        key,
        kind,
        state,
        needs,
        items_total,
        items_ok,
        items_failed,
        queued_ms,
        ended_ms,
        cause,
        kept_from,
        attempts,
    } = trail;
    builder.set_call(call.0);
    builder.set_key(key);
    builder.set_kind(kind.as_str());
    builder.set_state(write_delegation_state(*state));
    write_needs(needs, builder.reborrow().init_needs());
    builder.set_items_total(*items_total);
    builder.set_items_ok(*items_ok);
    builder.set_items_failed(*items_failed);
    builder.set_queued_ms(*queued_ms);
    builder.set_ended_ms(ended_ms.unwrap_or(0));
    if let Some(cause) = cause {
        write_cause(cause, builder.reborrow().init_cause());
    }
    if let Some(workflow) = kept_from {
        builder.set_kept_from(workflow.to_string());
    }
    let mut list = builder.init_attempts(list_len(attempts.len()));
    for (i, attempt) in (0..).zip(attempts) {
        write_attempt(attempt, list.reborrow().get(i));
    }
}

pub fn read_trails(reader: page::Reader<'_>) -> Result<TrailPage, Error> {
    let delegations = reader.get_delegations()?;
    let len = u64::from(delegations.len());
    check_size("the number of delegations", len, ENTRIES)?;
    Ok(TrailPage {
        delegations: delegations
            .iter()
            .map(read_trail)
            .collect::<Result<_, _>>()?,
        next: moment(reader.get_next()).map(CallId),
    })
}

pub fn write_trails(page: &TrailPage, mut builder: page::Builder<'_>) {
    let TrailPage { delegations, next } = page;
    builder.set_next(next.map_or(0, |call| call.0));
    let mut list = builder.init_delegations(list_len(delegations.len()));
    for (i, trail) in (0..).zip(delegations) {
        write_trail(trail, list.reborrow().get(i));
    }
}

#[cfg(test)]
mod tests {
    use froben_model::view::{DelegationState, LogLine};
    use froben_model::{Amount, ErrorClass, Needs};

    use super::*;

    fn attempt(end: AttemptEnd, cause: Option<Cause>) -> AttemptTrail {
        AttemptTrail {
            number: 2,
            machine: MachineId::new("op/m").unwrap(),
            device: Some("a device".to_owned()),
            claimed: Some(Claimed {
                cpu_cores: 1,
                ram_bytes: 2,
                vram_bytes: 3,
                price: Amount(4),
            }),
            queued_ms: 1,
            assigned_ms: 2,
            started_ms: Some(3),
            items_ok: 4,
            items_failed: 5,
            first_item_ms: Some(6),
            last_item_ms: Some(7),
            ended_ms: Some(8),
            end,
            cause,
            log: vec![LogLine {
                seq: 9,
                time_ms: 10,
                source: "op/m".to_owned(),
                text: "a line".to_owned(),
            }],
        }
    }

    fn trail(state: DelegationState, attempts: Vec<AttemptTrail>) -> DelegationTrail {
        DelegationTrail {
            call: CallId(1),
            key: "a/1".to_owned(),
            kind: Kind::new("a.b/1").unwrap(),
            state,
            needs: Needs {
                cpu_cores: 1,
                ram_bytes: 2,
                vram_bytes: 3,
                shared: true,
            },
            items_total: 9,
            items_ok: 4,
            items_failed: 5,
            queued_ms: 1,
            ended_ms: Some(2),
            cause: Some(Cause::of(ErrorClass::NoCapacity, "none".to_owned())),
            kept_from: Some(WorkflowId([7; 16])),
            attempts,
        }
    }

    #[test]
    fn trails_come_back_as_they_were_sent() {
        let classes = ErrorClass::ALL.map(|class| Some(Cause::of(class, "it failed".to_owned())));
        let given_back = [true, false].map(|fault| Some(Cause::given_back("no".to_owned(), fault)));
        let causes = classes.into_iter().chain(given_back).chain([None]);
        let attempts = causes.map(|cause| attempt(AttemptEnd::Failed, cause));
        let ends = AttemptEnd::ALL.map(|end| attempt(end, None));
        let mut bare = attempt(AttemptEnd::Open, None);
        (bare.device, bare.started_ms, bare.ended_ms) = (None, None, None);
        (bare.first_item_ms, bare.last_item_ms) = (None, None);
        bare.log.clear();
        bare.claimed = None;
        let mut fresh = trail(DelegationState::Queued, Vec::new());
        (fresh.cause, fresh.kept_from, fresh.ended_ms) = (None, None, None);
        let mut delegations = vec![
            trail(DelegationState::Failed, attempts.collect()),
            trail(DelegationState::Running, ends.into()),
            trail(DelegationState::Assigned, vec![bare]),
            fresh,
        ];
        delegations.extend(DelegationState::ALL.map(|state| trail(state, Vec::new())));
        for next in [None, Some(CallId(11))] {
            let page = TrailPage {
                delegations: delegations.clone(),
                next,
            };
            let mut message = capnp::message::Builder::new_default();
            write_trails(&page, message.init_root());
            let reader = message.get_root_as_reader().unwrap();
            assert_eq!(read_trails(reader).unwrap(), page);
        }
    }
}
