//! What machines offer, and what of it attempts hold: nobody is given more than there is, or what is not for
//! him.

use std::collections::BTreeMap;

use froben_journal::Assigned;
use froben_model::{CallId, MachineId, MachineSpec, SetupKey, TaskSpec, WorkflowId};

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
    let holds = |key: &SetupKey| spec.keys.iter().any(|held| held.key == *key);
    let missing = task.keys.iter().any(|key| !holds(key));
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

#[cfg(test)]
mod tests {
    use froben_model::{Amount, DeviceSpec, HeldKey, Kind, Needs, OperatorId, Value};

    use super::*;

    struct Case {
        task: TaskSpec,
        spec: MachineSpec,
        assigned: Assigned,
    }

    /// A device task on a machine that has everything.
    fn sound() -> Case {
        let kind = Kind::new("sim.square/1").expect("a kind");
        let operator = OperatorId::new("op").expect("a name");
        let key = SetupKey::of("params", &"5e".repeat(32)).expect("a hash");
        let device = DeviceSpec {
            id: "pci-0".to_owned(),
            name: "a device".to_owned(),
            vendor: "simulated".to_owned(),
            driver: "1".to_owned(),
            vram_bytes: 8,
        };
        Case {
            task: TaskSpec {
                kind: kind.clone(),
                input: Value::Nil,
                items: vec![Value::Nil],
                needs: Needs {
                    cpu_cores: 1,
                    ram_bytes: 4,
                    vram_bytes: 8,
                    shared: false,
                },
                timeout_ms: 1,
                queue_timeout_ms: 1,
                avoid: Vec::new(),
                key: String::new(),
                keys: vec![key.clone()],
                check: None,
                max_price: Some(Amount(3)),
            },
            spec: MachineSpec {
                operator: operator.clone(),
                label: "m".to_owned(),
                cpu_cores: 2,
                ram_bytes: 8,
                devices: vec![device],
                cpu_kinds: vec![kind.clone()],
                device_kinds: vec![kind.clone()],
                prices: vec![(kind, Amount(3))],
                keys: vec![HeldKey {
                    key,
                    bytes: 1 << 30,
                }],
            },
            assigned: Assigned {
                call: CallId(1),
                attempt: 1,
                epoch: 1,
                machine: MachineId::of(&operator, "m").expect("names"),
                device: Some("pci-0".to_owned()),
                deadline_ms: 1,
                cpu_cores: 1,
                ram_bytes: 4,
                vram_bytes: 8,
                price: Amount(3),
            },
        }
    }

    #[test]
    fn what_a_task_does_not_allow_is_found() {
        let on_cpu = |case: &mut Case| {
            (case.task.needs.vram_bytes, case.assigned.device) = (0, None);
        };
        type Change = Box<dyn Fn(&mut Case)>;
        let cases: [(&str, Change); 12] = [
            ("", Box::new(|_| {})),
            ("does not offer", Box::new(|c| c.spec.device_kinds.clear())),
            (
                "avoids",
                Box::new(|c| c.task.avoid.push(c.spec.operator.clone())),
            ),
            ("the key", Box::new(|c| c.spec.keys.clear())),
            ("not its price", Box::new(|c| c.assigned.price = Amount(2))),
            ("dearer", Box::new(|c| c.task.max_price = Some(Amount(2)))),
            ("other cores", Box::new(|c| c.assigned.cpu_cores = 0)),
            ("other cores", Box::new(on_cpu)),
            ("less memory", Box::new(|c| c.assigned.ram_bytes = 3)),
            ("or none that is", Box::new(|c| c.assigned.device = None)),
            (
                "or one too small",
                Box::new(|c| c.spec.devices[0].vram_bytes = 7),
            ),
            ("or one too small", Box::new(|c| c.spec.devices.clear())),
        ];
        for (number, (found, change)) in cases.iter().enumerate() {
            let mut case = sound();
            change(&mut case);
            match is_for(&case.task, &case.spec, &case.assigned) {
                Ok(()) => assert_eq!(*found, "", "case {number}"),
                Err(what) => assert!(!found.is_empty() && what.contains(found), "{what}"),
            }
        }
    }

    #[test]
    fn what_a_machine_has_not_is_found() {
        let spec = sound().spec;
        let held = |cores, ram_bytes, device: Option<&str>| Held {
            workflow: WorkflowId([1; 16]),
            call: CallId(1),
            attempt: 1,
            cores,
            ram_bytes,
            device: device.map(str::to_owned),
        };
        for (found, second) in [
            (None, held(1, 4, None)),
            (Some("cores"), held(2, 4, None)),
            (Some("memory"), held(1, 5, None)),
            (Some("device"), held(1, 4, Some("pci-0"))),
        ] {
            let fits = fits(&spec, &[held(1, 4, Some("pci-0")), second]);
            assert_eq!(fits.is_ok(), found.is_none(), "{fits:?}");
            assert!(found.is_none_or(|found| fits.is_err_and(|what| what.contains(found))));
        }
    }
}
