/* Products of field/mont256_limbs.cl by AVX-512 IFMA: eight elements a lane, five limbs of 52 bits each,
 * R = 2^260.
 *
 * Two instructions multiply the low 52 bits of both factors, and add the low or the high half of the
 * product to 64 bits. Bits of a factor above these are not read, so limbs that are multiplied must be below
 * 2^52: "near" and "loose" mean exact here, and f_near carries through. Where a column is a factor as it
 * is, its lowest limb is what is wanted. A column takes ten halves of products of f_mul, ten of the
 * reduction, each below 2^52, and a carry: it stays below 2^57.
 *
 * f_mul(a, b) = a*b/2^260 < 2.1P + a*b/2^260; P*P/2^260 is P/84.6. So with a < 70P and b < 18P it is
 * below 17P, and with b < 4P below 5.5P. A value must stay below 84P, which five limbs hold.
 *
 * EMULATE_IFMA defines both instructions in C: for tests on processors that do not have them.
 * Expects: MU, FOLD_52 (see field/bn254_fq.cl) and field/mont256_limbs.cl.
 * Source: Gueron, Krasnov 2016 (ARITH 23) for the instructions; Intel's manual, volume 2, VPMADD52LUQ and
 * VPMADD52HUQ. Oracle: ark-ff 0.6 in the host crate's tests. */

#if VW != 8
#error "field/mont256_ifma.cl has eight lanes"
#endif

#define MOST 84

#if defined(EMULATE_IFMA)

/* Arguments of 512 bits go through memory here. */
#pragma clang diagnostic ignored "-Wpsabi"

static inline LANES madd52lo(LANES sum, LANES a, LANES b) {
  return sum + ((a & LOW) * (b & LOW) & LOW);
}

static inline LANES madd52hi(LANES sum, LANES a, LANES b) {
  a &= LOW;
  b &= LOW;
  return sum + (mul_hi(a, b) << 12 | (a * b) >> 52);
}

/* A hundred of them in every place that multiplies would take minutes to compile. */
#define PRODUCT static __attribute__((noinline))

#elif defined(__AVX512F__)

/* The instructions byte by byte. A compiler takes their names only for a processor that it knows to have
 * them, and Debian's PoCL takes every processor with AVX-512 for one that has not. The compiler chooses the
 * registers; REGISTER finds their numbers where they are assembled, as Linux does for its tables of faults.
 * EVEX.512.66.0F38.W1 B4 and B5: sum is ModRM.reg with R and R', a is V'vvvv, b is ModRM.rm with X and B;
 * all extensions are stored inverted. */
#define REGISTER(number, operand)                                                                 \
  ".set .Lregister, 0\n\t"                                                                        \
  ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"                                                 \
  "16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"                                           \
  ".ifc \\" operand ",%%zmm\\n\n\t.set " number ", .Lregister\n\t.endif\n\t"                      \
  ".set .Lregister, .Lregister + 1\n\t.endr\n\t"

#define MADD52(opcode, sum, a, b)                                                                 \
  __asm__(".macro madd52 sum a b\n\t" REGISTER(".Lsum", "sum") REGISTER(".La", "a")               \
              REGISTER(".Lb", "b") ".byte 0x62\n\t"                                               \
          ".byte 0x02 | (~.Lsum & 8) << 4 | (~.Lb & 24) << 2 | (~.Lsum & 16)\n\t"                 \
          ".byte 0x85 | (~.La & 15) << 3\n\t"                                                     \
          ".byte 0x40 | (~.La & 16) >> 1\n\t"                                                     \
          ".byte " opcode "\n\t"                                                                  \
          ".byte 0xc0 | (.Lsum & 7) << 3 | (.Lb & 7)\n\t"                                         \
          ".endm\n\t"                                                                             \
          "madd52 %0 %1 %2\n\t"                                                                   \
          ".purgem madd52"                                                                        \
          : "+v"(sum)                                                                             \
          : "v"(a), "v"(b))

static inline INLINED LANES madd52lo(LANES sum, LANES a, LANES b) {
  MADD52("0xb4", sum, a, b);
  return sum;
}

static inline INLINED LANES madd52hi(LANES sum, LANES a, LANES b) {
  MADD52("0xb5", sum, a, b);
  return sum;
}

#define PRODUCT static inline INLINED

#else
#error "the compiler does not compile for AVX-512"
#endif

/* Carries every limb into the next. */
static inline F f_near(F a) {
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++) {
    a.limb[i + 1] += a.limb[i] >> 52;
    a.limb[i] &= LOW;
  }
  return a;
}

