//! What every turn of a measurement says, and the token it comes with: the same for product and
//! yardsticks.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// The secret of the measurements' app; never a real one.
pub(crate) const SECRET: &str = "benchmark-only-never-a-real-secret-0123456789";
pub(crate) const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-00000000be4c";

/// About 300 bytes of JSON. `number` tells the turn apart; the bot's answer carries it back.
pub(crate) fn body(user: usize, number: u64) -> String {
    format!(
        concat!(
            r#"{{"session":{{"new":false}},"message":{{"text":"turn {number} says hello"}},"#,
            r#""from":{{"id":"user-{user}","userInfo":{{"firstName":"Jane","lastName":"Doe","#,
            r#""email":"jane.doe@example.org"}}}},"to":{{"id":"st-bench"}},"#,
            r#""customData":{{"userToken":"0123456789abcdef0123456789abcdef","plan":"gold","basket":[1,2,3]}}}}"#
        ),
        number = number,
        user = user,
    )
}

/// Finds the turn's number in an answer or a delivery: the digits after `turn `.
pub(crate) fn number_in(body: &[u8]) -> Option<u64> {
    let at = body.windows(5).position(|window| window == b"turn ")? + 5;
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut any = false;
    let number = digits.fold(0u64, |n, digit| {
        any = true;
        n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    });
    any.then_some(number)
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "appId")]
    pub app_id: String,
    pub sub: String,
}

pub(crate) fn token() -> anyhow::Result<String> {
    let claims = Claims { app_id: CLIENT_ID.to_owned(), sub: "bench".to_owned() };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// Checks tokens as the bare chain does: signature and nothing else.
pub(crate) struct Verifier(DecodingKey, Validation);

impl Verifier {
    pub(crate) fn new() -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        Self(DecodingKey::from_secret(SECRET.as_bytes()), validation)
    }

    pub(crate) fn accepts(&self, authorization: Option<&str>) -> bool {
        authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| jsonwebtoken::decode::<Claims>(token, &self.0, &self.1).ok())
            .is_some_and(|token| token.claims.app_id == CLIENT_ID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_of_about_300_bytes_and_tells_its_number() {
        let body = body(3, 12_345);
        assert!((280..380).contains(&body.len()), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
        assert_eq!(number_in(body.as_bytes()), Some(12_345));
        assert_eq!(number_in(b"{}"), None);
    }

    #[test]
    fn only_the_right_token_is_accepted() {
        let verifier = Verifier::new();
        let token = token().unwrap();
        assert!(verifier.accepts(Some(&format!("Bearer {token}"))));
        assert!(!verifier.accepts(Some(&format!("Bearer {token}x"))));
        assert!(!verifier.accepts(None));
    }
}
