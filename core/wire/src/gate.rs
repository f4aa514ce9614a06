//! What stands between one peer and our memory: a `VatNetwork` that counts.
//!
//! capnp-rpc reads as fast as the peer sends, runs every call at once and queues every answer. The
//! gate counts the calls that run, their bytes and the bytes that wait to be sent, and stops reading
//! while one of them is at its limit, so that a flood stays in the kernel's buffers, and then in the
//! peer. An honest peer keeps fewer calls open than the limit and never meets it.
//!
//! Counts follow the messages themselves: a call opens an answer, our return ends its run, the
//! peer's finish lets go of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use capnp::capability::Promise;
use capnp::message;
use capnp_rpc::rpc_capnp::{message as rpc_message, return_};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{Connection, FlowController, IncomingMessage, OutgoingMessage, VatNetwork};
use futures::TryFutureExt;
use futures::io::{AsyncRead, AsyncWrite};

use crate::line::Line;
use crate::policy::Limits;

/// What a message begins with; one that outgrows it gets more. capnp-rpc takes 8 KiB for each call, all of which
/// is cleared, for a few hundred bytes.
const FIRST_SEGMENT_WORDS: u32 = 128;

/// What one peer holds open.
pub(crate) struct Table {
    limits: Limits,
    line: Rc<Line>,
    answers: RefCell<HashMap<u32, Answer>>,
    running: Cell<usize>,
    held_bytes: Cell<u64>,
    /// Of calls that the peer gave up before they ended. capnp-rpc may keep a trace of them.
    given_up_bytes: Cell<u64>,
    queued_bytes: Cell<u64>,
    /// Bytes read in all, and as of the last message.
    read_bytes: Cell<u64>,
    message_start: Cell<u64>,
    reader: Cell<Option<Waker>>,
    /// Nothing can be sent any more.
    broken: Cell<bool>,
}

struct Answer {
    bytes: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Running,
    /// Returned; the peer has not finished it.
    Returned,
    /// Finished; it has not returned, and perhaps never will.
    GivenUp,
}

impl Table {
    pub(crate) fn new(limits: Limits, line: Rc<Line>) -> Rc<Table> {
        Rc::new(Table {
            limits,
            line,
            answers: RefCell::default(),
            running: Cell::new(0),
            held_bytes: Cell::new(0),
            given_up_bytes: Cell::new(0),
            queued_bytes: Cell::new(0),
            read_bytes: Cell::new(0),
            message_start: Cell::new(0),
            reader: Cell::new(None),
            broken: Cell::new(false),
        })
    }

