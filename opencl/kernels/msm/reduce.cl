/* Weighs the buckets: the sum of (b + 1) * bucket[b], over segments of a window's buckets.
 *
 * From the last bucket of a segment down, `running` sums the buckets and `sum` the running sums: that
 * weighs the segment's first bucket by one, its second by two. What is missing is the number of
 * buckets before the segment, times `running`.
 *
 * Shape:  buckets[windows * buckets_per_window][4]; ends[windows * parts * buckets_per_window], after
 *         sort.cl, whose last row tells which buckets are empty and hold garbage;
 *         sums[windows * segments][4]; buckets_per_window = segments * length.
 * Launch: ceil(windows * segments / WGS) groups of WGS. Aliasing: none.
 * Source: Bernstein, Doumen, Lange, Oosterwijk 2012 (ePrint 2012/549), section 4. */

__kernel GROUP_SIZE void KERNEL(msm_reduce)(__global const S* restrict buckets,
                                            __global const uint* restrict ends,
                                            __global S* restrict sums,
                                            const uint windows,
                                            const uint parts,
                                            const uint segments,
                                            const uint length) {
  const uint at = get_global_id(0);
  if (at >= windows * segments) return;
  const uint window = at / segments, first = (at % segments) * length;
  const ulong per_window = (ulong)segments * length;
  buckets += window * per_window * POINT_SIZE;
  ends += ((ulong)(window + 1) * parts - 1) * per_window;

#if WGS == 1
  const F one = f_one();
#endif
  Point running = point_infinity(), sum = point_infinity();
  for (uint b = first + length; b-- > first;) {
    const uint begins = b == 0 ? 0 : ends[b - 1];
    if (ends[b] != begins) {
      const Point bucket = point_load(buckets + (ulong)b * POINT_SIZE);
#if WGS == 1
      /* As msm/chains.cl leaves most of them. */
      if (f_equal(bucket.zz, one))
        point_add_affine(&running, bucket.x, bucket.y, one);
      else
#endif
        point_add(&running, &bucket);
    }
    point_add(&sum, &running);
  }
  Point before = point_infinity();
  for (uint bit = 32 - clz(first); bit-- > 0;) {
    point_double(&before);
    if ((first >> bit) & 1) point_add(&before, &running);
  }
  point_add(&sum, &before);
  point_store(sums + (ulong)at * POINT_SIZE, &sum);
}
