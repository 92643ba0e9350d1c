//! Signatures of Standard Webhooks 1.0: `v1,` and the base64 of an HMAC-SHA256 over
//! `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// A key that signs.
#[derive(Clone, Debug)]
pub(crate) struct Key(hmac::Key);

impl Key {
    /// Reads `whsec_` and base64 (the prefix may be missing, as the specification allows). `None` when
    /// it is neither.
    pub(crate) fn parse(secret: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()?;
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`. `id` holds no dot.
    pub(crate) fn sign(&self, id: &str, unix_secs: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{unix_secs}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_standards_example() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_no_base64_is_no_key() {
        for bad in ["", "whsec_", "whsec_%%%", "not base64 at all"] {
            assert!(Key::parse(bad).is_none(), "{bad}");
        }
    }
}
