/* Doubles bases many times over: what a table of multiples of fixed bases is made of.
 *
 * table[to + i] = 2^doublings * table[from + i], affine; infinity stays what it is.
 *
 * A work-item doubles its bases in XYZZ coordinates and writes them down, each with the product of the ZZZ of
 * those before it; one inversion then serves them all on the way back (Montgomery's trick). The order of
 * the group is odd and prime, so no multiple of a base becomes infinity.
 *
 * Shape:  table[*][2], bases from + count and to + count at most; scratch[count][5].
 * Launch: any number of groups of WGS; work-items take bases in turn. Aliasing: the two parts of the table
 *         lie apart.
 * Source: Montgomery 1987, section 10.3.1, for the inversions. Oracle: as msm/accumulate.cl. */

__kernel GROUP_SIZE void KERNEL(msm_multiples)(__global S* table,
                                               __global S* restrict scratch,
                                               const ulong from,
                                               const ulong to,
                                               const uint count,
                                               const uint doublings) {
  const uint items = get_global_size(0);
  __global const S* in = table + from * BASE_SIZE;
  __global S* out = table + to * BASE_SIZE;
  const F one = f_one();
  F product = one;
  uint taken = 0;
  for (uint i = get_global_id(0); i < count; i += items, taken++) {
    Point p = point_infinity();
    p.x = in[(ulong)i * BASE_SIZE];
    p.y = in[(ulong)i * BASE_SIZE + 1];
    if (!f_is_zero(p.x) || !f_is_zero(p.y)) p.zz = p.zzz = one;
    for (uint d = 0; d < doublings; d++) point_double(&p);
    __global S* at = scratch + (ulong)i * (POINT_SIZE + 1);
    point_store(at, &p);
    at[POINT_SIZE] = product;
    if (!point_is_infinity(&p)) product = f_mul(product, p.zzz);
  }
  F rest = f_inverse(product, one);
  while (taken-- > 0) {
    const uint i = get_global_id(0) + taken * items;
    __global const S* at = scratch + (ulong)i * (POINT_SIZE + 1);
    Point p = point_load(at);
    if (!point_is_infinity(&p)) {
      const F inverse_zzz = f_mul(rest, at[POINT_SIZE]);
      rest = f_mul(rest, p.zzz);
      point_make_affine(&p, inverse_zzz, one);
    }
    out[(ulong)i * BASE_SIZE] = p.x;
    out[(ulong)i * BASE_SIZE + 1] = p.y;
  }
}
