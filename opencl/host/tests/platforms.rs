//! The same work on every OpenCL implementation of this machine: an independent compiler and runtime under
//! the same kernels, and the same results bit for bit.

use froben_opencl::diagnosis::{Examination, known_answers};
use froben_opencl::{
    BabyBear4, BabyBear5, Device, Elements, Error, Extension, Field, Fold, Goldilocks2, KoalaBear4,
    Ntt, Session, SessionOptions,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// One device of each platform, or why there are none.
fn one_of_each_platform() -> Vec<Device> {
    let all = match Device::every_driver() {
        Ok(all) => all,
        Err(error) => {
            println!("SKIP: {error}");
            return Vec::new();
        }
    };
    let mut devices: Vec<Device> = Vec::new();
    for device in all {
        if devices
            .iter()
            .all(|other| other.platform != device.platform)
        {
            devices.push(device);
        }
    }
    if let [only] = &devices[..] {
        println!(
            "SKIP: {} is the only OpenCL implementation here",
            only.platform
        );
        return Vec::new();
    }
    devices
}

#[test]
fn every_platform_gives_the_known_answers() {
    for device in one_of_each_platform() {
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

#[test]
fn all_platforms_compute_the_same() {
    let sessions: Vec<_> = one_of_each_platform()
        .iter()
        .map(|device| Session::open(device).expect("it opens"))
        .collect();
    if let Some((first, others)) = sessions.split_first() {
        for other in others {
            agree::<BabyBear4>(first, other);
            agree::<BabyBear5>(first, other);
            agree::<KoalaBear4>(first, other);
            agree::<Goldilocks2>(first, other);
        }
    }
}

/// More rows than one pass takes, and columns that fill no lane.
fn agree<E: Extension>(one: &Session, other: &Session) {
    let mut random = SmallRng::seed_from_u64(5);
    let mut values = |count: usize| {
        let words = (0..count).map(|_| E::Base::from_u64(random.random()));
        Elements::<E::Base>::new(words.collect()).expect("they are reduced")
    };
    let shift = values(1).words()[0];
    for (log_rows, columns) in [(3, 1), (10, 17), (13, 5), (17, 2)] {
        let matrix = values(columns << log_rows);
        let extended = |session| {
            Ntt::<E::Base>::new(session).coset_lde_batch(matrix.clone(), columns, 1, shift)
        };
        same::<E>(extended(one), extended(other), log_rows);
        let back = |session| Ntt::<E::Base>::new(session).idft_batch(matrix.clone(), columns);
        same::<E>(back(one), back(other), log_rows);
    }
    for (log_elements, log_arity) in [(4, 4), (13, 1), (13, 3)] {
        let layer = values(E::DEGREE << log_elements);
        let beta = values(E::DEGREE);
        let fold = |session| Fold::<E>::new(session).fold(layer.clone(), log_arity, &beta);
        same::<E>(fold(one), fold(other), log_elements);
    }
}

fn same<E: Extension>(
    one: Result<Elements<E::Base>, Error>,
    other: Result<Elements<E::Base>, Error>,
    log_size: u32,
) {
    let (one, other) = (one.expect("it computes"), other.expect("it computes"));
    assert!(one == other, "{} at 2^{log_size}", E::Base::NAME);
}