    /// Whether nothing more is read until something ends.
    pub(crate) fn closed(&self) -> bool {
        let full = self.running.get() >= self.limits.calls
            || self.held_bytes.get() >= self.limits.held_bytes
            || self.queued_bytes.get() >= self.limits.queued_bytes;
        full && !self.broken.get()
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        // A cut must be read, even if nothing else may be.
        if !self.closed() || self.line.poll_cut(cx).is_ready() {
            return Poll::Ready(());
        }
        self.reader.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn wake(&self) {
        if !self.closed() {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Counts a message that has come. An error means that the peer goes beyond what any honest
    /// one does.
    fn came(&self, message: &dyn IncomingMessage) -> capnp::Result<()> {
        let bytes = self.read_bytes.get() - self.message_start.replace(self.read_bytes.get());
        let root = message.get_body()?.get_as::<rpc_message::Reader<'_>>()?;
        match root.which() {
            Ok(rpc_message::Call(call)) => self.opened(call?.get_question_id(), bytes),
            Ok(rpc_message::Bootstrap(ask)) => self.opened(ask?.get_question_id(), bytes),
            Ok(rpc_message::Finish(finish)) => self.finished(finish?.get_question_id()),
            _ => Ok(()),
        }
    }

    fn opened(&self, id: u32, bytes: u64) -> capnp::Result<()> {
        let mut answers = self.answers.borrow_mut();
        if answers.len() >= self.limits.open_answers {
            let text = format!("the peer left {} answers open", answers.len());
            return Err(capnp::Error::failed(text));
        }
        let state = State::Running;
        // A number that is taken already is capnp-rpc's to refuse; it ends the connection for it.
        if answers.insert(id, Answer { bytes, state }).is_none() {
            self.running.set(self.running.get() + 1);
            self.held_bytes.set(self.held_bytes.get() + bytes);
        }
        Ok(())
    }

    fn finished(&self, id: u32) -> capnp::Result<()> {
        let mut answers = self.answers.borrow_mut();
        let Some(answer) = answers.get_mut(&id) else {
            return Ok(());
        };
        match answer.state {
            State::Returned => {
                answers.remove(&id);
            }
            State::GivenUp => {}
            State::Running => {
                answer.state = State::GivenUp;
                self.ran(answer.bytes);
                let given_up = self.given_up_bytes.get() + answer.bytes;
                self.given_up_bytes.set(given_up);
                if given_up > self.limits.held_bytes {
                    let text = format!("the peer gave up calls of {given_up} bytes");
                    return Err(capnp::Error::failed(text));
                }
            }
        }
        Ok(())
    }

    fn returned(&self, id: u32, no_finish_needed: bool) {
        let mut answers = self.answers.borrow_mut();
        let Some(answer) = answers.get_mut(&id) else {
            return;
        };
        match answer.state {
            State::Running => {
                self.ran(answer.bytes);
                answer.state = State::Returned;
                if no_finish_needed {
                    answers.remove(&id);
                }
            }
            State::Returned => {}
            State::GivenUp => {
                let given_up = self.given_up_bytes.get().saturating_sub(answer.bytes);
                self.given_up_bytes.set(given_up);
                answers.remove(&id);
            }
        }
    }

    fn ran(&self, bytes: u64) {
        self.running.set(self.running.get().saturating_sub(1));
        self.held_bytes
            .set(self.held_bytes.get().saturating_sub(bytes));
        self.wake();
    }

    fn queued(&self, words: usize) {
        // The frame of a message of one segment is one word, as most are; a word or two more are no matter.
        let bytes = (words as u64 + 1) * 8;
        self.queued_bytes.set(self.queued_bytes.get() + bytes);
    }

    fn written(&self, bytes: usize) {
        let left = self.queued_bytes.get().saturating_sub(bytes as u64);
        self.queued_bytes.set(left);
        self.wake();
    }
}

/// A network with the gate in front.
pub(crate) struct Gated<N> {
    pub(crate) network: N,
    pub(crate) table: Rc<Table>,
}

impl<N: VatNetwork<Side>> VatNetwork<Side> for Gated<N> {
    fn connect(&mut self, host: Side) -> Option<Box<dyn Connection<Side>>> {
        let connection = self.network.connect(host)?;
        Some(GatedConnection::boxed(connection, &self.table))
    }

    fn accept(&mut self) -> Promise<Box<dyn Connection<Side>>, capnp::Error> {
        let table = self.table.clone();
        let accepted = self.network.accept();
        Promise::from_future(accepted.map_ok(move |c| GatedConnection::boxed(c, &table)))
    }

    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        self.network.drive_until_shutdown()
    }
}

struct GatedConnection {
    inner: Rc<RefCell<Box<dyn Connection<Side>>>>,
    table: Rc<Table>,
}

impl GatedConnection {
    fn boxed(inner: Box<dyn Connection<Side>>, table: &Rc<Table>) -> Box<dyn Connection<Side>> {
        Box::new(GatedConnection {
            inner: Rc::new(RefCell::new(inner)),
            table: table.clone(),
        })
    }
}

impl Connection<Side> for GatedConnection {
    fn get_peer_vat_id(&self) -> Side {
        self.inner.borrow().get_peer_vat_id()
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let words = first_segment_words.min(FIRST_SEGMENT_WORDS);
        let inner = self.inner.borrow_mut().new_outgoing_message(words);
        Box::new(GatedMessage {
            inner,
            table: self.table.clone(),
        })
    }

    fn receive_incoming_message(
        &mut self,
    ) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let table = self.table.clone();
        // Weak: the connection ends when capnp-rpc drops it, not when a read comes back.
        let inner: Weak<_> = Rc::downgrade(&self.inner);
        Promise::from_future(async move {
            futures::future::poll_fn(|cx| table.poll_open(cx)).await;
            let reading = match inner.upgrade() {
                Some(inner) => inner.borrow_mut().receive_incoming_message(),
                None => return Err(capnp::Error::disconnected("disconnected".to_owned())),
            };
            let message = reading.await?;
            if let Some(message) = &message {
                table.came(message.as_ref())?;
            }
            Ok(message)
        })
    }

    fn new_stream(&mut self) -> (Box<dyn FlowController>, Promise<(), capnp::Error>) {
        self.inner.borrow_mut().new_stream()
    }

    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        self.inner.borrow_mut().shutdown(result)
    }
}

