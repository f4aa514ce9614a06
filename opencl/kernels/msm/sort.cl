/* Writes the bases of a window in the order of their buckets: last step of sorting.
 *
 * A group takes the run that it took in count.cl, and each digit the next place of its bucket. After
 * that places[last part][b] is where bucket b ends.
 *
 * Shape:  digits[windows * count]; places[windows * parts * buckets], from place.cl;
 *         items[windows * count], a base's number with the top bit set where it is to be negated;
 *         keys[windows * count], the buckets of the items. A window's list begins at its multiple of
 *         count and has as many entries as it has digits that are not zero.
 * Launch: windows * parts groups of WGS. Aliasing: none. */

__kernel GROUP_SIZE void msm_sort(__global const uint* restrict digits,
                                  __global uint* restrict places,
                                  __global uint* restrict items,
                                  __global uint* restrict keys,
                                  const uint count,
                                  const uint parts,
                                  const uint buckets) {
  const uint window = get_group_id(0) / parts, part = get_group_id(0) % parts;
  __global uint* row = places + (size_t)get_group_id(0) * buckets;
  const uint length = (count - 1) / parts + 1;
  const uint begin = min(part * length, count), end = min(begin + length, count);
  digits += (size_t)window * count;
  items += (size_t)window * count;
  keys += (size_t)window * count;
  for (uint i = begin + get_local_id(0); i < end; i += WGS) {
    const uint digit = digits[i], magnitude = digit & 0x7fffffffu;
    if (magnitude == 0) continue;
    const uint bucket = magnitude - 1;
#if WGS == 1
    const uint at = row[bucket]++;
#else
    const uint at = atomic_inc(row + bucket);
#endif
    items[at] = i | (digit & 0x80000000u);
    keys[at] = bucket;
  }
}