static inline F f_loose(F a) { return f_near(a); }

/* The columns of a product, divided by 2^260 modulo P.
 *
 * The plain way clears the lowest limb by a multiple of P that takes a multiplication by MU to know. A
 * multiple of P that ends in 2^52 - 1 is known at once: with q the lowest limb, q*(2^52*FOLD_52 - 1)
 * clears it and adds q*FOLD_52 above. That leaves up to 2^52*P more, so the last limb is cleared the
 * plain way. What is added has columns of its own, or else it would wait for the whole product. */
static inline INLINED F divided(LANES t[2 * LIMBS]) {
#define ITEM(limb) limb,
  const ulong fold[LIMBS] = {FOLD_52(ITEM)};
#undef ITEM
  LANES added[2 * LIMBS];
#pragma unroll
  for (uint i = 0; i < 2 * LIMBS; i++) added[i] = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++) {
    const LANES q = t[i] + added[i];
    t[i + 1] += q >> 52;
#pragma unroll
    for (uint j = 0; j < LIMBS; j++) {
      added[i + j + 1] = madd52lo(added[i + j + 1], q, (LANES)(fold[j]));
      added[i + j + 2] = madd52hi(added[i + j + 2], q, (LANES)(fold[j]));
    }
  }
  const uint last = LIMBS - 1;
  const LANES lowest = t[last] + added[last];
  const LANES q = madd52lo((LANES)(0ul), lowest, (LANES)(MU & LIMB_MASK));
  t[LIMBS] += madd52lo(lowest, q, (LANES)(P_LIMB(0))) >> 52;
#pragma unroll
  for (uint j = 0; j < LIMBS; j++) {
    if (j > 0) added[last + j] = madd52lo(added[last + j], q, (LANES)(P_LIMB(j)));
    added[last + j + 1] = madd52hi(added[last + j + 1], q, (LANES)(P_LIMB(j)));
  }
  F r;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) r.limb[i] = t[LIMBS + i] + added[LIMBS + i];
  return f_near(r);
}

PRODUCT F f_mul(F a, F b) {
  LANES t[2 * LIMBS];
#pragma unroll
  for (uint i = 0; i < 2 * LIMBS; i++) t[i] = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
#pragma unroll
    for (uint j = 0; j < LIMBS; j++) {
      t[i + j] = madd52lo(t[i + j], a.limb[j], b.limb[i]);
      t[i + j + 1] = madd52hi(t[i + j + 1], a.limb[j], b.limb[i]);
    }
  }
  return divided(t);
}

/* Products of two different limbs are taken once and doubled in the columns: a doubled limb may have a bit
 * too many. */
PRODUCT F f_square(F a) {
  LANES t[2 * LIMBS];
#pragma unroll
  for (uint i = 0; i < 2 * LIMBS; i++) t[i] = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
#pragma unroll
    for (uint j = i + 1; j < LIMBS; j++) {
      t[i + j] = madd52lo(t[i + j], a.limb[j], a.limb[i]);
      t[i + j + 1] = madd52hi(t[i + j + 1], a.limb[j], a.limb[i]);
    }
  }
#pragma unroll
  for (uint i = 1; i + 1 < 2 * LIMBS; i++) t[i] += t[i];
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    t[2 * i] = madd52lo(t[2 * i], a.limb[i], a.limb[i]);
    t[2 * i + 1] = madd52hi(t[2 * i + 1], a.limb[i], a.limb[i]);
  }
  return divided(t);
}

static inline F f_sqr(F a) { return f_square(a); }

/* Limbs may have their carries still to come: the top one then falls short by a few units of millions,
 * so the quotient does not exceed the true one. 2^260 - P is added that often instead of P taken away. */
static inline F f_reduced(F a) {
  const ulong inverse = (1ul << 63) / (P_LIMB(LIMBS - 1) + 1);
  const LANES q = madd52hi((LANES)(0ul), a.limb[LIMBS - 1], (LANES)(inverse)) >> 11;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES opposite = (LANES)((~P_LIMB(i) & LIMB_MASK) + (i == 0));
    a.limb[i] = madd52lo(a.limb[i], q, opposite);
    if (i + 1 < LIMBS) a.limb[i + 1] = madd52hi(a.limb[i + 1], q, opposite);
  }
  a = f_near(a);
  a.limb[LIMBS - 1] &= LOW;
  return a;
}
