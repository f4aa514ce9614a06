/* What Poseidon2 needs of a field below 2^31 beyond field/monty31.cl.
 *
 * A power is a chain of products without a correction in between. A reduced product d has its value,
 * in (-P, P), in the high word and zeros below; the next product takes signed words, so it only has
 * to be moved down. Vector units multiply every second word, and so even and odd lanes stay apart
 * from the first product to the last.
 *
 * Round constants are stored less P, in [-P, 0): added to a canonical element they leave [-P, P),
 * which the first product takes as it is.
 * Expects: field/monty31.cl;  POWER, 3 or 7;  P = ODD * 2^TWO_ADICITY + 1.
 * Source: p3-monty-31 0.8, x86_64_avx2. */

#if VW == 1
typedef long HALF_LANE;
#elif VW == 4
typedef long2 HALF_LANE;
#elif VW == 8
typedef long4 HALF_LANE;
#else
typedef long8 HALF_LANE;
#endif

/* The product of the low words, signed. */
static inline HALF_LANE low_product(HALF_LANE a, HALF_LANE b) {
  return ((a << 32) >> 32) * ((b << 32) >> 32);
}

/* x/2^32 in (-P, P), in the high words; for |x| < 2^31 * P. Two at a time: a chain of products waits for
 * each of them, and processors look ahead less far than the next chain. */
static inline void reduce_to_high(HALF_LANE* x, HALF_LANE* y) {
  const HALF_LANE low = (HALF_LANE)(0xffffffffl);
  const HALF_LANE xq = (*x & low) * (HALF_LANE)((long)MU);
  const HALF_LANE yq = (*y & low) * (HALF_LANE)((long)MU);
  const HALF_LANE xm = low_product(xq, (HALF_LANE)((long)P));
  const HALF_LANE ym = low_product(yq, (HALF_LANE)((long)P));
  *x -= xm;
  *y -= ym;
}

/* x^POWER and y^POWER of the low words, to the high words. */
static inline void power_to_high(HALF_LANE* x, HALF_LANE* y) {
  HALF_LANE x2 = low_product(*x, *x), y2 = low_product(*y, *y);
  reduce_to_high(&x2, &y2);
  x2 >>= 32;
  y2 >>= 32;
  HALF_LANE x3 = low_product(x2, *x), y3 = low_product(y2, *y);
  reduce_to_high(&x3, &y3);
#if POWER == 3
  *x = x3;
  *y = y3;
#else
  HALF_LANE x4 = low_product(x2, x2), y4 = low_product(y2, y2);
  reduce_to_high(&x4, &y4);
  *x = low_product(x3 >> 32, x4 >> 32);
  *y = low_product(y3 >> 32, y4 >> 32);
  reduce_to_high(x, y);
#endif
}

static inline F add_power(F x, S constant_less_p) {
  const F sum = x + f_splat(constant_less_p);
#if VW == 1
  HALF_LANE word = (long)(int)sum, unused = 0;
  power_to_high(&word, &unused);
  const F power = (uint)(word >> 32);
#else
  HALF_LANE even = CAT(as_long, HALF_WIDTH)(sum), odd = even >> 32;
  power_to_high(&even, &odd);
  const HALF_LANE low = (HALF_LANE)(0xffffffffl);
  const F power = AS_LANE(((even >> 32) & low) | (odd & ~low));
#endif
  return min(power, power + (F)(P));
}

static inline F state_add(F a, F b) { return f_add(a, b); }

/* x/2^k for k up to TWO_ADICITY: as 1/2^k = -ODD * 2^(TWO_ADICITY - k), the low k bits of x are worth
 * that much less. */
static inline F f_shrink(F x, const uint k) {
  const F low = x & (F)((1u << k) - 1);
  const F less = (x >> k) - low * (F)((uint)ODD << (TWO_ADICITY - k));
  return min(less, less + (F)(P));
}
