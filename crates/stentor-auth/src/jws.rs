//! A token as it is written: [`Jws`].

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use crate::{TokenError, error::Quoted};

/// Longest token that is looked at, in bytes. Keycloak's permissions can fill tens of thousands.
pub const MAX_TOKEN_BYTES: usize = 65_536;

/// A token in JWS Compact Serialization, [RFC 7515, 7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1).
pub(crate) struct Jws<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload with the dot between them: what the signature is over.
    signed: &'a str,
}

/// What a verifier may know of a token's header. Everything else in it, `jwk`, `jku`, `x5u` and `x5c` too, chooses nothing.
pub(crate) struct Header {
    /// The algorithm that the token claims.
    pub(crate) alg: String,
    /// The name of the key that it claims.
    pub(crate) kid: Option<String>,
}

impl<'a> Jws<'a> {
    pub(crate) fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotAToken)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::NotAToken)?;
        if payload.contains('.') {
            return Err(TokenError::NotAToken);
        }
        Ok(Self { header, payload, signature, signed })
    }

    /// Anybody may have written the header. So its values stay text: reading them could nest deeper than a stack is high,
    /// since `Value` takes the text of a member `$serde_json::private::RawValue` for JSON that may nest anew.
    pub(crate) fn header(&self) -> Result<Header, TokenError> {
        let members: BTreeMap<String, Box<RawValue>> = decode(self.header)?;
        // RFC 7515, 4.1.11: whoever does not understand an extension in `crit` must refuse the token.
        if members.contains_key("crit") {
            return Err(TokenError::Extension);
        }
        let text = |name| members.get(name).map(|value| serde_json::from_str(value.get())).transpose();
        let alg = text("alg").map_err(|_| TokenError::NotAToken)?.ok_or(TokenError::NotAToken)?;
        let kid = text("kid").map_err(|_| TokenError::NotAToken)?;
        Ok(Header { alg, kid })
    }

    /// Whether the signature is this key's over all that the token says.
    pub(crate) fn check_signature(&self, key: &DecodingKey, algorithm: Algorithm) -> Result<(), TokenError> {
        // A signature that is not base64 fails otherwise than a wrong one; to the client both are the same mistake.
        match crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }

    /// What the token says of its bearer. Call it once the signature is known to be right.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        decode(self.payload)
    }
}

impl Header {
    pub(crate) fn refused_algorithm(&self) -> TokenError {
        TokenError::Algorithm(Quoted::new(&self.alg))
    }
}

fn decode<T: FromIterator<(String, V)>, V: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotAToken)?;
    let Members(members) = serde_json::from_slice(&json).map_err(|_| TokenError::NotAToken)?;
    Ok(members.into_iter().collect())
}

/// The members of an object, each of another name: of two with one name, issuer and verifier might mean different ones
/// ([RFC 7519, 4](https://www.rfc-editor.org/rfc/rfc7519#section-4)).
struct Members<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData)).map(Self)
    }
}

struct MembersVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MembersVisitor<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(members)
    }
}
