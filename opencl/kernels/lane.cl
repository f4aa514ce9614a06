/* The two shapes of hardware that one source serves.
 *
 * A kernel is written over a lane type F that holds VW field elements of scalar type S:
 *   CPU  VW = 2, 4, 8 or 16, WGS = 1:  one work-item is one thread and works in vectors. A compiler is
 *        not asked to find the vectors; CPU runtimes do so too unevenly.
 *   GPU  VW = 1, WGS = 64 or more:  lanes are the work-items of a group.
 *
 * The host defines VW and WGS. The field files that follow define FIELD, S, F and the operations:
 *   f_splat f_add f_sub f_mul f_halve, f_scale (by a constant of all lanes), f_load f_store
 *   (contiguous), f_gather f_scatter (strided), f_keep (local);
 *   f_fetch is f_load of any word for the element that it is, f_canonical
 *   makes it the one that is stored; f_split is a step of a transform (ntt/pass.cl) of up to
 *   MAX_STEP_LEVELS levels, by the STEP_FACTORS constants that step_factors makes.
 *   FIELD_BITS is the length of the modulus. With EXT_DEGREE defined, the degree of a challenge field
 *   over it, there is f_dot(a, b) too, the sum of a[k] * b[k] over that many lanes and constants. */

#if !defined(VW) || !defined(WGS)
#error "the host must define VW and WGS"
#endif

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

/* VW elements of a scalar type. */
#if VW == 1
#define LANE(scalar) scalar
#else
#define LANE(scalar) CAT(scalar, VW)
#endif

/* KERNEL(ntt_pass) is ntt_pass_babybear when FIELD is babybear. */
#define KERNEL(operation) CAT(CAT(operation, _), FIELD)

#define GROUP_SIZE __attribute__((reqd_work_group_size(WGS, 1, 1)))

/* Has memory fetched to a cache ahead of its use, near (3) to far (0): a hint. Compilers that go by SPIR-V
 * end the process at it. */
#if defined(__clang__) && !defined(__SPIR__) && !defined(__SPIRV__)
#define FETCH_AHEAD(p, locality) __builtin_prefetch(p, 0, locality)
#define FETCH_AHEAD_TO_WRITE(p) __builtin_prefetch(p, 1)
#else
#define FETCH_AHEAD(p, locality)
#define FETCH_AHEAD_TO_WRITE(p)
#endif

/* The lowest `bits` bits of x, reversed; bits in 0..=32. */
static inline uint reverse_bits(uint x, uint bits) {
  if (bits == 0) return 0;
  x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
  x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
  x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
  x = ((x >> 8) & 0x00ff00ffu) | ((x & 0x00ff00ffu) << 8);
  x = (x >> 16) | (x << 16);
  return x >> (32 - bits);
}
