/* Poseidon2 over KoalaBear, 16 elements. V = [-2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 1/2^8, 1/8, 1/2^24,
 * -1/2^8, -1/8, -1/16, -1/2^24]. See hash/babybear_16.cl. Source: p3-koala-bear 0.8. */

#define WIDTH 16
#define RATE 8
#define DIGEST 8
#define INTERNAL_ROUNDS 20
#define POWER 3
#define ODD 127
#define TWO_ADICITY 24
#define DIAGONAL(PLUS, MINUS)                                                             \
  PLUS(1, s[1]) PLUS(2, f_double(s[2])) PLUS(3, f_halve(s[3]))                            \
  PLUS(4, f_triple(s[4])) PLUS(5, f_quadruple(s[5])) MINUS(6, f_halve(s[6]))              \
  MINUS(7, f_triple(s[7])) MINUS(8, f_quadruple(s[8]))                                    \
  PLUS(9, f_shrink(s[9], 8)) PLUS(10, f_shrink(s[10], 3)) PLUS(11, f_shrink(s[11], 24))   \
  MINUS(12, f_shrink(s[12], 8)) MINUS(13, f_shrink(s[13], 3)) MINUS(14, f_shrink(s[14], 4)) \
  MINUS(15, f_shrink(s[15], 24))
