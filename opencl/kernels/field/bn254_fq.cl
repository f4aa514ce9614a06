/* The base field of BN254, for field/mont256.cl:
 * P = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47.
 *
 * P0..P3 are the words of P, low first, ONE0..ONE3 those of 2^256 mod P; MU = -P^-1 mod 2^64.
 * FOLD: the limbs of 29 bits of ((MU mod 2^29)*P + 1) / 2^29, for field/mont256_lanes.cl; FOLD_52: the same
 * with 52 for 29, for field/mont256_ifma.cl.
 * Oracle: ark-bn254 0.6 and halo2curves 0.10 in the host crate's tests. */

#define FIELD bn254_fq
#define P0 0x3c208c16d87cfd47ul
#define P1 0x97816a916871ca8dul
#define P2 0xb85045b68181585dul
#define P3 0x30644e72e131a029ul
#define ONE0 0xd35d438dc58f0d9dul
#define ONE1 0x0a78eb28f5c70b3dul
#define ONE2 0x666ea36f7879462cul
#define ONE3 0x0e0a77c19a07df2ful
#define MU 0x87d20782e4866389ul
#define FIELD_BITS 254
#define FOLD(X) \
  X(0x17789a9ful) X(0x05ffc3dcul) X(0x0d6bde42ul) X(0x1cf152e3ul) X(0x18eb055ful) \
  X(0x0ed815e2ul) X(0x016626d2ul) X(0x0b8bab0ful) X(0x0006d7c4ul)
#define FOLD_52(X) \
  X(0xc93a3dee22c55ul) X(0xe15f4ea250777ul) X(0x37f0b49e7cd63ul) X(0x2079e650a0895ul) X(0x006234192d7a1ul)
