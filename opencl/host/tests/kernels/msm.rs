use std::sync::Arc;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, PrimeField};
use froben_opencl::{Affine, Error, INFINITY, MsmBn254, ScalarForm, Session, SessionOptions};
use halo2curves::bn256;
use halo2curves::ff::PrimeField as _;
use halo2curves::group::Curve;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::{device, emulated_ifma, gpu_layout, large_field_sessions, native};

/// As the kernels take a point of arkworks.
pub(crate) fn stored(point: &G1Affine) -> Affine {
    point.xy().map_or(INFINITY, |(x, y)| [x.0.0, y.0.0])
}

fn scalar(random: &mut SmallRng) -> Fr {
    let words: [u64; 4] = random.random();
    Fr::new_unchecked(ark_ff::BigInt(words)) * Fr::from(2_u64) + Fr::from(words[0])
}

/// Points without a pattern: a walk from the generator by steps out of a few.
pub(crate) fn points(seed: u64, count: usize) -> Vec<G1Affine> {
    let mut random = SmallRng::seed_from_u64(seed);
    let steps: Vec<_> = (0..16)
        .map(|_| G1Projective::generator() * scalar(&mut random))
        .collect();
    let mut point = G1Projective::generator();
    let walk: Vec<_> = (0..count)
        .map(|_| {
            point = point.double() + steps[random.random_range(0..steps.len())];
            point
        })
        .collect();
    G1Projective::normalize_batch(&walk)
}

/// Zero, one, the largest scalar, small and nearly largest ones, powers of two and ones less; then
/// random ones.
pub(crate) fn scalars(seed: u64, count: usize) -> Vec<Fr> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut edges = vec![
        Fr::ZERO,
        Fr::ONE,
        -Fr::ONE,
        Fr::from(2_u64),
        -Fr::from(2_u64),
    ];
    for bit in [7, 8, 9, 31, 32, 63, 64, 127, 128, 252, 253] {
        let power = Fr::from(2_u64).pow([bit]);
        edges.extend([power, power - Fr::ONE, -power]);
    }
    (0..count)
        .map(|i| {
            if i % 3 == 0 {
                edges[random.random_range(0..edges.len())]
            } else {
                scalar(&mut random)
            }
        })
        .collect()
}

pub(crate) fn random_scalars(seed: u64, count: usize) -> Vec<Fr> {
    let mut random = SmallRng::seed_from_u64(seed);
    (0..count).map(|_| scalar(&mut random)).collect()
}

/// Ours, scalars given in one form or the other.
fn ours(session: &Session, bases: &[G1Affine], scalars: &[Fr], form: ScalarForm) -> Affine {
    let bases: Arc<[Affine]> = bases.iter().map(stored).collect();
    let scalars = scalars
        .iter()
        .map(|scalar| match form {
            ScalarForm::Canonical => scalar.into_bigint().0,
            ScalarForm::Montgomery => scalar.0.0,
        })
        .collect();
    MsmBn254::new(session)
        .msm(bases, scalars, form)
        .expect("an msm")
}

pub(crate) fn arkworks(bases: &[G1Affine], scalars: &[Fr]) -> Affine {
    let sum = G1Projective::msm(bases, scalars).expect("as many of both");
    stored(&sum.into_affine())
}

fn halo2(bases: &[G1Affine], scalars: &[Fr]) -> Affine {
    fn repr(number: [u64; 4]) -> [u8; 32] {
        let bytes = number.map(u64::to_le_bytes);
        bytes.as_flattened().try_into().expect("32 bytes")
    }
    let field = |element: &Fq| {
        bn256::Fq::from_repr(repr(element.into_bigint().0).into()).expect("canonical")
    };
    let bases: Vec<_> = bases
        .iter()
        .map(|point| match point.xy() {
            None => bn256::G1Affine::default(),
            Some((x, y)) => bn256::G1Affine {
                x: field(&x),
                y: field(&y),
            },
        })
        .collect();
    let scalars: Vec<_> = scalars
        .iter()
        .map(|scalar| bn256::Fr::from_repr(repr(scalar.into_bigint().0).into()).expect("canonical"))
        .collect();
    let sum = halo2curves::msm::msm_best(&scalars, &bases).to_affine();
    let number = |element: bn256::Fq| Fq::from_le_bytes_mod_order(element.to_repr().as_ref()).0.0;
    [number(sum.x), number(sum.y)]
}

