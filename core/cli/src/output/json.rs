//! Views as JSON. Field names are those of the views; times are milliseconds since the epoch, blobs
//! `{"blob": HASH, "size_bytes": N}`.

use froben_model::view::{
    DelegationView, Failure, LogLine, MachineView, PipelineInfo, PipelineInput, Stage,
    WorkflowDetail, WorkflowSummary,
};
use froben_model::{BlobRef, DeviceSpec, ItemError, Value};
use serde_json::json;

pub(crate) fn value(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => json!(null),
        Value::Bool(bool) => json!(bool),
        Value::Int(int) => json!(int),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(list) => list.iter().map(self::value).collect(),
        Value::Map(map) => serde_json::Value::Object(
            map.iter()
                .map(|(k, v)| (k.clone(), self::value(v)))
                .collect(),
        ),
        Value::Blob(BlobRef { hash, size_bytes }) => {
            json!({ "blob": hash.to_string(), "size_bytes": size_bytes })
        }
    }
}

fn failure(failure: &Failure) -> serde_json::Value {
    let Failure { code, message } = failure;
    json!({ "code": code, "message": message })
}

fn item_error(error: &ItemError) -> serde_json::Value {
    let ItemError {
        class,
        message,
        operator,
    } = error;
    json!({
        "class": class.name(),
        "message": message,
        "retryable": class.retryable(),
        "operator": operator.as_ref().map(|operator| operator.as_str()),
    })
}

pub(crate) fn summary(summary: &WorkflowSummary) -> serde_json::Value {
    let WorkflowSummary {
        id,
        pipeline,
        inputs,
        parent,
        revision,
        state,
        submitted_ms,
        ended_ms,
        failure: why,
        output,
    } = summary;
    json!({
        "id": id.to_string(),
        "pipeline": pipeline,
        "inputs": inputs,
        "parent": parent.map(|parent| parent.to_string()),
        "revision": revision,
        "state": state.name(),
        "submitted_ms": submitted_ms,
        "ended_ms": ended_ms,
        "failure": why.as_ref().map(failure),
        "output": value(output),
    })
}

pub(crate) fn detail(detail: &WorkflowDetail) -> serde_json::Value {
    let WorkflowDetail {
        summary: workflow,
        stages,
        delegations,
        waiting,
    } = detail;
    json!({
        "workflow": summary(workflow),
        "stages": stages.iter().map(stage).collect::<Vec<_>>(),
        "delegations": delegations.iter().map(delegation).collect::<Vec<_>>(),
        "waiting": waiting,
    })
}

fn stage(stage: &Stage) -> serde_json::Value {
    let Stage {
        phase,
        done,
        total,
        started_ms,
        ended_ms,
    } = stage;
    json!({
        "phase": phase,
        "done": done,
        "total": total,
        "started_ms": started_ms,
        "ended_ms": ended_ms,
    })
}

fn delegation(delegation: &DelegationView) -> serde_json::Value {
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
    } = delegation;
    json!({
        "call": call.0,
        "key": key,
        "kind": kind.as_str(),
        "state": state.name(),
        "attempt": attempt,
        "machine": machine.as_ref().map(|machine| machine.as_str()),
        "device": device,
        "items_total": items_total,
        "items_ok": items_ok,
        "items_failed": items_failed,
        "queued_ms": queued_ms,
        "assigned_ms": assigned_ms,
        "ended_ms": ended_ms,
        "error": error.as_ref().map(item_error),
    })
}

pub(crate) fn log_line(line: &LogLine) -> serde_json::Value {
    let LogLine {
        seq,
        time_ms,
        source,
        text,
    } = line;
    json!({ "seq": seq, "time_ms": time_ms, "source": source, "text": text })
}

pub(crate) fn machine(machine: &MachineView) -> serde_json::Value {
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
    json!({
        "name": name.as_str(),
        "cpu_cores": cpu_cores,
        "ram_bytes": ram_bytes,
        "devices": devices.iter().map(device).collect::<Vec<_>>(),
        "kinds": kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "attempts": attempts,
        "draining": draining,
        "succeeded": succeeded,
        "failed": failed,
    })
}

fn device(device: &DeviceSpec) -> serde_json::Value {
    let DeviceSpec {
        id,
        name,
        vendor,
        driver,
        vram_bytes,
    } = device;
    json!({
        "id": id,
        "name": name,
        "vendor": vendor,
        "driver": driver,
        "vram_bytes": vram_bytes,
    })
}

pub(crate) fn pipeline(pipeline: &PipelineInfo) -> serde_json::Value {
    let PipelineInfo {
        name,
        inputs,
        revision,
    } = pipeline;
    let input = |input: &PipelineInput| {
        let PipelineInput {
            name,
            kind,
            optional,
        } = input;
        json!({ "name": name, "type": kind, "optional": optional })
    };
    json!({
        "name": name,
        "revision": revision,
        "inputs": inputs.iter().map(input).collect::<Vec<_>>(),
    })
}
