/* Turns counts into places: where each run's share of each bucket begins in the sorted window.
 *
 * places[part][b] = digits of the window in buckets before b, plus those in bucket b of earlier runs.
 * A group goes through its window in strips of WGS buckets, one a work-item, so that neighbours read
 * neighbours, and sums up each strip in local memory by doubling distances.
 *
 * Shape:  counts[windows * parts * buckets], replaced by places; totals[windows], the digits in all.
 *         sums[WGS].
 * Launch: a group of WGS for each window.
 * Source: Hillis, Steele 1986, for the sums of a strip. */

__kernel GROUP_SIZE void msm_place(__global uint* restrict counts,
                                   __global uint* restrict totals,
                                   __local uint* restrict sums,
                                   const uint parts,
                                   const uint buckets) {
  const uint lid = get_local_id(0);
  __global uint* rows = counts + (size_t)get_group_id(0) * parts * buckets;
  uint before = 0;
  for (uint strip = 0; strip < buckets; strip += WGS) {
    const uint bucket = strip + lid;
    uint own = 0;
    if (bucket < buckets)
      for (uint p = 0; p < parts; p++) own += rows[(size_t)p * buckets + bucket];
    sums[lid] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint distance = 1; distance < WGS; distance *= 2) {
      const uint other = lid >= distance ? sums[lid - distance] : 0;
      barrier(CLK_LOCAL_MEM_FENCE);
      sums[lid] += other;
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    uint place = before + sums[lid] - own;
    before += sums[WGS - 1];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (bucket < buckets) {
      for (uint p = 0; p < parts; p++) {
        __global uint* at = rows + ((size_t)p * buckets + bucket);
        const uint share = *at;
        *at = place;
        place += share;
      }
    }
  }
  if (lid == 0) totals[get_group_id(0)] = before;
}
