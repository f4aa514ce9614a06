/* BabyBear, P = 2^31 - 2^27 + 1, for field/monty31.cl.
 *
 * MU = P^-1 mod 2^32, HALF = (P + 1) / 2.
 * Oracle: field::BabyBear in the host crate; p3-baby-bear 0.8 in its tests. */

#define FIELD babybear
#define P 0x78000001u
#define MU 0x88000001u
#define HALF 0x3c000001u
#define FIELD_BITS 31
