/* ntt/pass.cl over a field of field/mont256_lanes.cl, for processors: the same network, four lanes a
 * work-item.
 *
 * A lane is one word of one block, with 2^log_k rows to itself; a group takes four lanes that follow each
 * other. Where all are of one block they share its factors, which are made beforehand; else, as in the
 * last pass over a narrow matrix, each lane has its own, and they are fetched where they are used.
 *
 * Elements stay a*2^256 throughout, and limbs hold just that number: factors are r*2^261, and so a product
 * is r*a*2^256. Sums grow by 5P a level and are not reduced in a tile: from below 6P, 22 levels stay
 * below 128P. What a pass leaves for the next is below 2P; the last one makes it canonical.
 *
 * Rows at rest (`flags`): IN_ORDER makes the first pass read a matrix whose rows are in bit-reversed
 * order, which all copies share; OUT_ORDER makes the last pass leave rows in natural order.
 * The last pass may multiply: SCALED, everything by constants[0]; POWERS, row i by
 *   low[i & (2^level - 1)] * high[i >> level],  low = constants + powers, high = low + 2^level.
 * SHIFTED: the shifts are not all one.
 *
 * Shape:  as ntt/pass.cl, with inner = (n >> (level + log_k)) * columns; in and out are matrices of four
 *         words an element. roots and constants hold a*2^261, below P; constants: [scale,
 *         ..., the factors of the levels from `shifts` on, [copies * log_k], ...].
 *         tile[2^log_k], factors[2^log_k].
 * Launch: one group of one per four lanes: copies * ceil(inner / 4) with IN_ORDER, else
 *         ceil(copies * 2^level * inner / 4). copies is 1 with OUT_ORDER.
 * Aliasing: in and out are one buffer or do not overlap; one buffer with IN_ORDER or OUT_ORDER only
 *         where the pass is the first and the last. Elements in; out, what is below 2P, or canonical after the
 *         last pass.
 * Source, oracle: as ntt/pass.cl; ark-poly 0.6 in the host crate's tests. */

#if WGS != 1
#error "ntt/pass_lanes.cl is for processors"
#endif

#define IN_ORDER 1u
#define OUT_ORDER 2u
#define SCALED 4u
#define POWERS 8u
#define SHIFTED 16u
#define LAST_PASS 32u

#define WORDS 4
#define MAX_LOG_K 12

/* Where the lanes of a group are. */
typedef struct {
  __global const ulong* in[VW];
  __global ulong* out[VW];
  size_t in_stride, out_stride;
  uint block[VW], copy[VW], row[VW];
  uint lanes, log_k, flags;
} Place;

static inline INLINED F gather(__global const ulong* p0, __global const ulong* p1,
                               __global const ulong* p2, __global const ulong* p3) {
  LANES words[WORDS];
  transpose(vload4(0, p0), vload4(0, p1), vload4(0, p2), vload4(0, p3), words);
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

/* Powers of a coset's shift, or the scale. */
static inline INLINED F scaled(const Place* at, F x, uint row, __global const ulong* low,
                               __global const ulong* high, __local const CONSTANT* scale) {
  if (at->flags & SCALED) x = f_scale(x, scale);
  if (at->flags & POWERS) {
    x = f_mul(x, gather(low + WORDS * at->row[0], low + WORDS * at->row[1],
                        low + WORDS * at->row[2], low + WORDS * at->row[3]));
    x = f_mul(x, splat(high + WORDS * reverse_bits(row, at->log_k)));
  }
  return x;
}

static inline INLINED void row_store(const Place* at, uint row, F x) {
  x = f_reduced(x);
  if (at->flags & LAST_PASS) x = f_canonical(x);
  LANES w[WORDS];
  f_to_words(x, w);
  ulong4 lane[VW];
  transpose(w[0], w[1], w[2], w[3], lane);
  const uint to = at->flags & OUT_ORDER ? reverse_bits(row, at->log_k) : row;
  const size_t offset = to * at->out_stride;
  if (at->lanes == VW) {
#pragma unroll
    for (uint l = 0; l < VW; l++) vstore4(lane[l], 0, at->out[l] + offset);
  } else {
    for (uint l = 0; l < at->lanes; l++) vstore4(lane[l], 0, at->out[l] + offset);
  }
}

/* (a, b) -> (a + b, a - b + 5P), limb by limb; b exact and below 5P. */
static inline INLINED void butterfly(F* a, F* b) {
  ulong carry = 0;
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) {
    const LANES sum = a->limb[i] + b->limb[i];
    b->limb[i] = a->limb[i] + (LANES)(lent(5, 1, i, &carry)) - b->limb[i];
    a->limb[i] = sum;
  }
}

