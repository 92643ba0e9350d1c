//! What the documents say is what the binary does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{Data, stdout, switchhook};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_readmes_settings_are_the_binarys() {
    let output = switchhook(&["settings", "--markdown"]).output().unwrap();
    let table = stdout(&output);
    assert!(table.lines().count() > 30);
    let readme = read("README.md");
    assert!(
        readme.contains(table.trim()),
        "README.md's settings differ; put in what `switchhook settings --markdown` prints"
    );
}

#[test]
fn the_schema_of_an_exported_bot_is_the_binarys() {
    let output = switchhook(&["bot", "export", "--schema"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        read("docs/bot.schema.json"),
        stdout(&output),
        "put in what `switchhook bot export --schema` prints"
    );
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let readme = read("README.md");
    let promises = readme.split("## Promises").nth(1).unwrap().split("\n## ").next().unwrap();
    let numbered: Vec<_> = promises
        .lines()
        .filter(|line| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok()))
        .collect();
    assert_eq!(numbered.len(), 9, "{numbered:#?}");
    let named: BTreeSet<&str> =
        promises.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    assert!(named.len() >= 9, "{named:?}");
    named.into_iter().for_each(exists);
}

/// A test is named as `path/of/file.rs::name_of_the_test`.
fn exists(name: &str) {
    let (file, test) = name.split_once("::").unwrap();
    let source = read(file);
    let found = ["(", "<"].iter().any(|after| source.contains(&format!("fn {test}{after}")));
    assert!(found, "{file} has no test {test}");
}

#[test]
fn every_guarantee_and_every_schedule_names_tests_that_exist() {
    let page = read("docs/guarantees.md");
    let named: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.contains(".rs::")).collect();
    named.iter().copied().for_each(exists);
    assert!(named.len() >= 45, "only {} are named", named.len());
    let schedules = page.split("## Schedules").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = schedules.lines().filter(|line| line.starts_with("| ")).count() - 1;
    assert_eq!(rows, 16);
}

#[test]
fn the_example_of_a_registry_file_can_be_applied() {
    let page = read("docs/registry-file.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let data = Data::new();
    let file = data.file("registry.toml", example);
    let lines = data.json(&["apply", "--file", &file]);
    assert!(lines.as_array().unwrap().len() >= 4, "{lines}");
}

#[test]
fn every_word_of_the_registry_file_is_explained() {
    let page = read("docs/registry-file.md");
    let drafts = read("console/src/office/drafts.rs");
    let fields = drafts.lines().filter_map(|line| line.trim().strip_prefix("pub "));
    let fields = fields.filter(|field| !field.starts_with("fn "));
    let fields = fields.filter_map(|field| field.split_once(':').map(|(name, _)| name));
    let missing: Vec<_> = fields.filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/registry-file.md does not explain {missing:?}");
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(root().join(target).exists(), "{page} links to {target}");
        }
    }
}
