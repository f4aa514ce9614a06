/* The scalar field of BN254, for field/mont256.cl:
 * P = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001.
 *
 * P0..P3 are the words of P, low first, ONE0..ONE3 those of 2^256 mod P; MU = -P^-1 mod 2^64.
 * FOLD: the limbs of 29 bits of ((MU mod 2^29)*P + 1) / 2^29, for field/mont256_lanes.cl; FOLD_52: the same
 * with 52 for 29, for field/mont256_ifma.cl.
 * Oracle: ark-bn254 0.6 and halo2curves 0.10 in the host crate's tests. */

#define FIELD bn254_fr
#define P0 0x43e1f593f0000001ul
#define P1 0x2833e84879b97091ul
#define P2 0xb85045b68181585dul
#define P3 0x30644e72e131a029ul
#define ONE0 0xac96341c4ffffffbul
#define ONE1 0x36fc76959f60cd29ul
#define ONE2 0x666ea36f7879462eul
#define ONE3 0x0e0a77c19a07df2ful
#define MU 0xc2e1f593effffffful
#define FIELD_BITS 254
#define FOLD(X) \
  X(0x18f05361ul) X(0x012bb1feul) X(0x0f5d8135ul) X(0x1e6275f6ul) X(0x07e7a880ul) \
  X(0x10c6bf1ful) X(0x11f74a6cul) X(0x06fdaecbul) X(0x00183227ul)
#define FOLD_52(X) \
  X(0x82e644ee4c3d2ul) X(0xf93893c98b1deul) X(0xd46fe04d0a4c7ul) X(0x8f0aad55e2a1ful) X(0x005ed0447de83ul)
