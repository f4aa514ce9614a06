/* What ntt/pass.cl does, over a field of field/mont256_lanes.cl: the same network, on processors.
 *
 * A lane is one word of one block, with 2^log_k rows of it; a group takes the four lanes that follow each
 * other. Where they are of one block they share its factors, which are made beforehand; else, as in the
 * last pass over a narrow matrix, each has its own, and these are fetched where they are used.
 *
 * Elements stay a*2^256, and limbs hold just that number: factors are r*2^261, so a product is r*a*2^256.
 * Sums grow by 5P a level and are not reduced in a tile: from below 2P, 12 levels stay below 62P, and so a
 * product below 5P, for P of 254 bits as of 255: a factor is below 2.2P, and 62P * 2.2P / 2^261 below 2P.
 * What a pass leaves for the next one is below 2P; the last one makes it canonical.
 *
 * flags:
 *   IN_ORDER   the first pass reads a matrix that all copies share, its rows in bit-reversed order.
 *   OUT_ORDER  the last pass leaves rows in natural order.
 *   POWERS     and multiplies row i by low[i & (2^level - 1)] * high[i >> level],
 *              low = constants + powers, high = low + 2^level.
 *   DIVIDED    results are divided by 2^divisor, divisor < 29.
 *   SHIFTED    not all factors of the levels are one.
 *   LAST_PASS
 *
 * Shape:  as ntt/pass.cl, in elements of four words; inner = (n >> (level + log_k)) * columns.
 *         roots and constants hold r*2^261, below P; constants: the factors of the levels from `shifts` on,
 *         [copies * log_k]; the powers. tile[2^log_k], factors[2^log_k].
 * Launch: a group of one per four lanes: copies * ceil(inner / 4) with IN_ORDER, else
 *         ceil(copies * 2^level * inner / 4); copies is one with OUT_ORDER.
 * Aliasing: in and out are one buffer or do not overlap. IN_ORDER: not one buffer; OUT_ORDER: one
 *         buffer only where the pass is the only one, as a group has loaded its rows before it stores any.
 * Source, oracle: as ntt/pass.cl; ark-poly 0.6 in the host crate's tests. */

#if WGS != 1
#error "ntt/pass_lanes.cl is for processors"
#endif

#define IN_ORDER 1u
#define OUT_ORDER 2u
#define DIVIDED 4u
#define POWERS 8u
#define SHIFTED 16u
#define LAST_PASS 32u

/* Copies in every kind of level would only make the kernel longer to compile. */
#define SHARED __attribute__((noinline))
#define WORDS 4
#define MAX_LOG_K 12
/* Levels of a part of a tile that stays in the nearest cache: 18 KiB. */
#define PART_LEVELS 6u
/* Pairs of rows between asking for some and using them. */
#define AHEAD 1u

/* Where the lanes of a group are. */
typedef struct {
  __global const ulong* in[VW];
  __global ulong* out[VW];
  size_t in_stride, out_stride;
  uint block[VW], copy[VW], row[VW];
  uint lanes, log_k, flags, divisor;
} Place;

static inline INLINED F gather(__global const ulong* p0, __global const ulong* p1,
                               __global const ulong* p2, __global const ulong* p3) {
  LANES words[WORDS];
  const ulong4 elements[VW] = {vload4(0, p0), vload4(0, p1), vload4(0, p2), vload4(0, p3)};
  transpose(elements, words);
  return f_from_words(words, 0);
}

static inline INLINED F splat(__global const ulong* p) {
  LANES words[WORDS];
#pragma unroll
  for (uint i = 0; i < WORDS; i++) words[i] = (LANES)(p[i]);
  return f_from_words(words, 0);
}

static inline INLINED F row_load(const Place* at, uint row) {
  const uint from = at->flags & IN_ORDER ? reverse_bits(row, at->log_k) : row;
  const size_t offset = from * at->in_stride;
  return gather(at->in[0] + offset, at->in[1] + offset, at->in[2] + offset, at->in[3] + offset);
}

