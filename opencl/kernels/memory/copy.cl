/* Copies field elements: the bandwidth that other kernels are held against.
 *
 * out[i] = in[i]
 *
 * Shape:  in[words], out[words].
 * Launch: ceil(words / (VW * span * WGS)) groups of WGS; a group does span * WGS lanes.
 * Aliasing: none.
 * Oracle: the input. */

__kernel GROUP_SIZE void KERNEL(memory_copy)(__global const S* restrict in,
                                             __global S* restrict out,
                                             const ulong words,
                                             const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong lanes = (words + VW - 1) / VW;
  const ulong end = min(lanes, (get_group_id(0) + 1) * ((ulong)span * WGS));
  for (ulong lane = first; lane < end; lane += WGS) {
    const uint valid = (uint)min((ulong)VW, words - lane * VW);
    f_store(out + lane * VW, f_load(in + lane * VW, valid), valid);
  }
}