struct GatedMessage {
    inner: Box<dyn OutgoingMessage>,
    table: Rc<Table>,
}

impl OutgoingMessage for GatedMessage {
    fn get_body(&mut self) -> capnp::Result<capnp::any_pointer::Builder<'_>> {
        self.inner.get_body()
    }

    fn get_body_as_reader(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.inner.get_body_as_reader()
    }

    fn send(
        self: Box<Self>,
    ) -> (
        Promise<(), capnp::Error>,
        Rc<message::Builder<message::HeapAllocator>>,
    ) {
        if let Some((id, no_finish_needed)) = return_of(self.inner.as_ref()) {
            self.table.returned(id, no_finish_needed);
        }
        self.table.queued(self.inner.size_in_words());
        self.inner.send()
    }

    fn take(self: Box<Self>) -> message::Builder<message::HeapAllocator> {
        self.inner.take()
    }

    fn size_in_words(&self) -> usize {
        self.inner.size_in_words()
    }
}

/// The answer that a message returns, if it is a return.
fn return_of(message: &dyn OutgoingMessage) -> Option<(u32, bool)> {
    let body = message.get_body_as_reader().ok()?;
    let root = body.get_as::<rpc_message::Reader<'_>>().ok()?;
    let Ok(rpc_message::Return(Ok(done))) = root.which() else {
        return None;
    };
    let done: return_::Reader<'_> = done;
    Some((done.get_answer_id(), done.get_no_finish_needed()))
}

/// Counts what capnp-rpc reads, and keeps the first error of the stream.
pub(crate) struct CountedRead<R> {
    pub(crate) inner: R,
    pub(crate) table: Rc<Table>,
}

impl<R: AsyncRead + Unpin> AsyncRead for CountedRead<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.inner).poll_read(cx, buffer);
        match &poll {
            Poll::Ready(Ok(bytes)) => {
                let read_bytes = this.table.read_bytes.get() + *bytes as u64;
                this.table.read_bytes.set(read_bytes);
            }
            Poll::Ready(Err(error)) => this.table.line.set_fault(error),
            Poll::Pending => {}
        }
        poll
    }
}

/// Counts what has left for the peer.
pub(crate) struct CountedWrite<W> {
    pub(crate) inner: W,
    pub(crate) table: Rc<Table>,
}

impl<W> CountedWrite<W> {
    /// capnp-rpc hears of a broken connection by reading, so reading must not wait any more.
    fn failed(&self, error: &io::Error) {
        self.table.line.set_fault(error);
        self.table.broken.set(true);
        self.table.wake();
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for CountedWrite<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.inner).poll_write(cx, bytes);
        match &poll {
            Poll::Ready(Ok(bytes)) => this.table.written(*bytes),
            Poll::Ready(Err(error)) => this.failed(error),
            Poll::Pending => {}
        }
        poll
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.inner).poll_flush(cx);
        if let Poll::Ready(Err(error)) = &poll {
            this.failed(error);
        }
        poll
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }
}
