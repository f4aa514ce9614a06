//! What goes on beside each other, and what must not.

use super::*;
use crate::device::Device;
use crate::driver::{Mark, Span};
use crate::field::BabyBear;
use crate::hash::{self, BabyBear16};
use crate::session::{Session, SessionOptions};
use crate::storage::Storage;

const PANELS: usize = 8;
const WORDS: usize = 1 << 14;
const STATES: usize = WORDS / 16;

/// Results are copies of the inputs. Each is made after some slow launches, by the last of them, so that
/// whoever does not wait for it reads too early or writes over what it has yet to read.
struct Slow {
    inputs: Vec<Vec<u32>>,
    results: Vec<Vec<u32>>,
    /// Before and after the launches of each panel.
    marks: Vec<[Mark; 2]>,
}

impl Panels<BabyBear> for Slow {
    fn count(&self) -> usize {
        PANELS
    }

    fn gather(&mut self, panel: usize, words: &mut Vec<u32>) {
        words.extend_from_slice(&self.inputs[panel]);
    }

    fn compute(
        &mut self,
        engine: &mut Engine,
        _: usize,
        data: Operand<u32>,
    ) -> Result<Operand<u32>> {
        let mark = |engine: &Engine| engine.queue.mark().expect("a mark");
        let before = mark(engine);
        let (input, host) = data.split();
        let slow = engine.lease::<u32>(WORDS)?;
        for _ in 0..8 {
            hash::launch::<BabyBear16>(engine, &slow, STATES, 20)?;
        }
        let output = engine.make::<BabyBear>(WORDS, host)?;
        let (Operand::Copied { lease: from, .. }, Operand::Copied { lease: to, .. }) =
            (&input, &output)
        else {
            panic!("in place");
        };
        engine.copy(from, to, 4 * WORDS)?;
        self.marks.push([before, mark(engine)]);
        // From here on the input's buffer is idle, and the copy from it has yet to come.
        Ok(output)
    }

    fn result_words(&self, _: usize) -> usize {
        WORDS
    }

    fn scatter(&mut self, panel: usize, words: &[u32]) {
        assert_eq!(self.results.len(), panel);
        self.results.push(words.to_vec());
    }
}

/// When the launches of the panels, their uploads and their downloads went on.
struct Times {
    launches: Vec<Span>,
    up: Vec<Span>,
    down: Vec<Span>,
}

fn run(session: &Session) -> Times {
    let times = session.run(|engine| {
        let inputs: Vec<Vec<u32>> = (0..PANELS as u32)
            .map(|panel| (0..WORDS as u32).map(|word| word * 31 + panel).collect())
            .collect();
        let mut panels = Slow {
            inputs: inputs.clone(),
            results: Vec::new(),
            marks: Vec::new(),
        };
        engine.spans.borrow_mut().clear();
        engine.stream(&mut panels)?;
        assert!(panels.results == inputs, "every panel in full");
        let launches = panels
            .marks
            .iter()
            .map(|[before, after]| before.span().end..after.span().end);
        let launches: Vec<_> = launches.collect();
        // Up, up, down, up, down, ..., down.
        let spans = engine.spans.take();
        assert_eq!(spans.len(), 2 * PANELS);
        let mut up = vec![spans[0].clone()];
        let mut down = Vec::new();
        for pair in spans[1..2 * PANELS - 1].chunks(2) {
            up.push(pair[0].clone());
            down.push(pair[1].clone());
        }
        down.push(spans[2 * PANELS - 1].clone());
        Ok(Times { launches, up, down })
    });
    times.expect("a stream")
}

fn session() -> Option<Session> {
    let device = match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            return None;
        }
    };
    let options = SessionOptions {
        gpu_layout: true,
        storage: Storage::None,
        ..SessionOptions::default()
    };
    let device = device.expect("a list of devices is not empty");
    Some(Session::open_with(&device, options).expect("the device opens"))
}

/// A buffer is idle as soon as the last launch on it is enqueued, and the next input may come into it.
#[test]
fn inputs_do_not_come_into_buffers_that_are_still_read() {
    let Some(session) = session() else { return };
    let inputs: Vec<Vec<u32>> = (0..PANELS as u32)
        .map(|panel| (0..WORDS as u32).map(|word| word * 31 + panel).collect())
        .collect();
    let copies = session.run(move |engine| {
        let mut ahead = Ahead::new();
        let mut copies = Vec::new();
        let slow = engine.lease::<u32>(WORDS)?;
        for (panel, words) in inputs.iter().enumerate() {
            let next = inputs.get(panel + 1).map(Vec::as_slice);
            let input = ahead.upload(engine, words, next)?;
            for _ in 0..8 {
                hash::launch::<BabyBear16>(engine, &slow, STATES, 20)?;
            }
            let copy = engine.lease::<u32>(WORDS)?;
            engine.copy(&input, &copy, 4 * WORDS)?;
            copies.push(copy);
        }
        for (copy, words) in copies.iter().zip(&inputs) {
            let mut copied = vec![0; WORDS];
            engine.download(copy, &mut copied)?;
            assert!(copied == *words, "every input in full");
        }
        Ok(())
    });
    copies.expect("all inputs");
}

#[test]
fn panels_go_up_and_come_down_beside_others_and_never_too_early() {
    let Some(session) = session() else { return };
    // The machine may be busy with something else for a while.
    let beside = (0..20).any(|_| {
        let Times { launches, up, down } = run(&session);
        for panel in 0..PANELS {
            assert!(down[panel].start >= launches[panel].end, "panel {panel}");
            if panel + 2 < PANELS {
                assert!(up[panel + 2].start >= launches[panel].end, "panel {panel}");
            }
        }
        // Over before the launches beside it are: never, if it waited for them.
        let before = |other: &Span, panel: usize| other.end < launches[panel].end;
        let up = (0..PANELS - 1).filter(|&panel| before(&up[panel + 1], panel));
        let down = (1..PANELS).filter(|&panel| before(&down[panel - 1], panel));
        up.count() > 0 && down.count() > 0
    });
    assert!(beside, "transfers wait for launches that they do not need");
}
