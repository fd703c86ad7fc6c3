//! Reads what a subscriber is sent and checks that each event comes once, in order, and as it was published.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::Client;
use super::event::{self, Layout};
use super::ledger::Ledger;
use crate::error::{self, Error};
use crate::websocket::{self, Frame};

/// Receives until the run ends; `index` is the subscriber's number, and its topic's when each has its own.
pub(crate) async fn receive(client: Client, index: u64, ledger: Rc<Ledger>) {
    let (mut stream, bot, partial) = client.into_parts();
    let next = index % ledger.topics();
    let mut receiver = Receiver { bot, partial, next, seen: false, ledger: Rc::clone(&ledger) };
    if let Err(error) = receiver.run(&mut stream).await {
        ledger.fail(format!("subscriber {index}: {}", error::chain(&error)));
    }
}

struct Receiver {
    bot: String,
    partial: Vec<u8>,
    /// The sequence number of the event that must come next.
    next: u64,
    /// Whether a first message has been read whole.
    seen: bool,
    ledger: Rc<Ledger>,
}

impl Receiver {
    async fn run(&mut self, stream: &mut TcpStream) -> Result<(), Error> {
        loop {
            stream.readable().await.map_err(Error::io("wait for the server"))?;
            for answer in self.read(stream)? {
                stream.write_all(&answer).await.map_err(Error::io("write to the server"))?;
            }
        }
    }

    /// Takes what has arrived, and gives the frames that answer it.
    fn read(&mut self, stream: &TcpStream) -> Result<Vec<Vec<u8>>, Error> {
        INPUT.with_borrow_mut(|input| match stream.try_read(input) {
            Ok(0) => Err(Error::invalid("the server ended the connection")),
            Ok(length) => {
                self.ledger.count_read();
                self.take(&input[..length])
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Err(error) => Err(Error::io("read from the server")(error)),
        })
    }

    fn take(&mut self, input: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut answers = Vec::new();
        if self.partial.is_empty() {
            let taken = self.take_frames(input, &mut answers)?;
            self.partial.extend_from_slice(&input[taken..]);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(input);
            let taken = self.take_frames(&whole, &mut answers)?;
            whole.drain(..taken);
            self.partial = whole;
        }
        Ok(answers)
    }

    fn take_frames(&mut self, input: &[u8], answers: &mut Vec<Vec<u8>>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some(frame) = Frame::parse(&input[taken..]).map_err(Error::invalid)? {
            let payload = &input[taken..][frame.payload.clone()];
            match frame.opcode {
                websocket::TEXT => answers.extend(self.text(payload)?),
                websocket::PING => answers.push(websocket::client_frame(websocket::PONG, payload)),
                websocket::CLOSE => return Err(Error::invalid("the server closed the connection")),
                _ => {}
            }
            taken += frame.payload.end;
        }
        Ok(taken)
    }

    fn text(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if self.seen && !self.ledger.reads_every_message() {
            let known = self.ledger.layout().and_then(|layout| layout.sequence(message));
            if let Some(sequence) = known {
                self.advance(sequence)?;
                return Ok(None);
            }
        }
        self.read_whole(message)
    }

    fn read_whole(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let unexpected = || Error::invalid(format!("unexpected {}", String::from_utf8_lossy(message)));
        let value: Value = serde_json::from_slice(message).map_err(|_| unexpected())?;
        let gap = &value["payload"]["stentor"]["gap"];
        match value["type"].as_str() {
            Some("ping") if gap.is_null() => {
                let pong = json!({"type": "pong", "payload": value["payload"]}).to_string();
                return Ok(Some(websocket::client_frame(websocket::TEXT, pong.as_bytes())));
            }
            Some("pong") => return Ok(None),
            _ => {}
        }
        let layout = Layout::of(message).ok_or_else(unexpected)?;
        let sequence = layout.sequence(message).ok_or_else(unexpected)?;
        if !event::is_next(&value, sequence, &self.bot) {
            return Err(unexpected());
        }
        self.ledger.set_layout(layout);
        self.seen = true;
        self.advance(sequence)?;
        Ok(None)
    }

    fn advance(&mut self, sequence: u64) -> Result<(), Error> {
        if sequence != self.next {
            return Err(Error::invalid(format!("event {sequence} came where {} was due", self.next)));
        }
        self.next += self.ledger.topics();
        self.ledger.deliver(sequence)
    }
}

thread_local! {
    /// What was just read; one for all sockets, since each read is taken apart at once.
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Regime, Scenario, Shape};

    fn receiver(events: u64) -> Receiver {
        let scenario = Scenario {
            shape: Shape::OneTopic,
            regime: Regime::Saturating,
            window: 1,
            connections: 1,
            seconds: 1.0,
        };
        let ledger = Rc::new(Ledger::new(&scenario));
        for _ in 0..events {
            ledger.publish();
        }
        Receiver { bot: event::bot(0), partial: Vec::new(), next: 0, seen: false, ledger }
    }

    fn frame(sequence: u64) -> Vec<u8> {
        let event = event::encode(sequence, &event::bot(0));
        let message =
            format!(r#"{{"id":"1","type":"next","payload":{{"data":{{"botStatusChanged":{event}}}}}}}"#);
        websocket::server_frame(websocket::TEXT, message.as_bytes())
    }

    fn text(message: &str) -> Vec<u8> {
        websocket::server_frame(websocket::TEXT, message.as_bytes())
    }

    #[test]
    fn events_are_counted_wherever_the_stream_is_cut() {
        let stream: Vec<u8> = (0..3).flat_map(frame).collect();
        for cut in 1..stream.len() {
            let mut receiver = receiver(3);
            receiver.take(&stream[..cut]).unwrap();
            receiver.take(&stream[cut..]).unwrap();
            assert_eq!(receiver.ledger.deliveries(), 3, "cut at {cut}");
            assert!(receiver.partial.is_empty());
        }
    }

    #[test]
    fn lost_repeated_and_swapped_events_are_errors() {
        for sequences in [[0, 2], [0, 0], [1, 0]] {
            let mut receiver = receiver(3);
            let stream: Vec<u8> = sequences.into_iter().flat_map(frame).collect();
            assert!(receiver.take(&stream).is_err(), "{sequences:?}");
        }
    }

    #[test]
    fn gaps_errors_and_ends_are_errors() {
        for message in [
            r#"{"type":"ping","payload":{"stentor":{"gap":{"id":"1","dropped":1,"reason":"SOURCE"}}}}"#,
            r#"{"id":"1","type":"complete"}"#,
            r#"{"id":"1","type":"error","payload":[{"message":"no"}]}"#,
        ] {
            let mut receiver = receiver(1);
            receiver.take(&frame(0)).unwrap();
            assert!(receiver.take(&text(message)).is_err(), "{message}");
        }
    }

    #[test]
    fn pings_of_both_kinds_are_answered_in_kind() {
        let mut receiver = receiver(0);
        let mut input = websocket::server_frame(websocket::PING, b"a");
        input.extend(text(r#"{"type":"ping","payload":{"b":1}}"#));
        let pong = text_of_client(r#"{"type":"pong","payload":{"b":1}}"#);
        assert_eq!(receiver.take(&input).unwrap(), [websocket::client_frame(websocket::PONG, b"a"), pong]);
    }

    fn text_of_client(message: &str) -> Vec<u8> {
        websocket::client_frame(websocket::TEXT, message.as_bytes())
    }
}
