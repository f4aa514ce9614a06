/* A prime field below 2^31 in Montgomery form with R = 2^32.
 *
 * Every value is canonical: an element a is stored as a*R mod P in [0, P), before and after each
 * operation. That is also how Plonky3 keeps its 31-bit fields, so host buffers travel as they are.
 *
 * f_mul(a, b) = a*b/R: with x = a*b and q = x*MU mod 2^32, x - q*P is a multiple of 2^32 and its
 * high word lies in (-P, P).
 * Expects: P, MU, HALF, FIELD_BITS (see field/babybear.cl), lane.cl and, for vectors, words.cl.
 * Source: Montgomery 1985; the signed variant is that of Plonky3's monty-31. */

typedef uint S;
typedef LANE(uint) F;

static inline F f_splat(S a) { return (F)(a); }

static inline F f_canonical(F a) { return a; }

/* x and x +- P differ by P, and exactly one of the two is in [0, P): the smaller, unsigned. */
static inline F f_add(F a, F b) {
  F s = a + b;
  return min(s, s - (F)(P));
}

static inline F f_sub(F a, F b) {
  F d = a - b;
  return min(d, d + (F)(P));
}

static inline F f_halve(F a) {
  return (a >> 1) + (((F)(0u) - (a & (F)(1u))) & (F)(HALF));
}

#if VW == 1

static inline F f_mul(F a, F b) {
  const ulong x = (ulong)a * b;
  const uint r = (uint)(x >> 32) - mul_hi((uint)x * MU, P);
  return min(r, r + P);
}

static inline F f_scale(F a, S b) { return f_mul(a, b); }

/* a*b of four lanes fit 64 bits together, as 4P^2 < 2^64; their high word is below 2P. */
#ifdef EXT_DEGREE
static inline F f_dot(const F* a, __constant S* b) {
  ulong x = 0;
#pragma unroll
  for (uint k = 0; k < min(EXT_DEGREE, 4); k++) x += (ulong)a[k] * b[k];
  const uint high = (uint)(x >> 32);
  uint r = min(high, high - P) - mul_hi((uint)x * MU, P);
  r = min(r, r + P);
#pragma unroll
  for (uint k = 4; k < EXT_DEGREE; k++) r = f_add(r, f_mul(a[k], b[k]));
  return r;
}
#endif

#else

/* Vector units multiply 32 x 32 -> 64 bits in every second lane only, so even and odd lanes go
 * separately as 64-bit lanes. */
#define AS_LANE CAT(as_uint, VW)

/* The high words of even and odd lanes, in place. */
static inline F high_words(WIDE even, WIDE odd) {
  return AS_LANE((even >> 32) | (odd & ~LOW_WORDS));
}

/* x/R in (-P, P), plus P where it is negative, for x < P*R: even and odd lanes. */
static inline F f_reduce(WIDE even, WIDE odd) {
  const WIDE mu = (WIDE)(MU), p = (WIDE)(P);
  /* The low words of x - q*P cancel exactly. */
  F r = high_words(even - words_mul(words_mul(even, mu), p), odd - words_mul(words_mul(odd, mu), p));
  return min(r, r + (F)(P));
}

static inline F f_mul(F a, F b) {
  const WIDE a0 = AS_WIDE(a), b0 = AS_WIDE(b);
  return f_reduce(words_mul(a0, b0), words_mul(a0 >> 32, b0 >> 32));
}

static inline F f_scale(F a, S b) {
  const WIDE a0 = AS_WIDE(a), b0 = AS_WIDE((F)(b));
  return f_reduce(words_mul(a0, b0), words_mul(a0 >> 32, b0));
}

/* As above, with one reduction for four products. */
#ifdef EXT_DEGREE
static inline F f_dot(const F* a, __constant S* b) {
  WIDE even = (WIDE)(0ul), odd = (WIDE)(0ul);
#pragma unroll
  for (uint k = 0; k < min(EXT_DEGREE, 4); k++) {
    const WIDE a0 = AS_WIDE(a[k]), factor = AS_WIDE((F)(b[k]));
    even += words_mul(a0, factor);
    odd += words_mul(a0 >> 32, factor);
  }
  const WIDE mu = (WIDE)(MU), p = (WIDE)(P);
  const F high = high_words(even, odd);
  F r = min(high, high - (F)(P)) -
        high_words(words_mul(words_mul(even, mu), p), words_mul(words_mul(odd, mu), p));
  r = min(r, r + (F)(P));
#pragma unroll
  for (uint k = 4; k < EXT_DEGREE; k++) r = f_add(r, f_scale(a[k], b[k]));
  return r;
}
#endif

#endif

/* Steps of a transform (ntt/pass.cl): one level splits by s, two by r = s^2 and then by s and s*i,
 * i^2 = -1:
 *   y0, y1 = (x0 + r*x2) +- (s*x1 + r*s*x3);   y2, y3 = (x0 - r*x2) +- (s*i*x1 - r*s*i*x3)
 * Sums of two products, 2P^2 < P*R, take one reduction. */
#define MAX_STEP_LEVELS 2
#define STEP_LEVELS(left) ((left) % 2 ? 1 : 2)
#define STEP_FACTORS(levels) ((levels) == 1 ? 1 : 5)

static inline void step_factors(F* to, F s, const uint levels, S i) {
  to[0] = s;
  if (levels == 1) return;
  const F r = f_mul(s, s), rs = f_mul(r, s);
  to[1] = r;
  to[2] = rs;
  to[3] = f_scale(s, i);
  to[4] = f_scale(rs, P - i);
}

#if VW == 1

/* a*x + b*y. */
static inline F f_scale2(F x, S a, F y, S b) {
  const ulong sum = (ulong)x * a + (ulong)y * b;
  const uint r = (uint)(sum >> 32) - mul_hi((uint)sum * MU, P);
  return min(r, r + P);
}

#else

static inline F f_scale2(F x, S a, F y, S b) {
  const WIDE x0 = AS_WIDE(x), y0 = AS_WIDE(y), a0 = AS_WIDE((F)(a)), b0 = AS_WIDE((F)(b));
  return f_reduce(words_mul(x0, a0) + words_mul(y0, b0),
                  words_mul(x0 >> 32, a0) + words_mul(y0 >> 32, b0));
}

#endif

static inline void f_split(F* x, const uint levels, __local const S* by, uint stride) {
  if (levels == 1) {
    const F a = x[0], b = f_scale(x[1], by[0]);
    x[0] = f_add(a, b);
    x[1] = f_sub(a, b);
    return;
  }
  const F a = f_scale(x[2], by[stride]);
  const F b = f_scale2(x[1], by[0], x[3], by[2 * stride]), c = f_scale2(x[1], by[3 * stride], x[3], by[4 * stride]);
  const F sum = f_add(x[0], a), difference = f_sub(x[0], a);
  x[0] = f_add(sum, b);
  x[1] = f_sub(sum, b);
  x[2] = f_add(difference, c);
  x[3] = f_sub(difference, c);
}
