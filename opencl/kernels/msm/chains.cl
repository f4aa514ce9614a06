/* Adds up the points of every bucket as msm/accumulate.cl does, in affine coordinates and in vectors:
 * what processors do faster. Takes and gives the same lists.
 *
 * A run's points are added in rounds: in each round the points of a bucket go in pairs, and all pairs
 * of the run share one inversion. With d = x2 - x1 of every pair, the products of the d's before each
 * one are written down on the way forward; the inverse of all of them, times that product, is 1/d on
 * the way back (Montgomery's trick). An addition costs five multiplications and a squaring, where
 * XYZZ coordinates take ten.
 *
 * Where two points are equal or opposite, d is zero and so is the product: then the round is done
 * again with care, denominators replaced where they must be. The sum of opposite points is infinity,
 * (0, 0), and from then on every round of the run is careful.
 *
 * Work-items take runs from a counter until there are none left, so that each needs scratch memory
 * for one run only.
 *
 * Shape:  as msm/accumulate.cl; length a multiple of 8 and below 2^31; no item names infinity;
 *         scratch[work-items * scratch_words], scratch_words = 17 * length + 256;
 *         next[1] is zero.
 * Launch: any number of groups of one. Aliasing: none.
 * Source: Montgomery 1987, section 10.3.1, for the inversions. Oracle: as msm/accumulate.cl. */

#define NONE 0xffffffffu
#define POINT_WORDS 16
/* Numbers of points, one of each lane, and how vectors go to and from memory. */
typedef LANE(uint) NUMBERS;
#define LOAD CAT(vload, VW)
#define STORE CAT(vstore, VW)
/* Steps between asking for points and using them. */
#define AHEAD 4u

/* The memory of a run. */
typedef struct {
  __global ulong* slots;    /* affine sums, packed, 8 words each */
  __global ulong* products; /* of the denominators before each step, packed */
  __global ulong* kinds;    /* of the lanes of each step, in careful rounds */
  __global uint* first;     /* pairs: the points' numbers, */
  __global uint* second;
  __global uint* target;    /* and the slot that the sum goes to */
  __global uint* run_slot;  /* buckets: where they begin among the slots, */
  __global uint* run_count; /* how many slots they have, */
  __global uint* run_key;   /* and which they are */
  __global uint* single;    /* points without a partner */
  __global uint* single_slot;
} Scratch;

static inline Scratch scratch_of(__global ulong* words, uint length) {
  Scratch s;
  const uint pairs = length / 2 + VW, steps = length / (2 * VW) + 1;
  s.slots = words;
  s.products = s.slots + (ulong)length * 8;
  s.kinds = s.products + (ulong)steps * (4 * VW);
  s.first = (__global uint*)(s.kinds + (ulong)steps * VW);
  s.second = s.first + pairs;
  s.target = s.second + pairs;
  s.run_slot = s.target + pairs;
  s.run_count = s.run_slot + length;
  s.run_key = s.run_count + length;
  s.single = s.run_key + length;
  s.single_slot = s.single + length;
  return s;
}

/* What is out of the ordinary about a pair, for careful rounds. */
#define EQUAL 1ul
#define OPPOSITE 2ul
#define FIRST_INFINITE 4ul
#define SECOND_INFINITE 8ul
#define IS(kind, what) MASK(((kind) & (LANES)(what)) != (LANES)(0ul))

/* Coordinate 0 (x) or 1 (y) of a point each. Bases are at rest, slots are packed. */
static inline INLINED F load(__global const ulong* points, NUMBERS at, uint coordinate,
                             const bool is_base) {
  uint number[VW];
  ulong4 elements[VW];
  LANES words[4];
  STORE(2 * (at & (NUMBERS)(0x7fffffffu)) + (NUMBERS)(coordinate), 0, number);
#pragma unroll
  for (uint lane = 0; lane < VW; lane++) elements[lane] = vload4(number[lane], points);
  transpose(elements, words);
  return f_from_words(words, is_base ? REST_SHIFT : 0);
}

/* Has the points of a later step fetched: they lie anywhere. */
static inline INLINED void fetch(const Scratch* s, __global const ulong* points, uint step) {
#pragma unroll
  for (uint lane = 0; lane < VW; lane++) {
    const ulong at1 = s->first[VW * step + lane] & 0x7fffffffu;
    const ulong at2 = s->second[VW * step + lane] & 0x7fffffffu;
    FETCH_AHEAD((const void*)(size_t)(points + 8 * at1), 3);
    FETCH_AHEAD((const void*)(size_t)(points + 8 * at2), 3);
  }
}