fn check(session: &Session, name: &str, bases: &[G1Affine], scalars: &[Fr]) {
    let expected = arkworks(bases, scalars);
    for form in [ScalarForm::Canonical, ScalarForm::Montgomery] {
        let computed = ours(session, bases, scalars, form);
        assert!(
            computed == expected,
            "{name}, {} bases, {form:?}",
            bases.len()
        );
    }
}

#[test]
fn agrees_with_arkworks_at_every_length() {
    let bases = points(1, 2049);
    for session in large_field_sessions() {
        for log in 0..=11 {
            for length in [(1_usize << log) - 1, 1 << log, (1 << log) + 1] {
                let (bases, scalars) = (&bases[..length], scalars(length as u64, length));
                check(session, "edges and random", bases, &scalars);
            }
        }
    }
}

#[test]
fn agrees_with_both_peers_at_large_lengths() {
    let bases = points(2, 40_000);
    for (session, lengths) in [
        (native(), [20_001, 40_000]),
        (gpu_layout(), [4097, 9000]),
        (emulated_ifma(), [4097, 20_000]),
    ] {
        let Some(session) = session else { return };
        for length in lengths {
            let (bases, scalars) = (&bases[..length], random_scalars(3, length));
            check(session, "random", bases, &scalars);
            assert_eq!(arkworks(bases, &scalars), halo2(bases, &scalars));
        }
    }
}

/// Ways in which an addition or a bucket is out of the ordinary: what it is, bases, scalars, `count` of each.
pub(crate) fn exceptional(
    bases: &[G1Affine],
    random: &[Fr],
) -> Vec<(&'static str, Vec<G1Affine>, Vec<Fr>)> {
    let count = bases.len();
    let opposite: Vec<_> = (0..count)
        .map(|i| {
            if i % 2 == 0 {
                bases[i / 2]
            } else {
                -bases[i / 2]
            }
        })
        .collect();
    let holes = (0..count)
        .map(|i| {
            if i % 3 == 0 {
                G1Affine::zero()
            } else {
                bases[i]
            }
        })
        .collect();
    // A point and its own double, triple and so on meet in one bucket.
    let multiples = (1..=count as u64)
        .map(|k| (bases[0] * Fr::from(k)).into_affine())
        .collect();
    let (same, all) = (vec![bases[0]; count], |scalar| vec![scalar; count]);
    vec![
        ("all equal points", same.clone(), random.to_vec()),
        ("equal points, equal scalars", same, all(random[0])),
        ("opposite points", opposite.clone(), random.to_vec()),
        ("opposite points, equal scalars", opposite, all(random[0])),
        ("infinity here and there", holes, random.to_vec()),
        (
            "nothing but infinity",
            vec![G1Affine::zero(); count],
            random.to_vec(),
        ),
        ("multiples of a point", multiples, all(Fr::ONE)),
        ("all zero", bases.to_vec(), all(Fr::ZERO)),
        ("all one", bases.to_vec(), all(Fr::ONE)),
        ("all minus one", bases.to_vec(), all(-Fr::ONE)),
        ("one hot bucket", bases.to_vec(), all(Fr::from(5_u64))),
    ]
}

/// Each row is one way in which an addition or a bucket is out of the ordinary.
#[test]
fn agrees_where_additions_are_exceptional() {
    const N: usize = 1000;
    let bases = points(4, N);
    let random = random_scalars(5, N);
    let mut rows = exceptional(&bases, &random);
    let of = |name| {
        let mut rows = rows.iter();
        let row = rows.find(|row| row.0 == name);
        row.expect("it is one of them").1.clone()
    };
    let (multiples, opposite) = (of("multiples of a point"), of("opposite points"));
    let one = |i| if i == 500 { random[0] } else { Fr::ZERO };
    rows.extend([
        ("multiples of a point, random", multiples, random.clone()),
        ("one scalar", bases.clone(), vec![random[7]; N]),
        (
            "tiny scalars",
            bases.clone(),
            (0..N as u64).map(|i| Fr::from(i % 3)).collect(),
        ),
        (
            "opposite, one scalar of the last bucket",
            opposite,
            vec![Fr::from(128_u64); N],
        ),
        (
            "one base that counts",
            bases.clone(),
            (0..N).map(one).collect(),
        ),
    ]);
    for session in large_field_sessions() {
        for (name, bases, scalars) in &rows {
            check(session, name, bases, scalars);
        }
    }
}

