//! The few arguments of a room's own binary.

use std::path::PathBuf;

use super::Failure;
use crate::config;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Run, with this settings file.
    Run(Option<PathBuf>),
    /// Print this.
    Tell(String),
}

pub(super) fn read(
    name: &str,
    mut given: impl Iterator<Item = String>,
) -> Result<Arguments, Failure> {
    let usage = format!("Usage: {name} [--config FILE]");
    let mut file = config::file_of_environment();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Arguments::Tell(usage)),
            "-V" | "--version" => {
                return Ok(Arguments::Tell(format!("{name} {}", env!("CARGO_PKG_VERSION"))));
            }
            "--config" => match given.next() {
                Some(path) => file = Some(path.into()),
                None => return Err(Failure::usage(format!("--config needs a file\n{usage}"))),
            },
            other => match other.strip_prefix("--config=") {
                Some(path) => file = Some(path.into()),
                None => return Err(Failure::usage(format!("unknown argument {other}\n{usage}"))),
            },
        }
    }
    Ok(Arguments::Run(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Arguments, Failure> {
        read("ingress", arguments.iter().map(|&text| text.to_owned()))
    }

    #[test]
    fn a_room_takes_a_settings_file_and_nothing_else() {
        let file = Arguments::Run(Some("a.toml".into()));
        assert_eq!(of(&["--config", "a.toml"]).unwrap(), file);
        assert_eq!(of(&["--config=a.toml"]).unwrap(), file);
        assert!(matches!(of(&["--help"]), Ok(Arguments::Tell(text)) if text.contains("--config")));
        for bad in [&["--config"][..], &["serve"], &["--listen=1"]] {
            assert_eq!(of(bad).unwrap_err().code, 64, "{bad:?}");
        }
    }
}
