//! Resources of one machine: what a task demands, what an attempt claims, what is left.
//!
//! Cores and memory are counted for the machine, devices one by one: a task with a device claims one
//! whole device, and its memory has to be on that device, not on several together.

use froben_model::{Kind, MachineSpec, Needs};

use crate::planted::{Bug, planted};
use crate::share::Amounts;

/// Which of a machine's workers takes a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    Cpu,
    Device,
}

/// A kind together with the class of worker: what a machine offers and a task asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) class: Class,
}

/// What a task demands. With the [`Offer`] it is the task's *shape*: tasks of one shape fit the same
/// machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Demand {
    pub(crate) class: Class,
    /// All the machine's cores, and at least `cores`.
    pub(crate) exclusive: bool,
    pub(crate) cores: u32,
    pub(crate) ram_bytes: u64,
    /// On one device.
    pub(crate) vram_bytes: u64,
}

impl From<&Needs> for Demand {
    fn from(needs: &Needs) -> Self {
        let Needs {
            cpu_cores,
            ram_bytes,
            vram_bytes,
            shared,
        } = *needs;
        match needs.device() {
            // A device task computes on its device: it claims cores only if it asks for them.
            true => Demand {
                class: Class::Device,
                exclusive: false,
                cores: cpu_cores,
                ram_bytes,
                vram_bytes,
            },
            false => Demand {
                class: Class::Cpu,
                exclusive: !shared,
                cores: cpu_cores.max(1),
                ram_bytes,
                vram_bytes: 0,
            },
        }
    }
}

/// What an attempt holds of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) cores: u32,
    pub(crate) ram_bytes: u64,
    /// Position in the machine's list of devices.
    pub(crate) device: Option<usize>,
}

impl Claim {
    pub(crate) fn amounts(&self) -> Amounts {
        let devices = u64::from(self.device.is_some());
        Amounts::new(u64::from(self.cores), self.ram_bytes, devices)
    }
}

/// Why a demand is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    Cores {
        need: u32,
        have: u32,
    },
    Ram {
        need: u64,
        have: u64,
    },
    /// No free device is large enough; `largest` of the free ones, `None` if there is none.
    Device {
        need: u64,
        largest: Option<u64>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    vram_bytes: u64,
    free: bool,
}

/// A machine's resources, some of them claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capacity {
    all_cores: u32,
    cores: u32,
    ram_bytes: u64,
    devices: Vec<Slot>,
    /// The memory of the largest device that is free.
    largest: Option<u64>,
}

impl Capacity {
    /// All of a machine's resources, nothing claimed.
    pub(crate) fn whole(spec: &MachineSpec) -> Self {
        let devices = spec.devices.iter().map(|device| Slot {
            vram_bytes: device.vram_bytes,
            free: true,
        });
        let cores = spec.cpu_cores + u32::from(planted(Bug::OverClaim));
        let devices: Vec<_> = devices.collect();
        Capacity {
            all_cores: cores,
            cores,
            ram_bytes: spec.ram_bytes,
            largest: largest_free(&devices),
            devices,
        }
    }

    /// What there is, free or not.
    pub(crate) fn amounts(&self) -> Amounts {
        let devices = self.devices.len() as u64;
        Amounts::new(u64::from(self.all_cores), self.ram_bytes, devices)
    }

    /// Whether anything could be free for a task of the class. Cheaper than asking for a claim.
    pub(crate) fn open(&self, class: Class) -> bool {
        match class {
            Class::Cpu => self.cores > 0,
            Class::Device => self.largest.is_some(),
        }
    }

    /// Whether the demand can be met from what is free. Cheaper than asking how.
    pub(crate) fn fits(&self, demand: &Demand) -> bool {
        let device = |vram_bytes| vram_bytes >= demand.vram_bytes;
        self.cores_for(demand).max(demand.cores) <= self.cores
            && (demand.ram_bytes <= self.ram_bytes || planted(Bug::OverbookMemory))
            && (demand.class == Class::Cpu || self.largest.is_some_and(device))
    }

