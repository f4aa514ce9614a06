/* A prime field of 254 or 255 bits in Montgomery form with R = 2^256, one element a work-item (VW = 1).
 *
 * An element a is stored as a*R mod P in [0, P), in 32 bytes, low first: so it is canonical at rest,
 * before and after each operation, and just as arkworks and halo2curves keep it, so host buffers
 * travel as they are. P < 2^255 leaves room above: a sum of two fits, and a row of a product, below 2P when
 * its lowest limb is dropped, never carries out of its top limb.
 *
 * f_mul(a, b) = a*b/R: for every limb of b, add a times it, then the multiple of P that clears the
 * lowest limb, and drop that limb. The result is below 2P.
 *
 * LIMB_BITS: 64 for processors, whose multiplier gives 128 bits; 32 for GPUs. By default what suits
 * the layout. The bytes at rest are the same.
 * Expects: P0..P3, ONE0..ONE3, MU (see field/bn254_fq.cl) and lane.cl.
 * Source: Montgomery 1985; the order of steps is CIOS of Koc, Acar, Kaliski 1996; even and odd limbs
 * apart as in Emmart, Luitjens, Weems, Woolley 2016 (ARITH 23).
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

static inline F f_canonical(F a) { return a; }

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

#if LIMB_BITS == 32 && (defined(__NV_CL_C_VERSION) || defined(EMULATE_CHAINS))

/* Carry chains of NVIDIA's virtual machine: `cc` is a flag that one instruction leaves for the next,
 * and a low and a high product of the same factors in turn become one wide multiplication. Statements
 * are volatile so that they keep their order. EMULATE_CHAINS does the same in C, for tests. */
#ifdef EMULATE_CHAINS
#define CHAIN uint cc = 0;
#define SUM_CC(d, a, carry_in)                              \
  {                                                         \
    const ulong sum_ = (ulong)(d) + (a) + (carry_in);       \
    d = (uint)sum_;                                         \
    cc = (uint)(sum_ >> 32);                                \
  }
#define ADD_CC(d, a) SUM_CC(d, a, 0)
#define ADDC_CC(d, a) SUM_CC(d, a, cc)
#define TERM_CC(d, product, c, carry_in) \
  {                                      \
    uint term_ = (product);              \
    SUM_CC(term_, c, carry_in)           \
    d = term_;                           \
  }
#define MAD_LO_CC(d, a, b, c) TERM_CC(d, (a) * (b), c, 0)
#define MADC_LO_CC(d, a, b, c) TERM_CC(d, (a) * (b), c, cc)
#define MADC_HI_CC(d, a, b, c) TERM_CC(d, mul_hi(a, b), c, cc)
#else
#define CHAIN
#define ADD_CC(d, a) __asm__ volatile("add.cc.u32 %0, %0, %1;" : "+r"(d) : "r"(a));
#define ADDC_CC(d, a) __asm__ volatile("addc.cc.u32 %0, %0, %1;" : "+r"(d) : "r"(a));
#define TERM_CC(name, d, a, b, c) \
  __asm__ volatile(name " %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
#define MAD_LO_CC(d, a, b, c) TERM_CC("mad.lo.cc.u32", d, a, b, c)
#define MADC_LO_CC(d, a, b, c) TERM_CC("madc.lo.cc.u32", d, a, b, c)
#define MADC_HI_CC(d, a, b, c) TERM_CC("madc.hi.cc.u32", d, a, b, c)
#endif

/* sum += the even limbs of a times b; the carry goes to `top`. */
#define CHAIN_ADD(sum, a, b, top)                 \
  MAD_LO_CC(sum[0], a[0], b, sum[0])              \
  MADC_HI_CC(sum[1], a[0], b, sum[1])             \
  MADC_LO_CC(sum[2], a[2], b, sum[2])             \
  MADC_HI_CC(sum[3], a[2], b, sum[3])             \
  MADC_LO_CC(sum[4], a[4], b, sum[4])             \
  MADC_HI_CC(sum[5], a[4], b, sum[5])             \
  MADC_LO_CC(sum[6], a[6], b, sum[6])             \
  MADC_HI_CC(sum[7], a[6], b, sum[7])             \
  ADDC_CC(top, 0u)

/* One row of f_mul: `even` holds products of even limbs, `odd`, one limb up, those of odd ones. What
 * goes out is the other way round: the lowest limb is gone and the second is the first. */
static inline void chain_row(uint* even, uint* odd, const uint* a, const uint* p, uint b) {
  CHAIN
  /* The row before left its zero limb at odd[0]: the rest moves down by two. */
  ADD_CC(even[0], odd[1])
  MADC_LO_CC(odd[0], a[1], b, odd[2])
  MADC_HI_CC(odd[1], a[1], b, odd[3])
  MADC_LO_CC(odd[2], a[3], b, odd[4])
  MADC_HI_CC(odd[3], a[3], b, odd[5])
  MADC_LO_CC(odd[4], a[5], b, odd[6])
  MADC_HI_CC(odd[5], a[5], b, odd[7])
  MADC_LO_CC(odd[6], a[7], b, 0u)
  MADC_HI_CC(odd[7], a[7], b, 0u)
  CHAIN_ADD(even, a, b, odd[7])
  const uint q = even[0] * (uint)MU;
  const uint* p1 = p + 1;
  uint none = 0;
  CHAIN_ADD(odd, p1, q, none)
  CHAIN_ADD(even, p, q, odd[7])
}

static inline F f_mul(F a, F b) {
  const uint p[LIMBS] = P_LIMBS;
  uint x[LIMBS], y[LIMBS];
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) x[i] = y[i] = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i += 2) {
    chain_row(x, y, a.limb, p, b.limb[i]);
    chain_row(y, x, a.limb, p, b.limb[i + 1]);
  }
  F t;
  LIMB carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    t.limb[i] = add_carry(x[i], i + 1 < LIMBS ? y[i + 1] : 0, &carry);
  return f_reduced(t);
}

#else

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

#endif

static inline F f_sqr(F a) { return f_mul(a, a); }

/* The number a in [0, P) that the element stands for: a/R. */
static inline F f_number(F a) {
  F one = f_zero();
  one.limb[0] = 1;
  return f_mul(a, one);
}

static inline F f_scale(F a, S b) { return f_mul(a, b); }

/* Steps of a transform (ntt/pass.cl): one level splits by s, two by r = s^2 and then by s and s*i,
 * i^2 = -1. */
#define MAX_STEP_LEVELS 2
#define STEP_LEVELS(left) ((left) % 2 ? 1 : 2)
#define STEP_FACTORS(levels) ((levels) == 1 ? 1 : 4)

static inline void step_factors(F* to, F s, const uint levels, S i) {
  to[0] = s;
  if (levels == 1) return;
  to[1] = f_sqr(s);
  to[2] = f_mul(to[1], s);
  to[3] = i;
}

static inline void f_split(F* x, const uint levels, __local const S* by, uint stride) {
  if (levels == 1) {
    const F a = x[0], b = f_mul(x[1], by[0]);
    x[0] = f_add(a, b);
    x[1] = f_sub(a, b);
    return;
  }
  const F a = f_mul(x[2], by[stride]), b = f_mul(x[1], by[0]), c = f_mul(x[3], by[2 * stride]);
  const F sum = f_add(x[0], a), difference = f_sub(x[0], a);
  const F p = f_add(b, c), q = f_mul(f_sub(b, c), by[3 * stride]);
  x[0] = f_add(sum, p);
  x[1] = f_sub(sum, p);
  x[2] = f_add(difference, q);
  x[3] = f_sub(difference, q);
}
