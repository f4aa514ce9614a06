/* Poseidon2 over Goldilocks, 8 elements. V = [-2, 1, 2, 1/2, 3, -1/2, -3, -4].
 * See hash/babybear_16.cl. Source: p3-goldilocks 0.8. */

#define WIDTH 8
#define RATE 4
#define DIGEST 4
#define INTERNAL_ROUNDS 22
#define DIAGONAL(PLUS, MINUS)                                            \
  PLUS(1, s[1]) PLUS(2, f_double(s[2])) PLUS(3, f_halve(s[3]))           \
  PLUS(4, f_triple(s[4])) MINUS(5, f_halve(s[5])) MINUS(6, f_triple(s[6])) \
  MINUS(7, f_quadruple(s[7]))
