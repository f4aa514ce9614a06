/* Poseidon2 over Goldilocks, 12 elements. V = [-2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 1/4, -1/4, 1/8].
 * See hash/babybear_16.cl. Source: p3-goldilocks 0.8. */

#define WIDTH 12
#define INTERNAL_ROUNDS 22
#define DIAGONAL(PLUS, MINUS)                                                 \
  PLUS(1, s[1]) PLUS(2, f_double(s[2])) PLUS(3, f_halve(s[3]))                \
  PLUS(4, f_triple(s[4])) PLUS(5, f_quadruple(s[5])) MINUS(6, f_halve(s[6]))  \
  MINUS(7, f_triple(s[7])) MINUS(8, f_quadruple(s[8]))                        \
  PLUS(9, f_shrink(s[9], 2)) MINUS(10, f_shrink(s[10], 2)) PLUS(11, f_shrink(s[11], 3))