/* Where the factors of a pass are: made beforehand, those of level d from 2^d on, or the roots. */
typedef struct {
  __local const CONSTANT* made;
  __global const ulong* roots;
  const uint* block;
  const F* shift; /* of each level, or none */
} Factors;

/* x * the factor of node `node` of those that level `depth` of the pass has in each block. */
static inline INLINED F times(F x, const Factors* by, uint depth, uint node, const bool shared) {
  if (shared) return f_scale(x, by->made + (1u << depth) + node);
#define ROOT(l) by->roots + WORDS * (((size_t)by->block[l] << depth) + node)
  F factor = gather(ROOT(0), ROOT(1), ROOT(2), ROOT(3));
#undef ROOT
  if (by->shift) factor = f_mul(factor, by->shift[depth]);
  return f_mul(x, factor);
}

/* Rows row + j * 2^log_h, j < 2^levels, through the levels from `depth` on; all of one node there.
 * Limbs: rows from the tile are below 5 * 2^29 + 2^6, and so are those that go back to it; two carried,
 * none exceeds 3 * 2^30 on the way. */
static inline INLINED void split(F* x, const Factors* by, uint depth, uint node, const uint levels,
                                 const bool shared) {
  if (levels == 1) {
    x[1] = times(x[1], by, depth, node, shared);
    butterfly(&x[0], &x[1]);
    return;
  }
  x[2] = times(x[2], by, depth, node, shared);
  butterfly(&x[0], &x[2]);
  x[3] = times(x[3], by, depth, node, shared);
  butterfly(&x[1], &x[3]);
  x[1] = times(x[1], by, depth + 1, 2 * node, shared);
  butterfly(&x[0], &x[1]);
  x[3] = times(x[3], by, depth + 1, 2 * node + 1, shared);
  butterfly(&x[2], &x[3]);
}

/* `levels` levels of the pass, of which `depth` went before. */
static inline INLINED void step(const Place* at, __local F* tile, const Factors* by, uint depth,
                                __global const ulong* low, __global const ulong* high,
                                const uint levels, const bool shared) {
  const uint log_h = at->log_k - depth - levels, rows = 1u << levels;
  const bool first = depth == 0, last = log_h == 0;
  for (uint i = 0; i < (1u << (at->log_k - levels)); i++) {
    const uint node = i >> log_h;
    const uint row = (node << (log_h + levels)) + (i & ((1u << log_h) - 1));
    F x[4];
#pragma unroll
    for (uint j = 0; j < rows; j++) {
      if (first)
        x[j] = row_load(at, row + (j << log_h));
      else if (2 * j < rows)
        x[j] = f_near(tile[row + (j << log_h)]);
      else
        x[j] = tile[row + (j << log_h)];
    }
    split(x, by, depth, node, levels, shared);
#pragma unroll
    for (uint j = 0; j < rows; j++) {
      if (last)
        row_store(at, row + (j << log_h),
                  scaled(at, x[j], row + (j << log_h), low, high, by->made));
      else
        tile[row + (j << log_h)] = x[j];
    }
  }
}

static inline INLINED void steps(const Place* at, __local F* tile, const Factors* by,
                                 __global const ulong* low, __global const ulong* high,
                                 const bool shared) {
  uint depth = 0;
  if (at->log_k % 2) {
    step(at, tile, by, 0, low, high, 1, shared);
    depth = 1;
  }
  for (; depth < at->log_k; depth += 2) step(at, tile, by, depth, low, high, 2, shared);
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
      from = ((ulong)reverse_bits((uint)(lane / columns), 31 - clz(rows)) << log_k) * columns + lane % columns;
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
                                          const uint flags) {
  Place at = {.log_k = log_k, .flags = flags};
  place(&at, get_group_id(0), in, out, inner, columns, level, copies);
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
  const Factors by = {factors, roots, at.block, flags & SHIFTED ? by_level : 0};

  keep(factors, splat(constants), 1);
  if (!shared) {
    steps(&at, tile, &by, low, high, false);
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
  steps(&at, tile, &by, low, high, true);
}
