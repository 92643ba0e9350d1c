//! Registry files: read with the scripts that they name.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::process::Failure;

use crate::office::apply::RegistryFile;

/// What the file says, or all of a folder's files together.
pub(crate) fn read(path: &Path) -> Result<RegistryFile, Failure> {
    let mut whole = RegistryFile::default();
    for path in list(path)? {
        whole.extend(one(&path)?);
    }
    Ok(whole)
}

/// The registry files, and the scripts that they name as far as that can be read.
pub(crate) fn named(path: &Path) -> Vec<PathBuf> {
    let files = list(path).unwrap_or_else(|_| vec![path.to_owned()]);
    let scripts: Vec<PathBuf> = files.iter().flat_map(|file| scripts(file)).collect();
    files.into_iter().chain(scripts).collect()
}

/// The file itself, or those of a folder that end in `.toml`, by name.
fn list(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(wrong)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(wrong)? {
        let file = entry.map_err(wrong)?.path();
        if file.extension().is_some_and(|end| end == "toml") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(format!("{}: no file in it ends in .toml", path.display())));
    }
    files.sort();
    Ok(files)
}

fn one(path: &Path) -> Result<RegistryFile, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let mut file: RegistryFile =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    for bot in &mut file.bots {
        if let Some(script) = bot.script.take() {
            let read = bot.read_script(&folder(path).join(script));
            read.map_err(|why| Failure::usage(format!("bot {:?}: {why}", bot.name)))?;
        }
    }
    Ok(file)
}

/// A script's path is relative to the file that names it.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn scripts(path: &Path) -> Vec<PathBuf> {
    #[derive(Default, Deserialize)]
    struct Names {
        #[serde(default)]
        bots: Vec<Name>,
    }
    #[derive(Deserialize)]
    struct Name {
        script: Option<PathBuf>,
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Names { bots } = toml::from_str(&text).unwrap_or_default();
    bots.into_iter().filter_map(|bot| Some(folder(path).join(bot.script?))).collect()
}
