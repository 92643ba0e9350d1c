//! The runbook's words are those of the product: every statement runs on its database, and every command with
//! every flag is known to its binary.

use e2e::rig;
use testkit::system::{Shape, System};

use crate::support::drill::run;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md")).unwrap()
}

/// What stands in backquotes, or on a line of a block; comments taken off.
fn snippets(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, part) in page.split("```").enumerate() {
        if at % 2 == 1 {
            let lines = part.lines().skip(1).map(|line| line.split(" #").next().unwrap_or(line));
            found.extend(lines.map(str::to_owned));
        } else {
            let quoted = part.split('`').skip(1).step_by(2);
            found.extend(quoted.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

fn statements(page: &str) -> Vec<String> {
    let is_one = |text: &String| text.starts_with("select ");
    snippets(page).into_iter().filter(is_one).collect()
}

/// The arguments of each call of our binary.
fn commands(page: &str) -> Vec<Vec<String>> {
    let arguments = |text: &String| {
        let (before, after) = text.split_once("switchhook ")?;
        let called =
            before.is_empty() || before.ends_with('/') || before.starts_with("SWITCHHOOK_");
        let words = after.split_whitespace().map(|word| word.trim_matches('"').to_owned());
        (called && after.starts_with(|c: char| c.is_ascii_lowercase())).then(|| words.collect())
    };
    snippets(page).iter().filter_map(arguments).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_of_the_runbook_runs() {
    let node = testkit::rabbitmq::shared().await.unwrap();
    let server = testkit::postgres::shared().await.unwrap();
    let postgres = server.create_database().await.unwrap();
    let (ingresses, dispatchers, deliverers) = (0, 0, 0);
    let shape = Shape::Rooms {
        amqp: node.url(),
        postgres: postgres.clone(),
        ingresses,
        dispatchers,
        deliverers,
    };
    let _system = System::start(&rig::binary().unwrap(), shape, "", &[]).await.unwrap();
    let statements = statements(&page());
    assert!(statements.len() >= 2, "{statements:?}");
    for statement in statements {
        run("psql", &["--no-psqlrc", "--set", "ON_ERROR_STOP=1", "-c", &statement, &postgres])
            .await;
    }
}

#[tokio::test]
async fn every_command_of_the_runbook_is_known() {
    let binary = rig::binary().unwrap().display().to_string();
    let commands = commands(&page());
    assert!(commands.len() >= 20, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
        run(&binary, &words).await;
    }
}

#[test]
fn snippets_are_found_in_blocks_and_between_backquotes() {
    let page = "Run `switchhook top\n--once`, not `switchhook-x`.\n```sh\nswitchhook doctor   # see\n\
                kubectl exec x -- /switchhook vault reseal\n```\nand `select 1`, `rows select`.";
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(commands(page), [words("top --once"), words("doctor"), words("vault reseal")]);
    assert_eq!(statements(page), ["select 1"]);
}
