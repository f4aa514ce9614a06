//! The kernels on a real device: against the definition at small sizes, against Plonky3's CPU code
//! at large ones, and refused where they are undefined.
//!
//! Every test runs with the layout of the device and, at small sizes, with that of a GPU, so that a
//! machine without one still executes that path; and on every further OpenCL implementation.

mod control;
mod fixed;
mod fold;
mod hash;
mod measure;
mod merkle;
mod msm;
mod ntt;
mod platforms;
mod scalars;
mod session;
mod stream;

use std::marker::PhantomData;
use std::sync::OnceLock;

use froben_opencl::{Device, Elements, Session, SessionOptions};
use p3_baby_bear::BabyBear;
use p3_field::{PrimeField32, PrimeField64, TwoAdicField};
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

/// A session that computes in large fields as on a processor with AVX-512 IFMA, its instructions emulated.
fn emulated_ifma() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    SESSION
        .get_or_init(|| {
            let options = SessionOptions {
                emulate_ifma: true,
                ..SessionOptions::default()
            };
            Some(Session::open_with(&device()?, options).expect("the device opens"))
        })
        .as_ref()
}

fn sessions() -> impl Iterator<Item = &'static Session> {
    native()
        .into_iter()
        .chain(gpu_layout())
        .chain(platforms::others())
}

/// Sessions that differ in how they compute in fields of 256 bits.
fn large_field_sessions() -> impl Iterator<Item = &'static Session> {
    sessions().chain(emulated_ifma())
}

/// A field of ours and Plonky3's of the same name.
trait Twin {
    type Ours: froben_opencl::Field;
    type Theirs: TwoAdicField + PrimeField64;

    /// As the kernels store it.
    fn word(element: Self::Theirs) -> <Self::Ours as froben_opencl::Field>::Word;

    fn words(elements: &[Self::Theirs]) -> Elements<Self::Ours> {
        let words = elements.iter().map(|element| Self::word(*element));
        Elements::new(words.collect()).expect("elements")
    }
}

/// A field of 31 bits, whose elements both sides store alike.
struct Twins31<O, T>(PhantomData<(O, T)>);

impl<O, T> Twin for Twins31<O, T>
where
    O: froben_opencl::Field<Word = u32>,
    T: TwoAdicField + PrimeField64 + PrimeField32,
{
    type Ours = O;
    type Theirs = T;

    fn word(element: T) -> u32 {
        element.to_unique_u32()
    }
}

type BabyBears = Twins31<froben_opencl::BabyBear, BabyBear>;
type KoalaBears = Twins31<froben_opencl::KoalaBear, p3_koala_bear::KoalaBear>;

struct Goldilockses;

impl Twin for Goldilockses {
    type Ours = froben_opencl::Goldilocks;
    type Theirs = p3_goldilocks::Goldilocks;

    fn word(element: p3_goldilocks::Goldilocks) -> u64 {
        element.as_canonical_u64()
    }
}

/// Zero, one, the largest element and its neighbours, what carries go wrong at, then random ones.
fn elements<F: PrimeField64>(seed: u64, count: usize) -> Vec<F> {
    let mut random = SmallRng::seed_from_u64(seed);
    let edges = [
        F::ZERO,
        F::ONE,
        F::NEG_ONE,
        F::TWO,
        -F::TWO,
        F::from_u64(u64::from(u32::MAX) % F::ORDER_U64),
        F::from_u64((1 << 32) % F::ORDER_U64),
    ];
    let mut elements: Vec<F> = (0..count)
        .map(|_| F::from_u64(random.random_range(0..F::ORDER_U64)))
        .collect();
    for element in elements.iter_mut().step_by(3) {
        *element = edges[random.random_range(0..edges.len())];
    }
    elements
}
