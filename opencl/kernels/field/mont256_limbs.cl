/* The fields of field/mont256.cl in vectors, VW elements a lane, in limbs that leave room for sums: all that
 * does not depend on how limbs are multiplied. A file follows that does the products:
 *   VW = 4  field/mont256_lanes.cl, nine limbs of 29 bits;
 *   VW = 8  field/mont256_ifma.cl, five limbs of 52 bits.
 *
 * A limb is below 2^LIMB_SIZE ("exact"), or it has some more ("near", "loose"), as far as the products
 * take that; and a value is below a multiple of P that each function states. Montgomery's R is
 * 2^(256 + REST_SHIFT) here. An element at rest, a*2^256, becomes a*R when its words are cut into limbs
 * REST_SHIFT bits lower, which costs nothing and makes the value REST*P at most, REST = 2^REST_SHIFT.
 * Packed elements keep R in four words.
 *
 * What the file of the products adds:
 *   f_mul(a, b) = a*b/R, a loose and b near;  f_sqr(a), f_square(a) = f_mul(a, a), a near, the one that
 *   is fastest alone and the one that is fastest among other work;
 *   f_reduced(a), loose and below MOST*P: less so many P that it is below 2P, and limbs exact;
 *   f_near(a), carried so that the limbs are near, and f_loose(a), so that they are loose where they
 *   are below 3 * 2^LIMB_SIZE.
 * Expects: P0..P3, ONE0..ONE3 (see field/bn254_fq.cl) and lane.cl.
 * Source: Montgomery 1985; limbs with room as in Bernstein 2006 (Curve25519).
 * Oracle: ark-ff 0.6 in the host crate's tests. */

#if VW == 4
#define LIMB_SIZE 29
#define LIMBS 9
#define REST_SHIFT 5
#elif VW == 8
#define LIMB_SIZE 52
#define LIMBS 5
#define REST_SHIFT 4
#else
#error "field/mont256_limbs.cl has four lanes or eight"
#endif

#define REST (1u << REST_SHIFT)
#define INLINED __attribute__((always_inline))
#define LIMB_MASK ((1ul << LIMB_SIZE) - 1)
#define LOW ((LANES)(LIMB_MASK))

typedef LANE(ulong) LANES;
typedef struct { LANES limb[LIMBS]; } F;
/* An element that all lanes share. */
typedef struct { ulong limb[LIMBS]; } CONSTANT;

static F f_mul(F a, F b);
static F f_reduced(F a);
static F f_near(F a);
static F f_loose(F a);

/* Limb i of a number of four words, cut `shift` bits lower. */
static inline ulong limb_of(ulong w0, ulong w1, ulong w2, ulong w3, uint i, uint shift) {
  const ulong words[5] = {w0, w1, w2, w3, 0};
  if (i == 0) return (w0 << shift) & LIMB_MASK;
  const uint bit = LIMB_SIZE * i - shift, at = bit / 64, off = bit % 64;
  ulong limb = words[at] >> off;
  if (off > 64 - LIMB_SIZE) limb |= words[at + 1] << (64 - off);
  return limb & LIMB_MASK;
}

/* Limbs of P. */
#define P_LIMB(i) limb_of(P0, P1, P2, P3, i, 0)

static inline F f_constant(ulong w0, ulong w1, ulong w2, ulong w3, uint shift) {
  F a;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] = (LANES)(limb_of(w0, w1, w2, w3, i, shift));
  return a;
}

static inline F f_zero() { return f_constant(0, 0, 0, 0, 0); }

/* One, as a*R; below REST*P. */
static inline F f_one() { return f_constant(ONE0, ONE1, ONE2, ONE3, REST_SHIFT); }

/* Limb i of multiple * P, with `units` of each limb lent to the one below, so that as many exact limbs
 * (or one unit less of near ones) can be taken from it. The limbs are asked for in order. */
static inline ulong lent(uint multiple, uint units, uint i, ulong* carry) {
  const ulong sum = multiple * P_LIMB(i) + *carry;
  *carry = sum >> LIMB_SIZE;
  if (i + 1 == LIMBS) return sum - units;
  return (sum & LIMB_MASK) + ((ulong)units << LIMB_SIZE) - (i > 0 ? units : 0u);
}

/* a - b + (REST + 2)*P, b near and below (REST + 1)*P, not carried. */
static inline F difference(F a, F b) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] += (LANES)(lent(REST + 2, 2, i, &carry)) - b.limb[i];
  return a;
}

/* The same, loose; a near. */
static inline F f_sub_loose(F a, F b) { return f_loose(difference(a, b)); }

/* The same, near. */
static inline F f_sub(F a, F b) { return f_near(difference(a, b)); }

/* The element's opposite in lanes where the mask is set, limb by limb, as signed numbers: only to be
 * added to or taken from something larger. */
static inline F f_signed(LANES mask, F a) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] = (a.limb[i] ^ mask) - mask;
  return a;
}

/* a - b - c + 2*(REST + 2)*P, all three below (REST + 1)*P with exact limbs; a and b may be signed if c is
 * zero. Loose. */
static inline F f_sub_both(F a, F b, F c) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    a.limb[i] =
        a.limb[i] + (LANES)(lent(2 * (REST + 2), 3, i, &carry)) - b.limb[i] - c.limb[i];
  return f_loose(a);
}

