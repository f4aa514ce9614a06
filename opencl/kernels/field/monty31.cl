/* A prime field below 2^31 in Montgomery form with R = 2^32.
 *
 * Every value is canonical: an element a is stored as a*R mod P in [0, P), before and after each
 * operation. That is also how Plonky3 keeps its 31-bit fields, so host buffers travel as they are.
 *
 * f_mul(a, b) = a*b/R: with x = a*b and q = x*MU mod 2^32, x - q*P is a multiple of 2^32 and its
 * high word lies in (-P, P).
 * Expects: P, MU, HALF (see field/babybear.cl) and lane.cl.
 * Source: Montgomery 1985; the signed variant is that of Plonky3's monty-31. */

typedef uint S;
typedef LANE(uint) F;

static inline F f_splat(S a) { return (F)(a); }

/* x and x +- P differ by P, and exactly one of the two is in [0, P): the smaller, unsigned. */
static inline F f_add(F a, F b) {
  F s = a + b;
  return min(s, s - (F)(P));
}

static inline F f_sub(F a, F b) {
  F d = a - b;
  return min(d, d + (F)(P));
}

static inline F f_halve(F a) {
  return (a >> 1) + (((F)(0u) - (a & (F)(1u))) & (F)(HALF));
}

#if VW == 1

static inline F f_mul(F a, F b) {
  ulong x = (ulong)a * b;
  uint q = (uint)x * MU;
  uint r = (uint)(x >> 32) - mul_hi(q, P);
  return min(r, r + P);
}

#else

/* Vector units multiply 32 x 32 -> 64 bits in every second lane only, so even and odd lanes go
 * separately as 64-bit lanes; the low words of x - q*P cancel exactly. */
#if VW == 4
typedef ulong2 WIDE;
#define AS_WIDE as_ulong2
#elif VW == 8
typedef ulong4 WIDE;
#define AS_WIDE as_ulong4
#else
typedef ulong8 WIDE;
#define AS_WIDE as_ulong8
#endif
#define AS_LANE CAT(as_uint, VW)

static inline F f_mul(F a, F b) {
  const WIDE low = (WIDE)(0xfffffffful);
  WIDE a0 = AS_WIDE(a), b0 = AS_WIDE(b);
  WIDE x0 = (a0 & low) * (b0 & low), x1 = (a0 >> 32) * (b0 >> 32);
  WIDE q0 = (x0 & low) * (WIDE)(MU), q1 = (x1 & low) * (WIDE)(MU);
  WIDE d0 = x0 - (q0 & low) * (WIDE)(P), d1 = x1 - (q1 & low) * (WIDE)(P);
  F r = AS_LANE((d0 >> 32) | (d1 & ~low));
  return min(r, r + (F)(P));
}

#endif
