//! WebSocket connections: from the upgrade request to the last frame.

mod batch;
mod driver;
mod frame;
mod identifying;
mod link;
mod upgrade;

pub(crate) use upgrade::{Fate, is_upgrade, upgrade};