/* Lanes whose bases' numbers say that they are to be negated. */
static inline LANES negative(NUMBERS at) {
  return MASK(CAT(convert_long, VW)(CAT(as_int, VW)(at) >> 31));
}

/* y of a point each, negated where a base's number says so. */
static inline INLINED F load_y(__global const ulong* points, NUMBERS at, const bool is_base) {
  const F y = load(points, at, 1, is_base);
  if (!is_base) return y;
  return f_negate_where(negative(at), y);
}

static inline INLINED void store_slot(__global ulong* slots, NUMBERS at, F x, F y) {
  LANES words[4];
  ulong4 xs[VW], ys[VW];
  uint number[VW];
  STORE(at, 0, number);
  f_to_words(x, words);
  transpose_back(words, xs);
  f_to_words(y, words);
  transpose_back(words, ys);
#pragma unroll
  for (uint lane = 0; lane < VW; lane++) {
    vstore4(xs[lane], 2 * number[lane], slots);
    vstore4(ys[lane], 2 * number[lane] + 1, slots);
  }
}

static inline F f_sum(F a, F b) {
#pragma unroll
  for (uint i = 0; i < LIMBS; i++) a.limb[i] += b.limb[i];
  return f_near(a);
}

static inline LANES infinities(F x, F y) {
  LANES bits = x.limb[0] | y.limb[0];
#pragma unroll
  for (uint i = 1; i < LIMBS; i++) bits |= x.limb[i] | y.limb[i];
  return MASK(bits == (LANES)(0ul));
}

static F denominator(F x1, F y1, F x2, LANES kind, F one) {
  const F d = f_select(IS(kind, EQUAL), f_sum(y1, y1), f_sub(x2, x1));
  return f_select(IS(kind, OPPOSITE | FIRST_INFINITE | SECOND_INFINITE), one, d);
}

/* The inverses of all lanes by one inversion, or false if a lane is zero. */
static bool invert_lanes(F* a) {
  F all = *a, others[LOG_LANES];
#pragma unroll
  for (uint level = 0; level < LOG_LANES; level++) {
    others[level] = f_swapped(all, level);
    all = f_mul(all, others[level]);
  }
  if (any_lane(f_zeros(all))) return false;
  all = f_inverse(all);
#pragma unroll
  for (uint level = LOG_LANES; level-- > 0;) all = f_mul(all, others[level]);
  *a = all;
  return true;
}

