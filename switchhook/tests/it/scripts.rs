//! Bots that are scripts, from the command line to an answer.

use std::path::Path;
use std::process::Stdio;

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
    let lines = data.json(&["apply", "--file", &file]);
    assert_eq!(
        (&lines[0]["done"], &lines[0]["differences"][0]["word"]),
        (&"changed".into(), &"source".into())
    );
}

/// The script hosts among a process's children.
fn hosts(parent: u32) -> Vec<String> {
    let text = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let children = tasks.flat_map(|task| {
        let list = text(task.unwrap().path().join("children").to_string_lossy().into_owned());
        list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    children.filter(|pid| text(format!("/proc/{pid}/cmdline")).contains("script-host")).collect()
}

#[tokio::test]
async fn hosts_at_work_and_idle_die_with_their_parent() {
    let data = Data::new().set("script.deadline", "10min").set("script.hosts", "2");
    let file = data.file("hang.js", "say('going on'); while (message === 'hang') {}");
    let mut up = data.up(&[]).await;
    data.run(&["bot", "add", "--name", "h", "--script", &file]);
    data.run(&["channel", "add", "--bot", "h", "--app", "demo", "--name", "web", "--approve"]);
    assert_eq!(data.run(&["send", "--channel", "h/web", "hi"]), "going on\n");
    let hang = &["send", "--channel", "h/web", "hang"];
    let mut hanging = data.command(hang).stderr(Stdio::null()).spawn().unwrap();
    let pids = testkit::until("all hosts, one of them at work", || async {
        let pids = hosts(up.id());
        // A second of processor time: no start takes that.
        let at_work = |pid: &String| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let ticks = status.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(11));
            ticks.and_then(|ticks| ticks.parse::<u64>().ok()).is_some_and(|ticks| ticks >= 100)
        };
        (pids.len() == 3 && pids.iter().any(at_work)).then_some(pids)
    })
    .await;
    up.signal("KILL");
    up.ended().await;
    testkit::until("the end of all hosts", || async {
        let is_there = |pid: &String| Path::new("/proc").join(pid).join("exe").exists();
        !pids.iter().any(is_there)
    })
    .await;
    hanging.wait().unwrap();
}