/// Longer than a run many times over, so that heads of heads are added up.
#[test]
fn a_bucket_of_everything_is_added_up_in_rounds() {
    let bases = points(6, 40_000);
    let opposite: Vec<_> = bases.iter().map(|&point| -point).collect();
    for (session, length) in [
        (native(), 40_000),
        (gpu_layout(), 5000),
        (emulated_ifma(), 20_000),
    ] {
        let Some(session) = session else { return };
        let (bases, scalars) = (&bases[..length], vec![Fr::from(77_u64); length]);
        check(session, "one hot bucket", bases, &scalars);
        let half = length / 2;
        let cancelled = [&bases[..half], &opposite[..half]].concat();
        check(session, "sum of zero", &cancelled, &scalars);
    }
}

#[test]
fn is_linear_in_the_scalars_and_in_the_bases() {
    const N: usize = 700;
    let (bases, others) = (points(8, N), points(9, N));
    let (a, b) = (random_scalars(10, N), random_scalars(11, N));
    let factor = random_scalars(12, 1)[0];
    let point = |[x, y]: Affine| {
        if [x, y] == INFINITY {
            return G1Projective::ZERO;
        }
        let coordinate = |words| Fq::new_unchecked(ark_ff::BigInt(words));
        G1Affine::new(coordinate(x), coordinate(y)).into_group()
    };
    for session in large_field_sessions() {
        let msm = |bases: &[G1Affine], scalars: &[Fr]| {
            point(ours(session, bases, scalars, ScalarForm::Montgomery))
        };
        let combined: Vec<_> = a.iter().zip(&b).map(|(a, b)| factor * a + b).collect();
        let sum = msm(&bases, &a) * factor + msm(&bases, &b);
        assert_eq!(msm(&bases, &combined), sum);
        let bases_sum: Vec<_> = bases.iter().zip(&others).map(|(p, q)| *p + *q).collect();
        let bases_sum = G1Projective::normalize_batch(&bases_sum);
        assert_eq!(msm(&bases_sum, &a), msm(&bases, &a) + msm(&others, &a));
        let both = [bases.as_slice(), &others].concat();
        let scalars = [a.as_slice(), &b].concat();
        assert_eq!(msm(&both, &scalars), msm(&bases, &a) + msm(&others, &b));
    }
}

#[test]
fn what_does_not_fit_goes_in_chunks_and_what_cannot_is_refused() {
    let Some(device) = device() else { return };
    let bases = points(13, 3000);
    let scalars = scalars(14, 3000);
    let open = |memory_limit_bytes| {
        let options = SessionOptions {
            memory_limit_bytes: Some(memory_limit_bytes),
            ..SessionOptions::default()
        };
        Session::open_with(&device, options).expect("the device opens")
    };
    let tight = open(800 << 10);
    check(&tight, "in chunks", &bases, &scalars);
    let digits = &tight.stats().kernels["msm_digits_bn254_fr"];
    assert!(digits.launches > 4, "{digits:?}");
    let words = scalars.iter().map(|scalar| scalar.0.0).collect();
    let result = MsmBn254::new(&open(20 << 10)).msm(
        bases.iter().map(stored).collect(),
        words,
        ScalarForm::Montgomery,
    );
    assert!(
        matches!(result, Err(Error::OutOfDeviceMemory { .. })),
        "{result:?}"
    );
}

#[test]
fn inputs_without_a_meaning_are_refused_before_anything_is_launched() {
    let Some(session) = native() else { return };
    let (good, one) = (stored(&G1Affine::generator()), [1, 0, 0, 0]);
    let msm = |bases: Vec<Affine>, scalars| {
        MsmBn254::new(session).msm(bases.into(), scalars, ScalarForm::Canonical)
    };
    assert!(matches!(
        msm(vec![good], vec![one, one]),
        Err(Error::Shape(_))
    ));
    let [q, r] = [Fq::MODULUS.0, Fr::MODULUS.0];
    for (bases, scalars, at) in [
        (vec![good, [q, good[1]]], vec![one, one], 2),
        (vec![good, [good[0], [u64::MAX; 4]]], vec![one, one], 3),
        (vec![good, good], vec![one, r], 1),
        (vec![good, good], vec![[u64::MAX; 4], one], 0),
    ] {
        let result = msm(bases, scalars);
        assert!(
            matches!(result, Err(Error::NotCanonical { index, .. }) if index == at),
            "{result:?}"
        );
    }
    assert_eq!(msm(vec![], vec![]), Ok(INFINITY));
}
