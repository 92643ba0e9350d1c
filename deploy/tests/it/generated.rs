//! Generated files are what the code says now.

use std::path::{Path, PathBuf};

use deploy::environment::{CONTAINER, SECRETS};
use shared::config::{TABLE, load_from};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_generated_files_are_what_the_code_says() {
    for file in deploy::files() {
        let there = std::fs::read_to_string(root().join(&file.path)).unwrap_or_default();
        assert!(there == file.text, "{} is out of step: run `cargo run -p deploy`", file.path);
    }
}

#[test]
fn every_secret_setting_is_kept_out_of_the_config_map() {
    let table = std::fs::read_to_string(root().join("shared/src/config.rs")).unwrap();
    let secret = table.lines().filter(|line| line.contains(": ") && line.contains("SecretString"));
    let names: Vec<_> = secret
        .filter(|line| line.contains(" = \""))
        .filter_map(|line| line.trim().split_once(':').map(|(name, _)| name))
        .collect();
    let listed = SECRETS.map(|key| key.split('.').nth(1).unwrap());
    assert_eq!(names, listed, "deploy::environment::SECRETS is out of step with the settings");
}

#[test]
fn the_containers_settings_are_read_without_a_mistake() {
    let text = deploy::environment::text();
    let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    let settings = load_from(None, &[], pairs).unwrap();
    assert_eq!(settings.ingress.listen.port(), 8080);
    assert_eq!(settings.admin.listen.port(), 8081);
    assert_eq!(settings.log.format, "json");
    for (key, ..) in CONTAINER {
        assert!(TABLE.iter().any(|setting| setting.key == key), "{key} is no setting");
    }
}
