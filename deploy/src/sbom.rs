//! What the binary is made of, as a `CycloneDX` 1.5 document: the crates that `switchhook` links, with the
//! checksums of `Cargo.lock`. Nothing in it depends on when or where it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// The platform of the image.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The document for the workspace at `root`.
pub fn document(root: &Path) -> Result<String> {
    let metadata = metadata(root)?;
    let checksums = checksums(&std::fs::read_to_string(root.join("Cargo.lock"))?);
    let built = built(root)?;
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])
        .filter(|package| built.contains(&purl(package)))
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let edges: BTreeMap<&str, BTreeSet<&str>> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, linked(node))))
        .collect();
    let switchhook = packages.iter().find(|(_, package)| package["name"] == "switchhook");
    let (main, _) = switchhook.context("there is no package switchhook")?;
    let mut reached = BTreeSet::from([*main]);
    let mut left = vec![*main];
    while let Some(id) = left.pop() {
        let further = edges.get(id).into_iter().flatten().filter(|id| packages.contains_key(*id));
        left.extend(further.filter(|next| reached.insert(**next)));
    }
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for id in &reached {
        let package = packages.get(id).with_context(|| format!("{id} is not described"))?;
        let of = |id: &str| packages.get(id).map(|package| purl(package));
        let on: Vec<_> = edges.get(id).into_iter().flatten().filter_map(|id| of(id)).collect();
        dependencies.push(json!({"ref": purl(package), "dependsOn": on}));
        if id != main {
            components.push(component(package, &checksums));
        }
    }
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(packages[main], &checksums)},
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&document)?)
}

fn metadata(root: &Path) -> Result<Value> {
    let arguments =
        ["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM];
    Ok(serde_json::from_slice(&cargo(root, &arguments)?)?)
}

/// What is built for the platform with the features that the binary has: `cargo metadata` also names what
/// only other members of the workspace switch on.
fn built(root: &Path) -> Result<BTreeSet<String>> {
    let arguments = ["tree", "--locked", "-p", "switchhook", "-e", "normal", "--prefix", "none"];
    let tree = cargo(root, &[&arguments[..], &["--no-dedupe", "--target", PLATFORM]].concat())?;
    let purl = |line: &str| {
        let (name, version) = line.split_once(" v")?;
        Some(format!("pkg:cargo/{name}@{}", version.split(' ').next()?))
    };
    Ok(String::from_utf8_lossy(&tree).lines().filter_map(purl).collect())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut cargo = Command::new("cargo");
    let output = cargo.args(arguments).current_dir(root).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a package is linked with: neither tests nor build scripts need be there when it runs.
fn linked(node: &Value) -> BTreeSet<&str> {
    let normal = |dep: &&Value| list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null());
    list(&node["deps"]).filter(normal).filter_map(|dep| dep["pkg"].as_str()).collect()
}

fn purl(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

fn component(package: &Value, checksums: &BTreeMap<String, String>) -> Value {
    let purl = purl(package);
    let kind = if package["name"] == "switchhook" { "application" } else { "library" };
    let mut component = json!({
        "type": kind, "bom-ref": purl, "purl": purl,
        "name": package["name"], "version": package["version"],
    });
    if let Some(license) = package["license"].as_str() {
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(checksum) = checksums.get(&purl) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The checksums of a lock file, by package URL.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let of = |package: &str| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_start_matches(" = ").trim_matches('"').to_owned())
        };
        let purl = format!("pkg:cargo/{}@{}", value("name")?, value("version")?);
        Some((purl, value("checksum")?))
    };
    lock.split("[[package]]\n").filter_map(of).collect()
}
