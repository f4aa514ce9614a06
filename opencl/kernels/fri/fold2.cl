/* Folds extension-field evaluations by two (FRI, arity 2). Arity 2^k is k folds by beta, beta^2,
 * beta^4, ..., which is how the FRI verifier's interpolation over a coset of 2^k points factors.
 *
 * out[i] = (lo + hi)/2 + beta*(lo - hi)*inverse_roots[i]/2;  lo = in[2i], hi = in[2i + 1]
 *
 * The evaluations are in bit-reversed order, so lo and hi belong to x and -x, x = w^bitrev(i), and
 * inverse_roots is the table of ntt/pass.cl with the roots inverted. matrix[j*D + k] is coefficient
 * j of x^k * beta/2, so the kernel needs to know nothing of the extension but its degree D.
 *
 * Shape:  in[2 * pairs * D], out[pairs * D], inverse_roots[pairs], matrix[D * D]; D = EXT_DEGREE.
 * Launch: ceil(pairs / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS pairs.
 * Aliasing: none. Canonical in, canonical out.
 * Source: FRI, BBHR18 (ECCC TR17-134). Oracle: reference::fold in the host crate;
 *         p3-fri 0.8, TwoAdicFriFolding. */

__kernel GROUP_SIZE void KERNEL(fri_fold2)(__global const S* restrict in,
                                           __global S* restrict out,
                                           __global const S* restrict inverse_roots,
                                           __constant S* restrict matrix,
                                           const uint pairs,
                                           const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((pairs - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint pair = (uint)item * VW, valid = pairs - pair;
    __global const S* lo = in + (ulong)pair * (2 * EXT_DEGREE);
    F sum[EXT_DEGREE], difference[EXT_DEGREE];
    for (uint k = 0; k < EXT_DEGREE; k++) {
      const F a = f_gather(lo + k, 2 * EXT_DEGREE, valid);
      const F b = f_gather(lo + EXT_DEGREE + k, 2 * EXT_DEGREE, valid);
      sum[k] = f_add(a, b);
      difference[k] = f_sub(a, b);
    }
    const F root = f_load(inverse_roots + pair, valid);
    for (uint j = 0; j < EXT_DEGREE; j++) {
      F odd = f_mul(difference[0], f_splat(matrix[j * EXT_DEGREE]));
      for (uint k = 1; k < EXT_DEGREE; k++)
        odd = f_add(odd, f_mul(difference[k], f_splat(matrix[j * EXT_DEGREE + k])));
      const F folded = f_add(f_halve(sum[j]), f_mul(odd, root));
      f_scatter(out + ((ulong)pair * EXT_DEGREE + j), EXT_DEGREE, folded, valid);
    }
  }
}
