/* One pass of the number-theoretic transform of every column of a matrix.
 *
 * The transform reads a polynomial of n coefficients as an element of F[x]/(x^n - c^n) and splits the
 * ring, level by level, until n rings of degree 1 are left:
 *   F[x]/(x^2h - r^2) = F[x]/(x^h - r) x F[x]/(x^h + r):   (a, b) -> (a + r*b, a - r*b)
 * That evaluates on the coset c*H. Level t has 2^t blocks; block k splits by
 * r = roots[k] * c^(n / 2^(t+1)), roots[k] = w^bitrev(k), w of order n. roots[k] does not depend on n, so
 * one table serves every size, and a coset costs one factor a level. With the roots inverted the same
 * network takes values to n times the coefficients.
 *
 * A pass does levels [level, level + log_k) at once: a work-group takes 2^log_k rows of one block, a
 * strip of (VW << log_width) adjacent words of each, through local memory, a few levels a step. Several
 * matrices of the same n that lie one after the other are transformed together, each on its own coset.
 * The first step reads from `in`, the last one writes to `out`, times `scale`.
 *
 * Shape:  out[copies * n * columns] row-major, bit-reversed rows after the last pass. The rows of a tile
 *         are `inner` words apart, inner = (n >> (level + log_k)) * columns.
 *         in: IN_PLACE is `out`'s memory; else a matrix in[n * columns] that every copy reads, its rows
 *         in bit-reversed order (level 0 only).
 *         roots[2^(level + log_k - 1)], at least 2 where log_k > 1; constants: scale, and from `shifts` on
 *         the factor of each level, [copies * log_k].
 *         tile[(VW << log_width) << log_k] elements; factors[2^(log_k + 1)].
 * Launch: one group of WGS per block and strip. IN_PLACE:
 *         copies * 2^level * ceil(inner / (VW << log_width)) groups;
 *         else copies * (n >> log_k) * ceil(columns / (VW << log_width)).
 * Aliasing: in and out are one buffer, or do not overlap. Any element in, canonical out.
 * Source: Cooley, Tukey 1965; as a splitting of rings, Fiduccia 1972.
 * Oracle: the O(n^2) sum of the host crate's reference module; p3-dft 0.8. */

#define CACHE_LINE 64

/* Where a work-group is: rows of its tile in memory, and how much of the strip exists. */
typedef struct {
  __global const S* in;
  __global S* out;
  size_t in_stride, out_stride;
  uint words, log_k, log_width;
  bool reversed, scaled;
  S scale;
} Place;

static inline F row_load(const Place* at, uint row, uint word) {
  const uint from = at->reversed ? reverse_bits(row, at->log_k) : row;
  return f_fetch(at->in + from * at->in_stride + word, at->words - word);
}

static inline void row_store(const Place* at, uint row, uint word, F x) {
  x = at->scaled ? f_scale(x, at->scale) : f_canonical(x);
  f_store(at->out + row * at->out_stride + word, x, at->words - word);
}

/* `levels` levels, of which `done` of the pass went before: rows m + j*h, j < 2^levels. */
static inline void step(const Place* at, __local F* tile, __local const S* factors, uint done,
                        const uint levels, const bool first, const bool last) {
  const uint log_width = at->log_width, log_h = at->log_k - done - levels;
  /* Rows that are h apart lie that far apart in the tile. */
  const uint log_apart = log_h + log_width, apart = 1u << log_apart;
  for (uint i = get_local_id(0); i < (1u << (at->log_k - levels + log_width)); i += WGS) {
    const uint part = first ? 0 : i >> log_apart, in_part = first ? i : i & (apart - 1);
    const uint row = (part << (log_h + levels)) + (in_part >> log_width);
    const uint word = (i & ((1u << log_width) - 1)) * VW;
    if (word >= at->words) continue;
    __local F* rows = tile + ((part << (log_apart + levels)) + in_part);
    F x[1 << MAX_STEP_LEVELS];
#pragma unroll
    for (uint j = 0; j < (1u << levels); j++)
      x[j] = first ? row_load(at, row + (j << log_h), word) : rows[j * apart];
    f_split(x, levels, factors + part, 1u << done);
#pragma unroll
    for (uint j = 0; j < (1u << levels); j++) {
      if (last)
        row_store(at, row + (j << log_h), word, x[j]);
      else
        rows[j * apart] = x[j];
    }
  }
}

/* The factors of a step of `levels` levels at 2^log_nodes nodes: from the roots of its last level,
 * every second or fourth of the table; those of the levels before are their powers. */
static inline void factors_store(__local S* to, __global const S* roots, S shift, S i, uint log_nodes,
                                 const uint levels) {
  const uint nodes = 1u << log_nodes;
  for (uint node = get_local_id(0) * VW; node < nodes; node += WGS * VW) {
    F of[STEP_FACTORS(MAX_STEP_LEVELS)];
    const F root = f_gather(roots + (node << (levels - 1)), 1u << (levels - 1), nodes - node);
    step_factors(of, f_scale(root, shift), levels, i);
#pragma unroll
    for (uint j = 0; j < STEP_FACTORS(levels); j++)
      f_keep(to + ((j << log_nodes) + node), of[j], nodes - node);
  }
}

