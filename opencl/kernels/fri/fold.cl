/* Folds extension-field evaluations (FRI): runs of 2^LOG_ARITY become one element each.
 *
 * A fold by two of a pair (a, b), which are the values at x and -x, is the value at beta of the line
 * through them, times two here:
 *   2f = (a + b) + beta*(a - b)/x
 * LOG_ARITY such levels, at beta, beta^2, beta^4, ..., interpolate over the coset of a run, which is
 * how the FRI verifier's interpolation factors; the powers of two are taken out at the end.
 *
 * The evaluations are in bit-reversed order. The first pair of run r belongs to x with 1/x =
 * inverse_roots[r << (LOG_ARITY - 1)], inverse_roots the table of ntt/pass.cl with the roots inverted;
 * pair j to inverse_roots[j] times that, and x is squared from level to level. matrix[l*D*D + j*D + k]
 * is coefficient j of x^k * beta^(2^l): the kernel knows nothing of the extension but its degree D.
 *
 * Shape:  in[rows * 2^LOG_ARITY * D], out[rows * D], inverse_roots[rows << (LOG_ARITY - 1)],
 *         matrix[LOG_ARITY * D * D]; D = EXT_DEGREE.
 * Launch: ceil(rows / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS rows.
 * Aliasing: none. Any element in, canonical out.
 * Source: FRI, BBHR18 (ECCC TR17-134). Oracle: reference::fold in the host crate;
 *         p3-fri 0.8, TwoAdicFriFolding. */

/* A lane of a GPU has the run in registers, for which all loops over it must be unrolled; the few
 * vector registers of a CPU cannot hold it, and unrolling would only be long to compile. */
#if WGS == 1
#define UNROLL_RUN _Pragma("unroll 1")
#else
#define UNROLL_RUN _Pragma("unroll")
#endif

#define D EXT_DEGREE
#define ARITY (1u << LOG_ARITY)

/* VW elements that are `stride` words apart, coefficient k of them in to[k]; and back. */
#if VW == 8 && EXT_DEGREE == 4 && FIELD_BITS == 31

/* Four words of eight rows are eight loads and a transposition, not 32 loads. */
#define ROWS_2(a, b) (F)(vload4(0, p + (size_t)(a)*stride), vload4(0, p + (size_t)(b)*stride))

static inline void transposed(F* x) {
  const F a = (F)(x[0].s0, x[1].s0, x[0].s1, x[1].s1, x[0].s4, x[1].s4, x[0].s5, x[1].s5);
  const F b = (F)(x[0].s2, x[1].s2, x[0].s3, x[1].s3, x[0].s6, x[1].s6, x[0].s7, x[1].s7);
  const F c = (F)(x[2].s0, x[3].s0, x[2].s1, x[3].s1, x[2].s4, x[3].s4, x[2].s5, x[3].s5);
  const F d = (F)(x[2].s2, x[3].s2, x[2].s3, x[3].s3, x[2].s6, x[3].s6, x[2].s7, x[3].s7);
  x[0] = (F)(a.s01, c.s01, a.s45, c.s45);
  x[1] = (F)(a.s23, c.s23, a.s67, c.s67);
  x[2] = (F)(b.s01, d.s01, b.s45, d.s45);
  x[3] = (F)(b.s23, d.s23, b.s67, d.s67);
}

static inline void elements_load(F* to, __global const S* p, uint stride, uint valid) {
  if (valid < VW) {
    for (uint k = 0; k < D; k++) to[k] = f_gather(p + k, stride, valid);
    return;
  }
  for (uint k = 0; k < 4; k++) to[k] = ROWS_2(k, k + 4);
  transposed(to);
}

static inline void elements_store(__global S* p, F* from, uint valid) {
  if (valid < VW) {
    for (uint k = 0; k < D; k++) f_scatter(p + k, D, from[k], valid);
    return;
  }
  transposed(from);
  for (uint k = 0; k < 4; k++) {
    vstore4(from[k].lo, k, p);
    vstore4(from[k].hi, k + 4, p);
  }
}

#else

static inline void elements_load(F* to, __global const S* p, uint stride, uint valid) {
  for (uint k = 0; k < D; k++) to[k] = f_gather(p + k, stride, valid);
}

static inline void elements_store(__global S* p, F* from, uint valid) {
  for (uint k = 0; k < D; k++) f_scatter(p + k, D, from[k], valid);
}

#endif

__kernel GROUP_SIZE void KERNEL(fri_fold)(__global const S* restrict in,
                                          __global S* restrict out,
                                          __global const S* restrict inverse_roots,
                                          __constant S* restrict matrix,
                                          const uint rows,
                                          const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((rows - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint row = (uint)item * VW, valid = rows - row;
    F x[ARITY][D];
    UNROLL_RUN
    for (uint i = 0; i < ARITY; i++)
      elements_load(x[i], in + ((size_t)row * ARITY + i) * D, ARITY * D, valid);
    F root = f_gather(inverse_roots + ((size_t)row << (LOG_ARITY - 1)), ARITY / 2, valid);
    UNROLL_RUN
    for (uint level = 0; level < LOG_ARITY; level++) {
      __constant S* m = matrix + level * D * D;
      UNROLL_RUN
      for (uint j = 0; j < ARITY >> (level + 1); j++) {
        const F inverse = j == 0 ? root : f_mul(root, f_splat(inverse_roots[j]));
        F difference[D], folded[D];
#pragma unroll
        for (uint k = 0; k < D; k++)
          difference[k] = f_mul(f_sub(x[2 * j][k], x[2 * j + 1][k]), inverse);
#pragma unroll
        for (uint k = 0; k < D; k++)
          folded[k] = f_add(f_add(x[2 * j][k], x[2 * j + 1][k]), f_dot(difference, m + k * D));
#pragma unroll
        for (uint k = 0; k < D; k++) x[j][k] = folded[k];
      }
      if (level + 1 < LOG_ARITY) root = f_mul(root, root);
    }
#pragma unroll
    for (uint k = 0; k < D; k++)
#pragma unroll
      for (uint level = 0; level < LOG_ARITY; level++) x[0][k] = f_halve(x[0][k]);
    elements_store(out + (size_t)row * D, x[0], valid);
  }
}
