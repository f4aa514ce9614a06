//! What seekers are shown.
//!
//! Texts in here are for people, so reading makes each of them one line. In the schema a moment that
//! has not come is 0 and a thing that is not there is empty; the model says `None`.

use froben_model::view::{
    DelegationState, DelegationView, Failure, LogLine, MachineView, PipelineInfo, PipelineInput,
    Stage, WorkflowDetail, WorkflowState, WorkflowSummary,
};
use froben_model::{CallId, DeviceSpec, Kind, MachineId, TimeMs, WorkflowId, limits};

use super::{
    Error, check_size, list_len, read_device, read_item_error, read_text, read_value, write_device,
    write_item_error, write_value,
};
use crate::seeker_capnp::{
    self, delegation, failure, log_line, machine_status, pipeline_info, stage, workflow_detail,
    workflow_summary,
};

/// Entries of any list that a view may have: far more than anybody reads.
const ENTRIES: u64 = 1 << 17;

pub fn read_workflow_state(state: seeker_capnp::WorkflowState) -> WorkflowState {
    match state {
        seeker_capnp::WorkflowState::Running => WorkflowState::Running,
        seeker_capnp::WorkflowState::Paused => WorkflowState::Paused,
        seeker_capnp::WorkflowState::Succeeded => WorkflowState::Succeeded,
        seeker_capnp::WorkflowState::Failed => WorkflowState::Failed,
        seeker_capnp::WorkflowState::Cancelled => WorkflowState::Cancelled,
    }
}

pub fn write_workflow_state(state: WorkflowState) -> seeker_capnp::WorkflowState {
    match state {
        WorkflowState::Running => seeker_capnp::WorkflowState::Running,
        WorkflowState::Paused => seeker_capnp::WorkflowState::Paused,
        WorkflowState::Succeeded => seeker_capnp::WorkflowState::Succeeded,
        WorkflowState::Failed => seeker_capnp::WorkflowState::Failed,
        WorkflowState::Cancelled => seeker_capnp::WorkflowState::Cancelled,
    }
}

pub(super) fn read_delegation_state(state: seeker_capnp::DelegationState) -> DelegationState {
    match state {
        seeker_capnp::DelegationState::Queued => DelegationState::Queued,
        seeker_capnp::DelegationState::Assigned => DelegationState::Assigned,
        seeker_capnp::DelegationState::Running => DelegationState::Running,
        seeker_capnp::DelegationState::Checking => DelegationState::Checking,
        seeker_capnp::DelegationState::Succeeded => DelegationState::Succeeded,
        seeker_capnp::DelegationState::Failed => DelegationState::Failed,
        seeker_capnp::DelegationState::TimedOut => DelegationState::TimedOut,
        seeker_capnp::DelegationState::Cancelled => DelegationState::Cancelled,
    }
}

pub(super) fn write_delegation_state(state: DelegationState) -> seeker_capnp::DelegationState {
    match state {
        DelegationState::Queued => seeker_capnp::DelegationState::Queued,
        DelegationState::Assigned => seeker_capnp::DelegationState::Assigned,
        DelegationState::Running => seeker_capnp::DelegationState::Running,
        DelegationState::Checking => seeker_capnp::DelegationState::Checking,
        DelegationState::Succeeded => seeker_capnp::DelegationState::Succeeded,
        DelegationState::Failed => seeker_capnp::DelegationState::Failed,
        DelegationState::TimedOut => seeker_capnp::DelegationState::TimedOut,
        DelegationState::Cancelled => seeker_capnp::DelegationState::Cancelled,
    }
}

pub fn read_failure(reader: failure::Reader<'_>) -> Result<Failure, Error> {
    Ok(Failure {
        code: line("a failure's code", reader.get_code()?)?,
        message: line("a failure's message", reader.get_message()?)?,
    })
}

pub fn write_failure(failure: &Failure, mut builder: failure::Builder<'_>) {
    let Failure { code, message } = failure;
    builder.set_code(code);
    builder.set_message(message);
}

