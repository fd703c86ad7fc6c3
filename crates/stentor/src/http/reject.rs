//! Every refusal over HTTP that is not a GraphQL result, with its status and text: [`Rejection`].

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;
use stentor_schema::{ErrorCode, GraphQLError};

use super::media::Media;

/// Why a request gets no GraphQL result.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Not a WebSocket handshake.
    BadHandshake(&'static str),
    /// The body or the query string is not a GraphQL request.
    BadRequest(String),
    /// The page's origin is not allowed.
    ForeignOrigin,
    /// The operation cannot run by this method.
    Method { allow: &'static str, message: &'static str },
    /// Nothing that the client accepts can be answered with.
    NotAcceptable,
    /// The server has enough to do.
    Overloaded,
    /// The body took too long.
    SlowBody,
    /// The answer took too long.
    Timeout,
    /// The body is larger than the configuration allows.
    TooLarge,
    /// The token is missing or wrong; in words for a person.
    Unauthenticated(String),
    /// The keys to check the token with could not be fetched.
    Undecided { retry_after: Duration },
    /// The body is compressed.
    UnsupportedCoding,
    /// The body is not said to be JSON.
    UnsupportedMediaType,
    /// Another version of WebSocket than 13.
    WebSocketVersion,
}

impl Rejection {
    /// The refusal in the media type that the client asked for.
    pub(super) fn answer(self, media: Media) -> Response<Body> {
        let (status, header, code) = (self.status(), self.header(), self.code());
        let errors = json!({ "errors": [GraphQLError::new(code, self.message())] });
        let content_type = [(header::CONTENT_TYPE, media.content_type())];
        let mut response = (status, content_type, errors.to_string()).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadHandshake(_) | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Overloaded | Self::Undecided { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::UnsupportedCoding | Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
        }
    }

    fn header(&self) -> Option<(header::HeaderName, HeaderValue)> {
        if let Self::Undecided { retry_after } = self {
            return Some((header::RETRY_AFTER, (retry_after.as_secs() + 1).into()));
        }
        let (name, value) = match self {
            Self::Method { allow, .. } => (header::ALLOW, *allow),
            Self::Overloaded => (header::RETRY_AFTER, "1"),
            // The rest of the body may still come, and is no request.
            Self::SlowBody | Self::TooLarge => (header::CONNECTION, "close"),
            Self::Unauthenticated(_) => (header::WWW_AUTHENTICATE, "Bearer"),
            Self::UnsupportedCoding => (header::ACCEPT_ENCODING, "identity"),
            Self::UnsupportedMediaType => (header::ACCEPT, "application/json"),
            Self::WebSocketVersion => (header::SEC_WEBSOCKET_VERSION, "13"),
            _ => return None,
        };
        Some((name, HeaderValue::from_static(value)))
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::ForeignOrigin => ErrorCode::Forbidden,
            Self::Overloaded | Self::SlowBody | Self::Timeout | Self::Undecided { .. } => {
                ErrorCode::Unavailable
            }
            Self::TooLarge => ErrorCode::LimitExceeded,
            Self::Unauthenticated(_) => ErrorCode::Unauthenticated,
            _ => ErrorCode::BadUserInput,
        }
    }

    fn message(self) -> String {
        match self {
            Self::BadHandshake(message) | Self::Method { message, .. } => message.into(),
            Self::BadRequest(message) | Self::Unauthenticated(message) => message,
            Self::ForeignOrigin => "pages of this origin may not use the server".into(),
            Self::NotAcceptable => {
                "answers are application/graphql-response+json or application/json; accept one of them".into()
            }
            Self::Overloaded => "the server has enough to do; try again later".into(),
            Self::SlowBody => "the body took too long to arrive".into(),
            Self::Timeout => "the answer took too long".into(),
            Self::TooLarge => "the request is larger than this server takes".into(),
            Self::Undecided { .. } => "the token cannot be checked at the moment; try again later".into(),
            Self::UnsupportedCoding => "send the body without a Content-Encoding".into(),
            Self::UnsupportedMediaType => "send the request as application/json, in UTF-8".into(),
            Self::WebSocketVersion => "this server speaks version 13 of WebSocket".into(),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response<Body> {
        self.answer(Media::Json)
    }
}