/* Adds `steps` lanes of pairs, or returns false if a denominator is zero and the round not careful. */
static inline INLINED bool add_pairs(const Scratch* s, __global const ulong* points, uint steps,
                             const bool is_base, const bool careful, bool* infinite) {
  const F one = f_reduced(f_one());
  F all = one;
  for (uint step = 0; step < steps; step++) {
    if (is_base) fetch(s, points, min(step + AHEAD, steps - 1));
    const NUMBERS at1 = LOAD(step, s->first), at2 = LOAD(step, s->second);
    const F x1 = load(points, at1, 0, is_base), x2 = load(points, at2, 0, is_base);
    F d;
    if (careful) {
      const F y1 = load_y(points, at1, is_base), y2 = load_y(points, at2, is_base);
      const LANES infinite1 = is_base ? (LANES)(0ul) : infinities(x1, y1);
      const LANES infinite2 = is_base ? (LANES)(0ul) : infinities(x2, y2);
      const LANES same_x = f_zeros(f_sub(x2, x1)) & ~(infinite1 | infinite2);
      const LANES same_y = f_zeros(f_sub(y2, y1));
      const LANES kind = (same_x & same_y & (LANES)(EQUAL)) |
                         (same_x & ~same_y & (LANES)(OPPOSITE)) |
                         (infinite1 & (LANES)(FIRST_INFINITE)) |
                         (infinite2 & (LANES)(SECOND_INFINITE));
      STORE(kind, step, s->kinds);
      d = denominator(x1, y1, x2, kind, one);
    } else {
      d = f_sub_loose(x2, x1);
    }
    LANES before[4];
    f_to_words(all, before);
#pragma unroll
    for (uint i = 0; i < 4; i++) STORE(before[i], 4 * step + i, s->products);
    all = f_mul(d, all);
  }
  if (!invert_lanes(&all)) return false;

  for (uint step = steps; step-- > 0;) {
    if (is_base) fetch(s, points, step - min(step, AHEAD));
    const NUMBERS at1 = LOAD(step, s->first), at2 = LOAD(step, s->second);
    const F x1 = load(points, at1, 0, is_base), x2 = load(points, at2, 0, is_base);
    F y1, y2, d, rise;
    LANES kind;
    if (careful) {
      kind = LOAD(step, s->kinds);
      y1 = f_reduced(load_y(points, at1, is_base));
      y2 = f_reduced(load_y(points, at2, is_base));
      d = denominator(x1, y1, x2, kind, one);
      const F xx = f_sqr(x1);
      rise = f_select(IS(kind, EQUAL), f_sum(f_sum(xx, xx), xx), f_sub(y2, y1));
    } else {
      y1 = load(points, at1, 1, is_base);
      y2 = load(points, at2, 1, is_base);
      if (is_base) {
        y1 = f_signed(negative(at1), y1);
        y2 = f_signed(negative(at2), y2);
      }
      d = f_sub_loose(x2, x1);
      rise = f_sub_both(y2, y1, f_zero());
    }
    LANES before[4];
#pragma unroll
    for (uint i = 0; i < 4; i++) before[i] = LOAD(4 * step + i, s->products);
    const F inverse = f_mul(f_from_words(before, 0), all);
    all = f_mul(d, all);
    const F slope = f_mul(rise, inverse);
    F x3 = f_reduced(f_sub_both(f_sqr(slope), x1, x2));
    F y3 = f_reduced(f_sub_both(f_mul(f_sub_loose(x1, x3), slope), y1, f_zero()));
    if (careful) {
      const LANES infinite1 = IS(kind, FIRST_INFINITE), infinite2 = IS(kind, SECOND_INFINITE);
      const LANES opposite = IS(kind, OPPOSITE);
      x3 = f_select(infinite1, x2, f_select(infinite2, x1, x3));
      y3 = f_select(infinite1, y2, f_select(infinite2, y1, y3));
#pragma unroll
      for (uint i = 0; i < LIMBS; i++) {
        x3.limb[i] &= ~opposite;
        y3.limb[i] &= ~opposite;
      }
      *infinite |= any_lane(opposite);
    }
    store_slot(s->slots, LOAD(step, s->target), x3, y3);
  }
  return true;
}

/* Fills the last lane up with its last pair, whose sum is then written several times over. */
static inline uint fill(const Scratch* s, uint pairs) {
  const uint steps = (pairs + VW - 1) / VW;
  for (uint i = pairs; i < VW * steps; i++) {
    s->first[i] = s->first[pairs - 1];
    s->second[i] = s->second[pairs - 1];
    s->target[i] = s->target[pairs - 1];
  }
  return steps;
}

/* The first round: bases in pairs to slots; what has no partner is copied. Returns the buckets. */
static uint first_round(const Scratch* s, __global const ulong* bases, __global const uint* items,
                        __global const uint* keys, uint begin, uint end, bool* infinite) {
  uint buckets = 0, pairs = 0, slots = 0, singles = 0;
  for (uint i = begin; i < end;) {
    const uint key = keys[i], slot = slots;
    for (; i + 1 < end && keys[i + 1] == key; i += 2) {
      s->first[pairs] = items[i];
      s->second[pairs] = items[i + 1];
      s->target[pairs++] = slots++;
    }
    if (i < end && keys[i] == key) {
      s->single[singles] = items[i++];
      s->single_slot[singles++] = slots++;
    }
    s->run_slot[buckets] = slot;
    s->run_count[buckets] = slots - slot;
    s->run_key[buckets++] = key;
  }
  const uint steps = fill(s, pairs);
  if (steps && !add_pairs(s, bases, steps, true, false, infinite))
    add_pairs(s, bases, steps, true, true, infinite);
  for (uint i = 0; i < singles; i += VW) {
    uint from[VW], to[VW];
    for (uint lane = 0; lane < VW; lane++) {
      from[lane] = s->single[min(i + lane, singles - 1)];
      to[lane] = s->single_slot[min(i + lane, singles - 1)];
    }
    const NUMBERS at = LOAD(0, from);
    store_slot(s->slots, LOAD(0, to), f_reduced(load(bases, at, 0, true)),
               f_reduced(load_y(bases, at, true)));
  }
  return buckets;
}

