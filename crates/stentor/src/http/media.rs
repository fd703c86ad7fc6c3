//! Which media types a client sends and accepts: [`Media`].

use axum::http::{HeaderMap, StatusCode, header};

/// The media type of an answer, by the GraphQL over HTTP specification, section "Media Types".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells how the request went.
    GraphQLResponse,
    /// `application/json`: clients of old, for whom every well-formed answer is 200.
    Json,
}

impl Media {
    /// What to answer with; `None` when the client accepts neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut accepted = headers.get_all(header::ACCEPT).into_iter().peekable();
        if accepted.peek().is_none() {
            return Some(Self::Json);
        }
        let ranges = accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let mut json = false;
        for range in ranges {
            match essence(range).as_str() {
                "application/graphql-response+json" => return Some(Self::GraphQLResponse),
                "application/json" | "application/*" | "*/*" => json = true,
                _ => {}
            }
        }
        json.then_some(Self::Json)
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::GraphQLResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    /// The status of a request that was understood but could not be run.
    pub(super) const fn failed(self) -> StatusCode {
        match self {
            Self::GraphQLResponse => StatusCode::BAD_REQUEST,
            Self::Json => StatusCode::OK,
        }
    }
}

/// Whether the body is said to be JSON. Anything else would let a page of another origin post without being asked
/// for permission first.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    sent.is_some_and(|sent| essence(sent) == "application/json")
}

fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
