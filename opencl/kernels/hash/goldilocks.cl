/* What Poseidon2 needs of Goldilocks beyond field/goldilocks.cl.
 *
 * Inside a power values are any 64 bits, and canonical again at its end. Vector units compare signed
 * numbers only: with the highest bit flipped, unsigned order is signed order, and a chain of additions
 * keeps it flipped.
 * Round constants are canonical. Expects: field/goldilocks.cl.
 * Source: p3-goldilocks 0.8, x86_64_avx2. */

#if VW == 1

static inline F loose_mul(F a, F b) { return f_mul(a, b); }
static inline F state_add(F a, F b) { return f_add(a, b); }

#else

#define SIGNED CAT(long, VW)

/* 2^32 - 1 where a > b, and 0 elsewhere. */
static inline SIGNED where_greater(SIGNED a, SIGNED b) {
  return CAT(as_long, VW)(CAT(as_ulong, VW)(a > b) >> 32);
}

/* a - (P - b), and P more where that is negative: one comparison. */
static inline F state_add(F a, F b) {
  const SIGNED flip = (SIGNED)(long)(1ul << 63);
  const SIGNED from = CAT(as_long, VW)(a) ^ flip;
  const SIGNED less = from - CAT(as_long, VW)((F)(P) - b);
  return CAT(as_ulong, VW)((less + ((less > from) & (SIGNED)(long)(P))) ^ flip);
}

/* a*b for any 64 bits, as any 64 bits: lo + 2^64*m + 2^96*h is lo - h + (2^32 - 1)*m. */
static inline F loose_mul(F a, F b) {
  const F low = (F)(EPSILON);
  const SIGNED flip = (SIGNED)(long)(1ul << 63);
  const F a0 = a & low, a1 = a >> 32, b0 = b & low, b1 = b >> 32;
  const F x = a0 * b0;
  const F y = a1 * b0 + (x >> 32);
  const F z = a0 * b1 + (y & low);
  const F hi = a1 * b1 + (y >> 32) + (z >> 32);
  const F m = hi & low;
  const SIGNED lo = CAT(as_long, VW)((z << 32) | (x & low)) ^ flip;
  SIGNED t = lo - CAT(as_long, VW)(hi >> 32);
  t -= where_greater(t, lo);
  SIGNED r = t + CAT(as_long, VW)((m << 32) - m);
  r += where_greater(t, r);
  return CAT(as_ulong, VW)(r ^ flip);
}

#endif

static inline F add_power(F x, S constant_term) {
  const F sum = state_add(x, f_splat(constant_term));
  const F x2 = loose_mul(sum, sum);
  return f_reduced(loose_mul(loose_mul(x2, sum), loose_mul(x2, x2)));
}

static inline F f_shrink(F x, const uint k) {
#pragma unroll
  for (uint i = 0; i < k; i++) x = f_halve(x);
  return x;
}
