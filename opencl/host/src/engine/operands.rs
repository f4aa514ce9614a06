//! Memory of the device, and what comes and goes between it and the host.

use super::{Engine, explain};
use crate::driver::Word;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::memory::{Charge, Lease, Refusal};
use crate::operand::Operand;

impl Engine {
    /// Memory for `words` words of `W`, contents undefined.
    pub(crate) fn lease<W: Word>(&self, words: usize) -> Result<Lease> {
        let bytes = words * size_of::<W>();
        self.within_limits(bytes, || self.memory.lease(&self.queue, bytes))
    }

    /// What `reserve` gives, if the device allows an allocation of `bytes` at all.
    fn within_limits<R>(
        &self,
        bytes: usize,
        reserve: impl FnOnce() -> std::result::Result<R, Refusal>,
    ) -> Result<R> {
        let too_large = |available: usize| Error::OutOfDeviceMemory {
            device: self.device.to_string(),
            needed_bytes: bytes as u64,
            available_bytes: available as u64,
        };
        if bytes > self.layout.max_allocation_bytes {
            return Err(too_large(self.layout.max_allocation_bytes));
        }
        reserve().map_err(|refusal| match refusal {
            Refusal::Limit { available_bytes } => too_large(available_bytes),
            Refusal::Driver(failure) => explain(&self.device, failure, bytes as u64),
        })
    }

    /// A copy of `words` on the device.
    pub(crate) fn upload<W: Word>(&self, words: &[W]) -> Result<Lease> {
        let buffer = self.lease::<W>(words.len())?;
        self.queue
            .write(&buffer, words)
            .map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.uploaded_bytes += size_of_val(words) as u64);
        Ok(buffer)
    }

    /// Fills `out` from the start of a buffer, when all that was launched is done.
    pub(crate) fn download<W: Word>(&self, buffer: &Lease, out: &mut [W]) -> Result<()> {
        self.queue
            .read(buffer, out)
            .map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.downloaded_bytes += size_of_val(out) as u64);
        Ok(())
    }

    /// Brings `words` to the device.
    pub(crate) fn bring<W: Word>(&self, words: Vec<W>) -> Result<Operand<W>> {
        if self.layout.in_place {
            return self.adopt(words);
        }
        Ok(Operand::Copied {
            lease: self.upload(&words)?,
            host: words,
        })
    }

    /// Room on the device for `words` words, contents undefined. `host` is memory of the host that
    /// may take the result.
    pub(crate) fn make<F: Field>(
        &self,
        words: usize,
        host: Vec<F::Word>,
    ) -> Result<Operand<F::Word>> {
        if self.layout.in_place {
            let bytes = words * size_of::<F::Word>();
            let charge = self.within_limits(bytes, || self.memory.charge(bytes))?;
            // Zeros that nobody wrote cost nothing until they are written over.
            return self.adopt_charged(vec![F::ZERO; words], charge);
        }
        Ok(Operand::Copied {
            lease: self.lease::<F::Word>(words)?,
            host,
        })
    }

    /// The first `words` words of an operand, when all that was launched is done.
    pub(crate) fn take<F: Field>(
        &self,
        operand: Operand<F::Word>,
        words: usize,
    ) -> Result<Vec<F::Word>> {
        match operand {
            Operand::Copied { lease, mut host } => {
                host.resize(words, F::ZERO);
                self.queue
                    .read(&lease, &mut host)
                    .map_err(|failure| explain(&self.device, failure, 0))?;
                self.count(|stats| stats.downloaded_bytes += size_of_val(host.as_slice()) as u64);
                Ok(host)
            }
            Operand::InPlace { adopted, .. } => {
                let mut host = self
                    .queue
                    .release(adopted)
                    .map_err(|failure| explain(&self.device, failure, 0))?;
                host.truncate(words);
                Ok(host)
            }
        }
    }

    fn adopt<W: Word>(&self, words: Vec<W>) -> Result<Operand<W>> {
        let bytes = size_of_val(words.as_slice());
        let charge = self.within_limits(bytes, || self.memory.charge(bytes))?;
        self.adopt_charged(words, charge)
    }

    fn adopt_charged<W: Word>(&self, words: Vec<W>, charge: Charge) -> Result<Operand<W>> {
        let bytes = size_of_val(words.as_slice());
        let adopted = self
            .queue
            .adopt(words)
            .map_err(|failure| explain(&self.device, failure, bytes as u64))?;
        Ok(Operand::InPlace {
            adopted,
            _charge: charge,
        })
    }

    /// Enqueues a copy of the first `bytes` of a buffer.
    pub(crate) fn copy(&self, from: &Lease, to: &Lease, bytes: usize) -> Result<()> {
        self.queue
            .copy(from, to, bytes)
            .map_err(|failure| explain(&self.device, failure, 0))
    }
}
