/* Counts the digits of each magnitude: first step of sorting the bases of a window by bucket.
 *
 * A window's digits are cut into `parts` runs; a group counts one run into its own row of counts, so
 * no two groups meet. Digit d > 0 belongs to bucket d - 1; zeros belong nowhere.
 *
 * Shape:  digits[windows * count], counts[windows * parts * buckets].
 * Launch: windows * parts groups of WGS. Aliasing: none. */

__kernel GROUP_SIZE void msm_count(__global const uint* restrict digits,
                                   __global uint* restrict counts,
                                   const uint count,
                                   const uint parts,
                                   const uint buckets) {
  const uint lid = get_local_id(0);
  const uint window = get_group_id(0) / parts, part = get_group_id(0) % parts;
  __global uint* row = counts + (size_t)get_group_id(0) * buckets;
  for (uint b = lid; b < buckets; b += WGS) row[b] = 0;
  barrier(CLK_GLOBAL_MEM_FENCE);

  const uint length = (count - 1) / parts + 1;
  const uint begin = min(part * length, count), end = min(begin + length, count);
  digits += (size_t)window * count;
  for (uint i = begin + lid; i < end; i += WGS) {
    const uint magnitude = digits[i] & 0x7fffffffu;
    if (magnitude == 0) continue;
#if WGS == 1
    row[magnitude - 1]++;
#else
    atomic_inc(row + (magnitude - 1));
#endif
  }
}