/* The rows and the strip of a group; and its block, and the copy that it is of. */
static inline void place(Place* at, uint* block, uint* copy, size_t group, __global const S* in,
                         __global S* out, ulong inner, uint columns, uint level, uint copies,
                         bool in_place) {
  const ulong strip_words = (ulong)VW << at->log_width;
  const uint log_k = at->log_k;
  at->reversed = !in_place;
  at->out_stride = inner;
  if (in_place) {
    const ulong strips = (inner - 1) / strip_words + 1, start = (group % strips) * strip_words;
    const size_t all = group / strips;
    *block = (uint)all & ((1u << level) - 1);
    *copy = (uint)(all >> level);
    at->in = in + all * (inner << log_k) + start;
    at->out = out + all * (inner << log_k) + start;
    at->in_stride = inner;
    at->words = (uint)min(strip_words, inner - start);
  } else {
    /* Copies of a strip follow each other, while its rows are in the cache. Row r of a tile is row
     * r * n/2^log_k + first of the matrix, and reversed: first comes high, r low. */
    const ulong strips = (columns - 1) / strip_words + 1;
    const ulong start = (group / copies % strips) * strip_words, first = group / copies / strips;
    const uint rows = (uint)(inner / columns);
    *block = 0;
    *copy = (uint)(group % copies);
    at->in = in + (((ulong)reverse_bits((uint)first, 31 - clz(rows)) << log_k) * columns + start);
    at->out = out + (*copy * (inner << log_k) + first * columns + start);
    at->in_stride = columns;
    at->words = (uint)min(strip_words, columns - start);
  }
}

__kernel GROUP_SIZE void KERNEL(ntt_pass)(__global const S* in,
                                          __global S* out,
                                          __global const S* restrict roots,
                                          __global const S* restrict constants,
                                          __local F* restrict tile,
                                          __local S* restrict factors,
                                          const ulong inner,
                                          const uint columns,
                                          const uint level,
                                          const uint log_k,
                                          const uint log_width,
                                          const uint copies,
                                          const uint shifts,
                                          const uint flags) {
  Place at = {.log_k = log_k, .log_width = log_width, .scaled = (flags & 2) != 0, .scale = *constants};
  uint block, copy;
  const size_t group = get_group_id(0);
  place(&at, &block, &copy, group, in, out, inner, columns, level, copies, flags & 1);

#if WGS == 1
  /* The rows of a tile are too far apart for a processor to foresee them. */
  if (group + 1 < get_num_groups(0)) {
    Place next = at;
    uint unused;
    place(&next, &unused, &unused, group + 1, in, out, inner, columns, level, copies, flags & 1);
    for (uint row = 0; row < (1u << log_k); row++)
      for (uint word = 0; word < next.words; word += CACHE_LINE / sizeof(S))
        FETCH_AHEAD(next.in + row * next.in_stride + word, 2);
  }
#endif

  /* The factors of each node that the pass splits at, in the order of its steps; of a step, factor j
   * of all nodes before factor j + 1. */
  __global const S* shift = constants + shifts + copy * log_k;
  const S i = log_k > 1 ? roots[1] : roots[0];
  __local S* to = factors;
  for (uint done = 0; done < log_k;) {
    const uint levels = STEP_LEVELS(log_k - done);
    __global const S* of_block = roots + ((block << done) << (levels - 1));
    const S by = shift[done + levels - 1];
    if (levels == 1)
      factors_store(to, of_block, by, i, done, 1);
    else if (levels == 2)
      factors_store(to, of_block, by, i, done, 2);
#if MAX_STEP_LEVELS > 2
    else
      factors_store(to, of_block, by, i, done, 3);
#endif
    to += STEP_FACTORS(levels) << done;
    done += levels;
  }
  barrier(CLK_LOCAL_MEM_FENCE);

#define STEP(count)                                                    \
  if (done == 0 && done + count == log_k)                              \
    step(&at, tile, factors, 0, count, true, true);                    \
  else if (done == 0)                                                  \
    step(&at, tile, factors, 0, count, true, false);                   \
  else if (done + count == log_k)                                      \
    step(&at, tile, factors, done, count, false, true);                \
  else                                                                 \
    step(&at, tile, factors, done, count, false, false);

  for (uint done = 0; done < log_k;) {
    const uint levels = STEP_LEVELS(log_k - done);
    if (levels == 1) {
      /* Only ever the first. */
      if (log_k == 1)
        step(&at, tile, factors, 0, 1, true, true);
      else
        step(&at, tile, factors, 0, 1, true, false);
    } else if (levels == 2) {
      STEP(2)
    }
#if MAX_STEP_LEVELS > 2
    else {
      STEP(3)
    }
#endif
    /* Global too: in place, what one item has loaded another one stores. */
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    factors += STEP_FACTORS(levels) << done;
    done += levels;
  }
}
