//! The settings table, as the README has it.

use shared::config::{Setting, TABLE};
use shared::process::Failure;

use crate::cli::Settings;
use crate::output;

pub(crate) fn run(args: &Settings) -> Result<(), Failure> {
    if args.markdown {
        return output::line(&markdown());
    }
    let row = |setting: &Setting| {
        vec![setting.key.to_owned(), setting.default.to_owned(), setting.help.trim().to_owned()]
    };
    output::table(&["SETTING", "DEFAULT", "MEANING"], &TABLE.iter().map(row).collect::<Vec<_>>())
}

fn markdown() -> String {
    let row = |setting: &Setting| {
        let default = match setting.default {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        format!("| `{}` | {default} | {} |", setting.key, setting.help.trim())
    };
    let head = "| setting | default | meaning |\n|---|---|---|".to_owned();
    std::iter::once(head).chain(TABLE.iter().map(row)).collect::<Vec<_>>().join("\n")
}
