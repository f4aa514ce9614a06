/* Goldilocks, P = 2^64 - 2^32 + 1.
 *
 * Operations take and give canonical values: an element is stored as itself, in [0, P). Memory may hold
 * any word for what it is modulo P; f_load, f_gather and a transform's steps take it.
 *
 * With e = 2^32 - 1: 2^64 = e and 2^96 = -1 (mod P), so a product lo + 2^64*m + 2^96*h, m and h of 32
 * bits, is lo - h + e*m.
 * Expects: lane.cl, words.cl; INVERSE, zero or one, for the steps of a transform.
 * Source: the reduction is that of plonky2, "Goldilocks" (Polygon Zero 2021).
 * Oracle: field::Goldilocks in the host crate; p3-goldilocks 0.8 in its tests. */

#define FIELD goldilocks
#define P 0xffffffff00000001ul
#define HALF 0x7fffffff80000001ul
#define EPSILON 0xfffffffful

typedef ulong S;
typedef LANE(ulong) F;

static inline F f_splat(S a) { return (F)(a); }

#if VW == 1

static inline F f_reduced(F x) { return min(x, x - P); }

static inline F f_add(F a, F b) {
  const F s = a + b;
  return f_reduced(s + (s < a ? EPSILON : 0ul));
}

static inline F f_sub(F a, F b) { return a - b - (a < b ? EPSILON : 0ul); }

/* a*b for any words, as any word. */
static inline F f_mul_loose(F a, F b) {
  const F lo = a * b, hi = mul_hi(a, b);
  const F h = hi >> 32, m = hi & EPSILON;
  const F t = lo - h - (lo < h ? EPSILON : 0ul);
  const F r = t + ((m << 32) - m);
  return r + (r < t ? EPSILON : 0ul);
}

#else

/* Vector units compare signed numbers only: with the highest bit flipped, unsigned order is signed
 * order, and a chain of additions keeps it flipped. */
#define FLIP ((SIGNED_WIDE)(long)(1ul << 63))

/* 2^32 - 1 where a > b, and 0 elsewhere. */
static inline SIGNED_WIDE where_greater(SIGNED_WIDE a, SIGNED_WIDE b) {
  return AS_SIGNED(AS_WIDE(a > b) >> 32);
}

/* Flipped in and out. */
static inline SIGNED_WIDE reduced_flipped(SIGNED_WIDE x) {
  return x + where_greater(x, (SIGNED_WIDE)((long)(P - 1)) ^ FLIP);
}

static inline F f_reduced(F x) { return AS_WIDE(reduced_flipped(AS_SIGNED(x) ^ FLIP) ^ FLIP); }

/* a - (P - b), and P more where that is negative: one comparison. */
static inline F f_add(F a, F b) {
  const SIGNED_WIDE from = AS_SIGNED(a) ^ FLIP;
  const SIGNED_WIDE less = from - AS_SIGNED((F)(P) - b);
  return AS_WIDE((less + ((less > from) & (SIGNED_WIDE)((long)P))) ^ FLIP);
}

static inline F f_sub(F a, F b) {
  return a - b - AS_WIDE(where_greater(AS_SIGNED(b) ^ FLIP, AS_SIGNED(a) ^ FLIP));
}

/* a - b for any words, as any word. */
static inline F f_sub_loose(F a, F b) {
  const SIGNED_WIDE from = AS_SIGNED(a) ^ FLIP, less = reduced_flipped(AS_SIGNED(b) ^ FLIP);
  return AS_WIDE(from - less - where_greater(less, from));
}

/* a*b for any words, as any word. */
static inline F f_mul_loose(F a, F b) {
  const F a1 = a >> 32, b1 = b >> 32;
  const F x = words_mul(a, b);
  const F y = words_mul(a1, b) + (x >> 32);
  const F z = words_mul(a, b1) + (y & LOW_WORDS);
  const F hi = words_mul(a1, b1) + (y >> 32) + (z >> 32);
  const SIGNED_WIDE lo = AS_SIGNED((z << 32) | (x & LOW_WORDS)) ^ FLIP;
  SIGNED_WIDE t = lo - AS_SIGNED(hi >> 32);
  t -= where_greater(t, lo);
  SIGNED_WIDE r = t + AS_SIGNED(words_mul(hi, (F)(EPSILON)));
  r += where_greater(t, r);
  return AS_WIDE(r ^ FLIP);
}

#endif

static inline F f_canonical(F x) { return f_reduced(x); }

static inline F f_halve(F a) {
  return (a >> 1) + (((F)(0ul) - (a & (F)(1ul))) & (F)(HALF));
}

static inline F f_mul(F a, F b) { return f_reduced(f_mul_loose(a, b)); }

static inline F f_scale(F a, S b) { return f_mul(a, f_splat(b)); }

#ifdef EXT_DEGREE
static inline F f_dot(const F* a, __constant S* b) {
  F sum = f_mul(a[0], f_splat(b[0]));
#pragma unroll
  for (uint k = 1; k < EXT_DEGREE; k++) sum = f_add(sum, f_mul(a[k], f_splat(b[k])));
  return sum;
}
#endif

/* Limbs: a + 2^32*b, of signed words with room for sums. */
typedef struct {
  F a, b;
} Limbs;

/* A word of positive limbs below 2^62. */
static inline F l_word(Limbs x) {
  const F b = x.b + (x.a >> 32), low = (b << 32) | (x.a & LOW_WORDS);
  const F r = low + words_mul(b >> 32, (F)(EPSILON));
  /* What is added is below 2^63: an overflow takes the highest bit from one to zero. */
  return r + words_mul((low & ~r) >> 63, (F)(EPSILON));
}