fn read_stage(reader: stage::Reader<'_>) -> Result<Stage, Error> {
    Ok(Stage {
        phase: line("a phase", reader.get_phase()?)?,
        done: reader.get_done(),
        total: reader.get_total(),
        started_ms: reader.get_started_ms(),
        ended_ms: moment(reader.get_ended_ms()),
    })
}

fn write_stage(stage: &Stage, mut builder: stage::Builder<'_>) {
    let Stage {
        phase,
        done,
        total,
        started_ms,
        ended_ms,
    } = stage;
    builder.set_phase(phase);
    builder.set_done(*done);
    builder.set_total(*total);
    builder.set_started_ms(*started_ms);
    builder.set_ended_ms(ended_ms.unwrap_or(0));
}

fn read_delegation(reader: delegation::Reader<'_>) -> Result<DelegationView, Error> {
    let state = reader
        .get_state()
        .map_err(Error::unknown("a delegation's state"))?;
    let machine = present(line("a machine", reader.get_machine()?)?);
    Ok(DelegationView {
        call: CallId(reader.get_call()),
        key: line("a key", reader.get_key()?)?,
        kind: Kind::new(line("a kind", reader.get_kind()?)?)?,
        state: read_delegation_state(state),
        attempt: reader.get_attempt(),
        machine: machine.map(MachineId::new).transpose()?,
        device: present(line("a device", reader.get_device()?)?),
        items_total: reader.get_items_total(),
        items_ok: reader.get_items_ok(),
        items_failed: reader.get_items_failed(),
        queued_ms: reader.get_queued_ms(),
        assigned_ms: moment(reader.get_assigned_ms()),
        ended_ms: moment(reader.get_ended_ms()),
        error: match reader.has_error() {
            true => Some(read_item_error(reader.get_error()?)?),
            false => None,
        },
    })
}

fn write_delegation(view: &DelegationView, mut builder: delegation::Builder<'_>) {
    let DelegationView {
        call,
        key,
        kind,
        state,
        attempt,
        machine,
        device,
        items_total,
        items_ok,
        items_failed,
        queued_ms,
        assigned_ms,
        ended_ms,
        error,
    } = view;
    builder.set_call(call.0);
    builder.set_key(key);
    builder.set_kind(kind.as_str());
    builder.set_state(write_delegation_state(*state));
    builder.set_attempt(*attempt);
    if let Some(machine) = machine {
        builder.set_machine(machine.as_str());
    }
    if let Some(device) = device {
        builder.set_device(device);
    }
    builder.set_items_total(*items_total);
    builder.set_items_ok(*items_ok);
    builder.set_items_failed(*items_failed);
    builder.set_queued_ms(*queued_ms);
    builder.set_assigned_ms(assigned_ms.unwrap_or(0));
    builder.set_ended_ms(ended_ms.unwrap_or(0));
    if let Some(error) = error {
        write_item_error(error, builder.init_error());
    }
}

pub fn read_summary(reader: workflow_summary::Reader<'_>) -> Result<WorkflowSummary, Error> {
    let id = read_text("a workflow id", reader.get_id()?, limits::TEXT_BYTES)?;
    let state = reader
        .get_state()
        .map_err(Error::unknown("a workflow's state"))?;
    Ok(WorkflowSummary {
        id: id.parse::<WorkflowId>()?,
        pipeline: line("a pipeline", reader.get_pipeline()?)?,
        inputs: line("the inputs", reader.get_inputs()?)?,
        parent: present(line("a parent", reader.get_parent()?)?)
            .map(|id| id.parse::<WorkflowId>())
            .transpose()?,
        revision: line("a revision", reader.get_revision()?)?,
        state: read_workflow_state(state),
        submitted_ms: reader.get_submitted_ms(),
        ended_ms: moment(reader.get_ended_ms()),
        failure: match reader.has_failure() {
            true => Some(read_failure(reader.get_failure()?)?),
            false => None,
        },
        output: read_value(reader.get_output()?)?,
    })
}