    /// How the demand would be met from what is free.
    pub(crate) fn claim(&self, demand: &Demand) -> Option<Claim> {
        self.claim_where(demand, |_| true)
    }

    /// How the demand would be met by a claim that `allowed` allows: on the smallest device that is
    /// large enough, so that the large ones stay free for those who need them.
    pub(crate) fn claim_where(
        &self,
        demand: &Demand,
        allowed: impl Fn(&Claim) -> bool,
    ) -> Option<Claim> {
        if !self.fits(demand) {
            return None;
        }
        let cores = self.cores_for(demand);
        let claim = |device| Claim {
            cores,
            ram_bytes: demand.ram_bytes,
            device,
        };
        match demand.class {
            Class::Cpu => Some(claim(None)).filter(allowed),
            Class::Device => self
                .devices
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.free && slot.vram_bytes >= demand.vram_bytes)
                .map(|(index, slot)| (slot.vram_bytes, claim(Some(index))))
                .filter(|(_, claim)| allowed(claim))
                .min_by_key(|(vram_bytes, claim)| (*vram_bytes, claim.device))
                .map(|(_, claim)| claim),
        }
    }

    /// What is short for the demand; the first thing that is.
    pub(crate) fn shortage(&self, demand: &Demand) -> Option<Shortage> {
        let need = self.cores_for(demand).max(demand.cores);
        if need > self.cores {
            let have = self.cores;
            return Some(Shortage::Cores { need, have });
        }
        if demand.ram_bytes > self.ram_bytes {
            return Some(Shortage::Ram {
                need: demand.ram_bytes,
                have: self.ram_bytes,
            });
        }
        let (largest, need) = (self.largest, demand.vram_bytes);
        match demand.class == Class::Device && largest.is_none_or(|largest| largest < need) {
            true => Some(Shortage::Device { need, largest }),
            false => None,
        }
    }

    fn cores_for(&self, demand: &Demand) -> u32 {
        match demand.exclusive {
            true => self.all_cores,
            false => demand.cores,
        }
    }

    /// Takes the claim out of what is free.
    ///
    /// *Panics* if it is not free: a machine is never over-reserved.
    pub(crate) fn take(&mut self, claim: &Claim) {
        let cores = self.cores.checked_sub(claim.cores);
        self.cores = cores.expect("invariant: claimed cores are free");
        let ram_bytes = self.ram_bytes.checked_sub(claim.ram_bytes);
        self.ram_bytes = ram_bytes.expect("invariant: claimed memory is free");
        if let Some(index) = claim.device {
            assert!(
                self.devices[index].free,
                "invariant: claimed device is free"
            );
            self.devices[index].free = planted(Bug::DoubleBookDevice);
            self.largest = largest_free(&self.devices);
        }
    }

    /// Gives back what [`Capacity::take`] took.
    pub(crate) fn give(&mut self, claim: &Claim) {
        if !planted(Bug::LeakCores) {
            self.cores += claim.cores;
        }
        self.ram_bytes += claim.ram_bytes;
        if let Some(index) = claim.device {
            assert!(
                !self.devices[index].free,
                "invariant: a device is freed once"
            );
            self.devices[index].free = !planted(Bug::LeakDevice);
            self.largest = largest_free(&self.devices);
        }
    }
}

fn largest_free(devices: &[Slot]) -> Option<u64> {
    let free = devices.iter().filter(|slot| slot.free);
    free.map(|slot| slot.vram_bytes).max()
}

#[cfg(test)]
pub(crate) mod tests {
    use froben_model::{DeviceSpec, OperatorId};

    use super::*;

    const GIB: u64 = 1 << 30;

    pub(crate) fn spec(cores: u32, ram_gib: u64, vram_gib: &[u64]) -> MachineSpec {
        let device = |(index, gib): (usize, &u64)| DeviceSpec {
            id: format!("pci-{index}"),
            name: "gpu".into(),
            vendor: "any".into(),
            driver: "1".into(),
            vram_bytes: gib * GIB,
        };
        MachineSpec {
            operator: OperatorId::new("op").unwrap(),
            label: "m".into(),
            cpu_cores: cores,
            ram_bytes: ram_gib * GIB,
            devices: vram_gib.iter().enumerate().map(device).collect(),
            cpu_kinds: vec![],
            device_kinds: vec![],
            keys: Vec::new(),
            prices: Vec::new(),
        }
    }

