//! `apply`: a registry from a file.

use crate::support::Data;

const FILE: &str = r#"
[[apps]]
name = "shop"
id = "cs-11111111-1111-5111-8111-111111111111"
secret = "not-a-real-secret-not-a-real-secret-00"

[[bots]]
name = "clerk"

[[channels]]
name = "web"
bot = "clerk"
app = "shop"
approve = true

[[channels]]
name = "mail"
bot = "clerk"
app = "shop"
post_url = "https://example.com/answers"
retry = "exponential:1s,2,1min,5"
overrides = { error = "Call us.", menu = { type = "a_clients_own" } }
"#;

fn dones(lines: &serde_json::Value) -> Vec<String> {
    let lines = lines.as_array().unwrap().iter();
    lines
        .map(|line| {
            format!("{} {}", line["what"].as_str().unwrap(), line["done"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_file_is_applied_once_and_then_found_unchanged() {
    let data = Data::new();
    let file = data.file("registry.toml", FILE);
    let lines = data.json(&["apply", "--file", &file]);
    assert_eq!(dones(&lines), ["app added", "bot added", "channel added", "channel added"]);
    assert!(lines[0].get("secret").is_none(), "a given secret is not repeated");
    assert!(lines[3]["secret"].as_str().unwrap().starts_with("whsec_"));
    let channels = data.json(&["channel", "list"]);
    assert_eq!(channels[0]["state"], "live");
    assert_eq!(channels[1]["state"], "awaiting approval");
    assert_eq!(channels[1]["overrides"]["menu"]["type"], "a_clients_own");
    let lines = data.json(&["apply", "--file", &file]);
    let unchanged = ["app unchanged", "bot unchanged", "channel unchanged", "channel unchanged"];
    assert_eq!(dones(&lines), unchanged);
    assert!(lines[3].get("secret").is_none());
    assert_eq!(data.json(&["channel", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_later_approval_in_the_file_approves() {
    let data = Data::new();
    let file = data.file("registry.toml", FILE);
    data.run(&["apply", "--file", &file]);
    let file = data.file("registry.toml", &format!("{FILE}approve = true\n"));
    let lines = data.json(&["apply", "--file", &file]);
    assert_eq!(dones(&lines).last().unwrap(), "channel approved");
    assert_eq!(data.json(&["channel", "show", "mail"])["state"], "live");
}

#[test]
fn a_file_with_mistakes_writes_nothing_and_tells_them_all() {
    let data = Data::new();
    let wrong = FILE
        .replace("not-a-real-secret-not-a-real-secret-00", "short")
        .replace("exponential:1s", "exponential:soon")
        .replace(
            "bot = \"clerk\"\napp = \"shop\"\napprove",
            "bot = \"nobody\"\napp = \"shop\"\napprove",
        );
    let file = data.file("registry.toml", &wrong);
    let (code, said) = data.fails(&["apply", "--file", &file]);
    assert_eq!(code, 65, "{said}");
    for words in ["app \"shop\": secret", "no bot \"nobody\"", "channel \"mail\""] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(data.json(&["app", "list"]), serde_json::json!([]));
}

#[test]
fn what_is_there_otherwise_is_changed_and_waits_until_the_file_approves_it() {
    let data = Data::new();
    let file = data.file("registry.toml", FILE);
    data.run(&["apply", "--file", &file]);
    let permits = || data.json(&["bot", "show", "clerk"])["permits"].clone();
    let edited = FILE
        .replace("name = \"clerk\"\n\n", "name = \"clerk\"\npermits = 3\n\n")
        .replace("secret-00\"\n", "secret-00\"\n[apps.rules]\nage_max = \"1h\"\n")
        .replace("approve = true\n", "");
    let file = data.file("registry.toml", &edited);
    let rehearsed = data.json(&["apply", "--file", &file, "--dry-run"]);
    let dones_of = ["app changed", "bot edited", "channel unchanged", "channel unchanged"];
    assert_eq!(dones(&rehearsed), dones_of);
    let bot = &rehearsed[1]["differences"][0];
    assert_eq!(
        (&bot["word"], &bot["before"], &bot["after"]),
        (&"permits".into(), &64.into(), &3.into())
    );
    assert_eq!(permits(), 64, "a rehearsal does nothing");
    assert_eq!(data.json(&["apply", "--file", &file]), rehearsed, "what was told is done");
    let bot = data.json(&["bot", "show", "clerk"]);
    assert_eq!((&bot["permits"], &bot["unpublished"]), (&3.into(), &true.into()));
    assert_eq!(data.json(&["app", "show", "shop"])["rules"]["age_max"], "3600000ms");
    let again = data.json(&["apply", "--file", &file]);
    assert!(dones(&again).iter().all(|done| done.ends_with("unchanged")), "{again}");
    // Both channels go live with the bot as it is edited.
    let approving =
        format!("{}approve = true\n", FILE.replace("\"clerk\"\n\n", "\"clerk\"\npermits = 3\n\n"));
    let lines = data.json(&["apply", "--file", &data.file("registry.toml", &approving)]);
    assert_eq!(dones(&lines).last().unwrap(), "bot published");
    let bot = data.json(&["bot", "show", "clerk"]);
    assert!(bot.get("unpublished").is_none_or(|waits| waits == false), "{bot}");
    let channels = data.json(&["channel", "list"]);
    assert!(channels.as_array().unwrap().iter().all(|channel| channel["state"] == "live"));
}

#[test]
fn a_channels_own_message_is_replaced_as_a_whole_and_goes_where_the_file_drops_it() {
    let data = Data::new();
    data.run(&["apply", "--file", &data.file("registry.toml", FILE)]);
    let other = FILE
        .replace("{ type = \"a_clients_own\" }", "{ type = \"a_clients_own\", x = { y = 1 } }")
        .replace("error = \"Call us.\", ", "");
    let lines = data.json(&["apply", "--file", &data.file("registry.toml", &other)]);
    assert_eq!(lines[2]["differences"][0]["word"], "overrides", "{lines}");
    let expected = serde_json::json!({"menu": {"type": "a_clients_own", "x": {"y": 1}}});
    assert_eq!(data.json(&["channel", "show", "mail"])["overrides"], expected);
}

#[test]
fn words_that_a_file_leaves_out_are_as_they_were_made_and_secrets_stay() {
    let data = Data::new();
    let first = FILE.replace("name = \"clerk\"\n\n", "name = \"clerk\"\nhttp = \"https://bots.example/a\"\nauthorization = \"Bearer X\"\nhttp_attempts = 5\n\n");
    data.run(&["apply", "--file", &data.file("registry.toml", &first)]);
    let second = first.replace("authorization = \"Bearer X\"\nhttp_attempts = 5\n", "");
    let lines = data.json(&["apply", "--file", &data.file("registry.toml", &second)]);
    let words: Vec<_> =
        lines[1]["differences"].as_array().unwrap().iter().map(|d| d["word"].clone()).collect();
    assert_eq!(words, ["http_attempts"], "and not the authorization: {lines}");
    let elsewhere = second.replace("bots.example/a", "other.example/a");
    let (code, said) = data.fails(&["apply", "--file", &data.file("registry.toml", &elsewhere)]);
    assert!(code == 65 && said.contains("authorization: give it again"), "{said}");
}

#[test]
fn a_key_is_rotated_by_a_command_of_its_own_and_an_id_is_for_life() {
    let data = Data::new();
    let file = data.file("registry.toml", FILE);
    data.run(&["apply", "--file", &file]);
    for (from, to, words) in [
        (
            "not-a-real-secret-not-a-real-secret-00",
            "another-secret-another-secret-000000000",
            "app rotate",
        ),
        ("11111111-1111-5111", "22222222-2222-5222", "with the id cs-1111"),
    ] {
        assert!(FILE.contains(from));
        let file = data.file("registry.toml", &FILE.replace(from, to));
        let (code, said) = data.fails(&["apply", "--file", &file]);
        assert!(code == 65 && said.contains(words), "{said}");
    }
}

#[test]
fn a_folder_is_one_file_in_pieces() {
    let data = Data::new();
    let (apps, rest) = FILE.split_once("[[bots]]").unwrap();
    data.file("pieces/1-apps.toml", apps);
    let last = data.file("pieces/2-rest.toml", &format!("[[bots]]{rest}"));
    data.file("pieces/notes.md", "no registry");
    let folder = std::path::Path::new(&last).parent().unwrap().to_str().unwrap();
    let lines = data.json(&["apply", "-f", folder]);
    assert_eq!(dones(&lines), ["app added", "bot added", "channel added", "channel added"]);
    let said = data.run(&["apply", "-f", folder, "--dry-run"]);
    assert!(said.contains("unchanged") && said.contains("dry run"), "{said}");
    let empty = data.file("empty/notes.md", "");
    let empty = std::path::Path::new(&empty).parent().unwrap().to_str().unwrap();
    let (code, said) = data.fails(&["apply", "-f", empty]);
    assert!(code == 64 && said.contains(".toml"), "{said}");
}

#[test]
fn unknown_words_in_the_file_are_refused() {
    let data = Data::new();
    let file = data.file("registry.toml", "[[apps]]\nname = \"a\"\ncolour = \"red\"\n");
    let (code, said) = data.fails(&["apply", "--file", &file]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("colour"), "{said}");
}
