/* One layer of a Merkle tree: node i is the first DIGEST words of the permutation of its two children,
 * one after the other. Where shorter matrices are injected, it is then compressed the same way with
 * the digest of their row i, or with zeros past the last row.
 *
 * layers[(to + i) * DIGEST ..] from layers[(from + 2*i) * DIGEST ..]; a layer of an odd number of nodes,
 * unless it is the root, is followed by a digest of zeros.
 *
 * Shape:  layers, all digests of the tree; injected[injected_rows * DIGEST]; WIDTH = 2 * DIGEST.
 * Launch: ceil(nodes / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS nodes.
 * Aliasing: the two layers lie apart. Canonical in, canonical out.
 * Source: p3-symmetric 0.8, TruncatedPermutation; p3-merkle-tree 0.8, compress_and_inject.
 * Oracle: p3-merkle-tree 0.8 in the host crate's tests. */

__kernel GROUP_SIZE void HASH_KERNEL(merkle_nodes)(__global S* layers,
                                                   __global const S* restrict injected,
                                                   __constant const S* restrict constants,
                                                   const ulong from,
                                                   const ulong to,
                                                   const uint nodes,
                                                   const uint inject,
                                                   const uint injected_rows,
                                                   const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((nodes - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint node = (uint)item * VW, valid = nodes - node;
    __global const S* children = layers + (from + 2 * (ulong)node) * DIGEST;
    __global S* out = layers + (to + node) * DIGEST;
    F s[WIDTH];
#pragma unroll
    for (uint i = 0; i < WIDTH; i++) s[i] = rows_load(children + i, WIDTH, valid);
    for (uint pass = 0; pass <= inject; pass++) {
      if (pass == 1) {
        const uint existing = node < injected_rows ? injected_rows - node : 0;
        __global const S* digest = injected + (ulong)node * DIGEST;
#pragma unroll
        for (uint k = 0; k < DIGEST; k++)
          s[DIGEST + k] = rows_load_or_zero(digest + k, DIGEST, existing);
      }
      poseidon2(s, constants);
    }
#pragma unroll
    for (uint k = 0; k < DIGEST; k++) rows_store(out + k, DIGEST, s[k], valid);
    if (valid <= VW && nodes > 1 && (nodes & 1))
      for (uint k = 0; k < DIGEST; k++) layers[(to + nodes) * DIGEST + k] = 0;
  }
}
