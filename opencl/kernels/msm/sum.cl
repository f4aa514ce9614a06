/* Sums runs of `length` points into one each.
 *
 * Shape:  in[count * length][4], out[count][4].
 * Launch: ceil(count / WGS) groups of WGS. Aliasing: none. */

__kernel GROUP_SIZE void KERNEL(msm_sum)(__global const S* restrict in,
                                         __global S* restrict out,
                                         const uint count,
                                         const uint length) {
  const uint at = get_global_id(0);
  if (at >= count) return;
  Point sum = point_infinity();
  for (uint i = 0; i < length; i++) {
    const Point point = point_load(in + ((ulong)at * length + i) * POINT_SIZE);
    point_add(&sum, &point);
  }
  point_store(out + (ulong)at * POINT_SIZE, &sum);
}
