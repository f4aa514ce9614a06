/* The Poseidon2 permutation of WIDTH elements, elementwise over the lanes of F.
 *
 * Four external rounds, INTERNAL_ROUNDS internal ones, four external ones, after one external layer:
 *   external   s[i] = (s[i] + c)^d for every i, then s = E*s;  E = circ(2*M, M, ..., M),
 *              M = circ(2, 3, 1, 1) of four elements
 *   internal   s[0] = (s[0] + c)^d, then s = (1 + diag(V))*s;  1 is the matrix of ones, V[0] = -2
 *
 * constants[8 * WIDTH + INTERNAL_ROUNDS] are the c in the order of their use, in the form that
 * add_power of the field's file takes.
 * Canonical in, canonical out.
 * Expects: a field file; WIDTH, INTERNAL_ROUNDS and DIAGONAL (see hash/babybear_16.cl); of
 *          hash/monty31.cl or hash/goldilocks.cl:  add_power(x, c) = (x + c)^d,  f_shrink(x, k) = x/2^k.
 * Source: Poseidon2 (ePrint 2023/323), with the matrices of p3-poseidon2 0.8.
 * Oracle: reference::poseidon2 in the host crate; the field crates of Plonky3 0.8 in its tests. */

/* KERNEL, for the kernels that depend on the width too. */
#define HASH_KERNEL(operation) CAT(CAT(KERNEL(operation), _), WIDTH)

static inline F f_double(F x) { return f_add(x, x); }
static inline F f_triple(F x) { return f_add(f_double(x), x); }
static inline F f_quadruple(F x) { return f_double(f_double(x)); }

static inline void external_layer(F s[WIDTH]) {
#pragma unroll
  for (uint i = 0; i < WIDTH; i += 4) {
    const F x01 = f_add(s[i], s[i + 1]), x23 = f_add(s[i + 2], s[i + 3]);
    const F all = f_add(x01, x23);
    const F left = f_add(all, s[i + 1]), right = f_add(all, s[i + 3]);
    s[i + 3] = f_add(right, f_double(s[i]));
    s[i + 1] = f_add(left, f_double(s[i + 2]));
    s[i] = f_add(left, x01);
    s[i + 2] = f_add(right, x23);
  }
#pragma unroll
  for (uint k = 0; k < 4; k++) {
    F sum = f_add(s[k], s[k + 4]);
#pragma unroll
    for (uint i = k + 8; i < WIDTH; i += 4) sum = f_add(sum, s[i]);
#pragma unroll
    for (uint i = k; i < WIDTH; i += 4) s[i] = f_add(s[i], sum);
  }
}

static inline void external_rounds(F s[WIDTH], __constant const S* constants) {
#pragma unroll 1
  for (uint round = 0; round < 4; round++) {
#pragma unroll
    for (uint i = 0; i < WIDTH; i++) s[i] = add_power(s[i], constants[round * WIDTH + i]);
    external_layer(s);
  }
}

/* The sum of s[1..WIDTH] does not wait for the power of s[0]. */
static inline void internal_rounds(F s[WIDTH], __constant const S* constants) {
#pragma unroll 1
  for (uint round = 0; round < INTERNAL_ROUNDS; round++) {
    const F first = add_power(s[0], constants[round]);
    F part[3] = {s[1], s[2], s[3]};
#pragma unroll
    for (uint i = 4; i < WIDTH; i++) part[i % 3] = f_add(part[i % 3], s[i]);
    const F rest = f_add(f_add(part[0], part[1]), part[2]);
    const F sum = f_add(rest, first);
    s[0] = f_sub(rest, first);
#define PLUS(i, term) s[i] = f_add(sum, term);
#define MINUS(i, term) s[i] = f_sub(sum, term);
    DIAGONAL(PLUS, MINUS)
#undef PLUS
#undef MINUS
  }
}

static inline void poseidon2(F s[WIDTH], __constant const S* constants) {
  external_layer(s);
  external_rounds(s, constants);
  internal_rounds(s, constants + 4 * WIDTH);
  external_rounds(s, constants + 4 * WIDTH + INTERNAL_ROUNDS);
}