pub fn write_summary(summary: &WorkflowSummary, mut builder: workflow_summary::Builder<'_>) {
    let WorkflowSummary {
        id,
        pipeline,
        inputs,
        parent,
        revision,
        state,
        submitted_ms,
        ended_ms,
        failure,
        output,
    } = summary;
    if let Some(parent) = parent {
        builder.set_parent(parent.to_string());
    }
    builder.set_id(id.to_string());
    builder.set_pipeline(pipeline);
    builder.set_inputs(inputs);
    builder.set_revision(revision);
    builder.set_state(write_workflow_state(*state));
    builder.set_submitted_ms(*submitted_ms);
    builder.set_ended_ms(ended_ms.unwrap_or(0));
    if let Some(failure) = failure {
        write_failure(failure, builder.reborrow().init_failure());
    }
    write_value(output, builder.init_output());
}

pub fn read_detail(reader: workflow_detail::Reader<'_>) -> Result<WorkflowDetail, Error> {
    let stages = reader.get_stages()?;
    let delegations = reader.get_delegations()?;
    let waiting = reader.get_waiting()?;
    for (field, len) in [
        ("the number of stages", stages.len()),
        ("the number of delegations", delegations.len()),
        ("the number of reasons", waiting.len()),
    ] {
        check_size(field, u64::from(len), ENTRIES)?;
    }
    Ok(WorkflowDetail {
        summary: read_summary(reader.get_summary()?)?,
        stages: stages.iter().map(read_stage).collect::<Result<_, _>>()?,
        delegations: delegations
            .iter()
            .map(read_delegation)
            .collect::<Result<_, _>>()?,
        waiting: waiting
            .iter()
            .map(|text| line("a reason", text?))
            .collect::<Result<_, _>>()?,
    })
}

pub fn write_detail(detail: &WorkflowDetail, mut builder: workflow_detail::Builder<'_>) {
    let WorkflowDetail {
        summary,
        stages,
        delegations,
        waiting,
    } = detail;
    write_summary(summary, builder.reborrow().init_summary());
    let mut list = builder.reborrow().init_stages(list_len(stages.len()));
    for (i, stage) in (0..).zip(stages) {
        write_stage(stage, list.reborrow().get(i));
    }
    let mut list = builder
        .reborrow()
        .init_delegations(list_len(delegations.len()));
    for (i, delegation) in (0..).zip(delegations) {
        write_delegation(delegation, list.reborrow().get(i));
    }
    let mut list = builder.init_waiting(list_len(waiting.len()));
    for (i, reason) in (0..).zip(waiting) {
        list.set(i, reason);
    }
}

pub fn read_log_line(reader: log_line::Reader<'_>) -> Result<LogLine, Error> {
    Ok(LogLine {
        seq: reader.get_seq(),
        time_ms: reader.get_time_ms(),
        source: line("a log line's source", reader.get_source()?)?,
        text: line("a log line", reader.get_text()?)?,
    })
}

pub fn write_log_line(log_line: &LogLine, mut builder: log_line::Builder<'_>) {
    let LogLine {
        seq,
        time_ms,
        source,
        text,
    } = log_line;
    builder.set_seq(*seq);
    builder.set_time_ms(*time_ms);
    builder.set_source(source);
    builder.set_text(text);
}

pub fn read_machine_view(reader: machine_status::Reader<'_>) -> Result<MachineView, Error> {
    let (devices, kinds) = (reader.get_devices()?, reader.get_kinds()?);
    for (field, len, limit) in [
        ("the number of devices", devices.len(), limits::DEVICES),
        // CPU kinds and device kinds together.
        ("the number of kinds", kinds.len(), 2 * limits::KINDS),
    ] {
        check_size(field, u64::from(len), limit as u64)?;
    }
    Ok(MachineView {
        name: MachineId::new(line("a machine", reader.get_name()?)?)?,
        cpu_cores: reader.get_cpu_cores(),
        ram_bytes: reader.get_ram_bytes(),
        devices: devices
            .iter()
            .map(read_device)
            .collect::<Result<Vec<DeviceSpec>, _>>()?,
        kinds: kinds
            .iter()
            .map(|kind| Ok(Kind::new(line("a kind", kind?)?)?))
            .collect::<Result<_, Error>>()?,
        attempts: reader.get_attempts(),
        draining: reader.get_draining(),
        succeeded: reader.get_succeeded(),
        failed: reader.get_failed(),
    })
}

