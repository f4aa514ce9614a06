//! The kernels' arithmetic in the fields of BN254 and BLS12-381's scalars against arkworks, every backend, operation by
//! operation.

use ark_ff::{AdditiveGroup, BigInt, Field, Fp, MontBackend, MontConfig};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::mont256::Limbs;
use super::mont256_backend::Mont256Backend;
use crate::device::Device;
use crate::driver::Queue;
use crate::driver::launch::msm::Elementwise;

const LANE: &str = include_str!("../../../kernels/lane.cl");
const FQ: &str = include_str!("../../../kernels/field/bn254_fq.cl");
const FR: &str = include_str!("../../../kernels/field/bn254_fr.cl");
const BLS_FR: &str = include_str!("../../../kernels/field/bls12_381_fr.cl");

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

/// Operations on a pair a lane; results go back to rest by a multiplication by 2^256. Those at the bounds
/// have operands as large, in value and in each limb, as the headers of the field files allow.
const LANES_TEST: &str = "
#define RESULTS 13
#if LIMB_SIZE == 29
#define LOOSE_UNITS 4
#define FIRST_BELOW 140
#define SECOND_BELOW 40
#define PRODUCT_BELOW 36
#else
#define LOOSE_UNITS 0
#define FIRST_BELOW 70
#define SECOND_BELOW 18
#define PRODUCT_BELOW 17
#endif
static F at_rest(F a) {
  return f_canonical(f_reduced(f_mul(a, f_constant(ONE0, ONE1, ONE2, ONE3, 0))));
}
static F pairs(__global const ulong* a, uint i) {
  ulong4 elements[VW];
  LANES w[4];
  for (uint lane = 0; lane < VW; lane++) elements[lane] = vload4(i + lane, a);
  transpose(elements, w);
  return f_from_words(w, REST_SHIFT);
}
static void put(__global ulong* out, uint i, uint operation, F a) {
  ulong4 elements[VW];
  LANES w[4];
  f_to_words(at_rest(a), w);
  transpose_back(w, elements);
  for (uint lane = 0; lane < VW; lane++)
    vstore4(elements[lane], (i + lane) * RESULTS + operation, out);
}
/* a + multiple*P, limbs as large as so many units make them. */
static F raised(F a, uint multiple, uint units) {
  ulong carry = 0;
  for (uint i = 0; i < LIMBS; i++) a.limb[i] += (LANES)(lent(multiple, units, i, &carry));
  return a;
}
/* Lanes whose limbs are exact and whose value is below multiple*P, or so near that its top limb is the same. */
static LANES is_below(F a, uint multiple) {
  ulong carry = 0;
  LANES bad = (LANES)(0ul);
  for (uint i = 0; i < LIMBS; i++) {
    const ulong top = lent(multiple, 0, i, &carry);
    bad |= i + 1 < LIMBS ? a.limb[i] >> LIMB_SIZE : MASK(a.limb[i] > (LANES)(top));
  }
  return MASK(bad == (LANES)(0ul));
}
__kernel void test(__global const ulong* a, __global const ulong* b, __global ulong* out, uint count) {
  const uint i = get_global_id(0) * VW;
  if (i >= count) return;
  const F x = pairs(a, i), y = pairs(b, i);
  const F none = f_reduced(f_sub(x, x));
  put(out, i, 0, f_sub(x, f_negate_where((LANES)(~0ul), y)));
  put(out, i, 1, f_sub(x, y));
  put(out, i, 2, f_mul(f_sub_loose(x, none), y));
  put(out, i, 3, f_sqr(x));
  put(out, i, 4, f_mul(f_inverse(x), y));
  const F same = f_select(f_zeros(f_sub(x, y)), f_constant(1, 0, 0, 0, REST_SHIFT), none);
  put(out, i, 5, f_select(f_zeros(x), f_one(), same));
  put(out, i, 6, f_square(f_near(raised(x, SECOND_BELOW - REST, 0))));
  const F first = f_loose(raised(x, FIRST_BELOW - REST, LOOSE_UNITS));
  const F product = f_mul(first, f_near(raised(y, SECOND_BELOW - REST, 0)));
  put(out, i, 7, product);
  const F reduced = f_reduced(raised(x, MOST - REST, LOOSE_UNITS));
  put(out, i, 8, reduced);
  LANES odd;
  for (uint lane = 0; lane < VW; lane++) ((ulong*)&odd)[lane] = lane % 2 ? ~0ul : 0ul;
  put(out, i, 9, f_sub_both(f_signed(odd, x), f_signed(~odd, y), f_zero()));
  LANES w[4];
  f_to_words(f_canonical(reduced), w);
  F swapped = f_from_words(w, 0);
  for (uint level = 0; level < LOG_LANES; level++) swapped = f_swapped(swapped, level);
  put(out, i, 10, swapped);
  const LANES right = is_below(product, PRODUCT_BELOW) & is_below(reduced, 2);
  put(out, i, 11, f_select(right, f_one(), none));
  put(out, i, 12, f_mul(f_sub_both(x, y, y), y));
}";

