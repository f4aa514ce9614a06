/* Products of 32-bit words in vectors of 64-bit lanes.
 *
 * WIDE is a vector of VW * sizeof(S) / 8 such lanes, one where VW is 1. words_mul(a, b) multiplies the
 * low words of each lane and ignores the high ones, as all vector units can; but a compiler that is given that as
 * (a & m) * (b & m) drops a mask where it thinks that the next operation does not need it, and then
 * makes four instructions of the one. On x86-64 the instruction is named.
 *
 * words_mul_signed(a, b) takes the low words as signed numbers, in vectors of SIGNED_WIDE. Compilers know
 * the instruction by its shifts, and may then take a factor from memory.
 *
 * Expects: VW and FIELD_BITS.
 * Oracle: the fields' own tests. */

#if VW == 1
#define WIDE_WIDTH 1
#elif FIELD_BITS > 32
#define WIDE_WIDTH VW
#elif VW == 2
#error "a lane of 32-bit words has at least four"
#elif VW == 4
#define WIDE_WIDTH 2
#elif VW == 8
#define WIDE_WIDTH 4
#else
#define WIDE_WIDTH 8
#endif

#if WIDE_WIDTH == 1
typedef ulong WIDE;
typedef long SIGNED_WIDE;
#define AS_WIDE as_ulong
#define AS_SIGNED as_long
#else
typedef CAT(ulong, WIDE_WIDTH) WIDE;
typedef CAT(long, WIDE_WIDTH) SIGNED_WIDE;
#define AS_WIDE CAT(as_ulong, WIDE_WIDTH)
#define AS_SIGNED CAT(as_long, WIDE_WIDTH)
#endif

#define LOW_WORDS ((WIDE)(0xfffffffful))

#if (defined(__AVX2__) && (WIDE_WIDTH == 2 || WIDE_WIDTH == 4)) || (defined(__AVX512F__) && WIDE_WIDTH == 8)

static inline WIDE words_mul(WIDE a, WIDE b) {
  WIDE product;
  __asm__("vpmuludq %2, %1, %0" : "=v"(product) : "v"(a), "v"(b));
  return product;
}

#else

static inline WIDE words_mul(WIDE a, WIDE b) { return (a & LOW_WORDS) * (b & LOW_WORDS); }

#endif

static inline SIGNED_WIDE words_mul_signed(SIGNED_WIDE a, SIGNED_WIDE b) {
  return ((a << 32) >> 32) * ((b << 32) >> 32);
}