/* Has two rows of a later butterfly fetched: they lie too far apart for a processor to foresee them, and
 * where strides are powers of two those of a whole tile do not stay in a cache together. */
static inline INLINED void rows_fetch(const Place* at, uint row, uint log_h, const bool in) {
#pragma unroll
  for (uint j = 0; j < 2; j++) {
    uint to = row + (j << log_h);
    if (at->flags & (in ? IN_ORDER : OUT_ORDER)) to = reverse_bits(to, at->log_k);
#pragma unroll
    for (uint l = 0; l < VW; l++) {
      if (in)
        FETCH_AHEAD((const void*)(size_t)(at->in[l] + to * at->in_stride), 3);
      else
        FETCH_AHEAD_TO_WRITE((const void*)(size_t)(at->out[l] + to * at->out_stride));
    }
  }
}

/* The same of the roots at a node. */
static inline INLINED void roots_fetch(__global const ulong* roots, const uint* block, uint depth,
                                       uint node) {
#pragma unroll
  for (uint l = 0; l < VW; l++)
    FETCH_AHEAD((const void*)(size_t)(roots + WORDS * (((size_t)block[l] << depth) + node)), 3);
}

/* a/2^bits, a < 128P, bits < 29: with the multiple of P below 2^bits*P that clears so many; so below
 * (128/2^bits + 1)*P, and 2P from 7 bits on. Exact limbs. */
static inline INLINED F f_divided(F a, uint bits) {
  const LANES mask = (LANES)((1ul << bits) - 1);
  const LANES q = product(a.limb[0] & mask, (LANES)(MU & 0x1ffffffful)) & mask;
  LANES carry = (LANES)(0ul);
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES limb = a.limb[i] + product(q, (LANES)(P_LIMB(i))) + carry;
    carry = limb >> 29;
    a.limb[i] = i + 1 < LIMBS ? limb & LOW : limb;
  }
#pragma unroll
  for (uint i = 0; i + 1 < LIMBS; i++)
    a.limb[i] = a.limb[i] >> bits | (a.limb[i + 1] << (29 - bits) & LOW);
  a.limb[LIMBS - 1] >>= bits;
  return a;
}

/* x times the row's powers of a shift. */
static SHARED F powered(const Place* at, F x, uint row, __global const ulong* low,
                        __global const ulong* high) {
  x = f_mul(x, gather(low + WORDS * at->row[0], low + WORDS * at->row[1],
                      low + WORDS * at->row[2], low + WORDS * at->row[3]));
  return f_mul(x, splat(high + WORDS * reverse_bits(row, at->log_k)));
}

static SHARED void row_store(const Place* at, uint row, __local const F* from) {
  F x = *from;
  if (at->flags & DIVIDED) x = f_divided(x, at->divisor);
  if (!(at->flags & DIVIDED) || at->divisor < 7) x = f_reduced(x);
  if (at->flags & LAST_PASS) x = f_canonical(x);
  LANES w[WORDS];
  f_to_words(x, w);
  ulong4 lane[VW];
  transpose_back(w, lane);
  const uint to = at->flags & OUT_ORDER ? reverse_bits(row, at->log_k) : row;
  const size_t offset = to * at->out_stride;
  if (at->lanes == VW) {
#pragma unroll
    for (uint l = 0; l < VW; l++) vstore4(lane[l], 0, at->out[l] + offset);
  } else {
    for (uint l = 0; l < at->lanes; l++) vstore4(lane[l], 0, at->out[l] + offset);
  }
}

/* (a, b) -> (a + f*b, a - f*b + 5P), limb by limb; `above` is 5P with a unit of each limb lent to the
 * one below, the product is below 5P and exact. With `carried`, the limbs of a are near before. */
#ifdef PRODUCT

#define LOAD(i) "vmovdqa 32*" #i "(%[to]), %[x]\n"
#define LOAD_CARRIED(i, carry, next)                                                   \
  LOAD(i) "vpsrlq $29, %[x], %[" #next "]\nvpand %[low], %[x], %[x]\n"                  \
  "vpaddq %[" #carry "], %[x], %[x]\n"
