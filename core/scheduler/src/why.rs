//! Why a delegation waits: for a person, machine by machine, and in one line.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use froben_model::{Amount, Kind, MachineId, OperatorId, SetupKey, TimeMs};

use crate::bench::Benched;
use crate::capacity::{Class, Offer, Shortage};
use crate::delegation::{Delegation, State};
use crate::machine::Machine;
use crate::phase::Phase;
use crate::{DelegationKey, Scheduler};

/// Memory that a delegation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub bytes: u64,
    /// Whether that is more than its task asks for: its kind is known to take it.
    pub learned: bool,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.learned {
            true => write!(
                f,
                "{} needed by what is known of the kind",
                Size(self.bytes)
            ),
            false => write!(f, "{} needed", Size(self.bytes)),
        }
    }
}

/// Why a machine does not get a delegation now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It has it.
    HasIt,
    KindNotOffered {
        kind: Kind,
    },
    /// Its device workers take the kind, and the task asks for no device.
    OnlyOnDevices {
        kind: Kind,
    },
    /// Its CPU workers take the kind, and the task asks for a device.
    OnlyOnCpu {
        kind: Kind,
    },
    /// The task avoids its operator.
    Avoided {
        operator: OperatorId,
    },
    /// It is a check, and its operator is not trusted.
    Untrusted {
        operator: OperatorId,
    },
    /// Its keystore lacks what the task needs.
    KeyMissing {
        key: SetupKey,
    },
    /// It asks more for an item than it may cost.
    TooDear {
        price: Amount,
        most: Amount,
    },
    /// What is missing costs more than is left of the workflow's budget.
    OverBudget {
        cost: Amount,
        left: Amount,
    },
    TooFewCores {
        need: u32,
        have: u32,
    },
    TooLittleRam {
        need: Need,
        have_bytes: u64,
    },
    NoDeviceLargeEnough {
        need: Need,
        /// Of its largest; `None` if it has no device.
        largest_bytes: Option<u64>,
    },
    /// It is about to leave, and finishes what it has.
    Draining,
    /// Several attempts of the kind failed in a row.
    Quarantined {
        until: TimeMs,
    },
    /// It has just refused a task of the kind, or not answered.
    Paused {
        until: TimeMs,
    },
    CoresBusy {
        need: u32,
        free: u32,
    },
    RamBusy {
        need: Need,
        free_bytes: u64,
    },
    /// No free device is large enough.
    DevicesBusy {
        need: Need,
    },
    /// Its operator is new and has an attempt already.
    OneAtATime {
        operator: OperatorId,
    },
    /// Its operator is new, and newcomers have their share.
    NewcomersFull,
    /// What is free is kept for a delegation that has waited longer.
    KeptForElder,
    /// Nothing is in the way.
    Free,
}

impl Reason {
    /// Whether waiting does not help while the machine is as it is.
    pub fn lasts(&self) -> bool {
        match self {
            Reason::KindNotOffered { .. }
            | Reason::OnlyOnDevices { .. }
            | Reason::OnlyOnCpu { .. }
            | Reason::Avoided { .. }
            | Reason::Untrusted { .. }
            | Reason::KeyMissing { .. }
            | Reason::TooDear { .. }
            | Reason::TooFewCores { .. }
            | Reason::TooLittleRam { .. }
            | Reason::NoDeviceLargeEnough { .. }
            | Reason::Draining => true,
            Reason::HasIt
            | Reason::OverBudget { .. }
            | Reason::Quarantined { .. }
            | Reason::Paused { .. }
            | Reason::CoresBusy { .. }
            | Reason::RamBusy { .. }
            | Reason::DevicesBusy { .. }
            | Reason::OneAtATime { .. }
            | Reason::NewcomersFull
            | Reason::KeptForElder
            | Reason::Free => false,
        }
    }

