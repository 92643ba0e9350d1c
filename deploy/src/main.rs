//! `cargo run -p deploy`: writes the generated files of `deploy/`. `cargo run -p deploy -- sbom`: prints what
//! the binary is made of.

use std::io::Write as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().unwrap_or(here);
    let mut out = std::io::stdout().lock();
    if std::env::args().nth(1).as_deref() == Some("sbom") {
        return Ok(writeln!(out, "{}", deploy::sbom::document(root)?)?);
    }
    let changed = deploy::write(root)?;
    for path in &changed {
        writeln!(out, "{path}")?;
    }
    Ok(writeln!(out, "{} files were written", changed.len())?)
}
