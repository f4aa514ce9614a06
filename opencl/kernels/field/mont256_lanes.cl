/* The fields of field/mont256.cl in vectors: four elements a lane (VW = 4), nine limbs of 29 bits each.
 *
 * Vector units multiply 32 x 32 -> 64 bits and have no carries, so limbs leave room for sums: a limb
 * is below 2^29 ("exact"), below 2^29 + 2^6 ("near"), or below 3 * 2^30 ("loose") as first operand of
 * f_mul, which nine products of loose and near limbs and nine of exact ones do not overflow; and a
 * value is below a multiple of P that each function states. Montgomery's R is 2^261 here. An element at rest,
 * a*2^256, becomes 32 * a*2^256 = a*2^261 when its words are cut into limbs five bits lower, which
 * costs nothing and makes the value 32P at most. Packed elements keep R = 2^261 in four words.
 *
 * f_mul(a, b) = a*b/2^261 < 2.1P + a*b/2^261; P*P/2^261 is P/169. So with a < 140P and b < 40P it is
 * below 36P, and with b < 3.4P below 5P. Where P has 255 bits, as in field/bls12_381_fr.cl, P*P/2^261 is
 * P/70, and these bounds do not hold: there it is for ntt/pass_lanes.cl, which has its own, and for what
 * stays below 80P * 50P, which is below 60P.
 * Expects: P0..P3, ONE0..ONE3, MU, FOLD (see field/bn254_fq.cl) and lane.cl.
 * Source: Montgomery 1985; limbs with room as in Bernstein 2006 (Curve25519). */

#if VW != 4
#error "field/mont256_lanes.cl has four lanes"
#endif

#define LIMBS 9
#define INLINED __attribute__((always_inline))
#define LOW ((ulong4)(0x1ffffffful))

typedef ulong4 LANES;
typedef struct { LANES limb[LIMBS]; } F;
/* An element that all lanes share. */
typedef struct { ulong limb[LIMBS]; } CONSTANT;