/* The element's opposite in lanes where the mask is set, a < REST*P; below (REST + 1)*P, near. */
static inline F f_negate_where(LANES mask, F a) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES opposite = (LANES)(lent(REST + 1, 2, i, &carry)) - a.limb[i];
    a.limb[i] = (opposite & mask) | (a.limb[i] & ~mask);
  }
  return f_near(a);
}

/* As a mask, which lanes a comparison is true of. */
#define MASK(comparison) CAT(as_ulong, VW)(comparison)
#define SIGNED_LANES LANE(long)

/* a in [0, 2P), exact limbs: the number below P. */
static inline F f_canonical(F a) {
  F less;
  LANES carry = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    LANES limb = a.limb[i] - (LANES)(P_LIMB(i)) + carry;
    if (i + 1 < LIMBS) limb += (LANES)(2ul << LIMB_SIZE);
    if (i > 0) limb -= (LANES)(2ul);
    carry = limb >> LIMB_SIZE;
    less.limb[i] = i + 1 < LIMBS ? limb & LOW : limb;
  }
  const LANES negative = MASK(CAT(as_long, VW)(less.limb[LIMBS - 1]) < (SIGNED_LANES)(0));
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    less.limb[i] = (a.limb[i] & negative) | (less.limb[i] & ~negative);
  return less;
}

/* Lanes that are zero; below MOST*P, loose. */
static inline LANES f_zeros(F a) {
  a = f_canonical(f_reduced(a));
  LANES bits = a.limb[0];
#pragma unroll
  for (uint i = 1; i < LIMBS; i++) bits |= a.limb[i];
  return MASK(bits == (LANES)(0ul));
}

static inline F f_select(LANES mask, F set, F clear) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    clear.limb[i] = (set.limb[i] & mask) | (clear.limb[i] & ~mask);
  return clear;
}

static inline bool any_lane(LANES mask) { return any(CAT(as_long, VW)(mask)); }

/* Four words of each lane, one vector a word, to limbs: a packed element, or with REST_SHIFT one at rest. */
static inline F f_from_words(const LANES w[4], const uint shift) {
  F a;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    if (i == 0) {
      a.limb[0] = (w[0] << shift) & LOW;
      continue;
    }
    const uint bit = LIMB_SIZE * i - shift, at = bit / 64, off = bit % 64;
    LANES limb = w[at] >> off;
    if (off > 64 - LIMB_SIZE && at < 3) limb |= w[at + 1] << (64 - off);
    a.limb[i] = limb & LOW;
  }
  return a;
}

/* Exact limbs, value below 2^256, to words. */
static inline void f_to_words(F a, LANES w[4]) {
#pragma unroll
  for (uint at = 0; at < 4; at++) {
    w[at] = (LANES)(0ul);
#pragma unroll
    for (uint i = 0; i < LIMBS; i++) {
      const uint bit = LIMB_SIZE * i;
      if (bit / 64 == at) w[at] |= a.limb[i] << (bit % 64);
      else if (bit < 64 * at && bit + LIMB_SIZE > 64 * at) w[at] |= a.limb[i] >> (64 * at - bit);
    }
  }
}

/* The words of an element of each lane to one vector a word, and back. */
static inline INLINED void transpose(const ulong4 elements[VW], LANES w[4]) {
#if VW == 4
#define WORD(s) \
  (LANES)(elements[0].s, elements[1].s, elements[2].s, elements[3].s)
#else
#define WORD(s)                                                                              \
  (LANES)(elements[0].s, elements[1].s, elements[2].s, elements[3].s, elements[4].s,         \
          elements[5].s, elements[6].s, elements[7].s)
#endif
  w[0] = WORD(s0);
  w[1] = WORD(s1);
  w[2] = WORD(s2);
  w[3] = WORD(s3);
#undef WORD
}

static inline INLINED void transpose_back(const LANES w[4], ulong4 elements[VW]) {
#define ELEMENT(lane) elements[0x##lane] = (ulong4)(w[0].s##lane, w[1].s##lane, w[2].s##lane, w[3].s##lane);
  ELEMENT(0) ELEMENT(1) ELEMENT(2) ELEMENT(3)
#if VW == 8
  ELEMENT(4) ELEMENT(5) ELEMENT(6) ELEMENT(7)
#endif
#undef ELEMENT
}

/* Each lane gets what is in the lane whose number differs from its own by 2^level. */
#if VW == 4
#define LOG_LANES 2
#else
#define LOG_LANES 3
#endif

static inline F f_swapped(F a, const uint level) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
#if VW == 4
    a.limb[i] = level == 0 ? a.limb[i].s1032 : a.limb[i].s2301;
#else
    a.limb[i] = level == 0   ? a.limb[i].s10325476
                : level == 1 ? a.limb[i].s23016745
                             : a.limb[i].s45670123;
#endif
  }
  return a;
}

/* a^(P - 2), four bits of the exponent a step; near, below 3P. */
static F f_inverse(F a) {
  const ulong exponent[4] = {P0 - 2, P1, P2, P3};
  F table[16];
  table[1] = a;
  for (uint i = 2; i < 16; i++) table[i] = f_mul(table[i - 1], a);
  F power = table[exponent[3] >> 60];
  for (int step = 62; step >= 0; step--) {
    for (uint i = 0; i < 4; i++) power = f_mul(power, power);
    const uint digit = (exponent[step / 16] >> (step % 16 * 4)) & 15;
    if (digit) power = f_mul(power, table[digit]);
  }
  return power;
}
