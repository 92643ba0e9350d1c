//! Mints tokens as clients do: `appId`, `sub`, and times, signed with the app's own secret.

use jsonwebtoken::{EncodingKey, Header};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::registry::{Algorithm, App, Registry};

use super::find;
use super::views::TokenView;

/// What is asked for.
#[derive(Serialize, Deserialize)]
pub struct Ask {
    /// The app, by client id or name.
    pub app: String,
    pub sub: String,
    /// Milliseconds from now; `None` for a token that never ends.
    pub valid_ms: Option<u64>,
    /// Refuse unless the app is pinned to it.
    pub algorithm: Option<String>,
}

pub fn token(registry: &Registry, ask: &Ask, now_ms: u64) -> Result<TokenView, String> {
    let app = find::app(registry, &ask.app)?;
    if let Some(text) = &ask.algorithm
        && Algorithm::parse(text) != Some(app.algorithm)
    {
        return Err(format!("the app is pinned to {}, not {text}", app.algorithm.as_str()));
    }
    mint(&app, &ask.sub, ask.valid_ms, now_ms)
}

pub fn mint(app: &App, sub: &str, valid_ms: Option<u64>, now_ms: u64) -> Result<TokenView, String> {
    let algorithm = match app.algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
        Algorithm::Rs256 | Algorithm::Rs512 => {
            return Err("the app signs its own tokens: only its public key is known".to_owned());
        }
    };
    let expires = valid_ms.map(|ms| now_ms.saturating_add(ms) / 1_000);
    let mut claims = json!({"appId": app.client_id.as_str(), "sub": sub, "iat": now_ms / 1_000});
    if let (Some(claims), Some(expires)) = (claims.as_object_mut(), expires) {
        claims.insert("exp".to_owned(), expires.into());
    }
    let key = EncodingKey::from_secret(app.secret.expose_secret().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key)
        .map_err(|error| format!("the token could not be signed: {error}"))?;
    Ok(TokenView { token, client_id: app.client_id.to_string(), expires })
}
