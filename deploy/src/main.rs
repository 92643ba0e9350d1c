//! `cargo run -p deploy`: writes the generated files of `deploy/`.

use std::io::Write as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changed = deploy::write(here.parent().unwrap_or(here))?;
    let mut out = std::io::stdout().lock();
    for path in &changed {
        writeln!(out, "{path}")?;
    }
    Ok(writeln!(out, "{} files were written", changed.len())?)
}
