//! Why a delegation is where it is.

use froben_model::view::{MachineReason, WhyView};
use froben_model::{CallId, Kind, MachineId, limits};

use super::view::{read_delegation_state, write_delegation_state};
use super::{Error, check_size, list_len, read_text};
use crate::seeker_capnp::seeker_session::why;

/// Machines that an answer names.
const MACHINES: u64 = 1 << 17;

pub fn read_why(reader: why::Reader<'_>) -> Result<WhyView, Error> {
    let line = |field, text| {
        read_text(field, text, limits::TEXT_BYTES).map(|text| limits::one_line(&text))
    };
    let listed = reader.get_machines()?;
    check_size("the number of machines", u64::from(listed.len()), MACHINES)?;
    let machines = listed.iter().map(|reason| {
        Ok(MachineReason {
            machine: MachineId::new(line("a machine's name", reason.get_machine()?)?)?,
            reason: line("a reason", reason.get_reason()?)?,
            lasts: reason.get_lasts(),
        })
    });
    let waits = line("what it waits for", reader.get_waits()?)?;
    let state = reader.get_state().map_err(Error::unknown("a state"))?;
    Ok(WhyView {
        call: CallId(reader.get_call()),
        key: line("a key", reader.get_key()?)?,
        kind: Kind::new(line("a kind", reader.get_kind()?)?)?,
        state: read_delegation_state(state),
        waits: (!waits.is_empty()).then_some(waits),
        machines: machines.collect::<Result<_, Error>>()?,
    })
}

pub fn write_why(view: &WhyView, mut builder: why::Builder<'_>) {
    let WhyView {
        call,
        key,
        kind,
        state,
        waits,
        machines,
    } = view;
    builder.set_call(call.0);
    builder.set_key(key);
    builder.set_kind(kind.as_str());
    builder.set_state(write_delegation_state(*state));
    builder.set_waits(waits.as_deref().unwrap_or_default());
    let mut list = builder.init_machines(list_len(machines.len()));
    for (i, reason) in (0..).zip(machines) {
        let MachineReason {
            machine,
            reason,
            lasts,
        } = reason;
        let mut builder = list.reborrow().get(i);
        builder.set_machine(machine.as_str());
        builder.set_reason(reason);
        builder.set_lasts(*lasts);
    }
}

#[cfg(test)]
mod tests {
    use froben_model::view::DelegationState;

    use super::*;

    #[test]
    fn a_why_round_trips() {
        let reason = |machine: &str, lasts| MachineReason {
            machine: machine.parse().unwrap(),
            reason: "has 8 cores, 16 needed".into(),
            lasts,
        };
        let mut view = WhyView {
            call: CallId(7),
            key: "prove/1".into(),
            kind: "data.prove/1".parse().unwrap(),
            state: DelegationState::Queued,
            waits: Some("2 machines offer data.prove/1: all short of cores".into()),
            machines: vec![reason("op/m1", true), reason("op/m2", false)],
        };
        for waits in [view.waits.clone(), None] {
            view.waits = waits;
            let mut message = capnp::message::Builder::new_default();
            write_why(&view, message.init_root());
            let read = read_why(message.get_root_as_reader().unwrap()).unwrap();
            assert_eq!(read, view);
        }
    }
}
