//! Tokens of every shape, good and bad, built byte by byte: libraries refuse to build the bad ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};

pub(crate) const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims as they are, and an HMAC-SHA256 over just these bytes.
pub(crate) fn signed(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>, secret: &str) -> String {
    sign(&format!("{}.{}", encode(header), encode(claims)), secret, Algorithm::HS256)
}

/// `header.claims` with their signature appended.
pub(crate) fn sign(input: &str, secret: &str, algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, algorithm);
    format!("{input}.{}", signature.expect("an HMAC can be made of any bytes"))
}

/// The smallest token that the protocol accepts; it never ends.
pub(crate) fn minimal(client: &str, secret: &str) -> String {
    signed(HS256, format!(r#"{{"appId":"{client}","sub":"1234567890"}}"#), secret)
}
