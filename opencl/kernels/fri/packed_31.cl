/* A fold by two over an extension of degree four of a 31-bit field, elements side by side in a lane.
 *
 * packed_fold(a, b, inverse, m) = a + b + beta*(a - b)*inverse, m the matrix of the product with beta and
 * inverse the factor of each element, in all of its words.
 *
 * Word j of a product is the sum over k of m[j][j ^ k] * d[j ^ k], and d with its words so exchanged is a
 * shuffle. Even and odd words go separately, as vector units multiply them:
 *   even words 0 and 2 take d[0], d[2]; d[1], d[3]; d[2], d[0]; d[3], d[1] for k = 0..3, odd words the
 *   same four in another order.
 * Numbers are signed: (a - b)*inverse/R is in (-P, P), entries of m are in [-P/2, P/2], and so the
 * four products, below 2P^2 < 2^63 together, take one reduction.
 *
 * Canonical in, canonical out.
 * Expects: field/monty31.cl with vectors; EXT_DEGREE 4. */

#if FIELD_BITS == 31 && EXT_DEGREE == 4 && VW >= 4
#define PACKED

#if WIDE_WIDTH == 2
#define ALTERNATING(a, b) (SIGNED_WIDE)(a, b)
#define WORDS_1133(x) AS_SIGNED((x).s1133)
#define WORDS_3311(x) AS_SIGNED((x).s3311)
#elif WIDE_WIDTH == 4
#define ALTERNATING(a, b) (SIGNED_WIDE)(a, b, a, b)
#define WORDS_1133(x) AS_SIGNED((x).s11335577)
#define WORDS_3311(x) AS_SIGNED((x).s33117755)
#else
#define ALTERNATING(a, b) (SIGNED_WIDE)(a, b, a, b, a, b, a, b)
#define WORDS_1133(x) AS_SIGNED((x).s1133557799bbddff)
#define WORDS_3311(x) AS_SIGNED((x).s33117755bb99ffdd)
#endif

/* Of a matrix, what even and odd words are multiplied by, for k = 0..3. */
typedef struct {
  SIGNED_WIDE even[4], odd[4];
} Factor;

static inline long balanced(S a) { return (long)(int)(a > P / 2 ? a - P : a); }

static inline void factor_load(Factor* to, __constant S* m) {
#pragma unroll
  for (uint k = 0; k < 4; k++) {
    to->even[k] = ALTERNATING(balanced(m[k]), balanced(m[8 + (2 ^ k)]));
    to->odd[k] = ALTERNATING(balanced(m[4 + (1 ^ k)]), balanced(m[12 + (3 ^ k)]));
  }
}

/* x/R, in the high words; the low ones are zero. */
static inline F to_high(SIGNED_WIDE x) {
  const SIGNED_WIDE q = AS_SIGNED(words_mul(AS_WIDE(x), (WIDE)(MU)));
  return AS_LANE(x - words_mul_signed(q, (SIGNED_WIDE)((long)P)));
}

static inline F packed_fold(F a, F b, F inverse, const Factor* m) {
  const WIDE difference = AS_WIDE(a - b);
  const SIGNED_WIDE by = AS_SIGNED(inverse);
  const F d02 = to_high(words_mul_signed(AS_SIGNED(difference), by));
  const F d13 = to_high(words_mul_signed(AS_SIGNED(difference >> 32), by));
  const SIGNED_WIDE d0 = WORDS_1133(d02), d1 = WORDS_1133(d13);
  const SIGNED_WIDE d2 = WORDS_3311(d02), d3 = WORDS_3311(d13);
  const WIDE even = AS_WIDE(words_mul_signed(d0, m->even[0]) + words_mul_signed(d1, m->even[1]) +
                            words_mul_signed(d2, m->even[2]) + words_mul_signed(d3, m->even[3]));
  const WIDE odd = AS_WIDE(words_mul_signed(d1, m->odd[0]) + words_mul_signed(d0, m->odd[1]) +
                           words_mul_signed(d3, m->odd[2]) + words_mul_signed(d2, m->odd[3]));
  const WIDE mu = (WIDE)(MU), p = (WIDE)(P);
  const F high = high_words(even, odd);
  const F product = min(high, high + (F)(P)) -
                    high_words(words_mul(words_mul(even, mu), p), words_mul(words_mul(odd, mu), p));
  return f_add(f_add(a, b), min(product, product + (F)(P)));
}

#endif
