//! The task of one connection: [`Driver`].

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use stentor_protocol::CloseCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    batch::{Batch, Unsent},
    frame::FrameReader,
    link::{Link, Output},
};
use crate::hangup::Hangup;

/// Bytes read at once. The buffer belongs to the thread, not to the connection.
const READ_BYTES: usize = 16 << 10;

/// Reads and writes after which a busy connection lets others have the thread.
const TURNS: usize = 4;

/// How long a client may take to answer a close frame before the socket is dropped (RFC 6455, section 7.1.1).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A timer that is never reached is far away rather than absent, so that it can be kept and moved.
const FAR: Duration = Duration::from_secs(86_400 * 365);

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers that a connection uses while it runs and does not own while it waits.
struct Scratch {
    input: Box<[u8]>,
    batch: Batch,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { input: vec![0; READ_BYTES].into(), batch: Batch::default() }
    }
}

/// Moves bytes between one socket and its [`Link`], and keeps its one timer.
///
/// It knows no rule of the protocol. A socket that takes no more bytes is not read from either: whatever a client
/// asks for costs memory only as fast as it takes the answers.
#[derive(Debug)]
pub(super) struct Driver<S> {
    socket: S,
    /// Bytes that arrived together with the upgrade request.
    early: Vec<u8>,
    reader: FrameReader,
    link: Link,
    unsent: Unsent,
    timer: Pin<Box<Sleep>>,
    hangup: Arc<Hangup>,
    limits: DriverLimits,
    /// Since when something has been left over that the socket does not take.
    stalled: Option<Instant>,
    closing: Closing,
    /// The client's frames cannot be read any more, its answer to a close included: once that is written, the end of
    /// the socket is what tells the client to leave.
    unreadable: bool,
}

/// What a driver needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriverLimits {
    pub(super) message_bytes: usize,
    pub(super) stall_timeout: Duration,
}

