use super::*;
use crate::vault::Spot;

const SPOT: Spot<'_> = Spot { table: "app", row: "cs-1", column: "secret" };

/// What one vault has sealed, opened by another.
fn opens(vault: &Vault, sealed_by: &Vault) -> bool {
    vault.open(SPOT, &sealed_by.seal(SPOT, &"s3cret".into())).is_ok()
}

fn settings(folder: &Path, environment: &[(&str, &str)]) -> Settings {
    let flags = [("engines.data", folder.display().to_string())];
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    crate::config::load_from(None, &flags, pairs).unwrap()
}

#[test]
fn made_keys_are_for_the_owner_only_and_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = settings(&data, &[]);
    let first = load(&settings, &Entropy::Real, WhenMissing::Make).unwrap();
    let mode = std::fs::metadata(data.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "no draft is left behind");
    let second = load(&settings, &Entropy::Real, WhenMissing::Refuse).unwrap();
    assert!(opens(&second.vault, &first.vault));
    let sealed = first.envelope.seal(crate::wire::envelope::Kind::Turn, b"x");
    assert!(second.envelope.open(crate::wire::envelope::Kind::Turn, &sealed).is_ok());
}

#[test]
fn without_keys_a_process_of_many_refuses_and_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[]);
    let refused = load(&settings, &Entropy::Real, WhenMissing::Refuse).err().unwrap();
    assert!(refused.to_string().starts_with("keys.vault is not set"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn keys_of_the_settings_need_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let key = BASE64_STANDARD.encode([7; 32]);
    let keys = [("SWITCHHOOK_ENVELOPE_KEYS", key.as_str()), ("SWITCHHOOK_KEYS_VAULT", &key)];
    let ring = load(&settings(folder.path(), &keys), &Entropy::Real, WhenMissing::Refuse).unwrap();
    assert!(opens(&ring.vault, &Vault::new(&[7; 32], Entropy::Real)));
    let alone = settings(folder.path(), &keys[..1]);
    assert!(load(&alone, &Entropy::Real, WhenMissing::Refuse).is_err());
}

#[test]
fn the_first_of_several_vault_keys_seals_and_all_open() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [[7; 32], [8; 32]].map(|key| BASE64_STANDARD.encode(key));
    let old_vault = Vault::new(&[7; 32], Entropy::Real);
    let new_vault = Vault::new(&[8; 32], Entropy::Real);
    let both = format!("{new},{old}");
    let keys = [("SWITCHHOOK_ENVELOPE_KEYS", old.as_str()), ("SWITCHHOOK_KEYS_VAULT", &both)];
    let ring = load(&settings(folder.path(), &keys), &Entropy::Real, WhenMissing::Refuse).unwrap();
    assert!(opens(&ring.vault, &old_vault) && opens(&ring.vault, &new_vault));
    assert!(opens(&new_vault, &ring.vault) && !opens(&old_vault, &ring.vault));
    // The same in the data folder's file.
    let settings = settings(folder.path(), &[]);
    load(&settings, &Entropy::Real, WhenMissing::Make).unwrap();
    let text = format!("envelope = [\"{old}\"]\nvault = [\"{new}\", \"{old}\"]\n");
    std::fs::write(folder.path().join(FILE), text).unwrap();
    let ring = load(&settings, &Entropy::Real, WhenMissing::Refuse).unwrap();
    assert!(opens(&ring.vault, &old_vault) && opens(&new_vault, &ring.vault));
}

#[test]
fn short_keys_and_readable_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let short = [("SWITCHHOOK_KEYS_ENVELOPE", "AAAA"), ("SWITCHHOOK_KEYS_VAULT", "AAAA")];
    let refused = load(&settings(folder.path(), &short), &Entropy::Real, WhenMissing::Make);
    assert!(refused.err().unwrap().to_string().starts_with("keys.envelope: "));
    let settings = settings(folder.path(), &[]);
    load(&settings, &Entropy::Real, WhenMissing::Make).unwrap();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join(FILE), open).unwrap();
    let refused = load(&settings, &Entropy::Real, WhenMissing::Make).err().unwrap();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}
