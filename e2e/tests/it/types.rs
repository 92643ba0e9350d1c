//! The types for editors, by TypeScript: every script of the page and of the examples agrees with them, and a
//! script that no host would run does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::clients;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the compiler says of scripts, each a file's name and its source; nothing when it is content.
fn judged(scripts: &[(String, String)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let types = std::fs::read_to_string(root().join("docs/switchhook.d.ts")).unwrap();
    write("switchhook.d.ts", &types);
    for (name, source) in scripts {
        // As the host does it, on one line with the script's first.
        write(name, &format!("export default async () => {{{source}\n}};\n"));
    }
    let options = r#"{"compilerOptions": {"allowJs": true, "checkJs": true, "noEmit": true, "target": "es2022",
        "module": "esnext", "lib": ["es2023"], "types": [], "strictNullChecks": true, "noImplicitAny": false}}"#;
    write("tsconfig.json", options);
    let (prepared, _) = clients();
    let compiler = std::path::absolute(prepared).unwrap().join("node_modules/typescript/bin/tsc");
    let mut command = Command::new("node");
    command.arg(compiler).args(["--pretty", "false", "--project"]).arg(folder.path());
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), said.is_empty(), "{said}{error}");
    said
}

#[test]
fn every_script_of_the_page_and_the_examples_agrees_with_the_types() {
    let page = std::fs::read_to_string(root().join("docs/scripts.md")).unwrap();
    let blocks = page.split("```js\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut scripts: Vec<_> =
        blocks.enumerate().map(|(n, text)| (format!("page-{n}.js"), text.to_owned())).collect();
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = folder.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let source = std::fs::read_to_string(path.join("bot.js")).unwrap();
            scripts.push((format!("{name}.js"), source));
        }
    }
    assert!(scripts.len() >= 8, "{}", scripts.len());
    assert_eq!(judged(&scripts), "");
}

#[test]
fn what_no_host_would_run_is_refused_by_the_types() {
    let wrong = [
        "say();",
        "const count = await ask('How many?'); say(count.toFixed(1));",
        "await choose('Which?', [1, 2]);",
        "await confirm('Sure?', { yes: 1 });",
        "context.session.NoContext.get('n');",
        "const { body } = await fetch('https://x.example/'); say(body);",
        "endOfTask(1);",
        "env.NAME = 'x';",
        "koreUtil.closeSession();",
        "say(document.title);",
    ];
    let name = |n: usize| format!("wrong-{n:02}.js");
    let scripts: Vec<_> =
        wrong.iter().enumerate().map(|(n, source)| (name(n), (*source).to_owned())).collect();
    let said = judged(&scripts);
    for (n, source) in wrong.iter().enumerate() {
        assert!(said.contains(&format!("{}(1,", name(n))), "{source}: {said}");
    }
}
