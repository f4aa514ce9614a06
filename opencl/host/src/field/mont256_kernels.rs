//! The kernels' arithmetic in the fields of BN254 and BLS12-381's scalars against arkworks, every backend, operation by
//! operation.

use ark_ff::{BigInt, Field, Fp, MontBackend, MontConfig};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::mont256::Limbs;
use crate::device::Device;
use crate::driver::Queue;
use crate::driver::launch::msm::Elementwise;

const LANE: &str = include_str!("../../../kernels/lane.cl");
const FQ: &str = include_str!("../../../kernels/field/bn254_fq.cl");
const FR: &str = include_str!("../../../kernels/field/bn254_fr.cl");
const BLS_FR: &str = include_str!("../../../kernels/field/bls12_381_fr.cl");
const SCALAR: &str = include_str!("../../../kernels/field/mont256.cl");
const LANES: &str = include_str!("../../../kernels/field/mont256_lanes.cl");

/// Every operation on one pair of elements.
const SCALAR_TEST: &str = "
__kernel void test(__global const S* a, __global const S* b, __global S* out, uint count) {
  const uint i = get_global_id(0);
  if (i >= count) return;
  const F x = f_splat(a[i]), y = f_splat(b[i]);
  __global S* to = out + i * 6;
  to[0] = f_add(x, y);
  to[1] = f_sub(x, y);
  to[2] = f_mul(x, y);
  to[3] = f_sqr(x);
  to[4] = f_halve(x);
  to[5] = f_is_zero(x) ? f_one() : f_equal(x, y) ? f_number(f_one()) : f_zero();
}";

/// The same of four pairs; results go back to rest by a multiplication by 2^256.
const LANES_TEST: &str = "
static F at_rest(F a) {
  return f_canonical(f_reduced(f_mul(a, f_constant(ONE0, ONE1, ONE2, ONE3, 0))));
}
static F four(__global const ulong* a, uint i) {
  LANES w[4];
  transpose(vload4(i, a), vload4(i + 1, a), vload4(i + 2, a), vload4(i + 3, a), w);
  return f_from_words(w, 5);
}
static void put(__global ulong* out, uint i, uint operation, F a) {
  LANES w[4];
  ulong words[4][4];
  f_to_words(at_rest(a), w);
  for (uint j = 0; j < 4; j++) vstore4(w[j], 0, words[j]);
  for (uint lane = 0; lane < 4; lane++)
    for (uint j = 0; j < 4; j++) out[((i + lane) * 6 + operation) * 4 + j] = words[j][lane];
}
__kernel void test(__global const ulong* a, __global const ulong* b, __global ulong* out, uint count) {
  const uint i = get_global_id(0) * 4;
  if (i >= count) return;
  const F x = four(a, i), y = four(b, i);
  const F none = f_reduced(f_sub(x, x));
  put(out, i, 0, f_sub(x, f_negate_where((LANES)(~0ul), y)));
  put(out, i, 1, f_sub(x, y));
  put(out, i, 2, f_mul(f_sub(x, none), y));
  put(out, i, 3, f_sqr(x));
  put(out, i, 4, f_mul(f_inverse(f_near(f_reduced(f_sub(f_one(), f_negate_where((LANES)(~0ul), f_one()))))), x));
  const F same = f_select(f_zeros(f_sub(x, y)), f_constant(1, 0, 0, 0, 5), none);
  put(out, i, 5, f_select(f_zeros(x), f_one(), same));
}";