/// How far the connection is on its way out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    No,
    /// The close frame left or waits to leave; the peer is to end the connection by then.
    Until(Instant),
    /// The peer closed or is gone: nothing is waited for.
    Now,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(
        socket: S,
        early: Vec<u8>,
        link: Link,
        hangup: Arc<Hangup>,
        limits: DriverLimits,
    ) -> Self {
        Self {
            socket,
            early,
            reader: FrameReader::default(),
            link,
            unsent: Unsent::default(),
            timer: Box::pin(sleep_until(Instant::now() + FAR)),
            hangup,
            limits,
            stalled: None,
            closing: Closing::No,
            unreadable: false,
        }
    }

    fn turn(&mut self, scratch: &mut Scratch, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let now = Instant::now();
        if self.hangup.is_asked() {
            self.link.close(CloseCode::ServiceRestart, CloseCode::ServiceRestart.reason());
        }
        // The timer never stands behind the next deadline.
        if self.timer.deadline() <= now {
            self.handle_deadline(now);
        }
        if self.flush(context, now)?.is_pending() {
            return Ok(Poll::Pending);
        }
        let read = self.read(scratch, context, now)?;
        let more = self.link.fill(&mut scratch.batch, context, now);
        self.note_output(now);
        if !scratch.batch.is_empty() {
            let written = scratch.batch.write(&mut self.socket, &mut self.unsent, context)?;
            self.note_write(written, now);
            if written.is_pending() {
                return Ok(Poll::Pending);
            }
        }
        if self.unreadable && Pin::new(&mut self.socket).poll_shutdown(context)?.is_ready() {
            self.unreadable = false;
        }
        Ok(if read.is_ready() || more.is_ready() { Poll::Ready(()) } else { Poll::Pending })
    }

    fn read(
        &mut self,
        scratch: &mut Scratch,
        context: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<Poll<()>> {
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            self.receive(&mut early, &mut scratch.batch, now);
            return Ok(Poll::Ready(()));
        }
        let mut buffer = ReadBuf::new(&mut scratch.input);
        if Pin::new(&mut self.socket).poll_read(context, &mut buffer)?.is_pending() {
            return Ok(Poll::Pending);
        }
        if buffer.filled().is_empty() {
            self.link.handle_lost("client closed the socket");
            self.closing = Closing::Now;
            return Ok(Poll::Pending);
        }
        self.link.handle_activity(now);
        let length = buffer.filled().len();
        let Scratch { input, batch } = scratch;
        self.receive(&mut input[..length], batch, now);
        Ok(Poll::Ready(()))
    }

    fn receive(&mut self, input: &mut [u8], batch: &mut Batch, now: Instant) {
        let Self { reader, link, closing, .. } = self;
        let outcome = reader.read(input, self.limits.message_bytes, |incoming| {
            if matches!(incoming, super::frame::Incoming::Close(_)) {
                *closing = Closing::Now;
            }
            link.handle(incoming, now, batch);
        });
        if let Err(error) = outcome {
            link.close(error.close_code(), error.to_string());
            self.unreadable = true;
        }
    }

    /// Writes what a full socket left over; ready when nothing is left of it.
    fn flush(&mut self, context: &mut Context<'_>, now: Instant) -> io::Result<Poll<()>> {
        if self.unsent.is_empty() {
            return Ok(Poll::Ready(()));
        }
        let written = self.unsent.write(&mut self.socket, context)?;
        self.note_write(written, now);
        Ok(written)
    }

    /// A write that did not finish begins a stall, which ends when nothing is left over.
    fn note_write(&mut self, written: Poll<()>, now: Instant) {
        if written.is_pending() {
            self.stalled.get_or_insert(now);
        } else if self.stalled.take().is_some() {
            // The client reads again. While it did not, no ping could reach it, and it owed no pong.
            self.link.handle_activity(now);
        }
    }

    fn note_output(&mut self, now: Instant) {
        self.closing = match (self.link.output(), self.closing) {
            (Output::Closed, Closing::No) => Closing::Until(now + CLOSE_TIMEOUT),
            (Output::Aborted, _) => Closing::Now,
            (_, closing) => closing,
        };
    }

    fn is_over(&self) -> bool {
        self.closing == Closing::Now && (self.unsent.is_empty() || self.link.output() == Output::Aborted)
    }

    /// Sets the timer to the next deadline; ready when that has come already.
    fn await_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let next = self.deadline().unwrap_or_else(|| now + FAR);
        // A timer that fires too early costs one poll; moving it for each message would cost one for each.
        if next < self.timer.deadline() || self.timer.deadline() <= now {
            self.timer.as_mut().reset(next.max(now + Duration::from_millis(1)));
        }
        self.timer.as_mut().poll(context)
    }

    /// Acts on the next deadline if it has passed.
    fn handle_deadline(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.closing, self.stalled) {
            (Closing::Until(_), _) => {
                self.closing = Closing::Now;
                self.link.handle_lost("the client did not answer the close");
            }
            (_, Some(_)) => {
                self.closing = Closing::Now;
                self.link.handle_lost("the client has not read for too long");
            }
            (_, None) => self.link.handle_timeout(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match (self.closing, self.stalled) {
            (Closing::Until(deadline), _) => Some(deadline),
            (_, Some(since)) => Some(since + self.limits.stall_timeout),
            (_, None) => self.link.deadline(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        SCRATCH.with_borrow_mut(|scratch| {
            // What a panic of another connection left behind is not for this one.
            scratch.batch.clear();
            driver.hangup.watch(context);
            for _ in 0..TURNS {
                let outcome = driver.turn(scratch, context);
                if let Err(error) = &outcome {
                    driver.link.handle_lost(error.kind().to_string());
                }
                if outcome.is_err() || driver.is_over() {
                    driver.link.finish();
                    return Poll::Ready(());
                }
                if matches!(outcome, Ok(Poll::Pending)) && driver.await_deadline(context).is_pending() {
                    return Poll::Pending;
                }
            }
            // However busy the connection is, its deadlines are kept.
            let _ = driver.await_deadline(context);
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}
