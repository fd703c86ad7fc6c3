//! One client's socket and the two ways to write to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::net::TcpStream;

/// A socket, written to by the task that reads from Redis or by its own.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    outbox: Mutex<Outbox>,
}

/// Frames that wait for the socket's task.
#[derive(Debug, Default)]
struct Outbox {
    frames: Vec<u8>,
    /// The socket's task; kept between wakes, since it is always the same one.
    waker: Option<Waker>,
    /// Whether the task waits, so that only the first of several frames wakes it.
    asleep: bool,
}

/// Why a socket's task was woken.
#[derive(Debug)]
pub(crate) enum Wake {
    Input,
    Outbox,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, outbox: Mutex::default() }
    }

    /// Writes at once, and waits while the socket's buffer is full. A closed socket is left to its own task.
    pub(crate) async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.writable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Leaves a frame for the socket's task, and wakes it if it waits.
    pub(crate) fn queue(&self, frame: &[u8]) {
        let mut outbox = self.outbox.lock();
        outbox.frames.extend_from_slice(frame);
        if mem::take(&mut outbox.asleep)
            && let Some(waker) = &outbox.waker
        {
            waker.wake_by_ref();
        }
    }

    /// Writes all that waits in one call.
    pub(crate) async fn flush(&self) {
        // The buffers change hands, so that nothing is copied and nothing allocated while events flow.
        let mut frames = SPARE.take();
        mem::swap(&mut frames, &mut self.outbox.lock().frames);
        self.write(&frames).await;
        frames.clear();
        SPARE.set(frames);
    }

    /// Waits for input or for frames to write.
    pub(crate) async fn wake(&self) -> io::Result<Wake> {
        poll_fn(|context| {
            if self.outbox.lock().poll(context).is_ready() {
                return Poll::Ready(Ok(Wake::Outbox));
            }
            self.stream.poll_read_ready(context).map_ok(|()| Wake::Input)
        })
        .await
    }

    /// Reads what has arrived: zero bytes if nothing has after all, none if the client has gone.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.try_read(buffer) {
            Ok(0) => Ok(None),
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(0)),
            // How a socket ends whose client has gone without reading everything.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Outbox {
    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if !self.frames.is_empty() {
            return Poll::Ready(());
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
        }
        self.asleep = true;
        Poll::Pending
    }
}

thread_local! {
    /// An empty buffer with room, one per thread and not one per socket.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
