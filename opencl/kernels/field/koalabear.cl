/* KoalaBear, P = 2^31 - 2^24 + 1, for field/monty31.cl.
 *
 * MU = P^-1 mod 2^32, HALF = (P + 1) / 2.
 * Oracle: field::KoalaBear in the host crate; p3-koala-bear 0.8 in its tests. */

#define FIELD koalabear
#define P 0x7f000001u
#define MU 0x81000001u
#define HALF 0x3f800001u
#define FIELD_BITS 31