/* Limb i of a number of four words, cut `shift` bits lower. */
static inline ulong limb_of(ulong w0, ulong w1, ulong w2, ulong w3, uint i, uint shift) {
  const ulong words[5] = {w0, w1, w2, w3, 0};
  if (i == 0) return (w0 << shift) & 0x1ffffffful;
  const uint bit = 29 * i - shift, at = bit / 64, off = bit % 64;
  ulong limb = words[at] >> off;
  if (off > 35) limb |= words[at + 1] << (64 - off);
  return limb & 0x1ffffffful;
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

/* One, as a*2^261; below 32P. */
static inline F f_one() { return f_constant(ONE0, ONE1, ONE2, ONE3, 5); }

/* The low 32 bits of both, so that the compiler sees a multiplication of 32 bits. */
static inline LANES product(LANES a, LANES b) {
  return (a & (LANES)(0xfffffffful)) * (b & (LANES)(0xfffffffful));
}

/* a loose, b near. Exact limbs.
 *
 * The plain way clears the lowest limb by a multiple of P that takes a multiplication by MU to know. A
 * multiple of P that ends in 2^29 - 1 is known at once: with q the lowest limb, q*(2^29*FOLD - 1) clears
 * it and adds q*FOLD above. That multiple has 283 bits, so the last limb is cleared the plain way. */
#if defined(__x86_64__) && defined(__AVX2__)

/* By hand, because compilers spill: nine sums, the limbs of a, b and the constants from memory. */
__constant ulong PRODUCT_TABLE[] __attribute__((aligned(32))) = {
#define FOUR(limb) limb, limb, limb, limb,
    FOUR(0x1ffffffful) FOUR(MU & 0x1ffffffful)
    FOUR(P0 & 0x1ffffffful) FOUR(P0 >> 29 & 0x1ffffffful)
    FOUR((P0 >> 58 | P1 << 6) & 0x1ffffffful) FOUR(P1 >> 23 & 0x1ffffffful)
    FOUR((P1 >> 52 | P2 << 12) & 0x1ffffffful) FOUR(P2 >> 17 & 0x1ffffffful)
    FOUR((P2 >> 46 | P3 << 18) & 0x1ffffffful) FOUR(P3 >> 11 & 0x1ffffffful) FOUR(P3 >> 40)
    FOLD(FOUR)
#undef FOUR
};

#define SET(from, i, by, t) "vpmuludq 32*" #i "(%[" #from "]), %[" #by "], %[" #t "]\n"
#define ADD(from, i, by, t, x) \
  SET(from, i, by, x) "vpaddq %[" #x "], %[" #t "], %[" #t "]\n"
/* Limb i of b: of each lane, or the one of a constant. */
#define LANE_LIMB(i) "vmovdqa 32*" #i "(%[b]), %[bi]\n"
#define CONSTANT_LIMB(i) "vpbroadcastq 8*" #i "(%[b]), %[bi]\n"
/* t += a * limb i of b */
#define ROW(TAKE, i, t0, t1, t2, t3, t4, t5, t6, t7, t8)                                    \
  TAKE(i) ADD(a, 0, bi, t0, x) ADD(a, 1, bi, t1, y) ADD(a, 2, bi, t2, z) ADD(a, 3, bi, t3, x) \
  ADD(a, 4, bi, t4, y) ADD(a, 5, bi, t5, z) ADD(a, 6, bi, t6, x) ADD(a, 7, bi, t7, y)       \
  ADD(a, 8, bi, t8, z)
/* t = (t + q * (2^29 * FOLD - 1)) / 2^29, in t1..t8, t0 */
#define SHIFT(t0, t1, t2, t3, t4, t5, t6, t7, t8)                                           \
  "vpand %[low], %[" #t0 "], %[q]\nvpsrlq $29, %[" #t0 "], %[" #t0 "]\n"                    \
  "vpaddq %[" #t0 "], %[" #t1 "], %[" #t1 "]\n"                                             \
  ADD(c, 11, q, t1, x) ADD(c, 12, q, t2, y) ADD(c, 13, q, t3, z) ADD(c, 14, q, t4, x)       \
  ADD(c, 15, q, t5, y) ADD(c, 16, q, t6, z) ADD(c, 17, q, t7, x) ADD(c, 18, q, t8, y)       \
  SET(c, 19, q, t0)
/* t = (t + q * P) / 2^29, in t1..t8 */
#define LAST(t0, t1, t2, t3, t4, t5, t6, t7, t8)                                            \
  "vpmuludq 32*1(%[c]), %[" #t0 "], %[q]\nvpand %[low], %[q], %[q]\n"                       \
  ADD(c, 2, q, t0, x) "vpsrlq $29, %[" #t0 "], %[" #t0 "]\n"                                \
  ADD(c, 3, q, t1, y) "vpaddq %[" #t0 "], %[" #t1 "], %[" #t1 "]\n"                         \
  ADD(c, 4, q, t2, z) ADD(c, 5, q, t3, x) ADD(c, 6, q, t4, y) ADD(c, 7, q, t5, z)           \
  ADD(c, 8, q, t6, x) ADD(c, 9, q, t7, y) ADD(c, 10, q, t8, z)
#define CARRY(t, next)                                                                      \
  "vpsrlq $29, %[" #t "], %[q]\nvpand %[low], %[" #t "], %[" #t "]\n"                       \
  "vpaddq %[q], %[" #next "], %[" #next "]\n"

#define PRODUCT(TAKE)                                                                       \
  "vmovdqa (%[c]), %[low]\n"                                                                \
  TAKE(0) SET(a, 0, bi, t0) SET(a, 1, bi, t1) SET(a, 2, bi, t2) SET(a, 3, bi, t3)           \
  SET(a, 4, bi, t4) SET(a, 5, bi, t5) SET(a, 6, bi, t6) SET(a, 7, bi, t7) SET(a, 8, bi, t8) \
  SHIFT(t0, t1, t2, t3, t4, t5, t6, t7, t8)                                                 \
  ROW(TAKE, 1, t1, t2, t3, t4, t5, t6, t7, t8, t0) SHIFT(t1, t2, t3, t4, t5, t6, t7, t8, t0) \
  ROW(TAKE, 2, t2, t3, t4, t5, t6, t7, t8, t0, t1) SHIFT(t2, t3, t4, t5, t6, t7, t8, t0, t1) \
  ROW(TAKE, 3, t3, t4, t5, t6, t7, t8, t0, t1, t2) SHIFT(t3, t4, t5, t6, t7, t8, t0, t1, t2) \
  ROW(TAKE, 4, t4, t5, t6, t7, t8, t0, t1, t2, t3) SHIFT(t4, t5, t6, t7, t8, t0, t1, t2, t3) \
  ROW(TAKE, 5, t5, t6, t7, t8, t0, t1, t2, t3, t4) SHIFT(t5, t6, t7, t8, t0, t1, t2, t3, t4) \
  ROW(TAKE, 6, t6, t7, t8, t0, t1, t2, t3, t4, t5) SHIFT(t6, t7, t8, t0, t1, t2, t3, t4, t5) \
  ROW(TAKE, 7, t7, t8, t0, t1, t2, t3, t4, t5, t6) SHIFT(t7, t8, t0, t1, t2, t3, t4, t5, t6) \
  ROW(TAKE, 8, t8, t0, t1, t2, t3, t4, t5, t6, t7) LAST(t8, t0, t1, t2, t3, t4, t5, t6, t7)  \
  CARRY(t0, t1) CARRY(t1, t2) CARRY(t2, t3) CARRY(t3, t4) CARRY(t4, t5) CARRY(t5, t6)       \
  CARRY(t6, t7) "vpsrlq $29, %[t7], %[t8]\nvpand %[low], %[t7], %[t7]\n"

/* The product of what the pointers name, which the compiler is told to have in memory. */
#define MULTIPLY(TAKE, r, pointer, factor)                                                  \
  {                                                                                         \
    LANES t0, t1, t2, t3, t4, t5, t6, t7, t8, bi, q, x, y, z, low;                          \
    __asm__(PRODUCT(TAKE)                                                                   \
            : [t0] "=&x"(t0), [t1] "=&x"(t1), [t2] "=&x"(t2), [t3] "=&x"(t3),               \
              [t4] "=&x"(t4), [t5] "=&x"(t5), [t6] "=&x"(t6), [t7] "=&x"(t7),               \
              [t8] "=&x"(t8), [bi] "=&x"(bi), [q] "=&x"(q), [x] "=&x"(x), [y] "=&x"(y),     \
              [z] "=&x"(z), [low] "=&x"(low)                                                \
            : [a] "r"(pointer), [b] "r"(factor), [c] "r"(PRODUCT_TABLE), "m"(*(pointer)),   \
              "m"(*(factor)));                                                              \
    r = (F){{t0, t1, t2, t3, t4, t5, t6, t7, t8}};                                          \
  }

static inline INLINED F f_mul(F a, F b) {
  F r;
  MULTIPLY(LANE_LIMB, r, &a, &b)
  return r;
}

/* f_mul by a constant of all lanes. */
static inline INLINED F f_scale(F a, __local const CONSTANT* b) {
  F r;
  MULTIPLY(CONSTANT_LIMB, r, &a, b)
  return r;
}

#else

static F f_mul(F a, F b) {
#define ITEM(limb) limb,
  const ulong fold[LIMBS] = {FOLD(ITEM)};
#undef ITEM
  LANES t[LIMBS];
  F r;
#pragma unroll
  for (uint j = 0; j < LIMBS; j++) t[j] = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
#pragma unroll
    for (uint j = 0; j < LIMBS; j++) t[j] += product(a.limb[j], b.limb[i]);
    const bool last = i + 1 == LIMBS;
    LANES q = t[0] & LOW;
    if (last) {
      q = product(q, (LANES)(MU & 0x1ffffffful)) & LOW;
      t[0] += product(q, (LANES)(P_LIMB(0)));
    }
    const LANES carry = t[0] >> 29;
#pragma unroll
    for (uint j = 1; j < LIMBS; j++)
      t[j - 1] = t[j] + product(q, (LANES)(last ? P_LIMB(j) : fold[j - 1]));
    t[LIMBS - 1] = last ? (LANES)(0ul) : product(q, (LANES)(fold[LIMBS - 1]));
    t[0] += carry;
  }
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++) {
    r.limb[i] = t[i] & LOW;
    t[i + 1] += t[i] >> 29;
  }
  r.limb[LIMBS - 1] = t[LIMBS - 1];
  return r;
}

