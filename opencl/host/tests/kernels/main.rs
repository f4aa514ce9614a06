//! The kernels on a real device: against the definition at small sizes, against Plonky3's CPU code
//! at large ones, and refused where they are undefined.
//!
//! Every test runs with the layout of the device and, at small sizes, with that of a GPU, so that a
//! machine without one still executes that path.

mod fold;
mod ntt;
mod session;

use std::sync::OnceLock;

use froben_opencl::{Device, Session, SessionOptions};
use p3_baby_bear::BabyBear;
use p3_field::PrimeCharacteristicRing;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The first device of this machine, or why there is none.
fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

/// A session in the device's own layout.
fn native() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    SESSION
        .get_or_init(|| Some(Session::open(&device()?).expect("the device opens")))
        .as_ref()
}

/// A session in the layout of a GPU.
fn gpu_layout() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    SESSION
        .get_or_init(|| {
            let options = SessionOptions {
                gpu_layout: true,
                ..SessionOptions::default()
            };
            Some(Session::open_with(&device()?, options).expect("the device opens"))
        })
        .as_ref()
}

fn sessions() -> impl Iterator<Item = &'static Session> {
    native().into_iter().chain(gpu_layout())
}

/// Zero, one, the largest element and its neighbours, then random ones.
fn elements(seed: u64, count: usize) -> Vec<BabyBear> {
    let mut random = SmallRng::seed_from_u64(seed);
    let edges = [
        BabyBear::ZERO,
        BabyBear::ONE,
        BabyBear::NEG_ONE,
        BabyBear::TWO,
        -BabyBear::TWO,
    ];
    let mut elements: Vec<BabyBear> = (0..count).map(|_| random.random()).collect();
    for element in elements.iter_mut().step_by(3) {
        *element = edges[random.random_range(0..edges.len())];
    }
    elements
}
