/* Permutes many independent states, in place, `times` times each.
 *
 * Shape:  states[count * WIDTH], row-major; constants as in hash/poseidon2.cl.
 * Launch: ceil(count / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS states.
 * Aliasing: none. Canonical in, canonical out.
 * Oracle: as hash/poseidon2.cl. */

__kernel GROUP_SIZE void HASH_KERNEL(poseidon2_permute)(__global S* restrict states,
                                                        __constant const S* restrict constants,
                                                        const uint count,
                                                        const uint times,
                                                        const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((count - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint row = (uint)item * VW, valid = count - row;
    __global S* p = states + (ulong)row * WIDTH;
    F s[WIDTH];
#pragma unroll
    for (uint i = 0; i < WIDTH; i++) s[i] = f_canonical(rows_load(p + i, WIDTH, valid));
    for (uint t = 0; t < times; t++) poseidon2(s, constants);
#pragma unroll
    for (uint i = 0; i < WIDTH; i++) rows_store(p + i, WIDTH, s[i], valid);
  }
}
