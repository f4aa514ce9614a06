/* A prime field of 254 bits in Montgomery form with R = 2^256, one element a work-item (VW = 1).
 *
 * An element a is stored as a*R mod P in [0, P), in 32 bytes, low first: so it is canonical at rest,
 * before and after each operation, and just as arkworks and halo2curves keep it, so host buffers
 * travel as they are. P < 2^254 leaves room above: a sum of two fits, and a row of a product never
 * carries out of its top limb.
 *
 * f_mul(a, b) = a*b/R: for every limb of b, add a times it, then the multiple of P that clears the
 * lowest limb, and drop that limb. The result is below 2P.
 *
 * LIMB_BITS: 64 for processors, whose multiplier gives 128 bits; 32 for GPUs. By default what suits
 * the layout. The bytes at rest are the same.
 * Expects: P0..P3, ONE0..ONE3, MU (see field/bn254_fq.cl) and lane.cl.
 * Source: Montgomery 1985; the order of steps is CIOS of Koc, Acar, Kaliski 1996.
 * Oracle: ark-ff 0.6 in the host crate's tests. */

#if VW != 1
#error "field/mont256.cl has no vectors"
#endif

#ifndef LIMB_BITS
#if WGS == 1
#define LIMB_BITS 64
#else
#define LIMB_BITS 32
#endif
#endif

#if LIMB_BITS == 64
typedef ulong LIMB;
#define LIMBS 4
#define P_LIMBS {P0, P1, P2, P3}
#else
typedef uint LIMB;
#define LIMBS 8
#define P_LIMBS                                                                            \
  {(uint)P0, (uint)(P0 >> 32), (uint)P1, (uint)(P1 >> 32), (uint)P2, (uint)(P2 >> 32),     \
   (uint)P3, (uint)(P3 >> 32)}
#endif

typedef struct { LIMB limb[LIMBS]; } S;
typedef S F;

/* sum = *carry : return + a + b and so on; a carry is 0 or 1. */
#if LIMB_BITS == 32

static inline uint add_carry(uint a, uint b, uint* carry) {
  const ulong sum = (ulong)a + b + *carry;
  *carry = (uint)(sum >> 32);
  return (uint)sum;
}

static inline uint sub_borrow(uint a, uint b, uint* borrow) {
  const ulong difference = (ulong)a - b - *borrow;
  *borrow = (uint)(difference >> 63);
  return (uint)difference;
}

/* a + b*c + *high, its low limb returned, the rest in *high; it cannot overflow. */
static inline uint mul_add(uint a, uint b, uint c, uint* high) {
  const ulong sum = (ulong)b * c + a + *high;
  *high = (uint)(sum >> 32);
  return (uint)sum;
}

#elif defined(__SIZEOF_INT128__)

/* Clang's 128-bit integers become mulx and adc; four times faster than mul_hi and comparisons. */
typedef unsigned __int128 WIDE_LIMB;

static inline ulong add_carry(ulong a, ulong b, ulong* carry) {
  const WIDE_LIMB sum = (WIDE_LIMB)a + b + *carry;
  *carry = (ulong)(sum >> 64);
  return (ulong)sum;
}

static inline ulong sub_borrow(ulong a, ulong b, ulong* borrow) {
  const WIDE_LIMB difference = (WIDE_LIMB)a - b - *borrow;
  *borrow = (ulong)(difference >> 64) & 1;
  return (ulong)difference;
}

static inline ulong mul_add(ulong a, ulong b, ulong c, ulong* high) {
  const WIDE_LIMB sum = (WIDE_LIMB)b * c + a + *high;
  *high = (ulong)(sum >> 64);
  return (ulong)sum;
}

#else

static inline ulong add_carry(ulong a, ulong b, ulong* carry) {
  const ulong partial = a + b, sum = partial + *carry;
  *carry = (partial < a) | (sum < partial);
  return sum;
}

static inline ulong sub_borrow(ulong a, ulong b, ulong* borrow) {
  const ulong partial = a - b, difference = partial - *borrow;
  *borrow = (a < b) | (partial < *borrow);
  return difference;
}

static inline ulong mul_add(ulong a, ulong b, ulong c, ulong* high) {
  ulong low = b * c, top = mul_hi(b, c);
  low += a;
  top += low < a;
  low += *high;
  top += low < *high;
  *high = top;
  return low;
}

#endif

static inline F f_zero() {
  F zero;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) zero.limb[i] = 0;
  return zero;
}

static inline F f_one() {
  const ulong words[4] = {ONE0, ONE1, ONE2, ONE3};
  F one;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    one.limb[i] = (LIMB)(words[i * LIMB_BITS / 64] >> (i * LIMB_BITS % 64));
  return one;
}

static inline F f_splat(S a) { return a; }

static inline bool f_is_zero(F a) {
  LIMB any = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) any |= a.limb[i];
  return any == 0;
}

static inline bool f_equal(F a, F b) {
  LIMB any = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) any |= a.limb[i] ^ b.limb[i];
  return any == 0;
}

/* a < 2P, less P where that is not negative. */
static inline F f_reduced(F a) {
  const LIMB p[LIMBS] = P_LIMBS;
  LIMB borrow = 0;
  F less;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) less.limb[i] = sub_borrow(a.limb[i], p[i], &borrow);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) less.limb[i] = borrow ? a.limb[i] : less.limb[i];
  return less;
}

static inline F f_add(F a, F b) {
  LIMB carry = 0;
  F sum;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) sum.limb[i] = add_carry(a.limb[i], b.limb[i], &carry);
  return f_reduced(sum);
}

static inline F f_sub(F a, F b) {
  const LIMB p[LIMBS] = P_LIMBS;
  LIMB borrow = 0, carry = 0;
  F difference;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) difference.limb[i] = sub_borrow(a.limb[i], b.limb[i], &borrow);
  const LIMB mask = (LIMB)0 - borrow;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    difference.limb[i] = add_carry(difference.limb[i], p[i] & mask, &carry);
  return difference;
}

static inline F f_halve(F a) {
  const LIMB p[LIMBS] = P_LIMBS;
  const LIMB mask = (LIMB)0 - (a.limb[0] & 1);
  LIMB carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] = add_carry(a.limb[i], p[i] & mask, &carry);
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++)
    a.limb[i] = (a.limb[i] >> 1) | (a.limb[i + 1] << (LIMB_BITS - 1));
  a.limb[LIMBS - 1] >>= 1;
  return a;
}

static inline F f_mul(F a, F b) {
  const LIMB p[LIMBS] = P_LIMBS;
  F t = f_zero();
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    LIMB high = 0, carry = 0;
#pragma unroll
    for (uint j = 0; j < LIMBS; j++) t.limb[j] = mul_add(t.limb[j], a.limb[j], b.limb[i], &high);
    const LIMB q = t.limb[0] * (LIMB)MU;
    mul_add(t.limb[0], q, p[0], &carry);
#pragma unroll
    for (uint j = 1; j < LIMBS; j++) t.limb[j - 1] = mul_add(t.limb[j], q, p[j], &carry);
    t.limb[LIMBS - 1] = high + carry;
  }
  return f_reduced(t);
}

static inline F f_sqr(F a) { return f_mul(a, a); }

/* The number a in [0, P) that the element stands for: a/R. */
static inline F f_number(F a) {
  F one = f_zero();
  one.limb[0] = 1;
  return f_mul(a, one);
}
