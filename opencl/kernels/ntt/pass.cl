/* One pass of the number-theoretic transform of every column of a matrix, in place.
 *
 * The transform reads a polynomial of n coefficients as an element of F[x]/(x^n - 1) and splits the
 * ring, level by level, until n rings of degree 1 are left:
 *   F[x]/(x^2h - r^2) = F[x]/(x^h - r) x F[x]/(x^h + r):   (a, b) -> (a + r*b, a - r*b)
 * Level t has 2^t blocks; block k splits by roots[k] = w^bitrev(k), w of order n. That value does
 * not depend on n, so one table serves every size, and all rows of a block share it. With the roots
 * inverted the same network takes values to n times the coefficients.
 *
 * A pass does levels [level, level + log_k) at once: a work-group takes 2^log_k rows of one block, a
 * strip of (VW << log_width) adjacent words of each, into local memory and back. Several matrices of
 * the same n that lie one after the other are transformed together.
 *
 * Shape:  data[copies * n * columns] row-major, natural order before the first pass, bit-reversed
 *         rows after the last. The rows of a tile are `inner` words apart,
 *         inner = (n >> (level + log_k)) * columns. roots[2^(level + log_k - 1)].
 *         tile[(VW << log_width) << log_k] elements.
 * Launch: one group of WGS per block and strip,
 *         copies * 2^level * ceil(inner / (VW << log_width)) groups.
 * Aliasing: none. Canonical in, canonical out.
 * Source: Cooley, Tukey 1965; as a splitting of rings, Fiduccia 1972.
 * Oracle: the O(n^2) sum of the host crate's reference module; p3-dft 0.8. */

#define BUTTERFLY(a, b, root) \
  {                           \
    F t_ = f_mul(b, root);    \
    b = f_sub(a, t_);         \
    a = f_add(a, t_);         \
  }

/* One level: rows m and m + h of the tile. */
static inline void step2(__local F* x, uint h, __global const S* restrict roots, uint node) {
  F x0 = x[0], x1 = x[h];
  BUTTERFLY(x0, x1, f_splat(roots[node]))
  x[0] = x0;
  x[h] = x1;
}

/* Two levels in registers: rows m + i*h, i < 4. */
static inline void step4(__local F* x, uint h, __global const S* restrict roots, uint node) {
  F x0 = x[0], x1 = x[h], x2 = x[2 * h], x3 = x[3 * h];
  F r = f_splat(roots[node]);
  BUTTERFLY(x0, x2, r) BUTTERFLY(x1, x3, r)
  BUTTERFLY(x0, x1, f_splat(roots[2 * node]))
  BUTTERFLY(x2, x3, f_splat(roots[2 * node + 1]))
  x[0] = x0;
  x[h] = x1;
  x[2 * h] = x2;
  x[3 * h] = x3;
}

/* Three levels in registers: rows m + i*h, i < 8. */
static inline void step8(__local F* x, uint h, __global const S* restrict roots, uint node) {
  F x0 = x[0], x1 = x[h], x2 = x[2 * h], x3 = x[3 * h];
  F x4 = x[4 * h], x5 = x[5 * h], x6 = x[6 * h], x7 = x[7 * h];
  F r = f_splat(roots[node]);
  BUTTERFLY(x0, x4, r) BUTTERFLY(x1, x5, r) BUTTERFLY(x2, x6, r) BUTTERFLY(x3, x7, r)
  r = f_splat(roots[2 * node]);
  BUTTERFLY(x0, x2, r) BUTTERFLY(x1, x3, r)
  r = f_splat(roots[2 * node + 1]);
  BUTTERFLY(x4, x6, r) BUTTERFLY(x5, x7, r)
  BUTTERFLY(x0, x1, f_splat(roots[4 * node]))
  BUTTERFLY(x2, x3, f_splat(roots[4 * node + 1]))
  BUTTERFLY(x4, x5, f_splat(roots[4 * node + 2]))
  BUTTERFLY(x6, x7, f_splat(roots[4 * node + 3]))
  x[0] = x0;
  x[h] = x1;
  x[2 * h] = x2;
  x[3 * h] = x3;
  x[4 * h] = x4;
  x[5 * h] = x5;
  x[6 * h] = x6;
  x[7 * h] = x7;
}

__kernel GROUP_SIZE void KERNEL(ntt_pass)(__global S* restrict data,
                                          __global const S* restrict roots,
                                          __local F* restrict tile,
                                          const ulong inner,
                                          const uint level,
                                          const uint log_k,
                                          const uint log_width) {
  const uint lid = get_local_id(0);
  const uint width = 1u << log_width;
  const ulong strip_words = (ulong)VW << log_width;
  const ulong strips = (inner + strip_words - 1) / strip_words;
  const ulong block = get_group_id(0) / strips;
  const uint first_node = (uint)block & ((1u << level) - 1);
  const ulong start = (get_group_id(0) % strips) * strip_words;
  const uint words = (uint)min(strip_words, inner - start);
  __global S* base = data + block * (inner << log_k) + start;

  for (uint i = lid; i < (1u << (log_k + log_width)); i += WGS) {
    const uint row = i >> log_width, word = (i & (width - 1)) * VW;
    if (word < words) tile[i] = f_load(base + row * inner + word, words - word);
  }
  barrier(CLK_LOCAL_MEM_FENCE);

  /* Lanes past the last word hold garbage; every lane keeps to its own column. */
  uint done = 0;
  while (done < log_k) {
    const uint left = log_k - done;
    const uint step = left == 4 ? 2 : min(left, 3u);
    const uint log_h = left - step;
    for (uint i = lid; i < (1u << (log_k - step + log_width)); i += WGS) {
      const uint unit = i >> log_width, w = i & (width - 1);
      const uint part = unit >> log_h, offset = unit & ((1u << log_h) - 1);
      __local F* x = tile + ((((part << (log_h + step)) + offset) << log_width) + w);
      const uint node = (first_node << done) + part;
      if (step == 3)
        step8(x, width << log_h, roots, node);
      else if (step == 2)
        step4(x, width << log_h, roots, node);
      else
        step2(x, width << log_h, roots, node);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    done += step;
  }

  for (uint i = lid; i < (1u << (log_k + log_width)); i += WGS) {
    const uint row = i >> log_width, word = (i & (width - 1)) * VW;
    if (word < words) f_store(base + row * inner + word, tile[i], words - word);
  }
}
