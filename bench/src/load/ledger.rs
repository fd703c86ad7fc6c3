//! The accounts of a run: which events are out, who has received them, and what went wrong.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Notify;

use super::event::Layout;
use crate::error::Error;
use crate::scenario::Scenario;

/// Shared by the publisher and all receivers, on one thread.
#[derive(Debug)]
pub(crate) struct Ledger {
    topics: u64,
    flight: RefCell<Flight>,
    /// Reads of all sockets that found something.
    reads: Cell<u64>,
    layout: Cell<Option<Layout>>,
    read_every_message: Cell<bool>,
    failure: RefCell<Option<String>>,
    progress: Notify,
}

/// Events between the first that someone still waits for and the last published.
#[derive(Debug)]
struct Flight {
    deliveries_per_event: u64,
    /// The sequence number of the first event in `received`.
    first: u64,
    /// How many subscribers have received each event.
    received: VecDeque<u64>,
    deliveries: u64,
}

impl Ledger {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let deliveries_per_event = scenario.shape.deliveries_per_event(scenario.connections);
        Self {
            topics: scenario.shape.topics(scenario.connections),
            flight: RefCell::new(Flight::new(deliveries_per_event)),
            reads: Cell::new(0),
            layout: Cell::new(None),
            read_every_message: Cell::new(false),
            failure: RefCell::new(None),
            progress: Notify::new(),
        }
    }

    /// Topics that events visit in turn; a subscriber's sequence numbers are this far apart.
    pub(crate) fn topics(&self) -> u64 {
        self.topics
    }

    /// Enters one more event and gives its sequence number.
    pub(crate) fn publish(&self) -> u64 {
        self.flight.borrow_mut().publish()
    }

    /// Enters one delivery, whose order the receiver has checked.
    pub(crate) fn deliver(&self, sequence: u64) -> Result<(), Error> {
        let mut flight = self.flight.borrow_mut();
        if flight.deliver(sequence)? {
            self.progress.notify_one();
        }
        Ok(())
    }

    /// Events that someone still waits for.
    pub(crate) fn in_flight(&self) -> u64 {
        self.flight.borrow().received.len() as u64
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.flight.borrow().deliveries
    }

    /// Enters one read that found something.
    pub(crate) fn count_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// Where messages carry their sequence number, once one has been read whole.
    pub(crate) fn layout(&self) -> Option<Layout> {
        self.layout.get()
    }

    pub(crate) fn set_layout(&self, layout: Layout) {
        self.layout.set(Some(layout));
    }

    /// Bytes of a delivered frame, its header included.
    pub(crate) fn frame_bytes(&self) -> u64 {
        let length = self.layout.get().map_or(0, |layout| layout.length);
        let mut header = Vec::new();
        crate::websocket::write_server_header(&mut header, crate::websocket::TEXT, length);
        (header.len() + length) as u64
    }

    /// From now on receivers read messages whole, not only their sequence number.
    pub(crate) fn read_every_message(&self) {
        self.read_every_message.set(true);
    }

    pub(crate) fn reads_every_message(&self) -> bool {
        self.read_every_message.get()
    }

    /// Ends the run as invalid; the first reason counts.
    pub(crate) fn fail(&self, reason: String) {
        self.failure.borrow_mut().get_or_insert(reason);
        self.progress.notify_one();
    }

    /// Waits until an event has reached everyone.
    ///
    /// # Errors
    ///
    /// When a receiver has failed, or none makes progress for [`PATIENCE`].
    pub(crate) async fn progress(&self) -> Result<(), Error> {
        let waited = tokio::time::timeout(PATIENCE, self.progress.notified()).await;
        self.check()?;
        waited.map_err(|_| {
            let events = self.in_flight();
            Error::invalid(format!("{events} events did not reach everyone within {} s", PATIENCE.as_secs()))
        })
    }

    /// # Errors
    ///
    /// When a receiver has failed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.failure.borrow().clone().map_or(Ok(()), |reason| Err(Error::Invalid(reason)))
    }
}

impl Flight {
    fn new(deliveries_per_event: u64) -> Self {
        Self { deliveries_per_event, first: 0, received: VecDeque::new(), deliveries: 0 }
    }

    fn publish(&mut self) -> u64 {
        self.received.push_back(0);
        self.first + self.received.len() as u64 - 1
    }

    /// True when this delivery was the last of the oldest event.
    fn deliver(&mut self, sequence: u64) -> Result<bool, Error> {
        let place = sequence.checked_sub(self.first).map(|place| place as usize);
        let Some(received) = place.and_then(|place| self.received.get_mut(place)) else {
            return Err(Error::invalid(format!("event {sequence} arrived but is not in flight")));
        };
        *received += 1;
        self.deliveries += 1;
        let before = self.first;
        while self.received.front().is_some_and(|&received| received >= self.deliveries_per_event) {
            self.received.pop_front();
            self.first += 1;
        }
        Ok(self.first > before)
    }
}

/// How long a run waits for an event to reach everyone.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_out_until_everyone_has_it() {
        let mut flight = Flight::new(2);
        assert_eq!((flight.publish(), flight.publish()), (0, 1));
        for (sequence, completes, left) in [(0, false, 2), (1, false, 2), (1, false, 2), (0, true, 0)] {
            assert_eq!(flight.deliver(sequence).unwrap(), completes);
            assert_eq!(flight.received.len(), left);
        }
        assert_eq!(flight.deliveries, 4);
    }

    #[test]
    fn an_event_that_is_not_out_cannot_be_delivered() {
        let mut flight = Flight::new(1);
        assert!(flight.deliver(0).is_err());
        flight.publish();
        flight.deliver(0).unwrap();
        assert!(flight.deliver(0).is_err());
    }
}
