/* Reorders, scales and repeats the rows of a matrix: what lies between two transforms.
 *
 * out[c*n + i][*] = in[source(i)][*] * high[c][i >> log_low] * low[c][i & (2^log_low - 1)]
 * with source(i) = i reversed in `reverse_log_n` bits, or i where reverse_log_n is 0.
 *
 * Coefficients that come out of an inverse transform in bit-reversed order go back to natural order,
 * row i is multiplied by s^i / n, and with copies > 1 copy c carries the shift s_c of its own coset:
 * a low-degree extension is then `copies` transforms of n rows each. The factor of row i is the
 * product of two table entries, so a shift costs tables of about sqrt(n), not of n.
 *
 * Shape:  in[n * columns], out[copies * n * columns], row-major; low[copies << log_low],
 *         high[copies * (n >> log_low)]. n = 2^log_n.
 * Launch: ceil(n * ceil(columns / VW) / (span * WGS)) groups of WGS; a group does span * WGS items.
 * Aliasing: none. Canonical in, canonical out.
 * Oracle: reference::coset_lde in the host crate. */

__kernel GROUP_SIZE void KERNEL(ntt_spread)(__global const S* restrict in,
                                            __global S* restrict out,
                                            __global const S* restrict low,
                                            __global const S* restrict high,
                                            const uint log_n,
                                            const uint columns,
                                            const uint copies,
                                            const uint reverse_log_n,
                                            const uint log_low,
                                            const uint span) {
  const uint strips = (columns - 1) / VW + 1;
  const ulong items = (ulong)strips << log_n;
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min(items, (get_group_id(0) + 1) * ((ulong)span * WGS));
  const uint low_mask = (1u << log_low) - 1, log_high = log_n - log_low;

  for (uint c = 0; c < copies; c++) {
    uint row = (uint)(first / strips), strip = (uint)(first % strips);
    uint factor_row = ~0u;
    /* Set before it is used; S may be a structure. */
    F factor = f_splat(low[0]);
    for (ulong item = first; item < end; item += WGS) {
      if (row != factor_row) {
        factor = f_mul(f_splat(high[(c << log_high) + (row >> log_low)]),
                       f_splat(low[(c << log_low) + (row & low_mask)]));
        factor_row = row;
      }
      const uint word = strip * VW, valid = columns - word;
      const uint from = reverse_log_n ? reverse_bits(row, reverse_log_n) : row;
      const F value = f_mul(f_load(in + ((ulong)from * columns + word), valid), factor);
      f_store(out + ((((ulong)c << log_n) + row) * columns + word), value, valid);
      strip += WGS;
      while (strip >= strips) {
        strip -= strips;
        row++;
      }
    }
  }
}