fn check<C: MontConfig<4>>(queue: &Queue, field: &str, backend: &str, define: &str, lanes: bool) {
    type Theirs<C> = Fp<MontBackend<C, 4>, 4>;
    let p = C::MODULUS.0;
    let mut random = SmallRng::seed_from_u64(254);
    let mut values: Vec<Limbs> = vec![
        [0; 4],
        [1, 0, 0, 0],
        [p[0] - 1, p[1], p[2], p[3]],
        [p[0] - 2, p[1], p[2], p[3]],
        [u64::MAX, u64::MAX, u64::MAX, p[3] - 1],
        [u64::MAX, 0, u64::MAX, 0],
        [0, u64::MAX, 0, p[3]],
        [
            u32::MAX.into(),
            u32::MAX.into(),
            u32::MAX.into(),
            u32::MAX.into(),
        ],
        [0, 0, 0, p[3]],
        C::R.0,
        C::R2.0,
    ];
    values.extend((0..21).map(|_| {
        let mut words: Limbs = random.random();
        words[3] %= p[3];
        words
    }));
    let pairs: Vec<_> = values
        .iter()
        .flat_map(|&a| values.iter().map(move |&b| (a, b)))
        .collect();
    let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let (source, width) = match lanes {
        false => ([define, LANE, field, SCALAR, SCALAR_TEST].join("\n"), 1),
        true => ([define, LANE, field, LANES, LANES_TEST].join("\n"), 4),
    };
    let options = format!("-cl-std=CL1.2 -DVW={width} -DWGS=1");
    let kernel = queue
        .build(&source, &options)
        .and_then(|program| program.kernel("test"))
        .expect("it compiles");
    let mut out = vec![[[0_u64; 4]; 6]; pairs.len()];
    let launch = Elementwise {
        inputs: [&a, &b].map(|values| {
            let buffer = queue
                .allocate(size_of_val(values.as_slice()))
                .expect("a buffer");
            queue
                .write(&buffer, values.as_flattened())
                .expect("written");
            buffer
        }),
        output: queue
            .allocate(size_of_val(out.as_slice()))
            .expect("a buffer"),
        count: pairs.len(),
        results: 6,
        width,
    };
    launch.enqueue(queue, &kernel).expect("launched");
    queue
        .read(&launch.output, out.as_flattened_mut().as_flattened_mut())
        .expect("read");

    let half = Theirs::<C>::from(2_u64).inverse().expect("two is not zero");
    for (&(a, b), ours) in pairs.iter().zip(&out) {
        let (x, y) = (
            Theirs::<C>::new_unchecked(BigInt(a)),
            Theirs::<C>::new_unchecked(BigInt(b)),
        );
        let equal = if a == [0; 4] {
            C::R.0
        } else if a == b {
            [1, 0, 0, 0]
        } else {
            [0; 4]
        };
        let theirs = [x + y, x - y, x * y, x * x, x * half].map(|element| element.0.0);
        assert_eq!(ours[..5], theirs, "{backend}: {a:x?}, {b:x?}");
        assert_eq!(ours[5], equal, "{backend}: {a:x?}, {b:x?}");
    }
}

#[test]
fn every_backend_computes_as_arkworks_does() {
    let devices = match Device::discover() {
        Ok(devices) => devices,
        Err(error) => {
            println!("SKIP: {error}");
            return;
        }
    };
    let queue =
        Queue::open(devices[0].handle, devices[0].local_memory_bytes).expect("the device opens");
    for (backend, define, lanes) in [
        ("64 bits", "#define LIMB_BITS 64", false),
        (
            "64 bits without wide integers",
            "#define LIMB_BITS 64\n#undef __SIZEOF_INT128__",
            false,
        ),
        ("32 bits", "#define LIMB_BITS 32", false),
        (
            "32 bits in carry chains",
            "#define LIMB_BITS 32\n#define EMULATE_CHAINS",
            false,
        ),
        ("lanes", "", true),
        ("lanes by the compiler", "#undef __AVX2__", true),
    ] {
        check::<ark_bn254::FqConfig>(&queue, FQ, backend, define, lanes);
        check::<ark_bn254::FrConfig>(&queue, FR, backend, define, lanes);
        check::<ark_bls12_381::FrConfig>(&queue, BLS_FR, backend, define, lanes);
    }
}