static inline F f_scale(F a, __local const CONSTANT* b) {
  F factor;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) factor.limb[i] = (LANES)(b->limb[i]);
  return f_mul(a, factor);
}

#endif

static inline F f_sqr(F a) { return f_mul(a, a); }

/* Limb i of multiple * P, with `units` of each limb lent to the one below, so that as many limbs
 * below 2^29 (or one unit less of near ones) can be taken from it. The limbs are asked for in order. */
static inline ulong lent(uint multiple, uint units, uint i, ulong* carry) {
  const ulong sum = multiple * P_LIMB(i) + *carry;
  *carry = sum >> 29;
  if (i + 1 == LIMBS) return sum - units;
  return (sum & 0x1ffffffful) + ((ulong)units << 29) - (i > 0 ? units : 0u);
}

/* Carries every limb once. */
static inline F f_near(F a) {
  F r;
  r.limb[0] = a.limb[0] & LOW;
#pragma unroll
  for (uint i = 1; i < LIMBS; i++)
    r.limb[i] = (i + 1 < LIMBS ? a.limb[i] & LOW : a.limb[i]) + (a.limb[i - 1] >> 29);
  return r;
}

/* a - b + 34P, b near and below 33P; loose, below 2^31 + 2^7. */
static inline F f_sub_loose(F a, F b) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] += (LANES)(lent(34, 2, i, &carry)) - b.limb[i];
  return a;
}

/* The same, near. */
static inline F f_sub(F a, F b) { return f_near(f_sub_loose(a, b)); }