    /// In the one line that speaks of all machines that offer the kind.
    fn in_a_word(&self) -> &'static str {
        match self {
            Reason::KindNotOffered { .. }
            | Reason::OnlyOnDevices { .. }
            | Reason::OnlyOnCpu { .. } => "not offering it",
            Reason::HasIt => "at work on it",
            Reason::Avoided { .. } => "avoided by the task",
            Reason::Untrusted { .. } => "not of a trusted operator",
            Reason::KeyMissing { .. } => "without a key that it needs",
            Reason::TooDear { .. } => "too dear",
            Reason::OverBudget { .. } => "over what is left of the budget",
            Reason::TooFewCores { .. } => "short of cores",
            Reason::TooLittleRam { .. } => "short of memory",
            Reason::NoDeviceLargeEnough { .. } => "short of device memory",
            Reason::Draining => "about to leave",
            Reason::Quarantined { .. } => "quarantined after failures",
            Reason::Paused { .. } => "paused after a refusal",
            Reason::CoresBusy { .. }
            | Reason::RamBusy { .. }
            | Reason::DevicesBusy { .. }
            | Reason::KeptForElder => "busy",
            Reason::OneAtATime { .. } | Reason::NewcomersFull => "held back as newcomers",
            Reason::Free => "free",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::HasIt => write!(f, "it has it"),
            Reason::KindNotOffered { kind } => write!(f, "does not offer {kind}"),
            Reason::OnlyOnDevices { kind } => {
                write!(
                    f,
                    "offers {kind} on devices only, and the task needs no vram"
                )
            }
            Reason::OnlyOnCpu { kind } => {
                write!(f, "offers {kind} on the CPU only, and the task needs vram")
            }
            Reason::Avoided { operator } => write!(f, "the task avoids operator {operator}"),
            Reason::Untrusted { operator } => {
                write!(
                    f,
                    "the task is a check, and operator {operator} is not trusted"
                )
            }
            Reason::KeyMissing { key } => write!(f, "its keystore has no {key}"),
            Reason::TooDear { price, most } => {
                write!(f, "asks {price} for an item, which may cost {most}")
            }
            Reason::OverBudget { cost, left } => {
                write!(f, "would cost {cost}, and {left} is left of the budget")
            }
            Reason::TooFewCores { need, have } => write!(f, "has {have} cores, {need} needed"),
            Reason::TooLittleRam { need, have_bytes } => {
                write!(f, "has {} of memory, {need}", Size(*have_bytes))
            }
            Reason::NoDeviceLargeEnough {
                need,
                largest_bytes,
            } => match largest_bytes {
                None => write!(f, "has no device"),
                Some(largest_bytes) => {
                    write!(f, "its largest device has {}, {need}", Size(*largest_bytes))
                }
            },
            Reason::Draining => write!(f, "about to leave: it takes nothing more"),
            Reason::Quarantined { .. } => write!(f, "quarantined after failures in a row"),
            Reason::Paused { .. } => write!(f, "paused after it refused a task"),
            Reason::CoresBusy { need, free } => {
                write!(f, "busy: {free} cores free, {need} needed")
            }
            Reason::RamBusy { need, free_bytes } => {
                write!(f, "busy: {} of memory free, {need}", Size(*free_bytes))
            }
            Reason::DevicesBusy { need } => {
                write!(f, "busy: no device with {} is free", Size(need.bytes))?;
                match need.learned {
                    true => write!(f, ", which the kind is known to need"),
                    false => Ok(()),
                }
            }
            Reason::OneAtATime { operator } => {
                write!(
                    f,
                    "operator {operator} is new and has one attempt at a time"
                )
            }
            Reason::NewcomersFull => {
                write!(f, "its operator is new, and newcomers have their share")
            }
            Reason::KeptForElder => write!(f, "kept for a delegation that has waited longer"),
            Reason::Free => write!(f, "free"),
        }
    }
}

/// Bytes in the largest binary unit that divides them, as sizes are written in scripts.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >> shift > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

impl Scheduler {
    /// For each connected machine, by session, why it does not get the delegation now. Empty if the
    /// delegation is over or unknown.
    pub fn why(&self, key: DelegationKey) -> Vec<(MachineId, Reason)> {
        let Some(delegation) = self.delegations.get(&key) else {
            return Vec::new();
        };
        let reasons = self.fleet.iter().map(|machine| {
            let reason = self.reason(key, delegation, machine);
            (machine.id.clone(), reason)
        });
        reasons.collect()
    }

    /// What a queued delegation waits for, or one whose items are checked, in one line. `None` if it does
    /// not wait.
    pub fn waiting_for(&self, key: DelegationKey) -> Option<String> {
        let delegation = self.delegations.get(&key)?;
        match delegation.state {
            State::Queued => Some(self.obstacle(key, delegation)),
            State::Checking => Some(match delegation.claims.len() {
                1 => "1 item waits for its check".into(),
                n => format!("{n} items wait for their checks"),
            }),
            _ => None,
        }
    }

