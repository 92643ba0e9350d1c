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
fn an_entry_that_differs_from_what_is_there_is_refused() {
    let data = Data::new();
    let file = data.file("registry.toml", FILE);
    data.run(&["apply", "--file", &file]);
    for (from, to) in [
        ("https://example.com/answers", "https://example.com/elsewhere"),
        ("not-a-real-secret-not-a-real-secret-00", "another-secret-another-secret-000000000"),
        ("name = \"clerk\"\n\n", "name = \"clerk\"\npermits = 3\n\n"),
    ] {
        assert!(FILE.contains(from));
        let file = data.file("registry.toml", &FILE.replace(from, to));
        let (code, said) = data.fails(&["apply", "--file", &file]);
        assert_eq!(code, 65, "{said}");
        assert!(said.contains("with other settings"), "{said}");
    }
}

#[test]
fn unknown_words_in_the_file_are_refused() {
    let data = Data::new();
    let file = data.file("registry.toml", "[[apps]]\nname = \"a\"\ncolour = \"red\"\n");
    let (code, said) = data.fails(&["apply", "--file", &file]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("colour"), "{said}");
}
