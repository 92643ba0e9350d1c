//! What is said of the binary's parts is what is locked.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::generated::root;

#[test]
fn the_bill_of_materials_names_what_is_linked_with_its_checksum_and_nothing_else() {
    let text = deploy::sbom::document(&root()).unwrap();
    assert_eq!(text, deploy::sbom::document(&root()).unwrap(), "it depends on when it is made");
    let document: Value = serde_json::from_str(&text).unwrap();
    let components = document["components"].as_array().unwrap();
    assert!(components.len() > 150, "only {} components", components.len());
    let names: BTreeSet<_> =
        components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    for linked in ["tokio", "lapin", "rusqlite", "aws-lc-rs", "rquickjs", "ingress", "console"] {
        assert!(names.contains(linked), "{linked} is missing");
    }
    for not_linked in ["proptest", "opentelemetry-proto", "e2e", "sim", "ring", "openssl"] {
        assert!(!names.contains(not_linked), "{not_linked} is not in the binary");
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in components {
        let (name, version) =
            (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let entry = lock.split("[[package]]\n").find(|entry| entry.starts_with(&locked)).unwrap();
        match component["hashes"][0]["content"].as_str() {
            Some(hash) => assert!(entry.contains(hash), "{name}"),
            None => assert!(!entry.contains("source = "), "{name} has no checksum"),
        }
        let licensed = component["licenses"][0]["expression"].is_string();
        assert!(licensed, "{name} has no licence");
    }
    let known: BTreeSet<_> =
        components.iter().map(|component| component["purl"].clone().to_string()).collect();
    let on = document["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|edge| edge["dependsOn"].as_array().unwrap());
    assert!(on.filter(|to| !known.contains(&to.to_string())).count() == 0, "an edge leads nowhere");
}
