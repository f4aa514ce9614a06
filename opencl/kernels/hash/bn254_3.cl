/* Poseidon2 over BN254's scalar field, 3 elements, many independent states, in place, `times` times each.
 *
 * Four external rounds, 56 internal ones, four external ones, after one external layer:
 *   external   s[i] = (s[i] + c)^5 for every i, then s = circ(2, 1, 1)*s
 *   internal   s[0] = (s[0] + c)^5, then s = (1 + diag(1, 1, 2))*s;  1 is the matrix of ones
 * constants[24 + 56] are the c in the order of their use.
 *
 * Two variants, of which the host picks one by the layout:
 *   VW = 1  field/mont256.cl; constants of four words, at rest.
 *   VW = 4  field/mont256_lanes.cl; constants of nine limbs, of c*2^261. Sums are not reduced, nor
 *           carried before the next power: that of what is below 44P is below 2P, and the two elements
 *           that an internal round leaves alone are reduced every second round.
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

/* f_mul(a, a) for a near, each product of two limbs taken once: step i adds the products of limb i with
 * itself and, doubled, with those above, after which column i is whole and Montgomery's reduction
 * clears it. A column stays below 2^63. */
static F f_square(F a) {
  LANES t[2 * LIMBS];
  F r;
#pragma unroll
  for (uint j = 0; j < 2 * LIMBS; j++) t[j] = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES twice = a.limb[i] << 1;
    t[2 * i] += product(a.limb[i], a.limb[i]);
#pragma unroll
    for (uint j = 0; j < LIMBS; j++)
      if (j > i) t[i + j] += product(twice, a.limb[j]);
    const LANES q = product(t[i] & LOW, (LANES)(MU & 0x1ffffffful)) & LOW;
    t[i + 1] += (t[i] + product(q, (LANES)(P_LIMB(0)))) >> 29;
#pragma unroll
    for (uint j = 1; j < LIMBS; j++) t[i + j] += product(q, (LANES)(P_LIMB(j)));
  }
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++) {
    r.limb[i] = t[LIMBS + i] & LOW;
    t[LIMBS + i + 1] += t[LIMBS + i] >> 29;
  }
  r.limb[LIMBS - 1] = t[2 * LIMBS - 1];
  return r;
}

/* x below 43P; near, below 2P. */
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

/* From below 2P each the elements come to 8P, 8P and 10P, and with a new power in front to 22P, 28P and
 * 40P. */
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
static inline __global const ulong* row_of(__global const S* states, uint lane, uint valid) {
  return (__global const ulong*)(states + 3 * min(lane, valid - 1));
}

static inline void load(F s[3], __global const S* states, uint valid) {
  for (uint i = 0; i < 3; i++) {
    LANES words[4];
    transpose(vload4(i, row_of(states, 0, valid)), vload4(i, row_of(states, 1, valid)),
              vload4(i, row_of(states, 2, valid)), vload4(i, row_of(states, 3, valid)), words);
    s[i] = f_reduced(f_near(f_from_words(words, 5)));
  }
}

/* Times 2^256 mod P, a*2^261 is a*2^256 again. */
static inline void store(__global S* states, F s[3], uint valid) {
  const F back = f_constant(ONE0, ONE1, ONE2, ONE3, 0);
  for (uint i = 0; i < 3; i++) {
    LANES w[4];
    f_to_words(f_canonical(f_reduced(f_mul(s[i], back))), w);
    ulong rows[16];
    vstore4(w[0], 0, rows);
    vstore4(w[1], 1, rows);
    vstore4(w[2], 2, rows);
    vstore4(w[3], 3, rows);
    for (uint lane = 0; lane < 4 && lane < valid; lane++)
      for (uint k = 0; k < 4; k++) states[3 * lane + i].word[k] = rows[4 * k + lane];
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