/* A later round: slots in pairs, `stride` apart, to the first of each. Returns whether there were any. */
static bool later_round(const Scratch* s, uint buckets, uint stride, bool* infinite) {
  uint pairs = 0;
  for (uint bucket = 0; bucket < buckets; bucket++) {
    const uint end = s->run_slot[bucket] + s->run_count[bucket];
    for (uint at = s->run_slot[bucket]; at + stride < end; at += 2 * stride) {
      s->first[pairs] = at;
      s->second[pairs] = at + stride;
      s->target[pairs++] = at;
    }
  }
  if (pairs == 0) return false;
  const uint steps = fill(s, pairs);
  if (*infinite || !add_pairs(s, s->slots, steps, false, false, infinite))
    add_pairs(s, s->slots, steps, false, true, infinite);
  return true;
}

/* Writes the buckets' sums as XYZZ at rest: the first to `head`, if it is one. */
static void write_sums(const Scratch* s, uint buckets, __global ulong* sums, __global ulong* head) {
  const F factor = f_constant(ONE0, ONE1, ONE2, ONE3, 0);
  for (uint i = 0; i < buckets; i += VW) {
    uint from[VW];
    for (uint lane = 0; lane < VW; lane++) from[lane] = s->run_slot[min(i + lane, buckets - 1)];
    const NUMBERS at = LOAD(0, from);
    const F x = load(s->slots, at, 0, false), y = load(s->slots, at, 1, false);
    LANES wx[4], wy[4];
    ulong lanes[12][VW];
    f_to_words(f_canonical(f_reduced(f_mul(x, factor))), wx);
    f_to_words(f_canonical(f_reduced(f_mul(y, factor))), wy);
    const ulong one[4] = {ONE0, ONE1, ONE2, ONE3};
    const LANES finite = ~infinities(x, y);
    for (uint word = 0; word < 4; word++) {
      STORE(wx[word], 0, lanes[word]);
      STORE(wy[word], 0, lanes[4 + word]);
      STORE(finite & (LANES)(one[word]), 0, lanes[8 + word]);
    }
    for (uint lane = 0; lane < VW && i + lane < buckets; lane++) {
      __global ulong* sum = i + lane == 0 && head
                                ? head
                                : sums + (ulong)s->run_key[i + lane] * POINT_WORDS;
      for (uint word = 0; word < 12; word++) sum[word] = lanes[word][lane];
      for (uint word = 0; word < 4; word++) sum[12 + word] = lanes[8 + word][lane];
    }
  }
}

__kernel GROUP_SIZE void KERNEL(msm_chains)(__global const ulong* restrict bases,
                                            __global const uint* restrict items,
                                            __global const uint* restrict keys,
                                            __global const uint* restrict totals,
                                            __global ulong* restrict buckets,
                                            __global ulong* restrict heads,
                                            __global uint* restrict head_keys,
                                            const uint windows,
                                            const uint count,
                                            const uint length,
                                            const uint buckets_per_window,
                                            __global ulong* restrict scratch,
                                            const ulong scratch_words,
                                            __global uint* restrict next) {
  const uint runs = (count - 1) / length + 1;
  const Scratch s = scratch_of(scratch + get_global_id(0) * scratch_words, length);
  for (uint run = atomic_inc(next); run < windows * runs; run = atomic_inc(next)) {
    const uint window = run / runs, begin = (run % runs) * length;
    head_keys[run] = NONE;
    if (begin >= totals[window]) continue;
    const uint end = min(begin + length, totals[window]);
    const ulong list = (ulong)window * count;
    bool infinite = false;
    const uint found = first_round(&s, bases, items + list, keys + list, begin, end, &infinite);
    for (uint stride = 1; later_round(&s, found, stride, &infinite);) stride *= 2;
    const bool has_head = begin > 0 && keys[list + begin - 1] == keys[list + begin];
    if (has_head) head_keys[run] = keys[list + begin];
    write_sums(&s, found, buckets + (ulong)window * buckets_per_window * POINT_WORDS,
               has_head ? heads + (ulong)run * POINT_WORDS : 0);
  }
}
