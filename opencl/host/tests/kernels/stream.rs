//! Transforms that do not fit the device, against Plonky3: in panels of columns, copy by copy, and in
//! strips and blocks of rows.

use froben_opencl::{Bn254Fr, Session, SessionOptions};
use p3_dft::Radix2DitParallel;
use p3_field::{Field as _, PrimeCharacteristicRing};

use crate::ntt::{check, matrix};
use crate::{BabyBears, Goldilockses, KoalaBears, Twin, device};

fn tight(options: &SessionOptions) -> Option<Session> {
    let options = options.clone();
    Some(Session::open_with(&device()?, options).expect("the device opens"))
}

/// Sessions in both layouts, with little memory or with small allocations.
fn sessions() -> impl Iterator<Item = (Session, Option<u64>)> {
    [false, true].into_iter().flat_map(|gpu_layout| {
        [(Some(48 << 10), None), (None, Some(10 << 10))]
            .into_iter()
            .filter_map(move |(memory_limit_bytes, max_allocation_bytes)| {
                let session = tight(&SessionOptions {
                    memory_limit_bytes,
                    max_allocation_bytes,
                    gpu_layout,
                    ..SessionOptions::default()
                })?;
                Some((session, memory_limit_bytes))
            })
    })
}

/// A column of 2^11 words of 8 bytes, or of 2^12 of 4 bytes, fits neither limit with its roots.
fn agrees_with_plonky3<T: Twin>() {
    let oracle = Radix2DitParallel::default();
    let generator = T::Theirs::GENERATOR;
    for (session, limit) in sessions() {
        session.take_peak_bytes().expect("a session");
        for (log_rows, columns, added_bits) in [
            (8, 40, 1),
            (10, 3, 3),
            (11, 1, 2),
            (12, 1, 0),
            (13, 2, 1),
            (13, 19, 0),
            (15, 1, 1),
            (16, 3, 0),
        ] {
            let input = matrix::<T>(9, 1 << log_rows, columns);
            let shift = if columns == 2 {
                T::Theirs::ONE
            } else {
                generator
            };
            check::<T, _>(&session, &oracle, &input, shift, added_bits);
        }
        let peak = session.take_peak_bytes().expect("a session");
        assert!(limit.is_none_or(|limit| peak <= limit), "{peak}");
    }
}

#[test]
fn what_does_not_fit_agrees_with_plonky3_over_babybear() {
    agrees_with_plonky3::<BabyBears>();
}

#[test]
fn what_does_not_fit_agrees_with_plonky3_over_koalabear() {
    agrees_with_plonky3::<KoalaBears>();
}

#[test]
fn what_does_not_fit_agrees_with_plonky3_over_goldilocks() {
    agrees_with_plonky3::<Goldilockses>();
}

#[test]
fn what_does_not_fit_agrees_with_arkworks_over_bn254() {
    for (session, _) in sessions() {
        for (log_rows, columns) in [(7, 5), (11, 1), (12, 3)] {
            crate::scalars::check::<Bn254Fr, ark_bn254::FrConfig>(&session, log_rows, columns);
        }
    }
}

/// Tables of other fields that an earlier call left are no reason to refuse.
#[test]
fn tables_make_room() {
    let options = SessionOptions {
        memory_limit_bytes: Some(64 << 10),
        ..SessionOptions::default()
    };
    let Some(session) = tight(&options) else {
        return;
    };
    for _ in 0..2 {
        agrees_once::<BabyBears>(&session, 12);
        agrees_once::<Goldilockses>(&session, 11);
        agrees_once::<KoalaBears>(&session, 16);
    }
}

fn agrees_once<T: Twin>(session: &Session, log_rows: u32) {
    let input = matrix::<T>(1, 1 << log_rows, 1);
    let oracle = Radix2DitParallel::default();
    check::<T, _>(session, &oracle, &input, T::Theirs::GENERATOR, 0);
}
