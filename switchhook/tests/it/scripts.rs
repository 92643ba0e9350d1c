//! Bots that are scripts, from the command line to an answer.

use crate::support::Data;

const GREETER: &str =
    r#"const name = await ask("Your name?"); say(`Hello, ${name} of ${env.TOWN}.`);"#;

#[tokio::test]
async fn a_script_is_added_and_talked_to_and_its_variables_stay_hidden() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let file = data.file("greeter.js", GREETER);
    let env = data.file("env.json", r#"{"TOWN": "Bern-the-hidden"}"#);
    let bot = data.json(&["bot", "add", "--name", "g", "--script", &file, "--env-file", &env]);
    assert_eq!((&bot["logic"], &bot["script"]), (&"script".into(), &"greeter.js".into()));
    assert!(!data.run(&["bot", "show", "g"]).contains("hidden"));
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(15).any(|window| window == b"Bern-the-hidden"));
    }
    data.run(&["channel", "add", "--bot", "g", "--app", "demo", "--name", "web", "--approve"]);
    let say = |text: &str| data.run(&["send", "--channel", "g/web", text]);
    assert_eq!(say("hi"), "Your name?\n");
    assert_eq!(say("Ann"), "Hello, Ann of Bern-the-hidden.\n");
    assert_eq!(up.stop().await, Some(0));
}

#[test]
fn a_script_with_a_mistake_is_refused_with_its_place() {
    let data = Data::new();
    let file = data.file("bad.js", "say(1);\nsay((2);\n");
    let (code, said) = data.fails(&["bot", "add", "--name", "g", "--script", &file]);
    assert_eq!(code, 65, "{said}");
    assert!(said.contains("bad.js:2:") && said.contains(">   2 | say((2);"), "{said}");
    let (code, _) = data.fails(&["bot", "add", "--name", "g", "--script", "/nowhere.js"]);
    assert_eq!(code, 64);
}

#[test]
fn a_registry_file_names_a_script_beside_it() {
    let data = Data::new();
    data.file("greeter.js", GREETER);
    let text = "[[bots]]\nname = \"g\"\nscript = \"greeter.js\"\nenv = { TOWN = \"Bern\" }\n";
    let file = data.file("registry.toml", text);
    let lines = data.json(&["apply", "--file", &file]);
    assert_eq!(lines[0]["done"], "added");
    assert_eq!(data.json(&["apply", "--file", &file])[0]["done"], "unchanged");
    data.file("greeter.js", "say('other')");
    let (_, said) = data.fails(&["apply", "--file", &file]);
    assert!(said.contains("already with other settings"), "{said}");
}
