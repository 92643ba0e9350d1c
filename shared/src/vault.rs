//! Secrets at rest: AES-256-GCM, with the place of the secret (table, row, column) as associated data,
//! so that a ciphertext moved to another row does not open (threat T40).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::entropy::Entropy;

const NONCE_LEN: usize = 12;

/// Encrypts with the installation's key, and decrypts with it or with those before it.
#[derive(Clone)]
pub struct Vault {
    /// The first seals, all of them open.
    keys: Arc<[LessSafeKey]>,
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
        Self::with_previous(key, &[], entropy)
    }

    /// One that also opens what earlier keys have sealed, and seals with none of them.
    pub fn with_previous(current: &[u8; 32], previous: &[[u8; 32]], entropy: Entropy) -> Self {
        let key = |bytes: &[u8; 32]| {
            let key = UnboundKey::new(&AES_256_GCM, bytes);
            LessSafeKey::new(key.expect("invariant: the key has 32 bytes"))
        };
        Self { keys: std::iter::once(current).chain(previous).map(key).collect(), entropy }
    }

    /// Nonce, ciphertext and tag.
    pub fn seal(&self, spot: Spot<'_>, secret: &SecretString) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut bytes = secret.expose_secret().as_bytes().to_vec();
        self.keys[0]
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(spot.aad()),
                &mut bytes,
            )
            .expect("invariant: a secret is far shorter than the cipher's limit");
        [&nonce[..], &bytes].concat()
    }

    pub fn open(&self, spot: Spot<'_>, sealed: &[u8]) -> Result<SecretString, Sealed> {
        self.keys.iter().find_map(|key| open(key, spot, sealed)).ok_or(Sealed)
    }

    /// The same secret, sealed with the current key; `None` when it is sealed with that already.
    pub fn reseal(&self, spot: Spot<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, Sealed> {
        if open(&self.keys[0], spot, sealed).is_some() {
            return Ok(None);
        }
        self.open(spot, sealed).map(|secret| Some(self.seal(spot, &secret)))
    }
}

fn open(key: &LessSafeKey, spot: Spot<'_>, sealed: &[u8]) -> Option<SecretString> {
    let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = bytes.to_vec();
    let opened = key.open_in_place(nonce, Aad::from(spot.aad()), &mut bytes).ok()?;
    String::from_utf8(opened.to_vec()).map(SecretString::from).ok()
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

    #[test]
    fn earlier_keys_open_and_only_the_current_one_seals() {
        let old = Vault::new(&[1; 32], Entropy::seeded(1));
        let both = Vault::with_previous(&[2; 32], &[[1; 32]], Entropy::seeded(2));
        let new = Vault::new(&[2; 32], Entropy::seeded(3));
        let sealed = old.seal(SPOT, &"s3cret".into());
        assert_eq!(both.open(SPOT, &sealed).unwrap().expose_secret(), "s3cret");
        let again = both.reseal(SPOT, &sealed).unwrap().unwrap();
        assert_eq!(new.open(SPOT, &again).unwrap().expose_secret(), "s3cret");
        assert_eq!(old.open(SPOT, &again).unwrap_err(), Sealed);
        assert_eq!(both.reseal(SPOT, &again), Ok(None));
        assert_eq!(new.reseal(SPOT, &sealed), Err(Sealed));
        // A place stays a part of what is sealed.
        assert_eq!(both.reseal(Spot { row: "cs-2", ..SPOT }, &sealed), Err(Sealed));
    }
}
