/* Folds extension-field evaluations (FRI): runs of 2^LOG_ARITY become one element each.
 *
 * A fold by two of a pair (a, b), which are the values at x and -x, is the value at beta of the line
 * through them, times two here:
 *   2f = (a + b) + beta*(a - b)/x
 * LOG_ARITY such levels, at beta, beta^2, beta^4, ..., interpolate over the coset of a run, which is
 * how the FRI verifier's interpolation factors; the powers of two are taken out at the end.
 *
 * The evaluations are in bit-reversed order. At a level that leaves `pairs` pairs of a run, pair j of run r
 * belongs to x with 1/x = inverse_roots[r*pairs + j], the table of ntt/pass.cl with the roots inverted: it
 * is in bit-reversed order as well, so one table has the points of every level.
 * matrix[l*D*D + j*D + k] is coefficient j of x^k * beta^(2^l): the kernel knows nothing of the extension but
 * its degree D.
 *
 * Variants: this one has a row in each lane, and gathers in vectors; where a vector holds whole elements, it
 * is fri/fold_packed.cl.
 * Shape:  in[rows * 2^LOG_ARITY * D], out[rows * D], inverse_roots[rows << (LOG_ARITY - 1)],
 *         matrix[LOG_ARITY * D * D]; D = EXT_DEGREE; rows a power of two.
 * Launch: ceil(rows / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS rows.
 * Aliasing: none. Any element in, canonical out.
 * Source: FRI, BBHR18 (ECCC TR17-134). Oracle: reference::fold in the host crate;
 *         p3-fri 0.8, TwoAdicFriFolding. */

#ifndef PACKED

/* A lane of a GPU has the run in registers, for which all loops over it must be unrolled; the few
 * vector registers of a CPU cannot hold it, and unrolling would only be long to compile. */
#if WGS == 1
#define UNROLL_RUN _Pragma("unroll 1")
#else
#define UNROLL_RUN _Pragma("unroll")
#endif

#define D EXT_DEGREE
#define ARITY (1u << LOG_ARITY)

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
#pragma unroll
      for (uint k = 0; k < D; k++)
        x[i][k] = f_gather(in + ((size_t)row * ARITY + i) * D + k, ARITY * D, valid);
    UNROLL_RUN
    for (uint level = 0; level < LOG_ARITY; level++) {
      const uint pairs = ARITY >> (level + 1);
      __global const S* inverses = inverse_roots + (size_t)row * pairs;
      __constant S* m = matrix + level * D * D;
      UNROLL_RUN
      for (uint j = 0; j < pairs; j++) {
        const F inverse = f_gather(inverses + j, pairs, valid);
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
    }
#pragma unroll
    for (uint k = 0; k < D; k++)
#pragma unroll
      for (uint level = 0; level < LOG_ARITY; level++) x[0][k] = f_halve(x[0][k]);
#pragma unroll
    for (uint k = 0; k < D; k++) f_scatter(out + (size_t)row * D + k, D, x[0][k], valid);
  }
}

#endif
