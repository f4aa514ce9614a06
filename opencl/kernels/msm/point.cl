/* Points of the curve y^2 = x^3 + b over a field of field/mont256.cl, b not zero and never needed.
 *
 * A base is affine: x, y, and infinity is (0, 0), which is not on the curve. A sum is kept as
 * (X, Y, ZZ, ZZZ) with x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2, and infinity is ZZ = 0. The group has odd
 * order, so no point has y = 0 and a doubling is never exceptional.
 *
 * Every operation is complete: equal points, opposite points and infinity give what they should.
 * Source: Sutherland's XYZZ, formulas madd-2008-s, add-2008-s, dbl-2008-s-1 of the Explicit-Formulas
 * Database. Oracle: ark-ec 0.6, halo2curves 0.10. */

typedef struct { F x, y, zz, zzz; } Point;

/* Words of a base and of a sum, in elements. */
#define BASE_SIZE 2
#define POINT_SIZE 4

static inline Point point_infinity() {
  Point p;
  p.x = f_zero();
  p.y = f_zero();
  p.zz = f_zero();
  p.zzz = f_zero();
  return p;
}

static inline bool point_is_infinity(const Point* p) { return f_is_zero(p->zz); }

static inline Point point_load(__global const S* at) {
  Point p;
  p.x = at[0];
  p.y = at[1];
  p.zz = at[2];
  p.zzz = at[3];
  return p;
}

static inline void point_store(__global S* at, const Point* p) {
  at[0] = p->x;
  at[1] = p->y;
  at[2] = p->zz;
  at[3] = p->zzz;
}

/* a^(P - 2), which is 1/a. */
static inline F f_inverse(F a, F one) {
  const ulong exponent[4] = {P0 - 2, P1, P2, P3};
  F power = one;
  for (int bit = 255; bit >= 0; bit--) {
    power = f_sqr(power);
    if ((exponent[bit / 64] >> (bit % 64)) & 1) power = f_mul(power, a);
  }
  return power;
}

/* Makes ZZ and ZZZ one, given 1/ZZZ; not for infinity. */
static inline void point_make_affine(Point* p, F inverse_zzz, F one) {
  /* ZZZ = Z^3 and ZZ = Z^2: 1/Z = ZZ/ZZZ. */
  const F inverse_z = f_mul(p->zz, inverse_zzz);
  p->x = f_mul(p->x, f_sqr(inverse_z));
  p->y = f_mul(p->y, inverse_zzz);
  p->zz = one;
  p->zzz = one;
}

/* p = 2p: 6 multiplications, 3 squarings; infinity stays. */
static void point_double(Point* p) {
  const F u = f_add(p->y, p->y);
  const F v = f_sqr(u);
  const F w = f_mul(u, v);
  const F s = f_mul(p->x, v);
  const F xx = f_sqr(p->x);
  const F m = f_add(f_add(xx, xx), xx);
  const F x = f_sub(f_sqr(m), f_add(s, s));
  p->y = f_sub(f_mul(m, f_sub(s, x)), f_mul(w, p->y));
  p->x = x;
  p->zz = f_mul(v, p->zz);
  p->zzz = f_mul(w, p->zzz);
}

/* The common end of both additions: p has x-difference `d` and y-difference `r` to what is added,
 * and its own coordinates, on the common denominators zz and zzz, are x and y. */
static inline void point_chord(Point* p, F x, F y, F zz, F zzz, F d, F r) {
  const F dd = f_sqr(d);
  const F ddd = f_mul(d, dd);
  const F q = f_mul(x, dd);
  p->x = f_sub(f_sub(f_sqr(r), ddd), f_add(q, q));
  p->y = f_sub(f_mul(r, f_sub(q, p->x)), f_mul(y, ddd));
  p->zz = f_mul(zz, dd);
  p->zzz = f_mul(zzz, ddd);
}

/* p += (x, y), an affine point and not infinity: 8 multiplications, 2 squarings. */
static void point_add_affine(Point* p, F x, F y, F one) {
  if (point_is_infinity(p)) {
    p->x = x;
    p->y = y;
    p->zz = one;
    p->zzz = one;
    return;
  }
  const F d = f_sub(f_mul(x, p->zz), p->x);
  const F r = f_sub(f_mul(y, p->zzz), p->y);
  if (f_is_zero(d)) {
    if (f_is_zero(r))
      point_double(p);
    else
      *p = point_infinity();
    return;
  }
  point_chord(p, p->x, p->y, p->zz, p->zzz, d, r);
}

/* p += q: 12 multiplications, 2 squarings. */
static void point_add(Point* p, const Point* q) {
  if (point_is_infinity(q)) return;
  if (point_is_infinity(p)) {
    *p = *q;
    return;
  }
  const F x = f_mul(p->x, q->zz), y = f_mul(p->y, q->zzz);
  const F d = f_sub(f_mul(q->x, p->zz), x);
  const F r = f_sub(f_mul(q->y, p->zzz), y);
  if (f_is_zero(d)) {
    if (f_is_zero(r))
      point_double(p);
    else
      *p = point_infinity();
    return;
  }
  point_chord(p, x, y, f_mul(p->zz, q->zz), f_mul(p->zzz, q->zzz), d, r);
}
