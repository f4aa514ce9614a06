/* The scalar field of BLS12-381, for field/mont256.cl:
 * P = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001.
 *
 * P0..P3 are the words of P, low first, ONE0..ONE3 those of 2^256 mod P; MU = -P^-1 mod 2^64.
 * FOLD: the limbs of 29 bits of ((MU mod 2^29)*P + 1) / 2^29, for field/mont256_lanes.cl, which has it
 * in transforms only: P has 255 bits.
 * Oracle: ark-bls12-381 0.6 in the host crate's tests. */

#define FIELD bls12_381_fr
#define P0 0xffffffff00000001ul
#define P1 0x53bda402fffe5bfeul
#define P2 0x3339d80809a1d805ul
#define P3 0x73eda753299d7d48ul
#define ONE0 0x00000001fffffffeul
#define ONE1 0x5884b7fa00034802ul
#define ONE2 0x998c4fefecbc4ff5ul
#define ONE3 0x1824b159acc5056ful
#define MU 0xfffffffefffffffful
#define FIELD_BITS 255
#define FOLD(X) \
  X(0x00000009ul) X(0x00690038ul) X(0x044ef9c0ul) X(0x1dc7b0c4ul) X(0x117c506aul) \
  X(0x16e337e9ul) X(0x0abb9937ul) X(0x09f14608ul) X(0x0073eda7ul)
