/* Poseidon2 over BN254's scalar field, 3 elements, many independent states, in place, `times` times each.
 *
 * Four external rounds, 56 internal ones, four external ones, after one external layer:
 *   external   s[i] = (s[i] + c)^5 for every i, then s = circ(2, 1, 1)*s
 *   internal   s[0] = (s[0] + c)^5, then s = (1 + diag(1, 1, 2))*s;  1 is the matrix of ones
 * constants[24 + 56] are the c in the order of their use.
 *
 * Two variants, of which the host picks one by the layout:
 *   VW = 1  field/mont256.cl; constants of four words, at rest.
 *   VW > 1  field/mont256_limbs.cl; constants in limbs, of c*R. Sums are not reduced, nor carried before the
 *           next power: that of what is below 30P is below 4P, and the two elements that an internal
 *           round leaves alone are reduced every second round.
 *
 * Shape:  states[count * 3] of four words each, row-major.
 * Launch: ceil(count / (VW * span * WGS)) groups of WGS; a group does VW * span * WGS states.
 * Aliasing: none. Canonical in, canonical out.
 * Source: Poseidon2 (ePrint 2023/323). Oracle: hash::bn254::reference in the host crate;
 *         p3-bn254 0.8 and the values published with zkhash 0.2 in its tests. */

#if VW == 1

typedef S CONSTANT;

static inline F f_fifth(F x, CONSTANT c) {
  x = f_add(x, c);
  const F x2 = f_sqr(x);
  return f_mul(x, f_sqr(x2));
}

static inline void external_layer(F s[3]) {
  const F sum = f_add(f_add(s[0], s[1]), s[2]);
#pragma unroll
  for (uint i = 0; i < 3; i++) s[i] = f_add(s[i], sum);
}

static inline void internal_layer(F s[3], const uint round) {
  const F sum = f_add(f_add(s[0], s[1]), s[2]);
  s[0] = f_add(s[0], sum);
  s[1] = f_add(s[1], sum);
  s[2] = f_add(f_add(s[2], s[2]), sum);
}

static inline void load(F s[3], __global const S* states, uint valid) {
  for (uint i = 0; i < 3; i++) s[i] = states[i];
}

static inline void store(__global S* states, F s[3], uint valid) {
  for (uint i = 0; i < 3; i++) states[i] = s[i];
}

#else

typedef struct { ulong word[4]; } S;

/* Limb by limb: up to twenty near ones here before they are carried. */
static inline F f_sum(F a, F b) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] += b.limb[i];
  return a;
}

/* x below 30P; near, below 4P: with nine limbs, where a product of 31P by 31P is below 8P, and with five. */
static inline F f_fifth(F x, CONSTANT c) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) x.limb[i] += (LANES)(c.limb[i]);
  x = f_near(x);
  return f_mul(x, f_square(f_square(x)));
}

static inline void external_layer(F s[3]) {
  const F sum = f_sum(f_sum(s[0], s[1]), s[2]);
#pragma unroll
  for (uint i = 0; i < 3; i++) s[i] = f_sum(s[i], sum);
}

/* From below 4P, 2P and 2P the elements come to 12P, 10P and 12P, and with a new power in front to 30P, 36P
 * and 50P. */
static inline void internal_layer(F s[3], const uint round) {
  const F sum = f_sum(f_sum(s[0], s[1]), s[2]);
  s[0] = f_sum(s[0], sum);
  s[1] = f_sum(s[1], sum);
  s[2] = f_sum(f_sum(s[2], s[2]), sum);
  if (round & 1) {
    s[1] = f_reduced(s[1]);
    s[2] = f_reduced(s[2]);
  }
}

/* Lanes past the last state repeat it. */
static inline void load(F s[3], __global const S* states, uint valid) {
  for (uint i = 0; i < 3; i++) {
    ulong4 elements[VW];
    LANES words[4];
#pragma unroll
    for (uint lane = 0; lane < VW; lane++)
      elements[lane] = vload4(i, (__global const ulong*)(states + 3 * min(lane, valid - 1)));
    transpose(elements, words);
    s[i] = f_reduced(f_near(f_from_words(words, REST_SHIFT)));
  }
}

/* Times 2^256 mod P, a*R is a*2^256 again. */
static inline void store(__global S* states, F s[3], uint valid) {
  const F back = f_constant(ONE0, ONE1, ONE2, ONE3, 0);
  for (uint i = 0; i < 3; i++) {
    ulong4 elements[VW];
    LANES words[4];
    f_to_words(f_canonical(f_reduced(f_mul(f_loose(s[i]), back))), words);
    transpose_back(words, elements);
    for (uint lane = 0; lane < VW && lane < valid; lane++)
      vstore4(elements[lane], i, (__global ulong*)(states + 3 * lane));
  }
}

#endif

static inline void external_rounds(F s[3], __constant const CONSTANT* constants) {
  for (uint round = 0; round < 4; round++) {
    for (uint i = 0; i < 3; i++) s[i] = f_fifth(s[i], constants[3 * round + i]);
    external_layer(s);
  }
}

__kernel GROUP_SIZE void poseidon2_permute_bn254_3(__global S* restrict states,
                                                   __constant const CONSTANT* restrict constants,
                                                   const uint count,
                                                   const uint times,
                                                   const uint span) {
  const ulong first = get_group_id(0) * ((ulong)span * WGS) + get_local_id(0);
  const ulong end = min((ulong)((count - 1) / VW + 1), (get_group_id(0) + 1) * ((ulong)span * WGS));

  for (ulong item = first; item < end; item += WGS) {
    const uint row = (uint)item * VW, valid = count - row;
    F s[3];
    load(s, states + 3 * (ulong)row, valid);
    for (uint t = 0; t < times; t++) {
      external_layer(s);
      external_rounds(s, constants);
#if VW != 1
      for (uint i = 1; i < 3; i++) s[i] = f_reduced(s[i]);
#endif
      for (uint round = 0; round < 56; round++) {
        s[0] = f_fifth(s[0], constants[12 + round]);
        internal_layer(s, round);
      }
      external_rounds(s, constants + 12 + 56);
    }
    store(states + 3 * (ulong)row, s, valid);
  }
}
