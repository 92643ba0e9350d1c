//! `up --watch`: what a registry file and its scripts say is what runs.

use crate::support::{Data, Up};

const REGISTRY: &str = r#"
[[apps]]
name = "shop"

[[bots]]
name = "g"
script = "greeter.js"

[[channels]]
name = "web"
bot = "g"
app = "shop"
approve = true
"#;

fn files(data: &Data, script: &str) -> String {
    data.file("bots/greeter.js", script);
    let registry = data.file("bots/registry.toml", REGISTRY);
    registry.strip_suffix("/registry.toml").unwrap().to_owned()
}

fn say(data: &Data, text: &str) -> String {
    data.run(&["send", "--channel", "g/web", text])
}

/// Waits until it was printed so often.
async fn told(up: &Up, words: &str, times: usize) {
    let look = || async {
        let printed = up.printed();
        if printed.matches(words).count() >= times { Ok(()) } else { Err(printed) }
    };
    testkit::until(words, look).await;
}

#[tokio::test]
async fn a_script_that_changes_answers_as_it_has_become_and_an_open_dialog_as_its_bot_says() {
    let data = Data::new();
    let folder = files(&data, "say('one ' + await ask('Who?'))");
    let up = data.up(&["--no-demo", "--watch", &folder]).await;
    told(&up, "added      bot g", 1).await;
    assert_eq!((say(&data, "hi"), say(&data, "Ann")), ("Who?\n".into(), "one Ann\n".into()));
    assert_eq!(say(&data, "hi"), "Who?\n");
    data.file("bots/greeter.js", "say('two ' + message)");
    told(&up, "published  bot g", 1).await;
    assert!(up.printed().contains("source: "), "{}", up.printed());
    assert_eq!((say(&data, "Ann"), say(&data, "hi")), ("one Ann\n".into(), "two hi\n".into()));
    data.file("bots/greeter.js", "say('three ' + await ask('Who?'))");
    told(&up, "published  bot g", 2).await;
    assert_eq!(say(&data, "hi"), "Who?\n");
    let file = format!("{folder}/registry.toml");
    let restarting = std::fs::read_to_string(&file).unwrap();
    let restarting = restarting.replace("script = ", "restart_dialogs = true\nscript = ");
    std::fs::write(file, restarting).unwrap();
    told(&up, "published  bot g", 3).await;
    data.file("bots/greeter.js", "say('four ' + message)");
    told(&up, "published  bot g", 4).await;
    assert_eq!(say(&data, "Ann"), "four Ann\n");
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn a_script_with_a_mistake_is_told_and_the_one_that_runs_goes_on() {
    let data = Data::new();
    let folder = files(&data, "say('one')");
    let up = data.up(&["--no-demo", "--watch", &folder]).await;
    data.file("bots/greeter.js", "say('two');\nsay((2);\n");
    told(&up, "is not applied, what runs goes on: bot \"g\": script: greeter.js:2:", 1).await;
    assert!(up.printed().contains(">   2 | say((2);"), "{}", up.printed());
    assert_eq!(say(&data, "hi"), "one\n");
    std::fs::remove_file(format!("{folder}/greeter.js")).unwrap();
    told(&up, "is not applied, what runs goes on: bot \"g\": ", 2).await;
    assert_eq!(say(&data, "hi"), "one\n");
    data.file("bots/greeter.js", "say('three')");
    told(&up, "published  bot g", 1).await;
    assert_eq!(say(&data, "hi"), "three\n");
}

#[tokio::test]
async fn a_file_that_comes_into_the_folder_is_applied_and_one_with_a_mistake_is_not() {
    let data = Data::new();
    let folder = files(&data, "say('one')");
    let up = data.up(&["--no-demo", "--watch", &folder]).await;
    data.file("bots/second.toml", "[[bots]]\nname = ");
    told(&up, "second.toml: TOML parse error at line 2", 1).await;
    data.file("bots/second.toml", "[[bots]]\nname = \"echo\"\n");
    told(&up, "added      bot echo", 1).await;
    assert_eq!(say(&data, "hi"), "one\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_applied_at_the_start_is_told_and_watched() {
    let data = Data::new();
    let folder = files(&data, "say((");
    let up = data.up(&["--no-demo", "--watch", &format!("{folder}/registry.toml")]).await;
    told(&up, "registry.toml is not applied, what runs goes on: bot \"g\": script: greeter.js:", 1)
        .await;
    data.file("bots/greeter.js", "say('well')");
    told(&up, "added      channel web", 1).await;
    assert_eq!(say(&data, "hi"), "well\n");
}