    pub(crate) fn obstacle(&self, key: DelegationKey, delegation: &Delegation) -> String {
        if self.fleet.is_empty() {
            return "no machine is connected".into();
        }
        let Offer { kind, class } = &delegation.offer;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for machine in self.fleet.offering(&delegation.offer) {
            let reason = self.reason_of_offering(key, delegation, machine);
            *counts.entry(reason.in_a_word()).or_default() += 1;
        }
        let on = match class {
            Class::Cpu => "",
            Class::Device => " on a device",
        };
        let offering = match counts.values().sum() {
            0 => return format!("no connected machine offers {kind}{on}"),
            1 => format!("1 machine offers {kind}{on}"),
            n => format!("{n} machines offer {kind}{on}"),
        };
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(word, n)| (Reverse(*n), *word));
        let state = match &counts[..] {
            [(word, 1)] => word.to_string(),
            [(word, _)] => format!("all {word}"),
            several => {
                let parts = several.iter().map(|(word, n)| format!("{n} {word}"));
                parts.collect::<Vec<_>>().join(", ")
            }
        };
        format!("{offering}: {state}")
    }

    fn reason(&self, key: DelegationKey, delegation: &Delegation, machine: &Machine) -> Reason {
        if machine.offered(&delegation.offer).is_some() {
            return self.reason_of_offering(key, delegation, machine);
        }
        let Offer { kind, class } = &delegation.offer;
        let other = Offer {
            kind: kind.clone(),
            class: match class {
                Class::Cpu => Class::Device,
                Class::Device => Class::Cpu,
            },
        };
        let kind = kind.clone();
        match (machine.offered(&other).is_some(), class) {
            (false, _) => Reason::KindNotOffered { kind },
            (true, Class::Cpu) => Reason::OnlyOnDevices { kind },
            (true, Class::Device) => Reason::OnlyOnCpu { kind },
        }
    }

    /// The reason for a machine that offers the kind to tasks of its class.
    fn reason_of_offering(
        &self,
        key: DelegationKey,
        delegation: &Delegation,
        machine: &Machine,
    ) -> Reason {
        let mut leases = delegation.leases();
        if leases.any(|lease| lease.session == machine.session) {
            return Reason::HasIt;
        }
        if delegation.task.avoid.contains(&machine.spec.operator) {
            let operator = machine.spec.operator.clone();
            return Reason::Avoided { operator };
        }
        if !delegation.trusts(machine) {
            let operator = machine.spec.operator.clone();
            return Reason::Untrusted { operator };
        }
        if let Some(key) = delegation.missing_key(machine) {
            return Reason::KeyMissing { key: key.clone() };
        }
        if let Some((price, most)) = delegation.dearer(machine) {
            return Reason::TooDear { price, most };
        }
        let (demand, asked) = (&delegation.demand, &delegation.task.needs);
        let ram = |bytes| Need {
            bytes,
            learned: bytes > asked.ram_bytes,
        };
        let vram = |bytes| Need {
            bytes,
            learned: bytes > asked.vram_bytes,
        };
        match machine.whole.shortage(demand) {
            None => {}
            Some(Shortage::Cores { need, have }) => return Reason::TooFewCores { need, have },
            Some(Shortage::Ram { need, have }) => {
                return Reason::TooLittleRam {
                    need: ram(need),
                    have_bytes: have,
                };
            }
            Some(Shortage::Device { need, largest }) => {
                return Reason::NoDeviceLargeEnough {
                    need: vram(need),
                    largest_bytes: largest,
                };
            }
        }
        if machine.phase != Phase::Serving {
            return Reason::Draining;
        }
        let cost = delegation.cost(machine);
        if let Some(left) = self
            .purses
            .left(delegation.purse)
            .filter(|left| cost > *left)
        {
            return Reason::OverBudget { cost, left };
        }
        match self.bench.benched(&machine.id, &delegation.offer.kind) {
            None => {}
            Some(Benched::Quarantined { until }) => return Reason::Quarantined { until },
            Some(Benched::Paused { until }) => return Reason::Paused { until },
        }
        match machine.free.shortage(demand) {
            Some(Shortage::Cores { need, have }) => Reason::CoresBusy { need, free: have },
            Some(Shortage::Ram { need, have }) => Reason::RamBusy {
                need: ram(need),
                free_bytes: have,
            },
            Some(Shortage::Device { need, .. }) => Reason::DevicesBusy { need: vram(need) },
            None if machine.claim(demand, Some(key)).is_none() => Reason::KeptForElder,
            None if !self.operators.admits(&machine.spec.operator, self.now) => {
                match self.operators.admits_newcomers(self.now) {
                    true => Reason::OneAtATime {
                        operator: machine.spec.operator.clone(),
                    },
                    false => Reason::NewcomersFull,
                }
            }
            None => Reason::Free,
        }
    }
}
