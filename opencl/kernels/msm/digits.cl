/* Cuts scalars into signed digits of `bits` bits, one list of digits a window.
 *
 * scalar = sum over windows w of digit[w] * 2^(w * bits), digit in [-2^(bits-1) + 1, 2^(bits-1)]:
 * a window whose value passes half its range becomes negative and carries one into the next, so half
 * as many buckets do. A digit is written as its magnitude, with the top bit set where it is negative.
 *
 * A base that is infinity gets digits of zero, so that none is met later.
 *
 * Shape:  scalars[count], below P; bases[count][2]; digits[windows * count], window by window;
 *         windows * bits > 254, so that the last window has no carry; bits in 2..=16.
 * Launch: ceil(count / WGS) groups of WGS. montgomery: whether the scalars come in that form.
 * Aliasing: none. */

#define NEGATIVE 0x80000000u

__kernel GROUP_SIZE void KERNEL(msm_digits)(__global const S* restrict scalars,
                                            __global const S* restrict bases,
                                            __global uint* restrict digits,
                                            const uint count,
                                            const uint windows,
                                            const uint bits,
                                            const uint montgomery) {
  const uint i = get_global_id(0);
  if (i >= count) return;
  F scalar = scalars[i];
  if (montgomery) scalar = f_number(scalar);
  if (f_is_zero(bases[2 * (ulong)i]) && f_is_zero(bases[2 * (ulong)i + 1])) scalar = f_zero();
  uint carry = 0;
  for (uint w = 0; w < windows; w++) {
    const uint bit = w * bits, at = bit / LIMB_BITS, shift = bit % LIMB_BITS;
    ulong value = 0;
    if (at < LIMBS) value = scalar.limb[at] >> shift;
    if (shift + bits > LIMB_BITS && at + 1 < LIMBS)
      value |= (ulong)scalar.limb[at + 1] << (LIMB_BITS - shift);
    const uint sum = ((uint)value & ((1u << bits) - 1)) + carry;
    carry = sum > (1u << (bits - 1));
    digits[(size_t)w * count + i] = carry ? ((1u << bits) - sum) | NEGATIVE : sum;
  }
}
