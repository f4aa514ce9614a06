//! Panels: what does not fit the device at once goes through it part by part.
//!
//! Where the device has memory of its own, the next panel goes up and the last one comes down on the
//! queue of transfers while one is computed. That takes memory for three panels where a result lies in
//! the place of its input, else for two of each.

#[cfg(test)]
mod tests;

use super::{Engine, explain};
use crate::driver::{Transfer, Word};
use crate::error::Result;
use crate::field::Field;
use crate::memory::Lease;
use crate::operand::Operand;

/// Parts of one computation that do not depend on each other.
pub(crate) trait Panels<F: Field> {
    /// How many there are.
    fn count(&self) -> usize;

    /// Appends the words of a panel to `words`, which is empty.
    fn gather(&mut self, panel: usize, words: &mut Vec<F::Word>);

    /// Launches what makes a panel's result.
    fn compute(
        &mut self,
        engine: &mut Engine,
        panel: usize,
        data: Operand<F::Word>,
    ) -> Result<Operand<F::Word>>;

    /// Words of a panel's result.
    fn result_words(&self, panel: usize) -> usize;

    /// Puts a result where it belongs. Panels before and after it may be gathered already.
    fn scatter(&mut self, panel: usize, words: &[F::Word]);
}

/// Memory of the device on its way there, or from there.
struct Moving<W: Word> {
    // Fields drop in order: the buffer goes back when nothing is under way any more.
    transfer: Transfer<W>,
    lease: Lease,
}

impl Engine {
    /// Panels that are on the device at once: inputs in whose place the result comes, or else inputs
    /// and results, each.
    pub(crate) const fn panels_at_once(&self, in_place: bool) -> usize {
        match (self.layout.in_place, in_place) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 2,
        }
    }

    /// Computes all panels.
    pub(crate) fn stream<F: Field>(&mut self, panels: &mut impl Panels<F>) -> Result<()> {
        if self.layout.in_place {
            return self.one_by_one(panels);
        }
        let mut spare = Vec::new();
        let mut coming = None;
        let mut going: Option<(usize, Moving<F::Word>)> = None;
        for panel in 0..panels.count() {
            let now = match coming.take() {
                Some(now) => now,
                None => self.gathered::<F>(panels, panel, Vec::new())?,
            };
            // Goes up while this panel is computed, and is enqueued before it: its buffer may be one
            // that the panel before this one has used.
            if panel + 1 < panels.count() {
                coming = Some(self.gathered::<F>(panels, panel + 1, std::mem::take(&mut spare))?);
            }
            let (lease, host) = self.arrived(now)?;
            let data = Operand::Copied { lease, host };
            let result = panels.compute(self, panel, data)?;
            let result = self.fetch::<F>(result, panels.result_words(panel))?;
            if let Some((last, words)) = going.replace((panel, result)) {
                spare = self.scattered::<F>(panels, last, words)?;
            }
        }
        if let Some((last, words)) = going {
            self.scattered::<F>(panels, last, words)?;
        }
        Ok(())
    }

    /// Computes all panels, each when the one before it is over: on memory of the host there is nothing to
    /// move, and elsewhere this takes memory for one panel only.
    pub(crate) fn one_by_one<F: Field>(&mut self, panels: &mut impl Panels<F>) -> Result<()> {
        let mut words = Vec::new();
        for panel in 0..panels.count() {
            words.clear();
            panels.gather(panel, &mut words);
            let data = self.bring(words)?;
            let result = panels.compute(self, panel, data)?;
            words = self.take::<F>(result, panels.result_words(panel))?;
            panels.scatter(panel, &words);
        }
        Ok(())
    }

    fn gathered<F: Field>(
        &self,
        panels: &mut impl Panels<F>,
        panel: usize,
        mut words: Vec<F::Word>,
    ) -> Result<Moving<F::Word>> {
        words.clear();
        panels.gather(panel, &mut words);
        self.send(words)
    }

    fn scattered<F: Field>(
        &self,
        panels: &mut impl Panels<F>,
        panel: usize,
        words: Moving<F::Word>,
    ) -> Result<Vec<F::Word>> {
        let (_, words) = self.arrived(words)?;
        panels.scatter(panel, &words);
        Ok(words)
    }

    /// Begins to copy words to the device, beside what is launched from here on.
    fn send<W: Word>(&self, words: Vec<W>) -> Result<Moving<W>> {
        let lease = self.lease::<W>(words.len())?;
        let bytes = size_of_val(words.as_slice()) as u64;
        // Launches before this one may still use the buffer.
        let mark = self.queue.mark();
        let transfer = mark.and_then(|mark| self.queue.send(&lease, words, &mark));
        let transfer = transfer.map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.uploaded_bytes += bytes);
        Ok(Moving { transfer, lease })
    }

    /// Begins to copy a result from the device, when all that was launched before is over.
    fn fetch<F: Field>(&self, result: Operand<F::Word>, words: usize) -> Result<Moving<F::Word>> {
        let Operand::Copied { lease, mut host } = result else {
            unreachable!("invariant: not in this layout");
        };
        host.resize(words, F::ZERO);
        let mark = self.queue.mark();
        let transfer = mark.and_then(|mark| self.queue.fetch(&lease, host, &mark));
        let transfer = transfer.map_err(|failure| explain(&self.device, failure, 0))?;
        self.count(|stats| stats.downloaded_bytes += (words * size_of::<F::Word>()) as u64);
        Ok(Moving { transfer, lease })
    }

    /// The buffer and the words, when they are where they go.
    fn arrived<W: Word>(&self, moving: Moving<W>) -> Result<(Lease, Vec<W>)> {
        let Moving { transfer, lease } = moving;
        #[cfg(test)]
        self.spans.borrow_mut().push(transfer.span());
        let words = transfer.finish();
        let words = words.map_err(|failure| explain(&self.device, failure, 0))?;
        Ok((lease, words))
    }
}

/// Inputs that go up one after the other, each while what was launched on the one before runs.
pub(crate) struct Ahead<W: Word> {
    coming: Option<Moving<W>>,
}

impl<W: Word> Ahead<W> {
    pub(crate) const fn new() -> Self {
        Self { coming: None }
    }

    /// `words` on the device, and `next` on the way there: the words of the next call.
    pub(crate) fn upload(
        &mut self,
        engine: &Engine,
        words: &[W],
        next: Option<&[W]>,
    ) -> Result<Lease> {
        let next = next.filter(|_| !engine.layout.in_place);
        let now = match (self.coming.take(), next) {
            (Some(now), _) => now,
            // Nothing to do beside it.
            (None, None) => return engine.upload(words),
            (None, Some(_)) => engine.send(words.to_vec())?,
        };
        self.coming = next.map(|next| engine.send(next.to_vec())).transpose()?;
        let (lease, _) = engine.arrived(now)?;
        Ok(lease)
    }
}
