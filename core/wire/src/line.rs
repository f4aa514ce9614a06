//! A TCP stream that knows when its peer last moved a byte, and that can be cut.
//!
//! It lies below TLS, where every byte counts that the kernel takes or gives, so that a slow link is
//! told from a dead one. Cutting makes every read and write fail at once: capnp-rpc then unwinds by
//! itself and rejects what waits. Ending its task instead would leave those calls hanging for ever,
//! and a clean close would wait for a peer that does not read.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a connection's parts share: its signs of life, and its end.
pub(crate) struct Line {
    last_read: Cell<Instant>,
    last_written: Cell<Instant>,
    /// Since when bytes wait that the peer does not take.
    stalled: Cell<Option<Instant>>,
    cut: RefCell<Option<String>>,
    read_waker: Cell<Option<Waker>>,
    write_waker: Cell<Option<Waker>>,
    /// Of a reader that waits for something else than bytes.
    gate_waker: Cell<Option<Waker>>,
    /// The first error of the stream above, which capnp-rpc would reduce to a text.
    fault: RefCell<Option<io::Error>>,
    /// Why the connection ended, once it has.
    ended: watch::Sender<Option<String>>,
}

impl Line {
    pub(crate) fn new() -> Rc<Line> {
        Rc::new(Line {
            last_read: Cell::new(Instant::now()),
            last_written: Cell::new(Instant::now()),
            stalled: Cell::new(None),
            cut: RefCell::new(None),
            read_waker: Cell::new(None),
            write_waker: Cell::new(None),
            gate_waker: Cell::new(None),
            fault: RefCell::new(None),
            ended: watch::Sender::new(None),
        })
    }

    /// Makes every read and write fail from here on. The first reason stays.
    pub(crate) fn cut(&self, reason: &str) {
        self.cut
            .borrow_mut()
            .get_or_insert_with(|| reason.to_owned());
        for waker in [&self.read_waker, &self.write_waker, &self.gate_waker] {
            waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether it is cut; if not, `cx` is woken when it is.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Poll<()> {
        if self.cut.borrow().is_some() {
            return Poll::Ready(());
        }
        self.gate_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Counts as a sign of life.
    pub(crate) fn touch(&self) {
        self.last_read.set(Instant::now());
    }

    /// Bytes have gone both ways since then.
    pub(crate) fn busy_since(&self) -> Instant {
        self.last_read.get().min(self.last_written.get())
    }

    /// When the peer counts as gone at the earliest, if nothing happens until then.
    pub(crate) fn due(&self, silence: Duration) -> Instant {
        let read = self.last_read.get();
        self.stalled.get().map_or(read, |stalled| stalled.min(read)) + silence
    }

    /// Why the peer counts as gone, if it does.
    pub(crate) fn overdue(&self, now: Instant, silence: Duration) -> Option<String> {
        let reads = now.saturating_duration_since(self.last_read.get());
        if reads >= silence {
            return Some(format!("nothing came for {:.1} s", reads.as_secs_f64()));
        }
        let stalled = now.saturating_duration_since(self.stalled.get()?);
        (stalled >= silence).then(|| format!("it took nothing for {:.1} s", stalled.as_secs_f64()))
    }

    pub(crate) fn set_fault(&self, error: &io::Error) {
        // An error is not clonable; its kind and, of TLS, its cause are all that is read of it.
        let tls = error
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>());
        let copy = match tls {
            Some(tls) => io::Error::new(error.kind(), tls.clone()),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let mut fault = self.fault.borrow_mut();
        // What TLS says outranks a reset that the same end of the other side caused.
        if fault.is_none() || tls.is_some() {
            *fault = Some(copy);
        }
    }

    pub(crate) fn with_fault<T>(&self, read: impl FnOnce(&io::Error) -> Option<T>) -> Option<T> {
        self.fault.borrow().as_ref().and_then(read)
    }

    /// Says that nothing will happen on it any more.
    pub(crate) fn end(&self, reason: &str) {
        let reason = self.cut.borrow().clone().unwrap_or(reason.to_owned());
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(reason);
            first
        });
    }

    /// Why it ended or is about to: when a connection is cut or broken, what was exported on it is dropped
    /// before anybody can say that it has ended.
    pub(crate) fn end_reason(&self) -> Option<String> {
        let ended = self.ended.borrow().clone();
        ended
            .or_else(|| self.cut.borrow().clone())
            .or_else(|| self.with_fault(|fault| Some(fault.to_string())))
    }

    /// Waits until it has ended, and says why.
    pub(crate) fn wait_end(&self) -> impl Future<Output = String> + use<> {
        let mut ended = self.ended.subscribe();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the connection is gone".to_owned(),
            }
        }
    }

    fn cut_error(&self) -> Option<io::Error> {
        let cut = self.cut.borrow();
        let reason = cut.as_ref()?;
        Some(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            reason.clone(),
        ))
    }
}

/// The stream under a connection's TLS.
pub(crate) struct Wire {
    stream: TcpStream,
    line: Rc<Line>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, line: Rc<Line>) -> Wire {
        Wire { stream, line }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn wrote<T>(&self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &poll {
            Poll::Pending => {
                let since = self.line.stalled.get().unwrap_or_else(Instant::now);
                self.line.stalled.set(Some(since));
                self.line.write_waker.set(Some(cx.waker().clone()));
            }
            Poll::Ready(_) => {
                self.line.stalled.set(None);
                self.line.last_written.set(Instant::now());
            }
        }
        poll
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(error) = this.line.cut_error() {
            return Poll::Ready(Err(error));
        }
        let poll = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match &poll {
            Poll::Pending => this.line.read_waker.set(Some(cx.waker().clone())),
            Poll::Ready(_) => this.line.touch(),
        }
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(error) = this.line.cut_error() {
            return Poll::Ready(Err(error));
        }
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(cx, poll)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(error) = this.line.cut_error() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_measured_from_the_last_byte() {
        let line = Line::new();
        let (start, silence) = (line.last_read.get(), Duration::from_secs(6));
        assert_eq!(line.overdue(start + Duration::from_secs(5), silence), None);
        let reason = line.overdue(start + Duration::from_secs(6), silence);
        assert_eq!(reason.as_deref(), Some("nothing came for 6.0 s"));

        line.last_read.set(start + Duration::from_secs(6));
        line.stalled.set(Some(start));
        let reason = line.overdue(start + Duration::from_secs(7), silence);
        assert_eq!(reason.as_deref(), Some("it took nothing for 7.0 s"));
        assert_eq!(line.due(silence), start + silence, "of what is due first");
    }

    #[test]
    fn why_it_ends_is_known_before_it_has_ended() {
        let line = Line::new();
        assert_eq!(line.end_reason(), None);
        line.set_fault(&io::Error::other("the peer is gone"));
        assert_eq!(line.end_reason().as_deref(), Some("the peer is gone"));
        line.cut("silent");
        assert_eq!(line.end_reason().as_deref(), Some("silent"));
    }

    #[test]
    fn the_first_end_stays_and_a_cut_explains_it() {
        let line = Line::new();
        line.cut("first");
        line.cut("second");
        line.end("read failed");
        line.end("later");
        assert_eq!(line.end_reason().as_deref(), Some("first"));
    }
}
