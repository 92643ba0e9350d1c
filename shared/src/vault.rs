//! Secrets at rest: AES-256-GCM, with the place of the secret (table, row, column) as associated data,
//! so that a ciphertext moved to another row does not open (threat T40).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::entropy::Entropy;

const NONCE_LEN: usize = 12;

/// Encrypts and decrypts with the installation's key.
#[derive(Clone)]
pub struct Vault {
    key: std::sync::Arc<LessSafeKey>,
    entropy: Entropy,
}

/// A secret did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret does not open: the key is another, or the row was altered")]
pub struct Sealed;

/// Where a secret stands.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
}

impl Spot<'_> {
    fn aad(self) -> Vec<u8> {
        let mut aad = Vec::new();
        for part in [self.table, self.row, self.column] {
            aad.extend_from_slice(&(part.len() as u64).to_le_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

impl Vault {
    pub fn new(key: &[u8; 32], entropy: Entropy) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("invariant: the key has 32 bytes");
        Self { key: std::sync::Arc::new(LessSafeKey::new(key)), entropy }
    }

    /// Nonce, ciphertext and tag.
    pub fn seal(&self, spot: Spot<'_>, secret: &SecretString) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut bytes = secret.expose_secret().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(spot.aad()),
                &mut bytes,
            )
            .expect("invariant: a secret is far shorter than the cipher's limit");
        [&nonce[..], &bytes].concat()
    }

    pub fn open(&self, spot: Spot<'_>, sealed: &[u8]) -> Result<SecretString, Sealed> {
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Sealed)?;
        let mut bytes = bytes.to_vec();
        let opened =
            self.key.open_in_place(nonce, Aad::from(spot.aad()), &mut bytes).map_err(|_| Sealed)?;
        String::from_utf8(opened.to_vec()).map(SecretString::from).map_err(|_| Sealed)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOT: Spot<'_> = Spot { table: "app", row: "cs-1", column: "secret" };

    #[test]
    fn a_secret_opens_only_at_its_own_place_and_with_its_own_key() {
        let vault = Vault::new(&[1; 32], Entropy::seeded(1));
        let sealed = vault.seal(SPOT, &"s3cret".into());
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(vault.open(SPOT, &sealed).unwrap().expose_secret(), "s3cret");
        for other in [Spot { row: "cs-2", ..SPOT }, Spot { column: "previous", ..SPOT }] {
            assert_eq!(vault.open(other, &sealed).unwrap_err(), Sealed);
        }
        let stranger = Vault::new(&[2; 32], Entropy::seeded(1));
        assert_eq!(stranger.open(SPOT, &sealed).unwrap_err(), Sealed);
        for short in 0..sealed.len() {
            assert_eq!(vault.open(SPOT, &sealed[..short]).unwrap_err(), Sealed, "{short}");
        }
    }
}
