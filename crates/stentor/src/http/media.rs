//! Which media types a client sends and accepts: [`Media`], [`Accept`], [`check_content`].

use std::borrow::Cow;

use axum::http::{HeaderMap, StatusCode, header};
use mediatype::{
    MediaType, MediaTypeList, Name, ReadParams,
    names::{_STAR, APPLICATION, CHARSET, HTML, JSON, TEXT},
};

use super::reject::Rejection;

/// The media type of an answer, by the GraphQL over HTTP specification, section "Media Types".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells how the request went.
    GraphQLResponse,
    /// `application/json`: clients of old, for whom every well-formed request is answered with 200.
    Json,
}

impl Media {
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

/// What a client accepts, by RFC 9110, section 12.5.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accept {
    graphql_response: Wish,
    json: Wish,
    html: Wish,
}

impl Accept {
    /// A client that says nothing takes everything.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accept = Self { graphql_response: NEVER, json: NEVER, html: NEVER };
        let values =
            || headers.get_all(header::ACCEPT).into_iter().map(|value| value.to_str().unwrap_or("?"));
        if values().all(|value| value.trim().is_empty()) {
            return Self { graphql_response: ANYTHING, json: ANYTHING, html: ANYTHING };
        }
        for range in values().flat_map(MediaTypeList::new).flatten() {
            accept.graphql_response.hear(&GRAPHQL_RESPONSE, &range);
            accept.json.hear(&APPLICATION_JSON, &range);
            accept.html.hear(&TEXT_HTML, &range);
        }
        accept
    }

    /// The media type to answer with: the one that the client prefers. `None` when it takes neither.
    ///
    /// To a client that does not care the newer one is given only if it names it: it may not know it otherwise.
    pub(super) fn media(self) -> Option<Media> {
        let Self { graphql_response: new, json: old, .. } = self;
        let prefers_new = new > old || (new == old && new.precision == Precision::Named);
        match () {
            () if prefers_new && new.is_acceptable() => Some(Media::GraphQLResponse),
            () if old.is_acceptable() => Some(Media::Json),
            () => None,
        }
    }

    /// Whether the client would rather have a page for people than a GraphQL result.
    pub(super) fn prefers_page(self) -> bool {
        self.html.is_acceptable() && self.html > self.json && self.html > self.graphql_response
    }
}

/// How much a client wants a media type. The greater one is preferred; of equal weights, the one that is named more precisely.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Wish {
    /// From 0, not at all, to 1,000.
    weight: u16,
    precision: Precision,
}

/// How precisely a media range names a type.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Precision {
    Unheard,
    Anything,
    Family,
    Named,
}

impl Wish {
    /// Heeds a range if it means `offer`: the most precise range counts, wherever it stands.
    fn hear(&mut self, offer: &MediaType<'_>, range: &MediaType<'_>) {
        let precision = match () {
            () if *offer == range.essence() => Precision::Named,
            () if range.subty != _STAR => return,
            () if range.ty == offer.ty => Precision::Family,
            () if range.ty == _STAR => Precision::Anything,
            () => return,
        };
        let Some(weight) = weight(range).filter(|_| is_utf8(range)) else { return };
        let heard = Self { weight, precision };
        if (heard.precision, heard.weight) > (self.precision, self.weight) {
            *self = heard;
        }
    }

    const fn is_acceptable(self) -> bool {
        self.weight > 0
    }
}

const NEVER: Wish = Wish { weight: 0, precision: Precision::Unheard };
const ANYTHING: Wish = Wish { weight: 1_000, precision: Precision::Anything };

const APPLICATION_JSON: MediaType<'static> = MediaType::new(APPLICATION, JSON);
const GRAPHQL_RESPONSE: MediaType<'static> =
    MediaType::from_parts(APPLICATION, Name::new_unchecked("graphql-response"), Some(JSON), &[]);
const TEXT_HTML: MediaType<'static> = MediaType::new(TEXT, HTML);

/// The weight of a range in thousandths; `None` if it is none.
fn weight(range: &MediaType<'_>) -> Option<u16> {
    let Some(weight) = range.get_param(Name::new_unchecked("q")) else { return Some(1_000) };
    let weight = weight.as_str().parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1,000")]
    Some((weight * 1_000.0).round() as u16)
}

/// Whether the encoding is the one that JSON has; it is also what is meant when none is named.
fn is_utf8(media: &MediaType<'_>) -> bool {
    let charset = media.get_param(CHARSET);
    charset.is_none_or(|charset| {
        let charset: Cow<'_, str> = charset.unquoted_str();
        ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
    })
}

