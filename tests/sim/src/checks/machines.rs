//! What machines offer, and what of it attempts hold: nobody is given more than there is, or what is not for
//! him.

use std::collections::BTreeMap;

use froben_journal::Assigned;
use froben_model::{CallId, MachineId, MachineSpec, TaskSpec, WorkflowId};

use super::workflow::Seen;

#[derive(Debug, Default)]
pub(super) struct Machines {
    pub(super) offers: BTreeMap<MachineId, MachineSpec>,
    /// Those that are over are taken out when the machine is looked at the next time.
    held: BTreeMap<MachineId, Vec<Held>>,
}

/// What an attempt holds.
#[derive(Debug, Clone)]
struct Held {
    workflow: WorkflowId,
    call: CallId,
    attempt: u32,
    cores: u64,
    ram_bytes: u64,
    device: Option<String>,
}

impl Held {
    fn is_over(&self, workflows: &BTreeMap<WorkflowId, Seen>) -> bool {
        let seen = workflows.get(&self.workflow);
        let delegation = seen.and_then(|seen| seen.delegations.get(&self.call));
        delegation.is_none_or(|delegation| !delegation.open.contains_key(&self.attempt))
    }
}

impl Machines {
    pub(super) fn joined(&mut self, spec: MachineSpec, machine: MachineId) {
        self.offers.insert(machine, spec);
    }

    /// Takes a new attempt in, whose workflow has taken it in already.
    pub(super) fn assigned(
        &mut self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        workflow: WorkflowId,
        assigned: &Assigned,
    ) -> Result<(), String> {
        let Assigned {
            call,
            attempt,
            machine,
            device,
            cpu_cores,
            ram_bytes,
            ..
        } = assigned;
        let spec = self.offers.get(machine);
        let spec = spec.ok_or_else(|| format!("{machine} has never been there"))?;
        let task = &workflows[&workflow].delegations[call].spec;
        is_for(task, spec, assigned)?;
        let held = self.held.entry(machine.clone()).or_default();
        held.retain(|held| !held.is_over(workflows));
        held.push(Held {
            workflow,
            call: *call,
            attempt: *attempt,
            cores: u64::from(*cpu_cores),
            ram_bytes: *ram_bytes,
            device: device.clone(),
        });
        fits(spec, held)
    }
}

/// I3: all attempts of a machine together hold what it has, and each device is held once.
fn fits(spec: &MachineSpec, held: &[Held]) -> Result<(), String> {
    let cores: u64 = held.iter().map(|held| held.cores).sum();
    must!(
        cores <= u64::from(spec.cpu_cores),
        "I3: more cores than it has"
    );
    let ram_bytes: u64 = held.iter().map(|held| held.ram_bytes).sum();
    must!(ram_bytes <= spec.ram_bytes, "I3: more memory than it has");
    let mut devices: Vec<_> = held.iter().filter_map(|h| h.device.as_ref()).collect();
    let count = devices.len();
    devices.sort();
    devices.dedup();
    must!(devices.len() == count, "I3: a device is held twice");
    Ok(())
}

/// I16: the machine is one that the task allows, and gives what the task needs.
fn is_for(task: &TaskSpec, spec: &MachineSpec, assigned: &Assigned) -> Result<(), String> {
    let on_device = task.needs.device();
    let kinds = match on_device {
        true => &spec.device_kinds,
        false => &spec.cpu_kinds,
    };
    must!(kinds.contains(&task.kind), "I16: it does not offer that");
    must!(
        !task.avoid.contains(&spec.operator),
        "I16: the task avoids its operator"
    );
    let missing = task.keys.iter().any(|key| !spec.keys.contains(key));
    must!(!missing, "I16: it has not the key");
    let price = spec.price(&task.kind);
    must!(price == assigned.price, "I16: that is not its price");
    must!(
        task.max_price.is_none_or(|most| price <= most),
        "I16: it is dearer than the task allows"
    );
    let cores = match (on_device, task.needs.shared) {
        (true, _) => assigned.cpu_cores >= task.needs.cpu_cores,
        (false, true) => assigned.cpu_cores >= task.needs.cpu_cores.max(1),
        (false, false) => assigned.cpu_cores == spec.cpu_cores,
    };
    must!(cores, "I16: it gives other cores than the task needs");
    must!(
        assigned.ram_bytes >= task.needs.ram_bytes,
        "I16: it gives less memory than the task needs"
    );
    must!(
        assigned.device.is_some() == on_device,
        "I16: a device that is not needed, or none that is"
    );
    let device = assigned.device.as_ref();
    let device = device.map(|id| spec.devices.iter().find(|device| device.id == *id));
    let large = device.is_none_or(|device| {
        device.is_some_and(|device| device.vram_bytes >= task.needs.vram_bytes)
    });
    must!(large, "I16: a device that it has not, or one too small");
    Ok(())
}
