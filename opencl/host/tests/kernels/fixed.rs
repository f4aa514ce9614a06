//! Multi-scalar multiplication with a table of multiples of fixed bases: what the plain way gives, always.

use std::sync::Arc;

use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, PrimeField};
use froben_opencl::{
    Affine, Error, FixedBases, INFINITY, MsmBn254, ScalarForm, Session, SessionOptions,
};

use crate::msm::{arkworks, exceptional, points, random_scalars, scalars, stored};
use crate::{device, gpu_layout, native, sessions};

fn fix<'a>(session: &'a Session, bases: &[G1Affine], multiples: usize) -> FixedBases<'a> {
    let bases: Arc<[Affine]> = bases.iter().map(stored).collect();
    let fixed = MsmBn254::new(session).fix(bases, multiples);
    fixed.expect("a table")
}

fn check(name: &str, fixed: &FixedBases<'_>, bases: &[G1Affine], scalars: &[Fr]) {
    let expected = arkworks(&bases[..scalars.len()], scalars);
    let canonical = scalars.iter().map(|scalar| scalar.into_bigint().0);
    let montgomery = scalars.iter().map(|scalar| scalar.0.0);
    for (words, form) in [
        (canonical.collect::<Vec<_>>(), ScalarForm::Canonical),
        (montgomery.collect(), ScalarForm::Montgomery),
    ] {
        let sum = fixed.msm(words, form);
        assert_eq!(
            sum,
            Ok(expected),
            "{name}, {} scalars, {fixed:?}",
            scalars.len()
        );
    }
}

#[test]
fn agrees_with_arkworks_at_every_length() {
    let bases = points(21, 1025);
    for session in sessions() {
        for log in 0..=10 {
            for length in [(1_usize << log) - 1, 1 << log, (1 << log) + 1] {
                if length == 0 {
                    continue;
                }
                // No table, several windows, one window.
                let multiples = [1, 3, 5, usize::MAX][(length + log) % 4];
                let fixed = fix(session, &bases[..length], multiples);
                check("as long", &fixed, &bases, &scalars(length as u64, length));
            }
        }
    }
}

#[test]
fn fewer_scalars_count_for_the_first_bases() {
    let bases = points(22, 600);
    for session in sessions() {
        for multiples in [1, 4, usize::MAX] {
            let fixed = fix(session, &bases, multiples);
            for length in [0, 1, 2, 299, 300, 301, 599] {
                check("shorter", &fixed, &bases, &scalars(23, length));
            }
        }
    }
}

#[test]
fn agrees_where_additions_are_exceptional() {
    const N: usize = 700;
    let bases = points(24, N);
    let random = random_scalars(25, N);
    // Bases that are in each other's tables: P, 2P, 4P, ...
    let powers: Vec<_> = (0..N as u64)
        .map(|k| (bases[0] * Fr::from(2_u64).pow([k % 250])).into_affine())
        .collect();
    let mut rows = exceptional(&bases, &random);
    rows.extend([
        ("powers of two of a point", powers.clone(), random),
        (
            "powers of two of a point, all one",
            powers,
            vec![Fr::ONE; N],
        ),
        ("edges", bases.clone(), scalars(26, N)),
    ]);
    for session in sessions() {
        for (name, bases, scalars) in &rows {
            for multiples in [2, usize::MAX] {
                check(name, &fix(session, bases, multiples), bases, scalars);
            }
        }
    }
}

#[test]
fn agrees_at_large_lengths_and_in_one_hot_bucket() {
    let bases = points(27, 20_000);
    for (session, length) in [(native(), 20_000), (gpu_layout(), 3000)] {
        let Some(session) = session else { return };
        for multiples in [4, usize::MAX] {
            let fixed = fix(session, &bases[..length], multiples);
            check("random", &fixed, &bases, &random_scalars(28, length));
            check("hot", &fixed, &bases, &vec![Fr::from(77_u64); length]);
        }
    }
}

#[test]
fn a_table_is_counted_against_the_limit_and_given_back() {
    const N: usize = 2000;
    let Some(device) = device() else { return };
    let bases: Arc<[Affine]> = points(29, N).iter().map(stored).collect();
    let options = SessionOptions {
        memory_limit_bytes: Some(8 << 20),
        ..SessionOptions::default()
    };
    let session = Session::open_with(&device, options).expect("the device opens");
    let msm = MsmBn254::new(&session);
    let fixed = msm.fix(Arc::clone(&bases), 4).expect("a table");
    assert!((2..=4).contains(&fixed.multiples()), "{fixed:?}");
    let bytes = (64 * N * fixed.multiples()) as u64;
    assert_eq!((fixed.count(), fixed.device_bytes()), (N, bytes));
    let _ = session.take_peak_bytes();
    let kept = session.take_peak_bytes().expect("a number");
    assert!(kept >= bytes, "{kept} of {bytes}");
    // Every further one is made until there is no room, and room is there again once they are dropped.
    let mut more = Vec::new();
    let refused = loop {
        match msm.fix(Arc::clone(&bases), usize::MAX) {
            Ok(fixed) => more.push(fixed),
            Err(error) => break error,
        }
        assert!(more.len() < 16, "8 MiB hold no {} tables", more.len());
    };
    assert!(
        matches!(refused, Error::OutOfDeviceMemory { .. }),
        "{refused:?}"
    );
    more.clear();
    drop(fixed);
    let _ = session.take_peak_bytes();
    let left = session.take_peak_bytes().expect("a number");
    assert!(left + bytes <= kept, "{left} of {kept}");
    assert!(msm.fix(bases, usize::MAX).is_ok());
}

#[test]
fn what_has_no_meaning_is_refused() {
    let Some(session) = native() else { return };
    let msm = MsmBn254::new(session);
    let good = stored(&G1Affine::generator());
    assert!(matches!(msm.fix(Arc::new([]), 1), Err(Error::Shape(_))));
    assert!(matches!(msm.fix(Arc::new([good]), 0), Err(Error::Shape(_))));
    let bad = [good[0], [u64::MAX; 4]];
    let refused = msm.fix(Arc::new([good, bad]), 2);
    assert!(
        matches!(refused, Err(Error::NotCanonical { index: 3, .. })),
        "{refused:?}"
    );
    let fixed = msm.fix(Arc::new([good]), 2).expect("a table");
    let one = [1, 0, 0, 0];
    let two = fixed.msm(vec![one, one], ScalarForm::Canonical);
    assert!(matches!(two, Err(Error::Shape(_))), "{two:?}");
    let large = fixed.msm(vec![Fr::MODULUS.0], ScalarForm::Canonical);
    assert!(
        matches!(large, Err(Error::NotCanonical { index: 0, .. })),
        "{large:?}"
    );
    assert_eq!(fixed.msm(vec![], ScalarForm::Canonical), Ok(INFINITY));
    assert_eq!(fixed.msm(vec![one], ScalarForm::Canonical), Ok(good));
}
