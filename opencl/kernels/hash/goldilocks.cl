/* What Poseidon2 needs of Goldilocks beyond field/goldilocks.cl.
 *
 * Inside a power values are any 64 bits, and canonical again at its end.
 * Round constants are canonical. Expects: field/goldilocks.cl.
 * Source: p3-goldilocks 0.8, x86_64_avx2. */

static inline F add_power(F x, S constant_term) {
  const F sum = f_add(x, f_splat(constant_term));
  const F x2 = f_mul_loose(sum, sum);
  return f_reduced(f_mul_loose(f_mul_loose(x2, sum), f_mul_loose(x2, x2)));
}

static inline F f_shrink(F x, const uint k) {
#pragma unroll
  for (uint i = 0; i < k; i++) x = f_halve(x);
  return x;
}
