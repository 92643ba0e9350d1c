//! Tokens: bytes → [`UnverifiedClaims`] → [`Claims`].
//!
//! A token is read strictly before anything is believed: at most 8 KiB, three base64url parts without
//! padding, JSON objects without a key twice. What it says of keys (`kid`, `jku`, `jwk` …) is ignored;
//! its `alg` is only compared with the one pinned to the app (RFC 8725 §3.1). Not verified: `aud`,
//! which clients fill with the platform's own. Times and `jti` are the business of `domain/auth.rs`, by
//! our own clock and the app's own rules.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use jsonwebtoken::DecodingKey;
use secrecy::{ExposeSecret as _, SecretString};
use shared::registry::{Algorithm, App};

use crate::domain::auth::{Claims, Failure};
use crate::domain::json::{Bounds, Fields, Node};

const TOKEN_MAX: usize = 8 * 1024;
/// Longest `appId`, `iss` and `sub`.
const ID_MAX: usize = 256;
const BOUNDS: Bounds = Bounds { depth: 16, values: 500 };

/// An app's keys with the algorithm that they are good for: the present one, and in the overlap after a
/// rotation the one before it. A public key that cannot be read proves nothing.
#[derive(Clone)]
pub(crate) struct Key {
    keys: [Option<DecodingKey>; 2],
    algorithm: Algorithm,
}

impl Key {
    pub(crate) fn of(app: &App, now_ms: u64) -> Self {
        let key = |secret: &SecretString| {
            let bytes = secret.expose_secret().as_bytes();
            if app.algorithm.is_public_key() {
                DecodingKey::from_rsa_pem(bytes).ok()
            } else {
                Some(DecodingKey::from_secret(bytes))
            }
        };
        let previous = app.previous.as_ref().filter(|previous| now_ms < previous.until_ms);
        let previous = previous.and_then(|previous| key(&previous.secret));
        Self { keys: [key(&app.secret), previous], algorithm: app.algorithm }
    }

    /// The key for tokens of apps that do not exist: they take as long as those of an app with a shared
    /// secret whose algorithm is the token's.
    pub(crate) fn nobody(secret: &[u8], claimed: &UnverifiedClaims<'_>) -> Self {
        let algorithm = Algorithm::parse(&claimed.algorithm)
            .filter(|algorithm| !algorithm.is_public_key())
            .unwrap_or(Algorithm::Hs256);
        Self { keys: [Some(DecodingKey::from_secret(secret)), None], algorithm }
    }
}

/// What a token says, not yet proved. Only good for finding the key that may prove it.
#[derive(Debug)]
pub(crate) struct UnverifiedClaims<'t> {
    algorithm: String,
    message: &'t str,
    signature: &'t str,
    claims: Claims,
}

/// The token of a request. The scheme is taken in any case (RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Failure::Missing) };
    let value = value.to_str().map_err(|_| Failure::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(Failure::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Failure::Missing);
    }
    Ok(token.trim_matches(' '))
}

impl<'t> UnverifiedClaims<'t> {
    /// Reads a token.
    pub(crate) fn read(token: &'t str) -> Result<Self, Failure> {
        Self::parse(token).ok_or(Failure::Malformed)
    }

    fn parse(token: &'t str) -> Option<Self> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let (header, payload) = (decode(header)?, decode(payload)?);
        let algorithm = algorithm(&header)?;
        URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { algorithm, message, signature, claims: claims(&payload)? })
    }

    /// The app that this token claims to be of.
    pub(crate) fn client(&self) -> &shared::domain::ids::ClientId {
        &self.claims.client
    }

    /// Proves the claims. The signature is computed whatever else is wrong, so that the time tells
    /// nothing.
    pub(crate) fn verify(self, key: &Key) -> Result<Claims, Failure> {
        let algorithm = match key.algorithm {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        };
        let message = self.message.as_bytes();
        let good = |key: &DecodingKey| {
            jsonwebtoken::crypto::verify(self.signature, message, key, algorithm)
                .is_ok_and(|yes| yes)
        };
        let proved = key.keys.iter().flatten().any(good);
        if self.algorithm != key.algorithm.as_str() {
            return Err(Failure::Algorithm);
        }
        if proved { Ok(self.claims) } else { Err(Failure::Signature) }
    }
}

fn decode(part: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The header's `alg`, unless the header asks for what is not done here (RFC 7515 §4.1.11, RFC 7797).
fn algorithm(header: &str) -> Option<String> {
    let header = Node::parse(header, BOUNDS).ok()?;
    let header = unambiguous(&header)?;
    if header.has("crit") || header.has("b64") {
        return None;
    }
    header.get("alg")?.text().map(str::to_owned)
}

fn claims(payload: &str) -> Option<Claims> {
    let payload = Node::parse(payload, BOUNDS).ok()?;
    let payload = unambiguous(&payload)?;
    let client = payload.get("appId").or_else(|| payload.get("iss"))?.text()?;
    let bounded = (1..=ID_MAX).contains(&client.len());
    // `sub` must be there, though nothing depends on it; some clients send a number.
    let subject = match payload.get("sub")? {
        Node::Text(text) => text.len() <= ID_MAX,
        Node::Number(_) => true,
        _ => false,
    };
    let expires = numeric_date(payload, "exp")?;
    let not_before = numeric_date(payload, "nbf")?;
    // Both are anybody's business only where the app asks for them: then they must be of the right kind.
    let issued = match payload.get("iat") {
        Some(Node::Number(seconds)) => Some(*seconds),
        _ => None,
    };
    let once = payload.get("jti").and_then(Node::text);
    let once = once.filter(|once| (1..=ID_MAX).contains(&once.len())).map(str::to_owned);
    (bounded && subject).then(|| Claims {
        client: client.into(),
        expires,
        not_before,
        issued,
        once,
    })
}

/// `Some(None)` when it is absent, `None` when it is no number.
#[expect(clippy::option_option, reason = "absent is fine, wrong is not")]
fn numeric_date(payload: Fields<'_, '_>, name: &str) -> Option<Option<f64>> {
    match (payload.has(name), payload.get(name)) {
        (false, _) => Some(None),
        (true, Some(Node::Number(seconds))) => Some(Some(*seconds)),
        (true, _) => None,
    }
}

fn unambiguous<'n, 'a>(node: &'n Node<'a>) -> Option<Fields<'n, 'a>> {
    node.fields().filter(|fields| fields.twice().is_none())
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