/// Refuses a body that is not said to be plain JSON in UTF-8.
///
/// Anything else would let a page of another origin post without being asked for permission first.
pub(super) fn check_content(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut types = headers.get_all(header::CONTENT_TYPE).into_iter();
    // Of two, a proxy may have read the other.
    let (Some(sent), None) = (types.next(), types.next()) else {
        return Err(Rejection::UnsupportedMediaType);
    };
    let sent = sent.to_str().ok().and_then(|sent| MediaType::parse(sent).ok());
    if !sent.is_some_and(|sent| sent.essence() == APPLICATION_JSON && is_utf8(&sent)) {
        return Err(Rejection::UnsupportedMediaType);
    }
    let coded = headers.get_all(header::CONTENT_ENCODING).into_iter();
    match coded.into_iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => Err(Rejection::UnsupportedCoding),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NEW: Option<Media> = Some(Media::GraphQLResponse);
    const OLD: Option<Media> = Some(Media::Json);

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        let values =
            values.iter().map(|value| HeaderValue::from_str(value).expect("it can stand in a header"));
        values.map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn the_accepted_type_of_the_greatest_weight_is_chosen() {
        for (accept, media) in [
            (&[][..], OLD),
            (&[""], OLD),
            (&["*/*"], OLD),
            (&["application/*"], OLD),
            (&["application/json"], OLD),
            (&["application/graphql-response+json"], NEW),
            (&["APPLICATION/GraphQL-Response+JSON"], NEW),
            (&["application/graphql-response+json; charset=utf-8"], NEW),
            (&["application/graphql-response+json;charset=UTF-8"], NEW),
            (&["application/graphql-response+json;charset=\"utf-8\""], NEW),
            (&["application/json, application/graphql-response+json"], NEW),
            (&["application/graphql-response+json, application/json;q=0.9"], NEW),
            (&["application/json;q=0.9, application/graphql-response+json"], NEW),
            (&["application/graphql-response+json;q=0.9, application/json"], OLD),
            (&["application/graphql-response+json; q=0.9 , application/json; q=0.91"], OLD),
            (&["application/graphql-response+json;Q=0.5, application/json;q=0.4"], NEW),
            (&["application/graphql-response+json;q=0.001, application/json;q=0"], NEW),
            (&["application/json", "application/graphql-response+json"], NEW),
            (&["text/html", "application/json;q=0.1"], OLD),
            (&["application/graphql-response+json, */*"], NEW),
            (&["application/graphql-response+json;q=0.5, */*"], OLD),
            (&["application/graphql-response+json;q=0.5, */*;q=0.1"], NEW),
            (&["application/json, */*"], OLD),
            (&["application/json;q=0.5, */*"], NEW),
            (&["application/json;q=0, */*"], NEW),
            (&["*/*, application/json;q=0"], NEW),
            (&["application/*;q=0, */*"], None),
            (&["application/*;q=0, application/json"], OLD),
            (&["application/graphql-response+json;q=0, application/json"], OLD),
            (&["application/graphql-response+json;q=0, application/json;q=0"], None),
            (&["application/json;q=0"], None),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], OLD),
            (&["multipart/mixed;deferSpec=20220824, application/json"], OLD),
            (&["application/json;profile=\"a, application/graphql-response+json\""], OLD),
            (&["text/html"], None),
            (&["text/*, image/png"], None),
            (&["application/xml"], None),
            (&["*/json"], None),
            (&["application/graphql+json"], None),
            (&["application/graphql-response"], None),
            // What cannot be given is not accepted, and what cannot be read is passed over.
            (&["application/json;charset=utf-16"], None),
            (&["application/graphql-response+json;charset=latin1, application/json"], OLD),
            (&["application/graphql-response+json;q=2, application/json;q=0.1"], OLD),
            (&["application/graphql-response+json;q=high, application/json;q=0.1"], OLD),
            (&["application/graphql-response+json;q=-1, application/json;q=0.1"], OLD),
            (&["application/graphql-response+json;q=nan, application/json;q=0.1"], OLD),
            (&["json, , application/json"], OLD),
            (&["json"], None),
        ] {
            assert_eq!(Accept::of(&headers(&header::ACCEPT, accept)).media(), media, "{accept:?}");
        }
    }

    #[test]
    fn a_page_is_for_those_who_prefer_one() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("text/html", true),
            ("text/html, */*", true),
            ("text/html;q=0.9, application/json;q=0.8", true),
            ("text/html, application/json", false),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/graphql-response+json", false),
            ("text/html;q=0", false),
            ("application/json", false),
            ("*/*", false),
            ("text/*", true),
            ("", false),
        ] {
            assert_eq!(Accept::of(&headers(&header::ACCEPT, &[accept])).prefers_page(), page, "{accept}");
        }
    }

    #[test]
    fn only_plain_json_in_utf8_is_taken() {
        for (types, taken) in [
            (&[][..], false),
            (&["application/json"], true),
            (&["Application/JSON"], true),
            (&["application/json; charset=utf-8"], true),
            (&["application/json;charset=\"UTF-8\""], true),
            (&["application/json; charset=utf8"], true),
            (&["application/json; profile=x"], true),
            (&["application/json; charset=utf-16"], false),
            (&["application/json; charset=iso-8859-1"], false),
            (&["application/json; charset=unknown"], false),
            (&["application/json", "application/json"], false),
            (&["application/json, text/plain"], false),
            (&["text/plain"], false),
            (&["text/plain; application/json"], false),
            (&["text/plain; charset=application/json"], false),
            (&["application/x-www-form-urlencoded"], false),
            (&["multipart/form-data; boundary=application/json"], false),
            (&["application/graphql"], false),
            (&["application/graphql+json"], false),
            (&["application/graphql-response+json"], false),
            (&["application/jsonp"], false),
            (&["*/*"], false),
            (&[""], false),
        ] {
            let checked = check_content(&headers(&header::CONTENT_TYPE, types));
            assert_eq!(checked.is_ok(), taken, "{types:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..80), words in "[a-z*/+;,=\"\\\\ q0-9.]{0,60}") {
            for value in [HeaderValue::from_bytes(&bytes), HeaderValue::from_str(&words)].into_iter().flatten() {
                let headers = HeaderMap::from_iter([(header::ACCEPT, value.clone()), (header::CONTENT_TYPE, value)]);
                Accept::of(&headers).media();
                let _ = check_content(&headers);
            }
        }
    }
}