/* The element's opposite in lanes where the mask is set, limb by limb, as signed numbers: only to be
 * added to or taken from something larger. */
static inline F f_signed(LANES mask, F a) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] = (a.limb[i] ^ mask) - mask;
  return a;
}

/* a - b - c + 68P, b and c below 33P with limbs below 2^29, signed or not; loose, below 3 * 2^30. */
static inline F f_sub_both(F a, F b, F c) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    a.limb[i] = a.limb[i] + (LANES)(lent(68, 3, i, &carry)) - b.limb[i] - c.limb[i];
  return a;
}

/* The element's opposite in lanes where the mask is set, a < 32P; below 33P, near. */
static inline F f_negate_where(LANES mask, F a) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES opposite = (LANES)(lent(33, 2, i, &carry)) - a.limb[i];
    a.limb[i] = (opposite & mask) | (a.limb[i] & ~mask);
  }
  return f_near(a);
}

/* a < 128P, loose: less so many P that it is below 2P, and limbs exact. The top limb falls short of what
 * the limbs below it hold, by a few units of millions, so the quotient does not exceed the true one. */
static inline F f_reduced(F a) {
  const ulong inverse = (1ul << 44) / (P_LIMB(8) + 1);
  const LANES q = product(a.limb[LIMBS - 1], (LANES)(inverse)) >> 44;
  LANES carry = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    /* 2^8 units are lent so that no limb is negative; q*P is below 2^7 units. */
    LANES limb = a.limb[i] - product(q, (LANES)(P_LIMB(i))) + carry;
    if (i + 1 < LIMBS) limb += (LANES)(1ul << 37);
    if (i > 0) limb -= (LANES)(1ul << 8);
    carry = limb >> 29;
    a.limb[i] = i + 1 < LIMBS ? limb & LOW : limb;
  }
  return a;
}

/* a in [0, 2P), exact limbs: the number below P. */
static inline F f_canonical(F a) {
  F less;
  LANES carry = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    LANES limb = a.limb[i] - (LANES)(P_LIMB(i)) + carry;
    if (i + 1 < LIMBS) limb += (LANES)(1ul << 30);
    if (i > 0) limb -= (LANES)(2ul);
    carry = limb >> 29;
    less.limb[i] = i + 1 < LIMBS ? limb & LOW : limb;
  }
  const LANES negative = as_ulong4(as_long4(less.limb[LIMBS - 1]) < (long4)(0));
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    less.limb[i] = (a.limb[i] & negative) | (less.limb[i] & ~negative);
  return less;
}

/* Lanes that are zero; a < 128P, loose. */
static inline LANES f_zeros(F a) {
  a = f_canonical(f_reduced(a));
  LANES bits = a.limb[0];
#pragma unroll
  for (uint i = 1; i < LIMBS; i++) bits |= a.limb[i];
  return as_ulong4(bits == (LANES)(0ul));
}

static inline F f_select(LANES mask, F set, F clear) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++)
    clear.limb[i] = (set.limb[i] & mask) | (clear.limb[i] & ~mask);
  return clear;
}

static inline bool any_lane(LANES mask) { return any(as_long4(mask)); }

/* Four words of each lane, one vector a word, to limbs: a packed element, or with shift = 5 one at rest. */
static inline F f_from_words(const LANES w[4], const uint shift) {
  F a;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    if (i == 0) {
      a.limb[0] = (w[0] << shift) & LOW;
      continue;
    }
    const uint bit = 29 * i - shift, at = bit / 64, off = bit % 64;
    LANES limb = w[at] >> off;
    if (off > 35 && at < 3) limb |= w[at + 1] << (64 - off);
    a.limb[i] = limb & LOW;
  }
  return a;
}

/* Exact limbs, value below 2^256, to words. */
static inline void f_to_words(F a, LANES w[4]) {
  w[0] = a.limb[0] | a.limb[1] << 29 | a.limb[2] << 58;
  w[1] = a.limb[2] >> 6 | a.limb[3] << 23 | a.limb[4] << 52;
  w[2] = a.limb[4] >> 12 | a.limb[5] << 17 | a.limb[6] << 46;
  w[3] = a.limb[6] >> 18 | a.limb[7] << 11 | a.limb[8] << 40;
}

/* Words of four lanes that lie anywhere, to and from one vector a word. */
static inline void transpose(const ulong4 a, const ulong4 b, const ulong4 c, const ulong4 d,
                             LANES w[4]) {
  w[0] = (ulong4)(a.s0, b.s0, c.s0, d.s0);
  w[1] = (ulong4)(a.s1, b.s1, c.s1, d.s1);
  w[2] = (ulong4)(a.s2, b.s2, c.s2, d.s2);
  w[3] = (ulong4)(a.s3, b.s3, c.s3, d.s3);
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
