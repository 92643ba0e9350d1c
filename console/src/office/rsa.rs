//! Whether a customer's public key is one that tokens can be checked with.

use aws_lc_rs::rsa::PublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The fewest bits of a modulus (RFC 7518 §3.3), and the most that a check is worth.
const BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// Longest PEM.
const PEM_MAX: usize = 16 * 1024;

/// Refuses, in words, what is no RSA public key in PEM.
pub(super) fn check(pem: &str) -> Result<(), String> {
    let pem = pem.trim();
    if pem.is_empty() {
        return Err("an RSA public key in PEM is needed".to_owned());
    }
    if pem.contains("PRIVATE KEY") {
        return Err("this is a private key: keep it, and give the public one".to_owned());
    }
    let body = ["PUBLIC KEY", "RSA PUBLIC KEY"].into_iter().find_map(|label| {
        let body = pem.strip_prefix(&format!("-----BEGIN {label}-----"))?;
        body.strip_suffix(&format!("-----END {label}-----"))
    });
    let der = body.filter(|_| pem.len() <= PEM_MAX).and_then(|body| {
        let text: String = body.split_ascii_whitespace().collect();
        BASE64_STANDARD.decode(text).ok()
    });
    let key = der.and_then(|der| PublicKey::from_der(&der).ok());
    let Some(key) = key else { return Err("not an RSA public key in PEM".to_owned()) };
    if BITS.contains(&key.modulus_len().saturating_mul(8)) {
        return Ok(());
    }
    Err(format!("an RSA key of {} to {} bits", BITS.start(), BITS.end()))
}
