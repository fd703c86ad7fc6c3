//! One connection, from its open socket to its end: [`Link`].

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink, Stream};
use serde_json::{Map, Value};
use stentor_protocol::{
    Close, CloseCode, OperationKey, SubscribePayload, Transmit,
    client::{Config, Connection, Event},
};
use tokio::time::{Instant, sleep_until, timeout};
use tungstenite::{
    Error as WebSocketError, Message,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode as FrameCode},
};

use super::{
    dial::Socket,
    error::{Error, Loss},
};

/// A socket, driven by the rules of the protocol.
pub(super) struct Link {
    socket: Socket,
    protocol: Connection,
    keep_alive: Duration,
    pong_timeout: Duration,
    /// When the server was heard last.
    heard: Instant,
    /// When it was pinged, if nothing was heard since.
    pinged: Option<Instant>,
    /// Why this side ends the connection, once it does.
    end: Option<Close>,
}

impl Link {
    /// Says hello on a socket that has just opened.
    pub(super) fn new(
        socket: Socket,
        payload: Option<Map<String, Value>>,
        keep_alive: Duration,
        pong_timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        let protocol = Connection::connect(&Config::default(), now.into_std(), payload);
        Self { socket, protocol, keep_alive, pong_timeout, heard: now, pinged: None, end: None }
    }

    /// Starts an operation, once the server has accepted the connection.
    pub(super) fn subscribe(&mut self, request: SubscribePayload) -> Option<OperationKey> {
        self.protocol.subscribe(request)
    }

    /// What the server says next, or why nothing more will come.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a message that was read is either returned or still held.
    pub(super) async fn event(&mut self) -> Result<Event, Loss> {
        loop {
            if let Some(event) = self.protocol.poll_event() {
                return Ok(event);
            }
            if self.protocol.is_closed() {
                return Err(self.hang_up().await);
            }
            let deadline = self.deadline();
            let message = tokio::select! {
                biased;
                message = poll_fn(|context| self.poll_message(context)) => Some(message?),
                () = sleep_until(deadline) => None,
            };
            match message {
                Some(message) => self.hear(message)?,
                None => self.grow_impatient()?,
            }
        }
    }

    /// Ends the operation and the connection in good order, as far as the server takes part in it.
    pub(super) async fn close(mut self, key: Option<OperationKey>) {
        if let Some(key) = key {
            self.protocol.complete(key);
        }
        self.protocol.close(CloseCode::NormalClosure.into());
        let goodbye = async { while poll_fn(|context| self.poll_message(context)).await.is_ok() {} };
        // A server that says nothing more has as good as closed.
        let _ = timeout(GOODBYE_DEADLINE, goodbye).await;
    }

    /// Writes what waits, then reads. Nothing is read while something waits to be written, so that the answers to a server
    /// that does not read them cannot grow.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Loss>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broke)?;
            let Some(transmit) = self.protocol.poll_transmit() else { break };
            let message = match transmit {
                Transmit::Text(text) => Message::text(text),
                Transmit::Close(close) => Message::Close(Some(frame(&close))),
                Transmit::Abort => return Poll::Ready(Err(Loss::Passing("the server is silent".into()))),
            };
            Pin::new(&mut self.socket).start_send(message).map_err(broke)?;
        }
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
            return Poll::Ready(Err(broke(error)));
        }
        match ready!(Pin::new(&mut self.socket).poll_next(context)) {
            Some(message) => Poll::Ready(message.map_err(broke)),
            None => Poll::Ready(Err(Loss::Passing("the connection ended".into()))),
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), Loss> {
        self.heard = Instant::now();
        self.pinged = None;
        match message {
            Message::Text(text) => self.protocol.handle_text(&text),
            Message::Binary(_) => self.protocol.handle_binary(),
            Message::Close(close) => {
                let (code, reason) = close
                    .map_or((NO_CODE, String::new()), |close| (close.code.into(), close.reason.to_string()));
                return Err(Loss::by_close(code, &reason));
            }
            // The library answers pings of the WebSocket itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        Ok(())
    }

    fn grow_impatient(&mut self) -> Result<(), Loss> {
        let now = Instant::now();
        if self.protocol.is_ready() {
            match self.pinged {
                Some(_) => {
                    let silence = now - self.heard;
                    return Err(Loss::Passing(format!("the server has been silent for {silence:.0?}")));
                }
                None => {
                    self.protocol.ping(None);
                    self.pinged = Some(now);
                }
            }
        }
        self.protocol.handle_timeout(now.into_std());
        Ok(())
    }

    /// Tells the server, as far as it listens, why this side ends the connection.
    async fn hang_up(&mut self) -> Loss {
        while let (None, Some(transmit)) = (&self.end, self.protocol.poll_transmit()) {
            let Transmit::Close(close) = transmit else { continue };
            // A socket that takes it no more is as good as told.
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame(&close))));
            self.end = Some(close);
        }
        let _ = timeout(GOODBYE_DEADLINE, poll_fn(|context| Pin::new(&mut self.socket).poll_flush(context)))
            .await;
        match &self.end {
            Some(close) => Loss::by_close(close.code.code(), &close.reason),
            None => Loss::Passing("the connection ended".into()),
        }
    }

    fn deadline(&self) -> Instant {
        match (self.protocol.poll_timeout(), self.pinged) {
            (Some(deadline), _) => Instant::from_std(deadline),
            (None, Some(pinged)) => pinged + self.pong_timeout,
            (None, None) => self.heard + self.keep_alive,
        }
    }
}

fn frame(close: &Close) -> CloseFrame {
    CloseFrame { code: FrameCode::from(close.code.code()), reason: close.reason.to_string().into() }
}

fn broke(error: WebSocketError) -> Loss {
    match error {
        WebSocketError::ConnectionClosed
        | WebSocketError::AlreadyClosed
        | WebSocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Loss::Passing("the connection ended".into())
        }
        WebSocketError::Io(error) => Loss::Passing(format!("the connection broke: {error}")),
        other => Loss::Final(Error::Connect(format!("the connection is of no use: {other}"))),
    }
}

/// What stands for a close frame without a code.
const NO_CODE: u16 = 1005;
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);
