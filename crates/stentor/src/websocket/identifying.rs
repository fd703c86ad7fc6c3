//! A client that is being identified: [`Identifying`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stentor_auth::Principal;

use crate::{app::App, identity::Refused};

type Verdict = Result<Option<Arc<Principal>>, Refused>;

/// Waits for the verdict on a token. Only a token whose key must be fetched makes it wait at all, some seconds at most.
pub(super) struct Identifying(Pin<Box<dyn Future<Output = Verdict> + Send>>);

impl Identifying {
    pub(super) fn new(app: &Arc<App>, token: Option<&str>) -> Self {
        let (app, token) = (Arc::clone(app), token.map(str::to_owned));
        Self(Box::pin(async move { app.identify(token.as_deref()).await }))
    }

    /// The verdict; not to be asked for again once it is there.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Verdict> {
        self.0.as_mut().poll(context)
    }
}

/// The token is not shown.
impl fmt::Debug for Identifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifying").finish_non_exhaustive()
    }
}
