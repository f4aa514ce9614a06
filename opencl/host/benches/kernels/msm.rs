//! Multi-scalar multiplication against arkworks' and halo2curves'.

use std::sync::Arc;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::PrimeField;
use froben_opencl::{Affine, INFINITY, MsmBn254, ScalarForm, Session};
use halo2curves::bn256;
use halo2curves::ff::PrimeField as _;
use halo2curves::group::Curve;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::contest::{Contender, contest};
use crate::table::Table;

/// As the kernels take a point of arkworks.
fn stored(point: &G1Affine) -> Affine {
    point.xy().map_or(INFINITY, |(x, y)| [x.0.0, y.0.0])
}

/// Little-endian bytes of a number.
fn bytes(number: [u64; 4]) -> [u8; 32] {
    let bytes = number.map(u64::to_le_bytes);
    bytes.as_flattened().try_into().expect("32 bytes")
}

fn halo2_point(point: &G1Affine) -> bn256::G1Affine {
    let field = |element: Fq| {
        bn256::Fq::from_repr(bytes(element.into_bigint().0).into()).expect("canonical")
    };
    let (x, y) = point.xy().expect("not infinity");
    bn256::G1Affine {
        x: field(x),
        y: field(y),
    }
}

fn halo2_scalar(scalar: &Fr) -> bn256::Fr {
    bn256::Fr::from_repr(bytes(scalar.into_bigint().0).into()).expect("canonical")
}

fn scalar(random: &mut SmallRng) -> Fr {
    Fr::from_le_bytes_mod_order(&random.random::<[u8; 32]>())
}

/// Points without a pattern: a walk from the generator by steps out of a few.
fn points(random: &mut SmallRng, count: usize) -> Vec<G1Affine> {
    let steps: Vec<_> = (0..16)
        .map(|_| G1Projective::generator() * scalar(random))
        .collect();
    let mut point = G1Projective::generator();
    let walk: Vec<_> = (0..count)
        .map(|_| {
            point += steps[random.random_range(0..steps.len())];
            point
        })
        .collect();
    G1Projective::normalize_batch(&walk)
}

fn case(session: &Session, table: &Table, log_count: u32, goal: f64) {
    let name = format!("bn254 msm 2^{log_count}");
    if !table.wants(&name) {
        return;
    }
    let mut random = SmallRng::seed_from_u64(1);
    let bases = points(&mut random, 1 << log_count);
    let scalars: Vec<_> = bases.iter().map(|_| scalar(&mut random)).collect();

    let msm = MsmBn254::new(session);
    let our_bases: Arc<[Affine]> = bases.iter().map(stored).collect();
    let our_scalars: Vec<_> = scalars.iter().map(|scalar| scalar.0.0).collect();
    let ours = Contender::new("ours", |watch| {
        let (bases, scalars) = (Arc::clone(&our_bases), our_scalars.clone());
        let sum = watch.measure(|| msm.msm(bases, scalars, ScalarForm::Montgomery));
        sum.expect("a sum")
    });
    // All multiples, made once and not measured.
    let multiples = msm
        .fix(Arc::clone(&our_bases), usize::MAX)
        .expect("a table");
    let fixed = Contender::new("ours, fixed bases", |watch| {
        let scalars = our_scalars.clone();
        let sum = watch.measure(|| multiples.msm(scalars, ScalarForm::Montgomery));
        sum.expect("a sum")
    });
    let halo2_bases: Vec<_> = bases.iter().map(halo2_point).collect();
    let halo2_scalars: Vec<_> = scalars.iter().map(halo2_scalar).collect();
    let halo2 = Contender::new("halo2curves msm_best", |watch| {
        let sum = watch.measure(|| halo2curves::msm::msm_best(&halo2_scalars, &halo2_bases));
        let sum = sum.to_affine();
        [sum.x, sum.y].map(|element| Fq::from_le_bytes_mod_order(element.to_repr().as_ref()).0.0)
    });
    let arkworks = Contender::new("ark-ec msm", |watch| {
        let sum = watch.measure(|| G1Projective::msm(&bases, &scalars));
        stored(&sum.expect("as many of both").into_affine())
    });
    let standings = contest(vec![ours, fixed, halo2, arkworks]);
    let [ours, fixed, halo2, arkworks] = &standings[..] else {
        unreachable!("four contenders");
    };
    // A goal for each.
    table.row(&name, goal, &[ours.clone(), halo2.clone()]);
    table.row(&name, 3.0, &[ours.clone(), arkworks.clone()]);
    let name = format!("{name}, fixed bases");
    table.row(&name, None, &[fixed.clone(), halo2.clone()]);
    table.row(&name, None, &[fixed.clone(), ours.clone()]);
}

pub(crate) fn run(session: &Session, table: &Table) {
    case(session, table, 16, 1.5);
    case(session, table, 18, 2.0);
    case(session, table, 20, 2.0);
}
