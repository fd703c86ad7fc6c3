//! Between the protocol's rules and the engine: [`Link`]. Owns no socket and never waits.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::SystemTime,
};

use serde_json::Value;
use stentor_auth::{Principal, token_from_init};
use stentor_engine::{Delivery, Gap, OperationId, Session, Summary};
use stentor_protocol::{
    Close, CloseCode, Connection, Event, NextEnvelope, OperationKey, SubscribePayload, Transmit,
};
use stentor_schema::{ExecutionResult, GraphQLError, Request};
use tokio::time::Instant;

use super::{
    batch::Batch,
    frame::{Incoming, Opcode, close_frame, write_header},
    identifying::Identifying,
};
use crate::{app::App, identity::Refused};

/// One connection without its socket: what arrives goes in, what leaves is written into a batch.
#[derive(Debug)]
pub(super) struct Link {
    app: Arc<App>,
    protocol: Connection,
    session: Session,
    /// Names the connection in the log.
    number: u64,
    /// While it is not decided who the client is.
    identifying: Option<Identifying>,
    /// When the principal's token ends for good.
    expires: Option<Instant>,
    /// Why the connection ended, for its last line in the log.
    ended: Option<String>,
    /// How many operations ended with the connection.
    ended_operations: usize,
    output: Output,
}

/// What of the connection is still to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Output {
    /// Messages.
    Open,
    /// Nothing: the close frame is in the batch.
    Closed,
    /// Nothing, not even a close frame.
    Aborted,
}

impl Link {
    pub(super) fn new(app: Arc<App>, number: u64) -> Self {
        let protocol = Connection::new(Arc::clone(&app.protocol), Instant::now().into_std());
        let session = app.engine.session(number);
        Self {
            app,
            protocol,
            session,
            number,
            identifying: None,
            expires: None,
            ended: None,
            ended_operations: 0,
            output: Output::Open,
        }
    }

    pub(super) fn output(&self) -> Output {
        self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let protocol = self.protocol.poll_timeout().map(Instant::from_std);
        [protocol, self.session.deadline(), self.expires].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.protocol.handle_timeout(now.into_std());
        if self.expires.is_some_and(|expires| expires <= now) {
            self.expires = None;
            self.close(CloseCode::Forbidden, "the token has expired");
        }
    }

    /// The client, or its kernel, is alive.
    pub(super) fn handle_activity(&mut self, now: Instant) {
        self.protocol.handle_activity(now.into_std());
    }

    /// One message or control frame arrived; what it makes leave goes into `batch`.
    pub(super) fn handle(&mut self, incoming: Incoming<'_>, now: Instant, batch: &mut Batch) {
        match incoming {
            Incoming::Text(text) => self.protocol.handle_text(now.into_std(), text),
            Incoming::Binary(_) => self.protocol.handle_binary(),
            Incoming::Ping(payload) if self.output == Output::Open => {
                write_header(batch.buffer(), Opcode::Pong, payload.len());
                batch.buffer().extend_from_slice(payload);
            }
            Incoming::Ping(_) | Incoming::Pong(_) => {}
            Incoming::Close(close) => self.handle_close(close, batch),
        }
        while let Some(event) = self.protocol.poll_event() {
            self.answer(event, now);
        }
        self.transmit(batch);
    }

    pub(super) fn close(&mut self, code: CloseCode, reason: impl Into<String>) {
        self.protocol.close(Close::new(code, reason.into()));
    }

    /// The socket is gone.
    pub(super) fn handle_lost(&mut self, reason: impl Into<String>) {
        self.protocol.handle_closed();
        self.ended.get_or_insert_with(|| reason.into());
        self.output = Output::Aborted;
    }

