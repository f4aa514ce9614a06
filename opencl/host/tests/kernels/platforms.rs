//! The same kernels on every OpenCL implementation of this machine: independent compilers and runtimes, and
//! nothing asks which.
//!
//! All tests that go over [`crate::sessions`] go over [`others`] too, and so transforms, folds, hashes,
//! trees and multiplications are held against Plonky3, arkworks and halo2curves on each of them.

use std::sync::OnceLock;

use froben_opencl::diagnosis::{Examination, known_answers};
use froben_opencl::{Device, Session, SessionOptions};

/// One device of each platform but the first device's, or why there are none.
fn devices() -> Vec<Device> {
    let mut of_each: Vec<Device> = Vec::new();
    for device in Device::every_driver().unwrap_or_default() {
        let platform = &device.platform;
        if of_each.iter().all(|other| other.platform != *platform) {
            of_each.push(device);
        }
    }
    let others = of_each.split_off(of_each.len().min(1));
    if others.is_empty() {
        let first = of_each.first().map_or("none", |first| &first.platform);
        println!("SKIP: there is no second OpenCL implementation here beside {first}");
    }
    others
}

/// A session on a device of each further platform, in the device's own layout.
pub(crate) fn others() -> &'static [Session] {
    static SESSIONS: OnceLock<Vec<Session>> = OnceLock::new();
    SESSIONS.get_or_init(|| {
        let devices = devices().into_iter();
        devices
            .map(|device| Session::open(&device).unwrap_or_else(|e| panic!("{device}: {e}")))
            .collect()
    })
}

#[test]
fn every_platform_gives_the_known_answers() {
    for device in devices() {
        for gpu_layout in [false, true] {
            let options = SessionOptions {
                gpu_layout,
                ..SessionOptions::default()
            };
            let examination = Examination::open(&device, options).expect("it opens");
            for answer in known_answers() {
                let asked = examination.ask(answer);
                assert_eq!(asked, Ok(()), "{device}: {answer:?}");
            }
        }
    }
}
