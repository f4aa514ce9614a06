//! Where a device sits, so that it keeps its name when drivers and cards come and go.

use std::fmt;

/// A position on the PCI bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    /// Domain, zero on most machines.
    pub domain: u32,
    /// Bus.
    pub bus: u8,
    /// Device.
    pub device: u8,
    /// Function.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    /// As `lspci -D` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

/// `CL_DEVICE_PCI_BUS_INFO_KHR`: four words, domain, bus, device, function.
const PCI_BUS_INFO_KHR: u32 = 0x410f;
/// `CL_DEVICE_TOPOLOGY_AMD`: a tagged union of 24 bytes.
const TOPOLOGY_AMD: u32 = 0x4037;
/// The tag of a PCI express device in it.
const TOPOLOGY_TYPE_PCIE_AMD: u32 = 1;
/// `CL_DEVICE_PCI_BUS_ID_NV`.
const PCI_BUS_ID_NV: u32 = 0x4008;
/// `CL_DEVICE_PCI_SLOT_ID_NV`: device and function in one number.
const PCI_SLOT_ID_NV: u32 = 0x4009;
/// `CL_DEVICE_PCI_DOMAIN_ID_NV`, which older drivers do not know.
const PCI_DOMAIN_ID_NV: u32 = 0x400a;

impl PciAddress {
    /// Finds the address among the vendors' ways to tell it.
    ///
    /// `query` is the raw answer of the driver, `None` where it does not know the question.
    pub(crate) fn find(query: impl Fn(u32) -> Option<Vec<u8>>) -> Option<Self> {
        query(PCI_BUS_INFO_KHR)
            .and_then(|bytes| Self::from_khr(&bytes))
            .or_else(|| query(TOPOLOGY_AMD).and_then(|bytes| Self::from_amd(&bytes)))
            .or_else(|| Self::from_nv(query))
    }

    fn from_khr(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            domain: word(bytes, 0)?,
            bus: word(bytes, 1)?.try_into().ok()?,
            device: word(bytes, 2)?.try_into().ok()?,
            function: word(bytes, 3)?.try_into().ok()?,
        })
    }

    fn from_amd(bytes: &[u8]) -> Option<Self> {
        let [.., bus, device, function] = *bytes else {
            return None;
        };
        (bytes.len() == 24 && word(bytes, 0)? == TOPOLOGY_TYPE_PCIE_AMD).then_some(Self {
            domain: 0,
            bus,
            device,
            function,
        })
    }

    fn from_nv(query: impl Fn(u32) -> Option<Vec<u8>>) -> Option<Self> {
        let number = |parameter| query(parameter).and_then(|bytes| word(&bytes, 0));
        let slot = number(PCI_SLOT_ID_NV)?;
        Some(Self {
            domain: number(PCI_DOMAIN_ID_NV).unwrap_or(0),
            bus: number(PCI_BUS_ID_NV)?.try_into().ok()?,
            device: (slot >> 3).try_into().ok()?,
            function: (slot & 7) as u8,
        })
    }
}

/// The word at `index` of a driver's answer.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let word = bytes.get(4 * index..4 * index + 4)?;
    word.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answers<'a> = &'a [(u32, Vec<u8>)];

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn find(answers: Answers<'_>) -> Option<String> {
        let query = |asked| {
            let answer = answers.iter().find(|(parameter, _)| *parameter == asked);
            answer.map(|(_, bytes)| bytes.clone())
        };
        PciAddress::find(query).map(|address| address.to_string())
    }

    #[test]
    fn each_vendors_answer_is_understood() {
        let khr = words(&[1, 0x65, 0, 0]);
        let mut amd = words(&[1, 0, 0, 0, 0, 0]);
        amd[21..].copy_from_slice(&[0xc3, 0x1f, 1]);
        let cases: [(Answers<'_>, Option<&str>); 7] = [
            (&[(PCI_BUS_INFO_KHR, khr.clone())], Some("0001:65:00.0")),
            (&[(TOPOLOGY_AMD, amd.clone())], Some("0000:c3:1f.1")),
            (
                &[
                    (PCI_BUS_ID_NV, words(&[0x0b])),
                    (PCI_SLOT_ID_NV, words(&[0x09])),
                ],
                Some("0000:0b:01.1"),
            ),
            // The standard's own extension wins over a vendor's.
            (
                &[(TOPOLOGY_AMD, amd), (PCI_BUS_INFO_KHR, khr)],
                Some("0001:65:00.0"),
            ),
            (&[(PCI_BUS_INFO_KHR, words(&[0, 1]))], None),
            (&[(TOPOLOGY_AMD, words(&[2, 0, 0, 0, 0, 0]))], None),
            (&[], None),
        ];
        for (answers, expected) in cases {
            assert_eq!(find(answers).as_deref(), expected, "{answers:?}");
        }
    }
}
