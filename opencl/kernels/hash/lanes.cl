/* Rows of a matrix to lanes and back, for kernels where a lane is a row.
 *
 * `valid` counts the rows that exist, at least one. The other lanes repeat the last row and are not
 * written: a lane that hashes in vain does no harm, a branch for each would. */

#if VW == 1

static inline F rows_load(__global const S* p, ulong stride, uint valid) { return *p; }
static inline F rows_load_or_zero(__global const S* p, ulong stride, uint valid) {
  return valid ? *p : 0;
}
static inline void rows_store(__global S* p, ulong stride, F a, uint valid) { *p = a; }

#else

static inline F rows_load(__global const S* p, ulong stride, uint valid) {
  S lane[VW];
  const uint last = valid - 1;
#pragma unroll
  for (uint i = 0; i < VW; i++) lane[i] = p[min(i, last) * stride];
  return CAT(vload, VW)(0, lane);
}

/* As rows_load, but lanes past the last row are zero, and there may be no row at all. */
static inline F rows_load_or_zero(__global const S* p, ulong stride, uint valid) {
  if (valid >= VW) return rows_load(p, stride, valid);
  S lane[VW];
  for (uint i = 0; i < VW; i++) lane[i] = i < valid ? p[i * stride] : 0;
  return CAT(vload, VW)(0, lane);
}

static inline void rows_store(__global S* p, ulong stride, F a, uint valid) {
  S lane[VW];
  CAT(vstore, VW)(a, 0, lane);
  if (valid >= VW) {
#pragma unroll
    for (uint i = 0; i < VW; i++) p[i * stride] = lane[i];
  } else {
    for (uint i = 0; i < valid; i++) p[i * stride] = lane[i];
  }
}

#endif
