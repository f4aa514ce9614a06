/* Poseidon2 over BabyBear, 24 elements. V = [-2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 1/2^8, 1/4, 1/8, 1/16,
 * 1/2^7, 1/2^9, 1/2^27, -1/2^8, -1/4, -1/8, -1/16, -1/32, -1/64, -1/2^7, -1/2^27].
 * See hash/babybear_16.cl. Source: p3-baby-bear 0.8. */

#define WIDTH 24
#define INTERNAL_ROUNDS 21
#define POWER 7
#define ODD 15
#define TWO_ADICITY 27
#define DIAGONAL(PLUS, MINUS)                                                          \
  PLUS(1, s[1]) PLUS(2, f_double(s[2])) PLUS(3, f_halve(s[3]))                         \
  PLUS(4, f_triple(s[4])) PLUS(5, f_quadruple(s[5])) MINUS(6, f_halve(s[6]))           \
  MINUS(7, f_triple(s[7])) MINUS(8, f_quadruple(s[8]))                                 \
  PLUS(9, f_shrink(s[9], 8)) PLUS(10, f_shrink(s[10], 2)) PLUS(11, f_shrink(s[11], 3)) \
  PLUS(12, f_shrink(s[12], 4)) PLUS(13, f_shrink(s[13], 7)) PLUS(14, f_shrink(s[14], 9)) \
  PLUS(15, f_shrink(s[15], 27)) MINUS(16, f_shrink(s[16], 8))                          \
  MINUS(17, f_shrink(s[17], 2)) MINUS(18, f_shrink(s[18], 3)) MINUS(19, f_shrink(s[19], 4)) \
  MINUS(20, f_shrink(s[20], 5)) MINUS(21, f_shrink(s[21], 6)) MINUS(22, f_shrink(s[22], 7)) \
  MINUS(23, f_shrink(s[23], 27))
