//! What the operator reads about the fetching of keys: [`FetchLog`].

use std::time::Duration;

use reqwest::Url;
use stentor_auth::KeySet;
use tokio::time::Instant;

use super::fetch::{FetchError, shown};

/// Tells what changes, and of what stays bad once a minute.
#[derive(Debug, Default)]
pub(super) struct FetchLog {
    /// When a failure was last told; `None` after a success.
    told: Option<Instant>,
    failed: bool,
}

impl FetchLog {
    pub(super) fn note_success(&mut self, old: Option<&KeySet>, new: &KeySet, place: &Url) {
        let changed = old.is_none_or(|old| !old.names().eq(new.names()) || old.skipped() != new.skipped());
        if changed {
            let names = new.names().collect::<Vec<_>>().join(" ");
            tracing::info!(place = %shown(place), keys = new.len(), names, "keys fetched");
            for skipped in new.skipped() {
                tracing::warn!(place = %shown(place), "a key of the provider is not used: {skipped}");
            }
        } else if self.failed {
            tracing::info!(place = %shown(place), keys = new.len(), "keys can be fetched again");
        }
        *self = Self::default();
    }

    pub(super) fn note_failure(&mut self, error: &FetchError, has_keys: bool, now: Instant) {
        self.failed = true;
        if self.told.is_some_and(|told| now.duration_since(told) < BETWEEN_LINES) {
            return;
        }
        self.told = Some(now);
        let meanwhile = match has_keys {
            true => "the known ones stay in use",
            false => "until then every token is answered with 1013 or 503",
        };
        tracing::warn!(reason = %error, "keys cannot be fetched; trying again, and {meanwhile}");
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(60);
