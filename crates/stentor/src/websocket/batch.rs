//! What leaves in one write: [`Batch`], and what a full socket left over: [`Unsent`].

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Bytes after which a batch is written before more is added; also about what one connection may hold unsent.
pub(super) const BATCH_BYTES: usize = 32 << 10;

/// Bodies of at least this size are written from where they lie, shared with every other connection; copying a
/// smaller one costs less than another slice of a vectored write.
const SHARED_BYTES: usize = 8 << 10;

/// Slices of one vectored write.
const MAX_SLICES: usize = 16;

/// Frames that leave together. One for each thread is enough: it is filled and written without waiting.
#[derive(Debug, Default)]
pub(super) struct Batch {
    copied: Vec<u8>,
    /// Shared bodies, each with its place among the copied bytes.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
}

/// The rest of a batch that the socket did not take. Owns nothing when there is none.
#[derive(Debug, Default)]
pub(super) struct Unsent(VecDeque<Bytes>);

impl Batch {
    /// Where small pieces are written to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    /// Adds the first `length` bytes of a body.
    pub(super) fn push_body(&mut self, body: &Bytes, length: usize) {
        if length < SHARED_BYTES {
            self.copied.extend_from_slice(&body[..length]);
        } else {
            self.shared.push((self.copied.len(), body.slice(..length)));
            self.shared_bytes += length;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.copied.is_empty() && self.shared.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.copied.len() + self.shared_bytes >= BATCH_BYTES
    }

    /// Writes everything, or keeps in `unsent` what the socket does not take now; leaves the batch empty.
    ///
    /// Ready when all is written. `unsent` must be empty before.
    pub(super) fn write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        unsent: &mut Unsent,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = if self.shared.is_empty() {
            self.write_copied(socket, unsent, context)
        } else {
            self.move_to(unsent);
            unsent.write(socket, context)
        };
        self.clear();
        if self.copied.capacity() > 4 * BATCH_BYTES {
            self.copied = Vec::with_capacity(BATCH_BYTES);
        }
        outcome
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.copied.clear();
        self.shared.clear();
        self.shared_bytes = 0;
    }

    fn write_copied<S: AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
        unsent: &mut Unsent,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut rest = self.copied.as_slice();
        while !rest.is_empty() {
            match Pin::new(&mut *socket).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => rest = &rest[count..],
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    unsent.0.push_back(Bytes::copy_from_slice(rest));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn move_to(&mut self, unsent: &mut Unsent) {
        let copied = Bytes::copy_from_slice(&self.copied);
        let mut start = 0;
        for (place, body) in self.shared.drain(..) {
            if start < place {
                unsent.0.push_back(copied.slice(start..place));
            }
            unsent.0.push_back(body);
            start = place;
        }
        if start < copied.len() {
            unsent.0.push_back(copied.slice(start..));
        }
    }
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes as much as the socket takes; ready when nothing is left.
    pub(super) fn write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.0) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *socket).poll_write_vectored(context, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        self.0 = VecDeque::new();
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.0.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.0.pop_front();
        }
    }
}
