/* Folds extension-field evaluations (FRI) with elements side by side in a lane, as they lie in memory: the
 * variant of fri/fold.cl, which see, for vectors that hold whole elements. Nothing is gathered.
 *
 * Expects: packed_fold of fri/packed_31.cl or fri/packed_goldilocks.cl, which define PACKED. */

#ifdef PACKED

#define ROWS (VW / EXT_DEGREE)
#if FIELD_BITS == 31
#define LANE_OF_ELEMENT CAT(uint, EXT_DEGREE)
#else
#define LANE_OF_ELEMENT CAT(ulong, EXT_DEGREE)
#endif
#define ARITY (1u << LOG_ARITY)

/* LOAD(t) for each of the rows of a lane; rows past the last one are read as the last one. */
#if VW == EXT_DEGREE
#define OF_ROWS(LOAD) LOAD(0)
#elif VW == 2 * EXT_DEGREE
#define OF_ROWS(LOAD) LOAD(0), LOAD(1)
#elif VW == 4 * EXT_DEGREE
#define OF_ROWS(LOAD) LOAD(0), LOAD(1), LOAD(2), LOAD(3)
#else
#define OF_ROWS(LOAD) LOAD(0), LOAD(1), LOAD(2), LOAD(3), LOAD(4), LOAD(5), LOAD(6), LOAD(7)
#endif

__kernel GROUP_SIZE void KERNEL(fri_fold)(__global const S* restrict in,
                                          __global S* restrict out,
                                          __global const S* restrict inverse_roots,
                                          __constant S* restrict matrix,
                                          const uint rows,
                                          const uint span) {
  const ulong group_rows = (ulong)span * WGS * VW;
  const ulong end = min((ulong)rows, (get_group_id(0) + 1) * group_rows);
  /* A power of two of rows fills its lanes, or not even one. */
  const uint valid = min(rows, (uint)ROWS);
#define ROW(t) min((uint)(t), valid - 1)
  Factor factors[LOG_ARITY];
  for (uint level = 0; level < LOG_ARITY; level++)
    factor_load(&factors[level], matrix + level * EXT_DEGREE * EXT_DEGREE);

  for (ulong row = get_group_id(0) * group_rows + get_local_id(0) * ROWS; row < end;
       row += WGS * ROWS) {
    F x[ARITY];
#pragma unroll
    for (uint i = 0; i < ARITY; i++) {
#define ELEMENT(t) CAT(vload, EXT_DEGREE)(ROW(t) * ARITY + i, in + row * (ARITY * EXT_DEGREE))
      x[i] = (F)(OF_ROWS(ELEMENT));
    }
#pragma unroll
    for (uint level = 0; level < LOG_ARITY; level++) {
      const uint pairs = ARITY >> (level + 1);
      __global const S* inverses = inverse_roots + row * pairs;
#pragma unroll
      for (uint j = 0; j < pairs; j++) {
#define INVERSE_OF(t) (LANE_OF_ELEMENT)(inverses[ROW(t) * pairs + j])
        const F inverse = (F)(OF_ROWS(INVERSE_OF));
        x[j] = packed_fold(x[2 * j], x[2 * j + 1], inverse, &factors[level]);
      }
    }
    F folded = f_canonical(x[0]);
#pragma unroll
    for (uint level = 0; level < LOG_ARITY; level++) folded = f_halve(folded);
    if (valid == ROWS) {
      CAT(vstore, VW)(folded, 0, out + row * EXT_DEGREE);
    } else {
      S words[VW];
      CAT(vstore, VW)(folded, 0, words);
      for (uint i = 0; i < valid * EXT_DEGREE; i++) out[row * EXT_DEGREE + i] = words[i];
    }
  }
}

#endif