    fn needs(cores: u32, ram_gib: u64, vram_gib: u64, shared: bool) -> Needs {
        Needs {
            cpu_cores: cores,
            ram_bytes: ram_gib * GIB,
            vram_bytes: vram_gib * GIB,
            shared,
        }
    }

    #[test]
    fn a_demand_is_met_by_the_smallest_claim_that_does() {
        let machine = Capacity::whole(&spec(8, 16, &[24, 4, 8]));
        for (needs, expected) in [
            // (cores, ram, vram, shared) -> (cores, device)
            (needs(0, 1, 0, false), Some((8, None))),
            (needs(8, 16, 0, false), Some((8, None))),
            (needs(9, 1, 0, false), None),
            (needs(0, 1, 0, true), Some((1, None))),
            (needs(3, 1, 0, true), Some((3, None))),
            (needs(9, 1, 0, true), None),
            (needs(1, 17, 0, true), None),
            (needs(0, 1, 4, false), Some((0, Some(1)))),
            (needs(2, 1, 5, false), Some((2, Some(2)))),
            // Shared says nothing of a device task; a small device beside a large one is no obstacle.
            (needs(0, 1, 24, true), Some((0, Some(0)))),
            // The devices have 36 GiB together, and none has 25.
            (needs(0, 1, 25, false), None),
        ] {
            let demand = Demand::from(&needs);
            let claim = machine.claim(&demand);
            assert_eq!(claim.map(|c| (c.cores, c.device)), expected, "{needs:?}");
            assert_eq!(machine.shortage(&demand).is_none(), expected.is_some());
        }
    }

    #[test]
    fn a_machine_without_devices_takes_no_device_task() {
        let machine = Capacity::whole(&spec(8, 16, &[]));
        let demand = Demand::from(&needs(0, 0, 1, false));
        assert_eq!(machine.claim(&demand), None);
        let (need, largest) = (GIB, None);
        assert_eq!(
            machine.shortage(&demand),
            Some(Shortage::Device { need, largest })
        );
        assert!(!machine.open(Class::Device));
    }

    #[test]
    fn a_machine_without_cores_takes_no_cpu_task() {
        let machine = Capacity::whole(&spec(0, 16, &[8]));
        for shared in [false, true] {
            assert_eq!(machine.claim(&Demand::from(&needs(0, 0, 0, shared))), None);
        }
        assert!(
            machine
                .claim(&Demand::from(&needs(0, 0, 8, false)))
                .is_some()
        );
    }

    #[test]
    fn what_is_taken_is_gone_until_it_is_given_back() {
        let whole = Capacity::whole(&spec(8, 16, &[8, 8]));
        let mut free = whole.clone();
        let gpu = Demand::from(&needs(0, 4, 8, false));
        let cpu = Demand::from(&needs(0, 4, 0, false));
        let shared = Demand::from(&needs(2, 4, 0, true));
        let mut claims = Vec::new();
        for demand in [&gpu, &cpu, &gpu] {
            let claim = free.claim(demand).unwrap();
            free.take(&claim);
            claims.push(claim);
        }
        assert_eq!(free.claim(&gpu), None);
        assert_eq!(free.claim(&shared), None, "all cores are claimed");
        assert!(!free.open(Class::Cpu) && !free.open(Class::Device));
        for claim in &claims {
            free.give(claim);
        }
        assert_eq!(free, whole);

        free.take(&free.claim(&shared).unwrap());
        assert_eq!(
            free.claim(&cpu),
            None,
            "an exclusive task waits for all cores"
        );
    }

    #[test]
    #[should_panic(expected = "claimed cores are free")]
    fn taking_what_is_not_free_is_a_bug() {
        let mut machine = Capacity::whole(&spec(1, 1, &[]));
        let claim = machine
            .claim(&Demand::from(&needs(0, 0, 0, false)))
            .unwrap();
        machine.take(&claim);
        machine.take(&claim);
    }
}
