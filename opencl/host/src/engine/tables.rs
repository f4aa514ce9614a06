//! Tables that stay on the device: roots of unity and round constants.

use std::rc::Rc;

use super::{Direction, Engine};
use crate::driver::Word;
use crate::error::Result;
use crate::field::Field;
use crate::field::mont256_backend::Mont256Backend;
use crate::hash::Poseidon2;
use crate::hash::bn254::{self, NAME as BN254_3};
use crate::memory::Lease;
use crate::ntt::LANES_UNIT;

impl Engine {
    /// The table `roots[k] = w^(+-bitrev(k))` with at least `2^log_length` entries.
    pub(crate) fn roots<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
    ) -> Result<Rc<Lease>> {
        self.roots_times::<F>(direction, log_length, F::ONE)
    }

    /// [`Engine::roots`] as the lanes of large elements take them.
    pub(crate) fn lane_roots<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
    ) -> Result<Rc<Lease>> {
        self.roots_times::<F>(direction, log_length, F::from_u64(LANES_UNIT))
    }

    fn roots_times<F: Field>(
        &mut self,
        direction: Direction,
        log_length: u32,
        unit: F::Word,
    ) -> Result<Rc<Lease>> {
        let key = (F::NAME, direction, unit != F::ONE);
        if let Some((length, table)) = self.roots.get(&key)
            && *length >= log_length
        {
            return Ok(Rc::clone(table));
        }
        // The old table would only stand in the way of the new one.
        self.roots.remove(&key);
        let table = Rc::new(self.upload(&bit_reversed_roots::<F>(direction, log_length, unit))?);
        self.roots.insert(key, (log_length, Rc::clone(&table)));
        Ok(table)
    }

    /// Bytes that may be used beside the tables of roots of these directions, with at least
    /// `2^log_length` entries each, those of lanes or the others; `None` if they do not fit.
    pub(crate) fn room_beside_roots<F: Field>(
        &self,
        directions: &[Direction],
        in_lanes: bool,
        log_length: u32,
    ) -> Option<usize> {
        let bytes = |log_length: u32| size_of::<F::Word>() << log_length;
        let mut room = self.available_bytes();
        for &direction in directions {
            let there = self.roots.get(&(F::NAME, direction, in_lanes));
            let there = there.map(|(log_length, _)| *log_length);
            if there.is_some_and(|there| there >= log_length) {
                continue;
            }
            if bytes(log_length) > self.layout.max_allocation_bytes {
                return None;
            }
            room = (room + there.map_or(0, bytes)).checked_sub(bytes(log_length))?;
        }
        Some(room)
    }

    /// Gives up all tables, to make room. They are made anew when they are needed.
    pub(crate) fn drop_tables(&mut self) {
        self.roots.clear();
        self.hash_constants.clear();
    }

    /// The round constants of a permutation, as its kernels take them.
    pub(crate) fn hash_constants<P: Poseidon2>(&mut self) -> Result<Rc<Lease>> {
        self.constants(P::NAME, || {
            let constants = P::constants().into_iter();
            constants.map(P::kernel_constant).collect()
        })
    }

    /// The round constants of the permutation over BN254, as its kernel takes them.
    pub(crate) fn bn254_constants(&mut self) -> Result<Rc<Lease>> {
        let backend = self.bn254_backend();
        let name = match backend {
            Mont256Backend::Ifma { .. } => "bn254_3 in five limbs",
            Mont256Backend::Lanes => "bn254_3 in nine limbs",
            Mont256Backend::Scalar => BN254_3,
        };
        self.constants(name, || bn254::kernel_constants(backend))
    }

    fn constants<W: Word>(
        &mut self,
        name: &'static str,
        constants: impl FnOnce() -> Vec<W>,
    ) -> Result<Rc<Lease>> {
        if let Some(table) = self.hash_constants.get(name) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(self.upload(&constants())?);
        self.hash_constants.insert(name, Rc::clone(&table));
        Ok(table)
    }
}

/// Entry `k` is `unit` times the root by which block `k` splits at every level that has such a block.
fn bit_reversed_roots<F: Field>(
    direction: Direction,
    log_length: u32,
    unit: F::Word,
) -> Vec<F::Word> {
    let mut table = Vec::with_capacity(1 << log_length);
    table.push(unit);
    for level in 0..log_length {
        // bitrev over one more bit puts the new lowest bit first: half the angle of the last level.
        let root = F::root(level + 2);
        let turn = match direction {
            Direction::Forward => root,
            Direction::Inverse => F::inverse(root).expect("invariant: a root is not zero"),
        };
        for k in 0..table.len() {
            table.push(F::mul(table[k], turn));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::BabyBear;
    use crate::reference::reverse_bits;

    #[test]
    fn one_table_of_roots_serves_every_size() {
        for direction in [Direction::Forward, Direction::Inverse] {
            let table = bit_reversed_roots::<BabyBear>(direction, 6, BabyBear::ONE);
            assert_eq!(table.len(), 64);
            for log_n in 1..=7 {
                let mut root = BabyBear::root(log_n);
                if direction == Direction::Inverse {
                    root = BabyBear::inverse(root).expect("not zero");
                }
                for (k, &entry) in table.iter().enumerate().take(1 << (log_n - 1)) {
                    let exponent = reverse_bits(k, log_n - 1) as u64;
                    assert_eq!(
                        entry,
                        BabyBear::pow(root, exponent),
                        "log_n {log_n}, block {k}"
                    );
                }
            }
        }
    }
}
