/* Goldilocks, P = 2^64 - 2^32 + 1.
 *
 * Every value is canonical: an element is stored as itself, in [0, P), before and after each operation.
 *
 * With e = 2^32 - 1: 2^64 = e and 2^96 = -1 (mod P), so a product lo + 2^64*m + 2^96*h, m and h of 32
 * bits, is lo - h + e*m.
 * Expects: lane.cl.
 * Source: the reduction is that of plonky2, "Goldilocks" (Polygon Zero 2021).
 * Oracle: field::Goldilocks in the host crate; p3-goldilocks 0.8 in its tests. */

#define FIELD goldilocks
#define P 0xffffffff00000001ul
#define HALF 0x7fffffff80000001ul
#define EPSILON 0xfffffffful
#define FIELD_BITS 64

typedef ulong S;
typedef LANE(ulong) F;

/* x where a < b, and 0 elsewhere. */
#if VW == 1
#define WHERE_LESS(a, b, x) ((a) < (b) ? (x) : 0ul)
#else
#define WHERE_LESS(a, b, x) (CAT(as_ulong, VW)((a) < (b)) & (F)(x))
#endif

static inline S s_fold(S lo, S hi) {
  const S h = hi >> 32, m = hi & EPSILON;
  S t = lo - h;
  if (lo < h) t -= EPSILON;
  const S u = (m << 32) - m;
  S r = t + u;
  if (r < u) r += EPSILON;
  return min(r, r - P);
}

static inline S s_mul(S a, S b) { return s_fold(a * b, mul_hi(a, b)); }

static inline F f_splat(S a) { return (F)(a); }

/* x and x - P differ by P, and exactly one of the two is in [0, P): the smaller, unsigned. */
static inline F f_reduced(F x) { return min(x, x - (F)(P)); }

/* A sum that overflows has lost 2^64, which is e more than P. */
static inline F f_add(F a, F b) {
  F s = a + b;
  F lost = WHERE_LESS(s, a, EPSILON);
  return f_reduced(s + lost);
}

static inline F f_sub(F a, F b) {
  return a - b - WHERE_LESS(a, b, EPSILON);
}

static inline F f_halve(F a) {
  return (a >> 1) + (((F)(0ul) - (a & (F)(1ul))) & (F)(HALF));
}

/* lo + 2^64*hi mod P, any lo and hi. */
static inline F f_fold(F lo, F hi) {
  F h = hi >> 32, m = hi & (F)(EPSILON);
  F t = lo - h;
  t -= WHERE_LESS(lo, h, EPSILON);
  F u = (m << 32) - m;
  F r = t + u;
  r += WHERE_LESS(r, u, EPSILON);
  return f_reduced(r);
}

#if VW == 1

static inline F f_mul(F a, F b) { return f_fold(a * b, mul_hi(a, b)); }

#else

/* Vector units multiply 32 x 32 -> 64 bits at the most. */
static inline F f_mul(F a, F b) {
  const F low = (F)(EPSILON);
  F a0 = a & low, a1 = a >> 32, b0 = b & low, b1 = b >> 32;
  F x = a0 * b0;
  F y = a1 * b0 + (x >> 32);
  F z = a0 * b1 + (y & low);
  return f_fold((z << 32) | (x & low), a1 * b1 + (y >> 32) + (z >> 32));
}

#endif

static inline F f_scale(F a, S b) { return f_mul(a, f_splat(b)); }

#ifdef EXT_DEGREE
static inline F f_dot(const F* a, __constant S* b) {
  F sum = f_mul(a[0], f_splat(b[0]));
#pragma unroll
  for (uint k = 1; k < EXT_DEGREE; k++) sum = f_add(sum, f_mul(a[k], f_splat(b[k])));
  return sum;
}
#endif

/* Two levels of a transform: splits by r, then by s and s*i, i^2 = -1. */
#define RADIX4_FACTORS 4

static inline void radix4_factors(__local S* to, S r, S s, S i) {
  to[0] = r;
  to[1] = s;
  to[2] = s_mul(r, s);
  to[3] = i;
}

static inline void f_radix4(F* x0, F* x1, F* x2, F* x3, __local const S* by) {
  const F a = f_scale(*x2, by[0]), b = f_scale(*x1, by[1]), c = f_scale(*x3, by[2]);
  const F sum = f_add(*x0, a), difference = f_sub(*x0, a);
  const F p = f_add(b, c), q = f_scale(f_sub(b, c), by[3]);
  *x0 = f_add(sum, p);
  *x1 = f_sub(sum, p);
  *x2 = f_add(difference, q);
  *x3 = f_sub(difference, q);
}
