/* A fold by two over the extension of degree two of Goldilocks, elements side by side in a lane.
 *
 * packed_fold(a, b, inverse, m) = a + b + beta*(a - b)*inverse, m the matrix of the product with beta and
 * inverse the factor of each element, in all of its words.
 *
 * Word j of a product is m[j][j]*w[j] + m[j][1-j]*w[1-j], and w with its words exchanged is a shuffle. A
 * factor c stands with its other form c*2^32 mod P, for the high half of w: with halves of 32 bits,
 *   c*w = (c0*w0 + c'0*w1) + 2^32*(c1*w0 + c'1*w1),
 * so that all four products of a word and a + b sum up in two columns and take one reduction.
 *
 * Any word in, any word out, for what they are modulo P.
 * Expects: field/goldilocks.cl with vectors; EXT_DEGREE 2. */

#if FIELD_BITS == 64 && EXT_DEGREE == 2 && VW >= 2
#define PACKED

#if VW == 2
#define ALTERNATING(a, b) (F)(a, b)
#define EXCHANGED(x) (x).s10
#elif VW == 4
#define ALTERNATING(a, b) (F)(a, b, a, b)
#define EXCHANGED(x) (x).s1032
#elif VW == 8
#define ALTERNATING(a, b) (F)(a, b, a, b, a, b, a, b)
#define EXCHANGED(x) (x).s10325476
#else
#define ALTERNATING(a, b) (F)(a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b)
#define EXCHANGED(x) (x).s1032547698badcfe
#endif

/* Of a matrix, the halves that w0, w1, and the same of the other word, are multiplied by. */
typedef struct {
  F low[4], high[4];
} Factor;

static inline void factor_load(Factor* to, __constant S* m) {
#pragma unroll
  for (uint k = 0; k < 2; k++) {
    const F c = ALTERNATING(m[k], m[2 + (1 ^ k)]), shifted = f_scale(c, 1ul << 32);
    to->low[2 * k] = c & LOW_WORDS;
    to->high[2 * k] = c >> 32;
    to->low[2 * k + 1] = shifted & LOW_WORDS;
    to->high[2 * k + 1] = shifted >> 32;
  }
}

/* The sum of products of low words, its low word apart from what is above it; both below 2^35. */
static inline void column(F* low, F* above, const F* x, const F* by) {
  F sum = (F)(0ul);
  *above = (F)(0ul);
#pragma unroll
  for (uint i = 0; i < 4; i++) {
    /* The factor comes from memory, for which words_mul would need an instruction more. */
    const F product = (x[i] & LOW_WORDS) * (by[i] & LOW_WORDS);
    sum += product;
    *above += product >> 32;
  }
  *low = sum - (*above << 32);
}

static inline F packed_fold(F a, F b, F inverse, const Factor* m) {
  const F w = f_mul_loose(f_sub_loose(a, b), inverse), other = EXCHANGED(w);
  const F halves[4] = {w, w >> 32, other, other >> 32};
  F low0, low1, high0, high1;
  column(&low0, &high0, halves, m->low);
  column(&low1, &high1, halves, m->high);
  /* 2^64 = 2^32 - 1, and 16*P so that both limbs are positive. */
  const F p0 = low0 - high1 + (a & LOW_WORDS) + (b & LOW_WORDS) + (F)((1ul << 36) + 16);
  const F p1 = high0 + low1 + high1 + (a >> 32) + (b >> 32) + (F)((1ul << 36) - 32);
  return l_word((Limbs){p0, p1});
}

#endif
