//! Why a token is refused: [`TokenError`].

use std::{fmt, time::Duration};

use thiserror::Error;

/// Why a token is refused, in words for the person who holds it.
///
/// The text is the reason of a close with 4403 and the message of an HTTP 401. It is never longer than the 123 bytes
/// that a close reason may have ([RFC 6455, 5.5](https://www.rfc-editor.org/rfc/rfc6455#section-5.5)), and it names no
/// secret: what it quotes is in the token or is the audience that clients have to ask for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TokenError {
    /// The token's header names another algorithm than the configured one.
    #[error("algorithm {0} is not accepted")]
    Algorithm(Quoted),
    /// The token is meant for somebody else.
    #[error("the token is for audience {found}, not {wanted}")]
    Audience {
        /// What the token says.
        found: Quoted,
        /// What it should say.
        wanted: Quoted,
    },
    /// A claim is there, but not as it has to be.
    #[error("the token's \"{name}\" {problem}")]
    Claim {
        /// The claim.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The token's time is over; `ago` does not count the leeway.
    #[error("the token expired {} ago", Span(*ago))]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// The token's header says that an extension must be understood which is not.
    #[error("the token demands an extension that is not spoken here")]
    Extension,
    /// The token comes from somebody else.
    #[error("the token was issued by {found}, not {wanted}")]
    Issuer {
        /// What the token says.
        found: Quoted,
        /// What it should say.
        wanted: Quoted,
    },
    /// The key that the token names is for another algorithm.
    #[error("the key of the token is not for algorithm {0}")]
    KeyAlgorithm(Quoted),
    /// The token does not say which of several keys it is signed with.
    #[error("the token has no \"kid\", and not exactly one key fits it")]
    KeyNotNamed,
    /// A token was needed.
    #[error("a token is needed and none was sent")]
    Missing,
    /// The token says no audience at all.
    #[error("the token names no audience, and {wanted} is needed")]
    NoAudience {
        /// What it should say.
        wanted: Quoted,
    },
    /// A claim that every token must have is not there.
    #[error("the token has no \"{0}\"")]
    NoClaim(&'static str),
    /// There are no keys yet to judge any token by; see [`may_be_mended_by_newer_keys`](Self::may_be_mended_by_newer_keys).
    #[error("tokens cannot be checked at the moment")]
    NoKeys,
    /// The token's time has not come.
    #[error("the token becomes valid only in {}", Span(*wait))]
    NotYetValid {
        /// How long until then.
        wait: Duration,
    },
    /// Not three parts, not base64url, or not JSON.
    #[error("the token is not a JSON Web Token")]
    NotAToken,
    /// The token was changed, or signed with another secret.
    #[error("the signature of the token does not match")]
    Signature,
    /// The token is longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES).
    #[error("the token is longer than {} bytes", crate::MAX_TOKEN_BYTES)]
    TooLong,
    /// The token names a key that is not there.
    #[error("the token is signed with key {0}, which is not known")]
    UnknownKey(Quoted),
}

impl TokenError {
    /// Whether the same token may be good once the keys are fetched anew.
    pub fn may_be_mended_by_newer_keys(&self) -> bool {
        matches!(self, Self::NoKeys | Self::UnknownKey(_))
    }
}

/// A secret that cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SecretError {
    /// Everybody can sign with the empty secret.
    #[error("the secret is empty")]
    Empty,
}

/// Text from a token, in quotation marks, short enough for a close reason and without control characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quoted(String);

impl Quoted {
    pub(crate) fn new(text: &str) -> Self {
        let mut shown = String::new();
        for c in text.chars() {
            if shown.len() + c.len_utf8() > MAX_QUOTED_BYTES {
                shown.push('…');
                break;
            }
            shown.push(if c.is_control() || c == '"' { '?' } else { c });
        }
        Self(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A length of time, rounded down to a unit that a person would choose.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// Two of these and the longest sentence around them fit into 123 bytes.
const MAX_QUOTED_BYTES: usize = 36;
