//! Scripts on their way into the registry: read where somebody typed their name, checked, never run.

use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use shared::registry::ScriptLogic;

use super::drafts::BotDraft;
use super::validate::Wrong;

/// Bytes of the largest set of variables.
const ENV_MAX: usize = 64 * 1024;

impl BotDraft {
    /// Reads its script; `-` is standard input.
    pub fn read_script(&mut self, path: &Path) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let most = u64::try_from(ScriptLogic::SOURCE_MAX + 1).unwrap_or(u64::MAX);
        let mut source = String::new();
        if path == Path::new("-") {
            std::io::stdin().lock().take(most).read_to_string(&mut source).map_err(wrong)?;
        } else {
            let file = std::fs::File::open(path).map_err(wrong)?;
            file.take(most).read_to_string(&mut source).map_err(wrong)?;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.source_name = name.filter(|name| name != "-");
        self.source = Some(source);
        Ok(())
    }
}

/// What the draft says of a script.
pub(super) fn logic(draft: &BotDraft, source: &str, wrong: &mut Wrong) -> ScriptLogic {
    let name = draft.source_name.clone().unwrap_or_else(|| "script.js".to_owned());
    if name.is_empty() || name.len() > 200 || name.contains(char::is_control) {
        wrong.push("script: its name has 1 to 200 bytes and no control characters".to_owned());
    }
    let most = ScriptLogic::SOURCE_MAX;
    if source.trim().is_empty() || source.len() > most || source.contains('\0') {
        wrong.push(format!("script: 1 to {most} bytes, no NUL"));
    } else if let Err(fault) = script::engine::check(&name, source) {
        wrong.push(format!("script: {}", fault.describe(&name, source)));
    }
    let env = draft.env.as_ref().map(|env| serde_json::json!(env).to_string());
    if env.as_ref().is_some_and(|env| env.len() > ENV_MAX) {
        wrong.push("env: at most 64 KiB".to_owned());
    }
    let (env, restart_dialogs) = (env.map(SecretString::from), draft.restart_dialogs);
    ScriptLogic { name, source: source.into(), env, restart_dialogs }
}
