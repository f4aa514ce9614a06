/* Lists the buckets of a window twice, as the rows and as the columns of a grid, so that they are weighed by
 * plain sums.
 *
 * Bucket b counts b + 1 times. With b = row * width + column that is
 *   width * sum of row * R[row] + sum of (column + 1) * C[column],
 * R and C the sums of rows and of columns: two additions a bucket that wait for no other, as msm/chains.cl
 * makes them, where msm/reduce.cl makes two that wait for each other, of twice the price.
 *
 * List 2w holds window w by rows, row r under the key r - 1 and row 0 left out; list 2w + 1 holds it by
 * columns. Empty buckets and sums of nothing are left out. What msm_merge added to is no longer affine, and is made so.
 *
 * Shape:  buckets[windows * count][4]; ends as in msm/reduce.cl; of 2 * windows lists: items[count], a bucket's
 *         number among all in halves, as msm/chains.cl finds its x and y; keys[count], totals[1],
 *         list_ends[width], where each key ends. width^2 >= count, both powers of two, width <= 256.
 * Launch: a work-item for each window. Aliasing: none. */

#define MAX_WIDTH 256

__kernel GROUP_SIZE void KERNEL(msm_grid)(__global S* restrict buckets,
                                          __global const uint* restrict ends,
                                          __global uint* restrict items,
                                          __global uint* restrict keys,
                                          __global uint* restrict totals,
                                          __global uint* restrict list_ends,
                                          const uint windows,
                                          const uint parts,
                                          const uint count,
                                          const uint width) {
  const uint window = get_global_id(0);
  if (window >= windows) return;
  const ulong by_row = (ulong)2 * window * count, by_column = by_row + count;
  const uint first = window * count;
  ends += ((ulong)(window + 1) * parts - 1) * count;
  __global uint* row_ends = list_ends + (ulong)2 * window * width;
  __global uint* column_ends = row_ends + width;
  const F one = f_one();

  /* By rows; and how many each column has, one entry further on. */
  uint places[MAX_WIDTH + 1];
  for (uint column = 0; column <= width; column++) places[column] = 0;
  uint listed = 0;
  for (uint row = 0; row * width < count; row++) {
    for (uint column = 0; column < width; column++) {
      const uint b = row * width + column, begins = b == 0 ? 0 : ends[b - 1];
      if (ends[b] == begins) continue;
      __global S* at = buckets + (ulong)(first + b) * POINT_SIZE;
      Point p = point_load(at);
      if (point_is_infinity(&p)) continue;
      if (!f_equal(p.zz, one) || !f_equal(p.zzz, one)) {
        point_make_affine(&p, f_inverse(p.zzz, one), one);
        point_store(at, &p);
      }
      places[column + 1]++;
      if (row == 0) continue;
      items[by_row + listed] = 2 * (first + b);
      keys[by_row + listed++] = row - 1;
    }
    if (row > 0) row_ends[row - 1] = listed;
  }
  totals[2 * window] = listed;
  for (uint row = (count - 1) / width; row < width; row++) row_ends[row] = listed;

  for (uint column = 0; column < width; column++) {
    places[column + 1] += places[column];
    column_ends[column] = places[column + 1];
  }
  totals[2 * window + 1] = places[width];
  for (uint b = 0; b < count; b++) {
    const uint begins = b == 0 ? 0 : ends[b - 1];
    if (ends[b] == begins) continue;
    const Point p = point_load(buckets + (ulong)(first + b) * POINT_SIZE);
    if (point_is_infinity(&p)) continue;
    const uint column = b % width, place = places[column]++;
    items[by_column + place] = 2 * (first + b);
    keys[by_column + place] = column;
  }
}