#define BOTH(i, t)                                                                     \
  "vpaddq %[" #t "], %[x], %[y]\nvpaddq 32*" #i "(%[above]), %[x], %[x]\n"              \
  "vmovdqa %[y], 32*" #i "(%[to])\nvpsubq %[" #t "], %[x], %[x]\n"                      \
  "vmovdqa %[x], 32*" #i "(%[a])\n"
#define SUMS                                                                           \
  LOAD(0) BOTH(0, t0) LOAD(1) BOTH(1, t1) LOAD(2) BOTH(2, t2) LOAD(3) BOTH(3, t3)      \
  LOAD(4) BOTH(4, t4) LOAD(5) BOTH(5, t5) LOAD(6) BOTH(6, t6) LOAD(7) BOTH(7, t7)      \
  LOAD(8) BOTH(8, t8)
#define CARRIED_SUMS                                                                   \
  LOAD(0) "vpsrlq $29, %[x], %[q]\nvpand %[low], %[x], %[x]\n" BOTH(0, t0)             \
  LOAD_CARRIED(1, q, z) BOTH(1, t1) LOAD_CARRIED(2, z, q) BOTH(2, t2)                  \
  LOAD_CARRIED(3, q, z) BOTH(3, t3) LOAD_CARRIED(4, z, q) BOTH(4, t4)                  \
  LOAD_CARRIED(5, q, z) BOTH(5, t5) LOAD_CARRIED(6, z, q) BOTH(6, t6)                  \
  LOAD_CARRIED(7, q, z) BOTH(7, t7) LOAD(8) "vpaddq %[z], %[x], %[x]\n" BOTH(8, t8)

#define BUTTERFLY(TAKE, SUMS, to_, a_, b_, above_)                                     \
  {                                                                                    \
    LANES t0, t1, t2, t3, t4, t5, t6, t7, t8, bi, q, x, y, z, low;                     \
    __asm__(PRODUCT(TAKE) SUMS                                                         \
            : [t0] "=&x"(t0), [t1] "=&x"(t1), [t2] "=&x"(t2), [t3] "=&x"(t3),          \
              [t4] "=&x"(t4), [t5] "=&x"(t5), [t6] "=&x"(t6), [t7] "=&x"(t7),          \
              [t8] "=&x"(t8), [bi] "=&x"(bi), [q] "=&x"(q), [x] "=&x"(x),              \
              [y] "=&x"(y), [z] "=&x"(z), [low] "=&x"(low), "+m"(*(to_)), "+m"(*(a_))  \
            : [to] "r"(to_), [a] "r"(a_), [b] "r"(b_), [above] "r"(above_),            \
              [c] "r"(PRODUCT_TABLE), "m"(*(b_)), "m"(*(above_)));                     \
  }

static inline INLINED void butterfly(__local F* a, __local F* b, __local const CONSTANT* by,
                                     const F* above, const bool carried) {
  if (carried)
    BUTTERFLY(CONSTANT_LIMB, CARRIED_SUMS, a, b, by, above)
  else
    BUTTERFLY(CONSTANT_LIMB, SUMS, a, b, by, above)
}

static inline INLINED void butterfly_each(__local F* a, __local F* b, const F* by, const F* above,
                                          const bool carried) {
  if (carried)
    BUTTERFLY(LANE_LIMB, CARRIED_SUMS, a, b, by, above)
  else
    BUTTERFLY(LANE_LIMB, SUMS, a, b, by, above)
}

#else

static inline void sums(__local F* a, __local F* b, F product, const F* above, const bool carried) {
  const F x = carried ? f_near(*a) : *a;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    a->limb[i] = x.limb[i] + product.limb[i];
    b->limb[i] = x.limb[i] + above->limb[i] - product.limb[i];
  }
}

static inline void butterfly(__local F* a, __local F* b, __local const CONSTANT* by, const F* above,
                             const bool carried) {
  sums(a, b, f_scale(*b, by), above, carried);
}

static inline void butterfly_each(__local F* a, __local F* b, const F* by, const F* above,
                                  const bool carried) {
  sums(a, b, f_mul(*b, *by), above, carried);
}

