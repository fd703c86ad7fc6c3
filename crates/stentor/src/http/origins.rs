//! Which pages may talk to the server from a browser: [`Origins`].

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};

use super::reject::Rejection;

/// The browser origins that are allowed. Programs other than browsers send no `Origin` and are not concerned.
///
/// A WebSocket is not held back by the same-origin policy: any page may open one to any address that the browser
/// reaches. So the server has to look.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// Empty: pages of the same host, whatever their port.
    listed: Arc<[String]>,
}

impl Origins {
    pub(crate) fn new(listed: &[String]) -> Self {
        Self { listed: listed.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect() }
    }

    /// Whether a request with this `Origin` may be answered.
    pub(crate) fn allow(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        if self.listed.is_empty() {
            return is_same_host(origin, headers);
        }
        self.listed.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin))
    }

    /// Refuses a request from a page of another origin, before anything is done for it.
    ///
    /// Browsers send some requests for any page without asking: images, links, forms. Where they say that such a
    /// request crosses origins, it needs an `Origin` that is allowed, which those do not have.
    pub(super) fn check_request(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        match (site, headers.get(header::ORIGIN)) {
            (Some(b"same-origin" | b"none"), _) | (None, None) => Ok(()),
            (_, Some(origin)) if self.allow(origin, headers) => Ok(()),
            _ => Err(Rejection::ForeignOrigin),
        }
    }

    /// Refuses a WebSocket from a page of another origin.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.allow(origin, headers) => Err(Rejection::ForeignOrigin),
            _ => Ok(()),
        }
    }
}

/// Whether the page and the server have the same host name. Ports may differ, so that a page from a development
/// server reaches a server beside it; for the same reason the names of this machine are one.
fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    origin.host().is_some_and(|origin| name(origin) == name(host.host()))
}

fn name(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "127.0.0.1" | "[::1]" | "localhost" => "localhost".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_that_a_foreign_page_has_sent() {
        let (own, foreign) = (Some("http://app.example:5173"), Some("http://evil.example"));
        for (site, origin, allowed) in [
            (None, None, true),
            (None, own, true),
            (None, foreign, false),
            (None, Some("null"), false),
            (Some("none"), None, true),
            (Some("same-origin"), None, true),
            // A proxy before the server may have changed the host name; the browser knows.
            (Some("same-origin"), foreign, true),
            (Some("same-site"), None, false),
            (Some("same-site"), own, true),
            (Some("cross-site"), None, false),
            (Some("cross-site"), foreign, false),
            (Some("cross-site"), own, true),
            (Some("anything"), None, false),
        ] {
            let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("app.example"))]);
            origin.map(|origin| headers.insert(header::ORIGIN, HeaderValue::from_static(origin)));
            site.map(|site| headers.insert("sec-fetch-site", HeaderValue::from_static(site)));
            assert_eq!(Origins::new(&[]).check_request(&headers).is_ok(), allowed, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn origins_are_allowed_or_not() {
        let own: &[&str] = &[];
        for (listed, origin, host, allowed) in [
            (own, "http://app.example", "app.example", true),
            (own, "https://APP.example:8443", "app.example:4000", true),
            (own, "http://localhost:5173", "127.0.0.1:4000", true),
            (own, "http://[::1]:5173", "localhost:4000", true),
            (own, "http://evil.example", "app.example", false),
            (own, "http://app.example.evil.example", "app.example", false),
            (own, "http://127.0.0.1.evil.example", "127.0.0.1:4000", false),
            (own, "null", "app.example", false),
            (own, "http://", "app.example", false),
            (&["https://app.example"], "https://app.example", "api.example", true),
            (&["https://app.example/"], "https://app.example", "api.example", true),
            (&["https://app.example"], "http://app.example", "api.example", false),
            (&["https://app.example"], "https://api.example", "api.example", false),
            (&["*"], "https://anything.example", "api.example", true),
        ] {
            let listed: Vec<_> = listed.iter().map(ToString::to_string).collect();
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            let found = Origins::new(&listed).allow(&HeaderValue::from_static(origin), &headers);
            assert_eq!(found, allowed, "{origin} at {host} with {listed:?}");
        }
    }
}
