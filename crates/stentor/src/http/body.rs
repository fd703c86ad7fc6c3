//! Bodies of requests while they are on their way: [`read`], [`discard`].

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::reject::Rejection;
use crate::config::LimitsConfig;

/// A whole body, and its share of what all bodies may hold.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) bytes: Vec<u8>,
    _share: Option<SemaphorePermit<'a>>,
}

/// Reads a body to its end.
///
/// It holds nothing but the bytes that have come, which are counted in `room`: one that comes drop by drop is in nobody's way.
///
/// # Errors
///
/// The body is too long, takes too long, is not in order, or there is no room for it.
pub(super) async fn read<'a>(
    body: &mut Body,
    room: &'a Semaphore,
    limits: &LimitsConfig,
) -> Result<Received<'a>, Rejection> {
    let reading = read_all(body, room, limits.message_bytes.get());
    timeout(limits.request_timeout.get(), reading).await.unwrap_or(Err(Rejection::SlowBody))
}

async fn read_all<'a>(body: &mut Body, room: &'a Semaphore, limit: usize) -> Result<Received<'a>, Rejection> {
    if promises_more_than(limit, body) {
        return Err(Rejection::TooLarge);
    }
    let mut received = Received { bytes: Vec::new(), _share: None };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BadRequest("the body cannot be read".into()))?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > limit - received.bytes.len() {
            return Err(Rejection::TooLarge);
        }
        let length = u32::try_from(data.len()).map_err(|_| Rejection::TooLarge)?;
        let share = room.try_acquire_many(length).map_err(|_| Rejection::Overloaded)?;
        match &mut received._share {
            Some(whole) => whole.merge(share),
            none => *none = Some(share),
        }
        received.bytes.extend_from_slice(data);
    }
    Ok(received)
}

/// Reads a body that is of no use to its end, so that the connection can carry the next request. One that is longer or slower than
/// the body of a request may be costs its client the connection.
pub(super) async fn discard(body: &mut Body, headers: &HeaderMap, limits: &LimitsConfig) {
    let limit = limits.message_bytes.get();
    // Who asks first whether to send the body is answered, and need not send it.
    if headers.contains_key(header::EXPECT) || promises_more_than(limit, body) {
        return;
    }
    let reading = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, |data| data.len());
            if length > limit {
                return;
            }
        }
    };
    // What has not come by then is not waited for.
    let _ = timeout(limits.request_timeout.get(), reading).await;
}

fn promises_more_than(limit: usize, body: &Body) -> bool {
    usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit)
}
