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
 * strip of (VW << log_width) adjacent words of each, through local memory, two levels a step. Several
 * matrices of the same n that lie one after the other are transformed together, each on its own coset.
 * The first step reads from `in`, the last one writes to `out`, times `scale`.
 *
 * Shape:  out[copies * n * columns] row-major, bit-reversed rows after the last pass. The rows of a tile
 *         are `inner` words apart, inner = (n >> (level + log_k)) * columns.
 *         in: IN_PLACE is `out`'s memory; else a matrix in[n * columns] that every copy reads, its rows
 *         in bit-reversed order (level 0 only).
 *         roots[2^(level + log_k - 1)], at least 2 where log_k > 1; constants: scale, and from `shifts` on
 *         the factor of each level, [copies * log_k].
 *         tile[(VW << log_width) << log_k] elements; factors[RADIX4_FACTORS * 2^log_k].
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
  return f_load(at->in + from * at->in_stride + word, at->words - word);
}

static inline void row_store(const Place* at, uint row, uint word, F x) {
  if (at->scaled) x = f_scale(x, at->scale);
  f_store(at->out + row * at->out_stride + word, x, at->words - word);
}

/* Two levels, of which `done` levels of the pass went before: rows m + i*h, i < 4. */
static inline void step4(const Place* at, __local F* tile, __local const S* factors, uint done,
                         const bool first, const bool last) {
  const uint log_width = at->log_width, log_h = at->log_k - done - 2;
  /* Rows that are h apart lie that far apart in the tile. */
  const uint log_apart = log_h + log_width, apart = 1u << log_apart;
  for (uint i = get_local_id(0); i < (1u << (at->log_k - 2 + log_width)); i += WGS) {
    const uint part = first ? 0 : i >> log_apart, in_part = first ? i : i & (apart - 1);
    const uint row = (part << (log_h + 2)) + (in_part >> log_width);
    const uint word = (i & ((1u << log_width) - 1)) * VW;
    if ((first || last) && word >= at->words) continue;
    __local F* x = tile + ((part << (log_apart + 2)) + in_part);
    F x0, x1, x2, x3;
    if (first) {
      x0 = row_load(at, row, word);
      x1 = row_load(at, row + (1u << log_h), word);
      x2 = row_load(at, row + (2u << log_h), word);
      x3 = row_load(at, row + (3u << log_h), word);
    } else {
      x0 = x[0];
      x1 = x[apart];
      x2 = x[2 * apart];
      x3 = x[3 * apart];
    }
    f_radix4(&x0, &x1, &x2, &x3, factors + part * RADIX4_FACTORS);
    if (last) {
      row_store(at, row, word, x0);
      row_store(at, row + (1u << log_h), word, x1);
      row_store(at, row + (2u << log_h), word, x2);
      row_store(at, row + (3u << log_h), word, x3);
    } else {
      x[0] = x0;
      x[apart] = x1;
      x[2 * apart] = x2;
      x[3 * apart] = x3;
    }
  }
}

/* The first level of the pass alone: rows m and m + h. */
static inline void step2(const Place* at, __local F* tile, S root, const bool last) {
  const uint log_h = at->log_k - 1, log_width = at->log_width;
  for (uint i = get_local_id(0); i < (1u << (log_h + log_width)); i += WGS) {
    const uint row = i >> log_width, w = i & ((1u << log_width) - 1), word = w * VW;
    if (word >= at->words) continue;
    const F a = row_load(at, row, word);
    const F b = f_scale(row_load(at, row + (1u << log_h), word), root);
    if (last) {
      row_store(at, row, word, f_add(a, b));
      row_store(at, row + (1u << log_h), word, f_sub(a, b));
    } else {
      tile[i] = f_add(a, b);
      tile[i + (1u << (log_h + log_width))] = f_sub(a, b);
    }
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
        __builtin_prefetch(next.in + row * next.in_stride + word, 0, 2);
  }
#endif

  /* The factors of each node that the pass splits at, in the order of its steps. */
  const uint odd = log_k & 1;
  __global const S* shift = constants + shifts + copy * log_k;
  for (uint done = odd, from = 0; done < log_k; done += 2) {
    for (uint part = get_local_id(0); part < (1u << done); part += WGS) {
      const uint node = (block << done) + part;
      radix4_factors(factors + (from + part) * RADIX4_FACTORS, s_mul(roots[node], shift[done]),
                     s_mul(roots[2 * node], shift[done + 1]), roots[1]);
    }
    from += 1u << done;
  }
  if (odd) step2(&at, tile, s_mul(roots[block], shift[0]), log_k == 1);
  barrier(CLK_LOCAL_MEM_FENCE);

  uint done = odd;
  if (log_k == 2) {
    step4(&at, tile, factors, 0, true, true);
    return;
  }
  if (!odd) {
    step4(&at, tile, factors, 0, true, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    factors += RADIX4_FACTORS;
    done = 2;
  }
  for (; done + 2 < log_k; done += 2) {
    step4(&at, tile, factors, done, false, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    factors += RADIX4_FACTORS << done;
  }
  if (done < log_k) step4(&at, tile, factors, done, false, true);
}
