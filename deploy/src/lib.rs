//! What `deploy/` holds that follows from the code: written by `cargo run -p deploy`, compared by a test.
//!
//! It knows no room. Whatever is written by hand stays out of here.

pub mod dashboards;
pub mod environment;
pub mod rules;
pub mod sbom;

use std::path::Path;

/// A generated file: its path from the repository's root, and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// Every generated file.
pub fn files() -> Vec<File> {
    let file = |path: &str, text: String| File { path: path.to_owned(), text };
    let mut files =
        vec![file(environment::PATH, environment::text()), file(rules::PATH, rules::text())];
    files.extend(dashboards::files());
    files
}

/// Writes every generated file below `root`; returns those that were different.
pub fn write(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut changed = Vec::new();
    for file in files() {
        let path = root.join(&file.path);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&file.text) {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, &file.text)?;
            changed.push(file.path);
        }
    }
    Ok(changed)
}