pub fn write_machine_view(machine: &MachineView, mut builder: machine_status::Builder<'_>) {
    let MachineView {
        name,
        cpu_cores,
        ram_bytes,
        devices,
        kinds,
        attempts,
        draining,
        succeeded,
        failed,
    } = machine;
    builder.set_draining(*draining);
    builder.set_name(name.as_str());
    builder.set_cpu_cores(*cpu_cores);
    builder.set_ram_bytes(*ram_bytes);
    let mut list = builder.reborrow().init_devices(list_len(devices.len()));
    for (i, device) in (0..).zip(devices) {
        write_device(device, list.reborrow().get(i));
    }
    let mut list = builder.reborrow().init_kinds(list_len(kinds.len()));
    for (i, kind) in (0..).zip(kinds) {
        list.set(i, kind.as_str());
    }
    builder.set_attempts(*attempts);
    builder.set_succeeded(*succeeded);
    builder.set_failed(*failed);
}

pub fn read_pipeline(reader: pipeline_info::Reader<'_>) -> Result<PipelineInfo, Error> {
    let inputs = reader.get_inputs()?;
    check_size("the number of inputs", u64::from(inputs.len()), ENTRIES)?;
    Ok(PipelineInfo {
        name: line("a pipeline", reader.get_name()?)?,
        inputs: inputs
            .iter()
            .map(|input| {
                Ok(PipelineInput {
                    name: line("an input's name", input.get_name()?)?,
                    kind: line("an input's type", input.get_type()?)?,
                    optional: input.get_optional(),
                })
            })
            .collect::<Result<_, Error>>()?,
        revision: line("a revision", reader.get_revision()?)?,
    })
}

pub fn write_pipeline(pipeline: &PipelineInfo, mut builder: pipeline_info::Builder<'_>) {
    let PipelineInfo {
        name,
        inputs,
        revision,
    } = pipeline;
    builder.set_name(name);
    builder.set_revision(revision);
    let mut list = builder.init_inputs(list_len(inputs.len()));
    for (i, input) in (0..).zip(inputs) {
        let PipelineInput {
            name,
            kind,
            optional,
        } = input;
        let mut builder = list.reborrow().get(i);
        builder.set_name(name);
        builder.set_type(kind);
        builder.set_optional(*optional);
    }
}

pub(super) fn line(field: &'static str, text: capnp::text::Reader<'_>) -> Result<String, Error> {
    let text = read_text(field, text, limits::TEXT_BYTES)?;
    Ok(limits::one_line(&text))
}

pub(super) fn moment(ms: u64) -> Option<TimeMs> {
    (ms != 0).then_some(ms)
}

