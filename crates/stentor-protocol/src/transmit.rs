//! [`Transmit`]: what a connection asks its driver to do.

use crate::close::Close;

/// What must be done to the socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transmit {
    /// Send a text message.
    Text(String),
    /// Send a close frame. Nothing follows.
    Close(Close),
    /// Drop the TCP connection: the peer is silent, so nobody would read a close frame. Nothing follows.
    Abort,
}