/// A pair, and what must come out of it; `across` is the left operand of the lane on the other side.
fn expected<C: MontConfig<4>>(index: usize, [a, b, across]: [Limbs; 3], lanes: bool) -> Vec<Limbs> {
    type Theirs<C> = Fp<MontBackend<C, 4>, 4>;
    let [x, y, across] = [a, b, across].map(|words| Theirs::<C>::new_unchecked(BigInt(words)));
    let equal = if a == [0; 4] {
        C::R.0
    } else if a == b {
        [1, 0, 0, 0]
    } else {
        [0; 4]
    };
    let equal = Theirs::<C>::new_unchecked(BigInt(equal));
    let half = Theirs::<C>::from(2_u64).inverse().expect("not zero");
    let results = if lanes {
        let quotient = x.inverse().map_or(Theirs::<C>::ZERO, |inverse| inverse * y);
        let both = if index.is_multiple_of(2) {
            x + y
        } else {
            -x - y
        };
        let one = Theirs::<C>::ONE;
        let squared = x * x;
        [x + y, x - y, x * y, squared, quotient, equal]
            .into_iter()
            .chain([squared, x * y, x, both, across, one])
            .chain([(x - y.double()) * y])
            .collect::<Vec<_>>()
    } else {
        vec![x + y, x - y, x * y, x * x, x * half, equal]
    };
    results.into_iter().map(|element| element.0.0).collect()
}

fn check<C: MontConfig<4>>(queue: &Queue, field: &str, backend: &Tried) {
    let p = C::MODULUS.0;
    let mut random = SmallRng::seed_from_u64(254);
    let below = |k: u64| [p[0] - k, p[1], p[2], p[3]];
    let mut values: Vec<Limbs> = vec![
        [0; 4],
        [1, 0, 0, 0],
        below(1),
        below(2),
        [u64::MAX, u64::MAX, u64::MAX, p[3] - 1],
        [u64::MAX, 0, u64::MAX, 0],
        [0, u64::MAX, 0, p[3]],
        [u32::MAX.into(); 4],
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
        // Every lane the largest, every lane zero.
        .chain([(below(1), below(1)); 8])
        .chain([([0; 4], [0; 4]); 8])
        .collect();
    let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let width = backend.kind.width() as usize;
    let (test, results) = match width {
        1 => (SCALAR_TEST, 6),
        _ => (LANES_TEST, 13),
    };
    let sources = [
        &[backend.define, LANE, field],
        backend.kind.sources(),
        &[test],
    ];
    let options = format!("-cl-std=CL1.2 -DVW={width} -DWGS=1");
    let kernel = queue
        .build(&sources.concat().join("\n"), &options)
        .and_then(|program| program.kernel("test"))
        .expect("it compiles");
    let mut out = vec![[0_u64; 4]; results * pairs.len()];
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
        results,
        width,
    };
    launch.enqueue(queue, &kernel).expect("launched");
    queue
        .read(&launch.output, out.as_flattened_mut())
        .expect("read");

    for (index, ours) in out.chunks_exact(results).enumerate() {
        let pair = [a[index], b[index], a[index ^ (width - 1)]];
        let theirs = expected::<C>(index, pair, width > 1);
        assert_eq!(ours, theirs, "{}: {index}, {pair:x?}", backend.name);
    }
}

/// A backend, and what is defined before it.
struct Tried {
    name: &'static str,
    define: &'static str,
    kind: Mont256Backend,
}

const fn tried(name: &'static str, define: &'static str, kind: Mont256Backend) -> Tried {
    Tried { name, define, kind }
}

/// What is named an emulation computes by the same steps as on the hardware that has these instructions,
/// and has only the instructions themselves in C.
const BACKENDS: [Tried; 7] = [
    tried("64 bits", "#define LIMB_BITS 64", Mont256Backend::Scalar),
    tried(
        "64 bits without wide integers",
        "#define LIMB_BITS 64\n#undef __SIZEOF_INT128__",
        Mont256Backend::Scalar,
    ),
    tried("32 bits", "#define LIMB_BITS 32", Mont256Backend::Scalar),
    tried(
        "32 bits in carry chains, emulated",
        "#define LIMB_BITS 32\n#define EMULATE_CHAINS",
        Mont256Backend::Scalar,
    ),
    tried("lanes", "", Mont256Backend::Lanes),
    tried(
        "lanes by the compiler",
        "#undef __AVX2__",
        Mont256Backend::Lanes,
    ),
    tried(
        "ifma, emulated",
        "",
        Mont256Backend::Ifma { emulated: true },
    ),
];

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
    for backend in &BACKENDS {
        check::<ark_bn254::FqConfig>(&queue, FQ, backend);
        check::<ark_bn254::FrConfig>(&queue, FR, backend);
        // In lanes it has bounds of its own, and is tried with its transforms.
        if backend.kind == Mont256Backend::Scalar {
            check::<ark_bls12_381::FrConfig>(&queue, BLS_FR, backend);
        }
    }
    match Mont256Backend::fastest(&devices[0]) {
        hardware @ Mont256Backend::Ifma { .. } => {
            let backend = tried("ifma", "", hardware);
            check::<ark_bn254::FqConfig>(&queue, FQ, &backend);
            check::<ark_bn254::FrConfig>(&queue, FR, &backend);
        }
        _ => println!("SKIP: ifma by its own instructions: this processor does not have them"),
    }
}
