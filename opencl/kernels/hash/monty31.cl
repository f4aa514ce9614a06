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

/* x/2^32 in (-P, P), in the high words; for |x| < 2^31 * P. Two at a time: a chain of products waits for
 * each of them, and processors look ahead less far than the next chain. */
static inline void reduce_to_high(SIGNED_WIDE* x, SIGNED_WIDE* y) {
  const SIGNED_WIDE low = (SIGNED_WIDE)(0xffffffffl);
  const SIGNED_WIDE xq = (*x & low) * (SIGNED_WIDE)((long)MU);
  const SIGNED_WIDE yq = (*y & low) * (SIGNED_WIDE)((long)MU);
  const SIGNED_WIDE xm = words_mul_signed(xq, (SIGNED_WIDE)((long)P));
  const SIGNED_WIDE ym = words_mul_signed(yq, (SIGNED_WIDE)((long)P));
  *x -= xm;
  *y -= ym;
}

/* x^POWER and y^POWER of the low words, to the high words. */
static inline void power_to_high(SIGNED_WIDE* x, SIGNED_WIDE* y) {
  SIGNED_WIDE x2 = words_mul_signed(*x, *x), y2 = words_mul_signed(*y, *y);
  reduce_to_high(&x2, &y2);
  x2 >>= 32;
  y2 >>= 32;
  SIGNED_WIDE x3 = words_mul_signed(x2, *x), y3 = words_mul_signed(y2, *y);
  reduce_to_high(&x3, &y3);
#if POWER == 3
  *x = x3;
  *y = y3;
#else
  SIGNED_WIDE x4 = words_mul_signed(x2, x2), y4 = words_mul_signed(y2, y2);
  reduce_to_high(&x4, &y4);
  *x = words_mul_signed(x3 >> 32, x4 >> 32);
  *y = words_mul_signed(y3 >> 32, y4 >> 32);
  reduce_to_high(x, y);
#endif
}

static inline F add_power(F x, S constant_less_p) {
  const F sum = x + f_splat(constant_less_p);
#if VW == 1
  SIGNED_WIDE word = (long)(int)sum, unused = 0;
  power_to_high(&word, &unused);
  const F power = (uint)(word >> 32);
#else
  SIGNED_WIDE even = AS_SIGNED(sum), odd = even >> 32;
  power_to_high(&even, &odd);
  const SIGNED_WIDE low = (SIGNED_WIDE)(0xffffffffl);
  const F power = AS_LANE(((even >> 32) & low) | (odd & ~low));
#endif
  return min(power, power + (F)(P));
}

/* x/2^k for k up to TWO_ADICITY: as 1/2^k = -ODD * 2^(TWO_ADICITY - k), the low k bits of x are worth
 * that much less. */
static inline F f_shrink(F x, const uint k) {
  const F low = x & (F)((1u << k) - 1);
  const F less = (x >> k) - low * (F)((uint)ODD << (TWO_ADICITY - k));
  return min(less, less + (F)(P));
}
