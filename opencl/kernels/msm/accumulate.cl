/* Adds up the points of every bucket, in runs of equal length whatever the buckets are.
 *
 * A work-item adds up `length` entries of a sorted list. The part of a bucket that begins in its run
 * goes to the bucket; the part of one that began in an earlier run is left over as the run's head,
 * and the heads, sorted as they are, make the next list, `length` times shorter. So a bucket that
 * holds everything costs no more than buckets that hold as much each.
 *
 * Compiled twice. As msm_accumulate it takes bases by the items of sort.cl and sets the buckets; a
 * bucket that no digit names is not written. As msm_merge (MERGE) it takes heads and adds to them.
 *
 * Shape:  keys[windows * count], a bucket or NONE for an entry to be left out, equal keys adjacent;
 *         totals[windows], entries of each window, all `count` for heads;
 *         bases[*][2] and items[windows * count], or heads of the list before [windows * count][4];
 *         buckets[windows * buckets_per_window][4];
 *         heads[windows * runs][4], head_keys[windows * runs]; runs = ceil(count / length).
 * Launch: ceil(windows * runs / WGS) groups of WGS. Aliasing: none.
 * Oracle: reference module of the host crate's msm; ark-ec 0.6, halo2curves 0.10. */

#define NONE 0xffffffffu

#ifdef MERGE
#define OPERATION msm_merge
#else
#define OPERATION msm_accumulate
#endif

__kernel GROUP_SIZE void KERNEL(OPERATION)(__global const S* restrict points,
                                           __global const uint* restrict items,
                                           __global const uint* restrict keys,
                                           __global const uint* restrict totals,
                                           __global S* restrict buckets,
                                           __global S* restrict heads,
                                           __global uint* restrict head_keys,
                                           const uint windows,
                                           const uint count,
                                           const uint length,
                                           const uint buckets_per_window) {
  const uint runs = (count - 1) / length + 1;
  const ulong run = get_global_id(0);
  if (run >= (ulong)windows * runs) return;
  const uint window = (uint)(run / runs), begin = (uint)(run % runs) * length;
#ifdef MERGE
  const uint total = count;
#else
  const uint total = totals[window];
  const F one = f_one();
#endif
  head_keys[run] = NONE;
  if (begin >= total) return;
  const uint end = min(begin + length, total);
  const ulong list = (ulong)window * count;
  keys += list;
  buckets += (ulong)window * buckets_per_window * POINT_SIZE;

  uint key = keys[begin];
  bool is_head = begin > 0 && keys[begin - 1] == key;
  Point sum = point_infinity();
  for (uint i = begin; i <= end; i++) {
    const uint next = i < end ? keys[i] : NONE;
    if (i == end || next != key) {
      if (key != NONE) {
        if (is_head) {
          point_store(heads + run * POINT_SIZE, &sum);
          head_keys[run] = key;
        } else {
          __global S* bucket = buckets + (ulong)key * POINT_SIZE;
#ifdef MERGE
          const Point before = point_load(bucket);
          point_add(&sum, &before);
#endif
          point_store(bucket, &sum);
        }
      }
      sum = point_infinity();
      is_head = false;
      key = next;
      if (i == end) break;
    }
    if (key == NONE) continue;
#ifdef MERGE
    const Point point = point_load(points + (list + i) * POINT_SIZE);
    point_add(&sum, &point);
#else
    const uint item = items[list + i];
    __global const S* base = points + (ulong)(item & 0x7fffffffu) * BASE_SIZE;
    const F y = base[1];
    point_add_affine(&sum, base[0], item >> 31 ? f_sub(f_zero(), y) : y, one);
#endif
  }
}