#endif

/* What the levels of a pass have in common: factors made beforehand, those of level d from 2^d on, or
 * the roots, and of each level a shift or none; and tables for the last. */
typedef struct {
  __local const CONSTANT* made;
  __global const ulong* roots;
  const F* shift;
  F above;
  __global const ulong* low;
  __global const ulong* high;
} Common;

/* The nodes [begin, end) of one level of the pass. */
static inline INLINED void level_nodes(const Place* at, __local F* tile, const Common* by, uint depth,
                                       uint begin, uint end, const bool shared, const bool carried) {
  const uint log_h = at->log_k - depth - 1;
  const bool first = depth == 0, last = log_h == 0;
  for (uint node = begin; node < end; node++) {
    F factor;
    if (!shared) {
      roots_fetch(by->roots, at->block, depth, node + 1);
#define ROOT(l) by->roots + WORDS * (((size_t)at->block[l] << depth) + node)
      factor = gather(ROOT(0), ROOT(1), ROOT(2), ROOT(3));
#undef ROOT
      if (by->shift) factor = f_mul(factor, by->shift[depth]);
    }
    for (uint i = 0; i < (1u << log_h); i++) {
      const uint row = (node << (log_h + 1)) + i, other = row + (1u << log_h);
      __local F* a = tile + row;
      __local F* b = tile + other;
      if (first) {
        rows_fetch(at, row + AHEAD, log_h, true);
        *a = row_load(at, row);
        *b = row_load(at, other);
      }
      if (shared)
        butterfly(a, b, by->made + (1u << depth) + node, &by->above, carried);
      else
        butterfly_each(a, b, &factor, &by->above, carried);
      if (last) {
        rows_fetch(at, row + 2 * AHEAD, 0, false);
        if (at->flags & POWERS) {
          *a = powered(at, *a, row, by->low, by->high);
          *b = powered(at, *b, other, by->low, by->high);
        }
        row_store(at, row, a);
        row_store(at, other, b);
      }
    }
  }
}

/* Level by level, but once parts of the tile are small enough to stay in the nearest cache, part by part.
 * Limbs of what is loaded are exact, sums grow by 2^30 a level, and a factor of f_mul is below
 * 3 * 2^30: so every second level begins with a carry. */
static inline INLINED void levels(const Place* at, __local F* tile, const Common* by, const bool shared) {
  const uint whole = at->log_k > PART_LEVELS ? at->log_k - PART_LEVELS : 0;
#define LEVEL(depth, begin, end)                                              \
  if ((depth) % 2 == 0 && (depth) > 0)                                        \
    level_nodes(at, tile, by, depth, begin, end, shared, true);               \
  else                                                                        \
    level_nodes(at, tile, by, depth, begin, end, shared, false);
  for (uint part = 0, depth = 0; part < (1u << whole);) {
    const uint begin = depth < whole ? 0 : part << (depth - whole);
    const uint end = depth < whole ? 1u << depth : (part + 1) << (depth - whole);
    LEVEL(depth, begin, end)
    depth++;
    if (depth == at->log_k) {
      depth = whole;
      part++;
    }
  }
#undef LEVEL
}

/* Four elements to constants, `count` of them kept. */
static inline void keep(__local CONSTANT* to, F x, uint count) {
  ulong limb[LIMBS][VW];
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) vstore4(x.limb[i], 0, limb[i]);
  for (uint l = 0; l < VW && l < count; l++)
#pragma unroll
    for (uint i = 0; i < LIMBS; i++) to[l].limb[i] = limb[i][l];
}

