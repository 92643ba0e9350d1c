//! Where an installation's keys come from: the settings, or a file in the data folder that is made
//! once. The file is readable by its owner only and never overwritten.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Settings;
use crate::entropy::Entropy;
use crate::vault::Vault;
use crate::wire::envelope::Keys;

/// The file in the data folder.
pub const FILE: &str = "keys.toml";

/// The keys of one installation.
pub struct KeyRing {
    pub envelope: Keys,
    pub vault: Vault,
}

/// What to do when neither the settings nor the data folder have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Make the file: this process is the whole installation, or starts one.
    Make,
    /// Refuse: keys that only this process had would cut it off from the others.
    Refuse,
}

/// Why there are no keys. An operator's words.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(
        "{key} is not set and {} does not exist: every process of an installation needs the same \
         keys (`openssl rand -base64 32` makes one)", .file.display()
    )]
    Missing { key: &'static str, file: PathBuf },
    #[error("{place}: {why}")]
    Bad { place: String, why: &'static str },
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: std::io::Error },
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    envelope: Vec<String>,
    vault: OneOrMore,
}

/// One is written as releases before the second one read it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Reads the keys: settings before file. Each of the two settings may be missing alone.
pub fn load(
    settings: &Settings,
    entropy: &Entropy,
    when_missing: WhenMissing,
) -> Result<KeyRing, KeysError> {
    let envelope: Vec<_> = settings.keys.envelope.iter().map(expose).collect();
    let vault: Vec<_> = settings.keys.vault.iter().map(expose).collect();
    let path = settings.engines.data.join(FILE);
    let file = if envelope.is_empty() || vault.is_empty() {
        Some(read_or_make(&path, entropy, when_missing)?)
    } else {
        None
    };
    let (envelope, envelope_place) = match &file {
        Some(Some(file)) if envelope.is_empty() => {
            (file.envelope.clone(), format!("{}: envelope", path.display()))
        }
        _ => (envelope, "keys.envelope".to_owned()),
    };
    let (vault, vault_place) = match file.flatten() {
        Some(file) if vault.is_empty() => (file.vault.all(), format!("{}: vault", path.display())),
        _ => (vault, "keys.vault".to_owned()),
    };
    if vault.is_empty() {
        return Err(KeysError::Missing { key: "keys.vault", file: path });
    }
    if envelope.is_empty() {
        return Err(KeysError::Missing { key: "keys.envelope", file: path });
    }
    Ok(KeyRing {
        envelope: envelope_keys(&envelope, envelope_place)?,
        vault: vault_keys(&vault, vault_place, entropy)?,
    })
}

/// Makes the data folder, for its owner only.
pub fn make_folder(path: &Path) -> Result<(), KeysError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| KeysError::File { path: path.to_owned(), error })
}

fn expose(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

fn envelope_keys(texts: &[String], place: String) -> Result<Keys, KeysError> {
    let keys: Option<Vec<_>> = texts.iter().map(|text| BASE64_STANDARD.decode(text).ok()).collect();
    keys.and_then(|keys| Keys::new(&keys))
        .ok_or(KeysError::Bad { place, why: "each key is at least 32 bytes in base64" })
}

fn vault_keys(texts: &[String], place: String, entropy: &Entropy) -> Result<Vault, KeysError> {
    let key = |text: &String| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
    let keys: Option<Vec<[u8; 32]>> = texts.iter().map(key).collect();
    match keys.as_deref() {
        Some([current, previous @ ..]) => {
            Ok(Vault::with_previous(current, previous, entropy.clone()))
        }
        _ => Err(KeysError::Bad { place, why: "each key is exactly 32 bytes in base64" }),
    }
}

impl OneOrMore {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(key) => vec![key],
            Self::More(keys) => keys,
        }
    }
}

fn read_or_make(
    path: &Path,
    entropy: &Entropy,
    when_missing: WhenMissing,
) -> Result<Option<KeyFile>, KeysError> {
    let failed = |error| KeysError::File { path: path.to_owned(), error };
    if !path.try_exists().map_err(failed)? {
        match when_missing {
            WhenMissing::Refuse => return Ok(None),
            WhenMissing::Make => make(path, entropy)?,
        }
    }
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let place = path.display().to_string();
        return Err(KeysError::Bad { place, why: "others can read the keys: chmod 600 it" });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let place = path.display().to_string();
    toml::from_str(&text)
        .map(Some)
        .map_err(|_| KeysError::Bad { place, why: "it does not hold `envelope` and `vault`" })
}

/// Writes the file completely before it gets its name, and never over another's: of two that start
/// at once, both end up with the keys of the first.
fn make(path: &Path, entropy: &Entropy) -> Result<(), KeysError> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let failed = |error| KeysError::File { path: path.to_owned(), error };
    let random = || {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        BASE64_STANDARD.encode(bytes)
    };
    let keys = KeyFile { envelope: vec![random()], vault: OneOrMore::One(random()) };
    let text = format!(
        "# The keys of this installation. Keep them secret, and keep them: without the vault key\n\
         # the stored secrets do not open.\n{}",
        toml::to_string(&keys).map_err(|error| failed(std::io::Error::other(error)))?
    );
    let draft = path.with_extension(format!("toml.{}", entropy.hex(8)));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let removed = std::fs::remove_file(&draft);
    written.and(removed).map_err(failed)
}

#[cfg(test)]
#[path = "keys/tests.rs"]
mod tests;
