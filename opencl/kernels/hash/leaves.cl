/* Hashes the rows of a matrix: the sponge that overwrites RATE words of a state with the next of the
 * row, permutes, and gives the first DIGEST words at the end.
 *
 * A row may go on in the next of several matrices. The state then waits in `states`, and `filled` says
 * how many words of the block are in it; the first launch of a row starts from zeros, the last one
 * permutes what is left and writes the digest. With `pad` it also writes a digest of zeros after the
 * last row's.
 *
 * Shape:  matrix[rows * columns], row-major; states[WIDTH * rows], word by word;
 *         digests[(first_digest + rows + pad) * DIGEST]; constants as in hash/poseidon2.cl.
 * Launch: ceil(rows / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS rows.
 * Aliasing: none. Canonical in, canonical out.
 * Expects: hash/poseidon2.cl; RATE and DIGEST of the hash's file.
 * Source: p3-symmetric 0.8, PaddingFreeSponge. Oracle: p3-merkle-tree 0.8 in the host crate's tests. */

__kernel GROUP_SIZE void HASH_KERNEL(merkle_leaves)(__global const S* restrict matrix,
                                                    __global S* restrict states,
                                                    __global S* restrict digests,
                                                    __constant const S* restrict constants,
                                                    const ulong first_digest,
                                                    const uint rows,
                                                    const uint columns,
                                                    const uint filled,
                                                    const uint is_first,
                                                    const uint is_last,
                                                    const uint pad,
                                                    const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((rows - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint row = (uint)item * VW, valid = rows - row;
    __global const S* p = matrix + (ulong)row * columns;
    F s[WIDTH];
#pragma unroll
    for (uint i = 0; i < WIDTH; i++)
      s[i] = is_first ? f_splat(0) : rows_load(states + ((ulong)i * rows + row), 1, valid);

    uint column = 0, at = filled;
    do {
      const uint take = min(columns - column, RATE - at);
#pragma unroll
      for (uint k = 0; k < RATE; k++)
        if (k >= at && k < at + take)
          s[k] = f_canonical(rows_load(p + (column + (k - at)), columns, valid));
      column += take;
      at += take;
      if (at == RATE || (is_last && column == columns)) {
        poseidon2(s, constants);
        at = 0;
      }
    } while (column < columns);

    if (is_last) {
      __global S* digest = digests + (first_digest + row) * DIGEST;
#pragma unroll
      for (uint k = 0; k < DIGEST; k++) rows_store(digest + k, DIGEST, s[k], valid);
      if (pad && valid <= VW)
        for (uint k = 0; k < DIGEST; k++) digests[(first_digest + rows) * DIGEST + k] = 0;
    } else {
#pragma unroll
      for (uint i = 0; i < WIDTH; i++) rows_store(states + ((ulong)i * rows + row), 1, s[i], valid);
    }
  }
}
