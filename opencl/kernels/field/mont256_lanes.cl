/* Products of field/mont256_limbs.cl by the vector units that most processors have: four elements a lane,
 * nine limbs of 29 bits each, R = 2^261.
 *
 * Vector units multiply 32 x 32 -> 64 bits and have no carries. A limb is below 2^29 ("exact"), below
 * 2^29 + 2^6 ("near"), or below 3 * 2^30 ("loose") as first operand of f_mul, which nine products of loose
 * and near limbs and nine of exact ones do not overflow.
 *
 * f_mul(a, b) = a*b/2^261 < 2.1P + a*b/2^261; P*P/2^261 is P/169. So with a < 140P and b < 40P it is
 * below 36P, and with b < 3.4P below 5P. Where P has 255 bits, as in field/bls12_381_fr.cl, P*P/2^261 is
 * P/70, and these bounds do not hold: there it is for ntt/pass_lanes.cl, which has its own, and for what
 * stays below 80P * 50P, which is below 60P.
 * Expects: MU, FOLD (see field/bn254_fq.cl) and field/mont256_limbs.cl.
 * Oracle: ark-ff 0.6 in the host crate's tests. */

#if VW != 4
#error "field/mont256_lanes.cl has four lanes"
#endif

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

/* f_mul(a, a) by the compiler, each product of two limbs taken once: step i adds the products of limb i with
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

/* Carries every limb once. */
static inline F f_near(F a) {
  F r;
  r.limb[0] = a.limb[0] & LOW;
#pragma unroll
  for (uint i = 1; i < LIMBS; i++)
    r.limb[i] = (i + 1 < LIMBS ? a.limb[i] & LOW : a.limb[i]) + (a.limb[i - 1] >> 29);
  return r;
}

static inline F f_loose(F a) { return a; }

#define MOST 128

/* The top limb falls short of what
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
