use super::*;
use crate::driver::DeviceHandle;

/// A device that no driver knows.
fn device(platform: &str, name: &str, kind: DeviceKind, pci: Option<u8>) -> Device {
    let pci = pci.map(|bus| PciAddress {
        domain: 0,
        bus,
        device: 0,
        function: 0,
    });
    Device {
        id: identity(platform, name, kind, pci),
        name: name.to_owned(),
        vendor: String::new(),
        platform: platform.to_owned(),
        driver_version: "1".to_owned(),
        kind,
        pci,
        global_memory_bytes: 0,
        max_allocation_bytes: 0,
        local_memory_bytes: 0,
        compute_units: 1,
        max_group_size: 1,
        native_vector_width: 1,
        handle: DeviceHandle::of_nothing(),
    }
}

fn listed(devices: Vec<Device>) -> Vec<String> {
    let mut devices = devices;
    name_by_position(&mut devices);
    each_card_once(devices)
        .into_iter()
        .map(|device| format!("{} by {}", device.id, device.platform))
        .collect()
}

const POCL: &str = "Portable Computing Language";
const NVIDIA: &str = "NVIDIA CUDA";

#[test]
fn a_card_that_two_drivers_show_is_listed_once_by_its_makers() {
    let card = |platform, bus| device(platform, "card", DeviceKind::Gpu, Some(bus));
    let expected = [
        "pci:0000:01:00.0 by NVIDIA CUDA",
        "pci:0000:02:00.0 by NVIDIA CUDA",
    ];
    // In whatever order the loader has them.
    assert_eq!(
        listed(vec![
            card(POCL, 1),
            card(NVIDIA, 1),
            card(NVIDIA, 2),
            card(POCL, 2)
        ]),
        expected
    );
    assert_eq!(
        listed(vec![
            card(NVIDIA, 1),
            card("rusticl", 1),
            card("Clover", 2),
            card(NVIDIA, 2)
        ]),
        expected
    );
    // One that only a general driver shows is still there.
    assert_eq!(
        listed(vec![card("rusticl", 3)]),
        ["pci:0000:03:00.0 by rusticl"]
    );
}

#[test]
fn the_processor_is_one_device_whoever_runs_it() {
    let cpu = |platform| device(platform, "processor", DeviceKind::Cpu, None);
    let intel = "Intel(R) OpenCL";
    assert_eq!(
        listed(vec![cpu(POCL), cpu(intel)]),
        ["cpu by Intel(R) OpenCL"]
    );
    assert_eq!(
        listed(vec![cpu(POCL)]),
        ["cpu by Portable Computing Language"]
    );
}

#[test]
fn cards_without_an_address_are_told_apart_by_their_position() {
    let card = |name| device("Vendor", name, DeviceKind::Gpu, None);
    assert_eq!(
        listed(vec![card("a"), card("b"), card("a")]),
        [
            "Vendor/a/0 by Vendor",
            "Vendor/b/0 by Vendor",
            "Vendor/a/1 by Vendor"
        ]
    );
}