#ifdef INVERSE

/* There is room for shifts too, which is what a product with a power of two is. 2^192 = 1, and so the
 * roots of order 8 are such powers: 2^24 and its odd powers. With 2^64 = 2^32 - 1:
 *   2^48*(a, b) = 2^16*(-b, a + b),   2^72*(a, b) = 2^8*(-a - b, a) */
static inline Limbs l_add(Limbs x, Limbs y) { return (Limbs){x.a + y.a, x.b + y.b}; }

static inline Limbs l_sub(Limbs x, Limbs y) { return (Limbs){x.a - y.a, x.b - y.b}; }

/* x + 2^48*y, x - 2^48*y. */
static inline Limbs l_add_48(Limbs x, Limbs y) {
  return (Limbs){x.a - (y.b << 16), x.b + ((y.a + y.b) << 16)};
}

static inline Limbs l_sub_48(Limbs x, Limbs y) {
  return (Limbs){x.a + (y.b << 16), x.b - ((y.a + y.b) << 16)};
}

/* 2^24*x + 2^72*y. */
static inline Limbs l_add_24_72(Limbs x, Limbs y) {
  return (Limbs){(x.a << 24) - ((y.a + y.b) << 8), (x.b << 24) + (y.a << 8)};
}

/* x and a multiple of P that makes both limbs of any sum in this file positive and below 2^62: with
 * c = 2^29, (2^32*c + c, (2^32 - 1)*c - c) = c*P. */
static inline Limbs l_offset(F x) {
  return (Limbs){(x & LOW_WORDS) + (F)((1ul << 61) + (1ul << 29)),
                 (x >> 32) + (F)((1ul << 61) - (1ul << 30))};
}

/* x*w, x any word; w and, `stride` on, its high half. The limbs are below 2^34 and 2^35. */
static inline Limbs l_scale(F x, __local const S* w, uint stride) {
  const F x1 = x >> 32, w0 = (F)(w[0]), w1 = (F)(w[stride]);
  const F p = words_mul(x, w0), q = words_mul(x, w1), r = words_mul(x1, w0), t = words_mul(x1, w1);
  const F u = (q >> 32) + (r >> 32) + (t & LOW_WORDS);
  return (Limbs){(p & LOW_WORDS) - u - (t >> 32),
                 (p >> 32) + (q & LOW_WORDS) + (r & LOW_WORDS) + u};
}

/* Steps of a transform (ntt/pass.cl). With s the root of the last level, row j is multiplied by s^j;
 * what remains are roots of order 2, 4 and 8, of which w = -2^24 and i = w^2 = 2^48 are those of the
 * host's table. With the roots inverted, some rows change places. */
#define MAX_STEP_LEVELS 3
#define STEP_LEVELS(left) ((left) % 3 == 0 ? 3 : (left) == 1 ? 1 : 2)
#define STEP_FACTORS(levels) (2 * ((1u << (levels)) - 1))

/* Factors 2j and 2j + 1 are s^(j+1) and its high half. */
static inline void step_factors(F* to, F s, const uint levels, S i) {
  F power[7];
  power[0] = s;
#pragma unroll
  for (uint j = 1; j < 7; j++)
    if (j + 1 < (1u << levels)) power[j] = f_mul(power[j / 2], power[(j - 1) / 2]);
#pragma unroll
  for (uint j = 0; j < 7; j++) {
    if (j + 1 < (1u << levels)) {
      to[2 * j] = power[j];
      to[2 * j + 1] = power[j] >> 32;
    }
  }
}

static inline void f_split(F* x, const uint levels, __local const S* by, uint stride) {
#define SCALED(j) l_scale(x[j], by + (2 * (j) - 2) * stride, stride)
  const Limbs x0 = l_offset(x[0]), x1 = SCALED(1);
  if (levels == 1) {
    x[0] = l_word(l_add(x0, x1));
    x[1] = l_word(l_sub(x0, x1));
    return;
  }
  Limbs s0 = x0, s1 = x1, s2 = SCALED(2), s3 = SCALED(3);
  if (levels == 3) {
    const Limbs x4 = SCALED(4), x5 = SCALED(5);
    const Limbs x6 = SCALED(6), x7 = SCALED(7);
    const Limbs d0 = l_sub(s0, x4), d1 = l_sub(s1, x5), d2 = l_sub(s2, x6), d3 = l_sub(s3, x7);
    s0 = l_add(s0, x4), s1 = l_add(s1, x5), s2 = l_add(s2, x6), s3 = l_add(s3, x7);
    const Limbs u = l_add_48(d0, d2), v = l_sub_48(d0, d2);
    const Limbs a = l_add_24_72(d1, d3), b = l_add_24_72(d3, d1);
    x[INVERSE ? 7 : 4] = l_word(l_sub(u, a));
    x[INVERSE ? 6 : 5] = l_word(l_add(u, a));
    x[INVERSE ? 5 : 6] = l_word(l_sub(v, b));
    x[INVERSE ? 4 : 7] = l_word(l_add(v, b));
  }
  const Limbs p = l_add(s0, s2), q = l_add(s1, s3), d = l_sub(s0, s2), e = l_sub(s1, s3);
  x[0] = l_word(l_add(p, q));
  x[1] = l_word(l_sub(p, q));
  x[INVERSE ? 3 : 2] = l_word(l_add_48(d, e));
  x[INVERSE ? 2 : 3] = l_word(l_sub_48(d, e));
}

#endif
