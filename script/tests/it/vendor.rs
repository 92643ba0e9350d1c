//! What is taken from others: unchanged since it was made, and each file with its licence.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

fn vendor() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor")
}

fn read(name: &str) -> String {
    fs::read_to_string(vendor().join(name)).unwrap()
}

fn there(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(vendor().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The cells of the rows of a table, by its first heading.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let start = page.find(&format!("| {heading} |")).unwrap();
    let rows = page[start..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn every_file_has_the_hash_that_is_written_down() {
    let sums = read("SHA256SUMS");
    let mut named = BTreeSet::new();
    for line in sums.lines() {
        let (sum, path) = line.split_once("  ").unwrap();
        assert_eq!(sha256(&fs::read(vendor().join(path)).unwrap()), sum, "{path}");
        named.insert(path.strip_prefix("dist/").unwrap().to_owned());
    }
    assert_eq!(named, there("dist"));
}

#[test]
fn every_file_names_its_packages_and_every_package_has_its_licence() {
    let page = read("THIRD-PARTY.md");
    let files = table(&page, "file of dist/");
    let packages = table(&page, "package");
    assert_eq!(files.iter().map(|row| row[0].clone()).collect::<BTreeSet<_>>(), there("dist"));
    let used: BTreeSet<&str> = files.iter().flat_map(|row| row[1].split(", ")).collect();
    assert_eq!(used, packages.iter().map(|row| row[0].as_str()).collect());
    let lock: serde_json::Value = serde_json::from_str(&read("package-lock.json")).unwrap();
    let mut texts = BTreeSet::new();
    for row in &packages {
        let [name, version, licence, text] = row.as_slice() else { panic!("{row:?}") };
        let locked = &lock["packages"][format!("node_modules/{name}")];
        assert_eq!(locked["version"], version.as_str(), "{name}");
        assert!(locked["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")));
        // As in deny.toml, and 0BSD, which asks for nothing.
        let free = ["MIT", "BSD-3-Clause", "ISC", "0BSD", "Unicode-3.0"];
        assert!(free.contains(&licence.as_str()), "{name}: {licence}");
        let file = text.split(['[', ']']).nth(1).unwrap();
        assert!(read(&format!("licences/{file}")).len() > 300, "{name}: no licence");
        texts.insert(file.to_owned());
    }
    assert_eq!(texts, there("licences"));
}