    /// Puts what the protocol and the engine have to say into `batch`, until it is full; ready if more may follow.
    pub(super) fn fill(&mut self, batch: &mut Batch, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        self.identify(context, now);
        self.transmit(batch);
        let mut delivered = 0;
        let outcome = loop {
            if self.output != Output::Open {
                break Poll::Pending;
            }
            if batch.is_full() {
                break Poll::Ready(());
            }
            match self.session.poll_next(context, now) {
                Poll::Ready(delivery) => delivered += u64::from(self.deliver(delivery, batch)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if delivered > 0 {
            self.app.engine.metrics().deliveries.increment(delivered);
        }
        outcome
    }

    /// Writes the last lines of the log and ends every operation.
    pub(super) fn finish(&mut self) {
        self.end_operations();
        let reason = self.ended.as_deref().unwrap_or(DROPPED);
        let (subject, tenant) = self.who();
        tracing::info!(
            connection = self.number,
            subject,
            tenant,
            operations = self.ended_operations,
            reason,
            "connection ended"
        );
    }

    /// Ends every operation that runs. Nobody hears them once the connection is closed, however long the client takes to
    /// leave.
    fn end_operations(&mut self) {
        self.identifying = None;
        let ended = self.session.stop_all();
        self.ended_operations += ended.len();
        let reason = self.ended.as_deref().unwrap_or(DROPPED);
        for (id, summary) in &ended {
            self.log_operation(*id, None, summary, reason);
        }
    }

    fn answer(&mut self, event: Event, now: Instant) {
        match event {
            Event::Init { payload } => self.authenticate(payload.as_ref(), now),
            Event::Subscribe { key, request } => self.subscribe(key, request),
            Event::Complete { key, id } => {
                if let Some(summary) = self.session.stop(OperationId(key.get())) {
                    self.log_operation(OperationId(key.get()), Some(&id), &summary, "client completed");
                }
            }
            Event::Pong { .. } => {}
        }
    }

    /// Asks who the client is. As a rule that is known at once, and operations may follow in the same packet.
    fn authenticate(&mut self, payload: Option<&Value>, now: Instant) {
        self.identifying = Some(Identifying::new(&self.app, token_from_init(payload)));
        self.identify(&mut Context::from_waker(Waker::noop()), now);
    }

    /// Lets the client in or closes the connection, as soon as it is known who it is.
    fn identify(&mut self, context: &mut Context<'_>, now: Instant) {
        let Some(Poll::Ready(verdict)) =
            self.identifying.as_mut().map(|identifying| identifying.poll(context))
        else {
            return;
        };
        self.identifying = None;
        match verdict {
            Ok(principal) => {
                let clock = SystemTime::now();
                self.expires =
                    principal.as_ref().and_then(|principal| self.app.expiry(principal, clock, now));
                self.session.authenticate(principal);
                self.protocol.accept(None);
            }
            Err(Refused::Token(error)) => self.close(CloseCode::Forbidden, error.to_string()),
            Err(undecided @ Refused::Undecided { .. }) => {
                self.close(CloseCode::TryAgainLater, undecided.to_string());
            }
        }
    }

    fn subscribe(&mut self, key: OperationKey, payload: SubscribePayload) {
        let request = Request {
            query: payload.query,
            operation_name: payload.operation_name,
            variables: payload.variables.unwrap_or_default(),
        };
        if let Err(errors) = self.session.start(OperationId(key.get()), &request) {
            self.log_refusal(key, &errors);
            self.protocol.error(key, &errors_json(&errors));
        }
    }

    /// Hands one delivery on; whether it was a result.
    fn deliver(&mut self, delivery: Delivery, batch: &mut Batch) -> bool {
        match delivery {
            Delivery::Next(id, result, gap) => return self.write_next(id, &result, gap, batch),
            Delivery::Live(id) => self.protocol.live(key(id)),
            Delivery::Gap(id, gap) => self.protocol.gap(key(id), gap.dropped, gap.reason.as_str()),
            Delivery::Complete(id, summary) => {
                self.log_operation(id, None, &summary, "completed");
                self.protocol.complete(key(id));
            }
            Delivery::Error(id, errors, summary) => {
                self.log_operation(id, None, &summary, "failed");
                self.protocol.error(key(id), &errors_json(&errors));
            }
            Delivery::Overflow(_) => {
                self.close(CloseCode::TryAgainLater, "events came faster than this client read them");
            }
        }
        self.transmit(batch);
        false
    }

    /// Writes a `next` message: its own id around bytes that the whole audience shares.
    fn write_next(
        &self,
        id: OperationId,
        result: &ExecutionResult,
        gap: Option<Gap>,
        batch: &mut Batch,
    ) -> bool {
        let Some(envelope) = self.protocol.next_envelope(key(id)) else { return false };
        let extensions = gap.map(gap_extensions).unwrap_or_default();
        let open = result.open().len();
        let length = envelope.head_len() + open + extensions.len() + 1 + NextEnvelope::TAIL.len();
        write_header(batch.buffer(), Opcode::Text, length);
        envelope.write_head(batch.buffer());
        batch.push_body(result.bytes(), open);
        batch.buffer().extend_from_slice(extensions.as_bytes());
        batch.buffer().push(b'}');
        batch.buffer().extend_from_slice(NextEnvelope::TAIL.as_bytes());
        true
    }

    fn transmit(&mut self, batch: &mut Batch) {
        while let Some(transmit) = self.protocol.poll_transmit() {
            match transmit {
                Transmit::Text(text) => {
                    write_header(batch.buffer(), Opcode::Text, text.len());
                    batch.buffer().extend_from_slice(text.as_bytes());
                }
                Transmit::Close(close) => {
                    self.ended.get_or_insert_with(|| format!("{} {}", close.code.code(), close.reason));
                    batch.buffer().extend_from_slice(&close_frame(close.code.code(), &close.reason));
                    self.output = Output::Closed;
                    self.end_operations();
                }
                Transmit::Abort => self.handle_lost("no sign of life"),
            }
        }
    }

    /// The client closes: its close frame is answered with the same code (RFC 6455, section 5.5.1).
    fn handle_close(&mut self, close: Option<(u16, &str)>, batch: &mut Batch) {
        let code = close.map_or(1000, |(code, _)| code);
        if self.output == Output::Open {
            batch.buffer().extend_from_slice(&close_frame(code, ""));
        }
        self.protocol.handle_closed();
        self.ended.get_or_insert_with(|| format!("client closed with {code}"));
        self.output = Output::Closed;
        self.end_operations();
    }

    fn log_operation(&self, id: OperationId, wire_id: Option<&str>, summary: &Summary, reason: &str) {
        let wire_id = wire_id.or_else(|| self.protocol.id(key(id))).unwrap_or_default();
        let (subject, tenant) = self.who();
        tracing::info!(
            connection = self.number,
            id = wire_id,
            field = %summary.field,
            subject,
            tenant,
            reason,
            delivered = summary.delivered,
            dropped = summary.dropped,
            "operation ended"
        );
    }

    fn log_refusal(&self, key: OperationKey, errors: &[GraphQLError]) {
        let (subject, tenant) = self.who();
        let first = errors.first();
        tracing::info!(
            connection = self.number,
            id = self.protocol.id(key).unwrap_or_default(),
            subject,
            tenant,
            reason = first.map(|error| error.code.as_str()),
            "operation refused"
        );
    }

    fn who(&self) -> (Option<&str>, Option<&str>) {
        let principal: Option<&Arc<Principal>> = self.session.principal();
        let tenant = principal.and_then(|principal| principal.tenants().first());
        (principal.and_then(|principal| principal.subject()), tenant.map(AsRef::as_ref))
    }
}

/// Why a connection ended that nothing else is known of.
const DROPPED: &str = "dropped";

fn key(id: OperationId) -> OperationKey {
    OperationKey::from_number(id.0)
}

fn errors_json(errors: &[GraphQLError]) -> String {
    serde_json::to_string(errors).unwrap_or_else(|_| "[{\"message\":\"internal error\"}]".into())
}

fn gap_extensions(gap: Gap) -> String {
    let dropped = gap.dropped.map_or_else(|| "null".to_owned(), |count| count.to_string());
    let reason = gap.reason.as_str();
    format!(r#","extensions":{{"stentor":{{"gap":{{"dropped":{dropped},"reason":"{reason}"}}}}}}"#)
}
