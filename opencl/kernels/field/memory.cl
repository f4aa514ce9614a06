/* Lanes to and from global memory.
 *
 * `valid` counts the lanes that exist; the others read as zero and are not written.
 * Expects: S, F and f_canonical of a field file. */

#if VW == 1

static inline F f_fetch(__global const S* p, uint valid) { return *p; }
static inline void f_store(__global S* p, F a, uint valid) { *p = a; }
static inline F f_gather(__global const S* p, uint stride, uint valid) { return f_canonical(*p); }
static inline void f_scatter(__global S* p, uint stride, F a, uint valid) { *p = a; }
static inline void f_keep(__local S* p, F a, uint valid) { *p = a; }

#else

static inline F f_fetch_strided(__global const S* p, uint stride, uint valid) {
  S lane[VW];
  for (uint i = 0; i < VW; i++) lane[i] = i < valid ? p[(size_t)i * stride] : 0;
  return CAT(vload, VW)(0, lane);
}

static inline void f_scatter(__global S* p, uint stride, F a, uint valid) {
  S lane[VW];
  CAT(vstore, VW)(a, 0, lane);
  for (uint i = 0; i < VW; i++)
    if (i < valid) p[(size_t)i * stride] = lane[i];
}

static inline F f_gather(__global const S* p, uint stride, uint valid) {
  return f_canonical(f_fetch_strided(p, stride, valid));
}

static inline F f_fetch(__global const S* p, uint valid) {
  return valid >= VW ? CAT(vload, VW)(0, p) : f_fetch_strided(p, 1, valid);
}

static inline void f_store(__global S* p, F a, uint valid) {
  if (valid >= VW)
    CAT(vstore, VW)(a, 0, p);
  else
    f_scatter(p, 1, a, valid);
}

/* f_store to local memory. */
static inline void f_keep(__local S* p, F a, uint valid) {
  S lane[VW];
  if (valid >= VW) {
    CAT(vstore, VW)(a, 0, p);
    return;
  }
  CAT(vstore, VW)(a, 0, lane);
  for (uint i = 0; i < valid; i++) p[i] = lane[i];
}

#endif

static inline F f_load(__global const S* p, uint valid) { return f_canonical(f_fetch(p, valid)); }