pub(super) fn present(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use froben_model::{ErrorClass, ItemError, Value};

    use super::*;

    fn detail() -> WorkflowDetail {
        let delegation = DelegationView {
            call: CallId(1),
            key: "prove/0".into(),
            kind: Kind::new("data.prove/1").unwrap(),
            state: DelegationState::Queued,
            attempt: 0,
            machine: None,
            device: None,
            items_total: 4,
            items_ok: 0,
            items_failed: 0,
            queued_ms: 20,
            assigned_ms: None,
            ended_ms: None,
            error: None,
        };
        let failed = DelegationView {
            call: CallId(2),
            state: DelegationState::Failed,
            attempt: 3,
            machine: Some(MachineId::new("op/gpu-1").unwrap()),
            device: Some("a device".into()),
            items_ok: 1,
            items_failed: 3,
            assigned_ms: Some(30),
            ended_ms: Some(40),
            error: Some(ItemError {
                class: ErrorClass::OutOfMemory,
                message: "no memory is left".into(),
                operator: None,
            }),
            ..delegation.clone()
        };
        let stage = Stage {
            phase: "witness".into(),
            done: 1,
            total: 2,
            started_ms: 10,
            ended_ms: None,
        };
        WorkflowDetail {
            summary: WorkflowSummary {
                id: WorkflowId([3; 16]),
                pipeline: "p".into(),
                inputs: "params=dev".into(),
                parent: Some(WorkflowId([4; 16])),
                revision: "00".into(),
                state: WorkflowState::Running,
                submitted_ms: 10,
                ended_ms: None,
                failure: None,
                output: Value::Nil,
            },
            stages: vec![
                stage.clone(),
                Stage {
                    ended_ms: Some(11),
                    ..stage
                },
            ],
            delegations: vec![delegation, failed],
            waiting: vec!["nobody has a device".into()],
        }
    }

    fn round_trip(detail: &WorkflowDetail) -> Result<WorkflowDetail, Error> {
        let mut message = capnp::message::Builder::new_default();
        write_detail(detail, message.init_root());
        read_detail(message.get_root_as_reader()?)
    }

    #[test]
    fn a_detail_round_trips() {
        let running = detail();
        assert_eq!(round_trip(&running).unwrap(), running);
        let mut failed = detail();
        failed.summary.state = WorkflowState::Failed;
        failed.summary.ended_ms = Some(50);
        failed.summary.failure = Some(Failure {
            code: "FRB-LUA-001".into(),
            message: "why".into(),
        });
        assert_eq!(round_trip(&failed).unwrap(), failed);
        let mut done = detail();
        done.summary.output = Value::map([("n", Value::Int(1))]);
        assert_eq!(round_trip(&done).unwrap(), done);
    }

    #[test]
    fn every_state_round_trips() {
        for state in WorkflowState::ALL {
            assert_eq!(read_workflow_state(write_workflow_state(state)), state);
        }
        for state in DelegationState::ALL {
            assert_eq!(read_delegation_state(write_delegation_state(state)), state);
        }
    }

    #[test]
    fn the_rest_round_trips() {
        let machine = MachineView {
            name: MachineId::new("op/gpu-1").unwrap(),
            cpu_cores: 8,
            ram_bytes: 1 << 34,
            devices: vec![DeviceSpec {
                id: "0000:01:00.0".into(),
                name: "a device".into(),
                vendor: "v".into(),
                driver: "1".into(),
                vram_bytes: 1 << 33,
            }],
            kinds: vec![Kind::new("data.prove/1").unwrap()],
            attempts: 1,
            draining: true,
            succeeded: 2,
            failed: 3,
        };
        let mut message = capnp::message::Builder::new_default();
        write_machine_view(&machine, message.init_root());
        let read = read_machine_view(message.get_root_as_reader().unwrap());
        assert_eq!(read.unwrap(), machine);

        let pipeline = PipelineInfo {
            name: "p".into(),
            inputs: vec![PipelineInput {
                name: "data".into(),
                kind: "blob".into(),
                optional: true,
            }],
            revision: "00".into(),
        };
        let mut message = capnp::message::Builder::new_default();
        write_pipeline(&pipeline, message.init_root());
        let read = read_pipeline(message.get_root_as_reader().unwrap());
        assert_eq!(read.unwrap(), pipeline);

        let log_line = LogLine {
            seq: 1,
            time_ms: 2,
            source: "script".into(),
            text: "hello".into(),
        };
        let mut message = capnp::message::Builder::new_default();
        write_log_line(&log_line, message.init_root());
        let read = read_log_line(message.get_root_as_reader().unwrap());
        assert_eq!(read.unwrap(), log_line);
    }

    #[test]
    fn texts_are_made_one_line() {
        let mut noisy = detail();
        noisy.waiting = vec!["a\n\u{1b}[31mb".into()];
        let read = round_trip(&noisy).unwrap();
        assert_eq!(read.waiting, ["a  [31mb"]);
    }
}