static inline void place(Place* at, size_t group, __global const ulong* in, __global ulong* out,
                         ulong inner, uint columns, uint level, uint copies) {
  const bool in_order = at->flags & IN_ORDER, out_order = at->flags & OUT_ORDER;
  const ulong lanes = in_order ? inner : (copies * inner) << level;
  const ulong first = (in_order ? group / copies : group) * VW;
  const uint log_k = at->log_k;
  at->lanes = (uint)min((ulong)VW, lanes - first);
  at->in_stride = WORDS * (in_order ? columns : inner);
  at->out_stride = WORDS * (out_order ? (size_t)columns << level : inner);
  for (uint l = 0; l < VW; l++) {
    /* Lanes past the last one repeat it. */
    const ulong lane = first + min(l, at->lanes - 1), row = lane / inner;
    size_t from, to;
    if (in_order) {
      const uint rows = (uint)(inner / columns);
      const ulong reversed = reverse_bits((uint)(lane / columns), 31 - clz(rows));
      from = (reversed << log_k) * columns + lane % columns;
      at->block[l] = 0;
      at->copy[l] = (uint)(group % copies);
      to = at->copy[l] * (inner << log_k) + lane;
    } else {
      at->copy[l] = (uint)(row >> level);
      at->block[l] = (uint)row & ((1u << level) - 1);
      if (out_order) at->block[l] = reverse_bits(at->block[l], level);
      from = (out_order ? at->block[l] : row) * (inner << log_k) + lane % inner;
      to = out_order ? lane : from;
    }
    at->row[l] = (uint)row;
    at->in[l] = in + WORDS * from;
    at->out[l] = out + WORDS * to;
  }
}

__kernel GROUP_SIZE void KERNEL(ntt_pass)(__global const ulong* in,
                                          __global ulong* out,
                                          __global const ulong* restrict roots,
                                          __global const ulong* restrict constants,
                                          __local F* restrict tile,
                                          __local CONSTANT* restrict factors,
                                          const ulong inner,
                                          const uint columns,
                                          const uint level,
                                          const uint log_k,
                                          const uint copies,
                                          const uint shifts,
                                          const uint powers,
                                          const uint divisor,
                                          const uint flags) {
  Place at = {.log_k = log_k, .flags = flags, .divisor = divisor};
  place(&at, get_group_id(0), in, out, inner, columns, level, copies);
  if (get_group_id(0) + 1 < get_num_groups(0)) {
    Place next = at;
    place(&next, get_group_id(0) + 1, in, out, inner, columns, level, copies);
    rows_fetch(&next, 0, log_k - 1, true);
    if (next.block[0] != next.block[VW - 1])
      for (uint d = 0; d < log_k; d++) roots_fetch(roots, next.block, d, 0);
  }
  __global const ulong* low = constants + WORDS * (size_t)powers;
  __global const ulong* high = low + ((size_t)WORDS << level);
  __global const ulong* shift[VW];
  for (uint l = 0; l < VW; l++)
    shift[l] = constants + WORDS * ((size_t)shifts + at.copy[l] * log_k);
  const bool shared = at.block[0] == at.block[VW - 1] && at.copy[0] == at.copy[VW - 1];
  F by_level[MAX_LOG_K];
  if (flags & SHIFTED)
    for (uint d = 0; d < log_k; d++)
      by_level[d] = gather(shift[0] + WORDS * d, shift[1] + WORDS * d, shift[2] + WORDS * d,
                           shift[3] + WORDS * d);
  Common by = {.made = factors, .roots = roots, .low = low, .high = high};
  by.shift = flags & SHIFTED ? by_level : 0;
  ulong carry = 0;
  for (uint i = 0; i < LIMBS; i++) by.above.limb[i] = (LANES)(lent(5, 1, i, &carry));

  if (!shared) {
    levels(&at, tile, &by, false);
    return;
  }
  for (uint d = 0; d < log_k; d++) {
    const uint nodes = 1u << d;
    __global const ulong* from = roots + (((size_t)at.block[0] << d) * WORDS);
    for (uint node = 0; node < nodes; node += VW) {
#define ROOT(l) from + WORDS * min(node + l, nodes - 1)
      F factor = gather(ROOT(0), ROOT(1), ROOT(2), ROOT(3));
#undef ROOT
      if (flags & SHIFTED) factor = f_mul(factor, by_level[d]);
      keep(factors + nodes + node, factor, nodes - node);
    }
  }
  levels(&at, tile, &by, true);
}
