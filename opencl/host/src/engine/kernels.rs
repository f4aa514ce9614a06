//! Kernels: compiled or loaded when they are first used.

use std::rc::Rc;

use super::{Compiled, Engine, explain};
use crate::driver::Failure;
use crate::driver::launch::LaneShape;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::hash::Poseidon2;
use crate::hash::bn254::NAME as BN254_3;
use crate::msm::MsmKernel;
use crate::program::cache::Origin;
use crate::program::{Operation, bn254_program, hash_program, program};

impl Engine {
    /// The kernel, made ready at its first use.
    pub(crate) fn kernel<F: Field>(&mut self, operation: Operation) -> Result<Rc<Compiled>> {
        let shape = self.shape::<F>(operation);
        self.lanes_used |= operation.in_lanes::<F>() && shape.vector_width > 1;
        self.compiled((operation, F::NAME), shape, || {
            program::<F>(operation, shape.vector_width > 1)
        })
    }

    /// The kernel of a permutation, compiled at its first use.
    pub(crate) fn hash_kernel<P: Poseidon2>(
        &mut self,
        operation: Operation,
    ) -> Result<Rc<Compiled>> {
        let shape = self.hash_shape::<P>(operation);
        let source = || hash_program::<P>(operation);
        self.compiled((operation, P::NAME), shape, source)
    }

    /// The kernel of the permutation over BN254, compiled at its first use.
    pub(crate) fn bn254_kernel(&mut self) -> Result<Rc<Compiled>> {
        self.mont256_used = true;
        let (backend, shape) = (self.bn254_backend(), self.bn254_shape());
        let source = || bn254_program(backend);
        self.compiled((Operation::Poseidon2Permute, BN254_3), shape, source)
    }

    fn compiled(
        &mut self,
        key: (Operation, &'static str),
        shape: LaneShape,
        program: impl FnOnce() -> (String, String),
    ) -> Result<Rc<Compiled>> {
        let key = (key.0, key.1, shape);
        if let Some(compiled) = self.kernels.get(&key) {
            return Ok(Rc::clone(compiled));
        }
        let (name, source) = program();
        let compiled = self.compile(name, &source, shape)?;
        self.kernels.insert(key, Rc::clone(&compiled));
        Ok(compiled)
    }

    /// A kernel of a multi-scalar multiplication, compiled at its first use.
    pub(crate) fn msm_kernel(&mut self, kernel: MsmKernel) -> Result<Rc<Compiled>> {
        self.mont256_used |= kernel == MsmKernel::Chains;
        let (name, shape) = (kernel.name(), self.msm_shape(kernel));
        if let Some(compiled) = self.msm_kernels.get(&(name, shape)) {
            return Ok(Rc::clone(compiled));
        }
        let compiled = self.compile(name.to_owned(), &kernel.source(self.layout.mont256), shape)?;
        self.msm_kernels.insert((name, shape), Rc::clone(&compiled));
        Ok(compiled)
    }

    fn compile(&self, name: String, source: &str, shape: LaneShape) -> Result<Rc<Compiled>> {
        let source = (self.patch)(source);
        let options = shape.build_options();
        let made = self.programs.kernel(&self.queue, &source, &options, &name);
        let (kernel, origin) = made.map_err(|failure| match failure {
            Failure::Build(log) => Error::BuildFailed {
                device: self.device.to_string(),
                program: name.clone(),
                log,
            },
            other => explain(&self.device, other, 0),
        })?;
        self.count(|stats| match origin {
            Origin::Source => stats.programs.compiled += 1,
            Origin::Cache => stats.programs.loaded += 1,
        });
        Ok(Rc::new(Compiled {
            name,
            kernel,
            origin,
        }))
    }
}
