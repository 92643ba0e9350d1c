//! Who may import whom, how long a file may be, and what a file must open with.

use std::fs;
use std::path::{Path, PathBuf};

const ROOMS: [&str; 3] = ["ingress", "dispatcher", "deliverer"];
const LINES_MAX: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file under a folder of the repository, with its path from the root.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Of every member of the workspace.
fn all_files() -> Vec<(String, String)> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let names: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(names.len() >= 12 && names.contains(&"shared"), "{members}");
    names.into_iter().flat_map(rust_files).collect()
}

/// The lines of a file that are code, numbered.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//")
    })
}

fn imports(text: &str, crate_name: &str) -> Option<usize> {
    let path = format!("{crate_name}::");
    code(text).find(|(_, line)| mentions(line, &path)).map(|(n, _)| n)
}

/// Whether `path` stands in the line as a path of its own, not as the tail of another.
fn mentions(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn offences(rule: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    all_files().iter().filter_map(|(name, text)| rule(name, text)).collect()
}

#[test]
fn the_ground_knows_no_room_and_rooms_do_not_know_each_other() {
    let found = offences(|name, text| {
        let own = name.split('/').next()?;
        let bound = ["shared", "console"].contains(&own) || ROOMS.contains(&own);
        let others = ["console", "switchhook", "e2e", "bench", "sim", "deploy"];
        let others = ROOMS.iter().chain(&others).filter(|room| **room != own);
        let hit = others.filter(|_| bound).find_map(|room| Some((*room, imports(text, room)?)))?;
        Some(format!("{name}:{}: imports {}", hit.1, hit.0))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_pure_reaches_for_nothing_outside() {
    let outside = ["tokio", "axum", "lapin", "reqwest", "prometheus", "tracing", "rand", "hyper"];
    let found = offences(|name, text| {
        let pure = name.contains("/src/domain") || name.contains("shared/src/wire");
        let pure = pure || name == "shared/src/topology.rs";
        let hit = outside
            .iter()
            .filter(|_| pure)
            .find_map(|krate| Some((krate, imports(text, krate)?)))?;
        Some(format!("{name}:{}: reaches for {}", hit.1, hit.0))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_domain_does_not_know_the_wire() {
    let found = offences(|name, text| {
        let domain = name.starts_with("shared/src/domain");
        let hit = code(text).find(|(_, line)| domain && mentions(line, "crate::wire"))?;
        Some(format!("{name}:{}: imports the wire", hit.0))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_the_wall_and_each_opens_with_its_duty() {
    let found = offences(|name, text| {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            return Some(format!("{name}: {lines} lines, {LINES_MAX} is the wall"));
        }
        let included = name.ends_with("tests.rs");
        (!included && !text.starts_with("//!")).then(|| format!("{name}: does not open with //!"))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Chance decides nowhere: a simulation with one seed goes one way.
#[test]
fn every_choice_between_futures_has_an_order() {
    let found = offences(|name, text| {
        let product = ROOMS
            .iter()
            .chain(&["shared"])
            .any(|crate_name| name.starts_with(&format!("{crate_name}/src/")));
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let bare = |pair: &&[&str]| pair[0].ends_with("select! {") && pair[1] != "biased;";
        lines
            .windows(2)
            .find(bare)
            .filter(|_| product)
            .map(|_| format!("{name}: an unordered select!"))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn modules_are_files_beside_their_folders() {
    let found = offences(|name, _| {
        (name.contains("/src/") && name.ends_with("/mod.rs")).then(|| name.to_owned())
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_binary_of_a_room_only_wires_and_ends_in_one_call() {
    for room in ROOMS {
        let main = fs::read_to_string(root().join(room).join("src/main.rs")).unwrap();
        assert!(main.lines().count() <= 60, "{room}/src/main.rs is longer than 60 lines");
    }
}

#[test]
fn no_test_is_ignored_or_repeated_until_it_passes() {
    let marks = [concat!("#[", "ignore"), concat!("retr", "ies =")];
    let found = offences(|name, text| {
        let hit = code(text).find(|(_, line)| marks.iter().any(|mark| line.contains(mark)))?;
        Some(format!("{name}:{}: {}", hit.0, hit.1.trim()))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Where in a line a sleep is called or imported.
fn sleeps(line: &str) -> bool {
    ["sleep", "sleep_until", "sleep_ms"].iter().any(|name| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let part = |c: char| c.is_alphanumeric() || c == '_';
            let whole = !before.ends_with(part) && !after.starts_with(part);
            let used = after.trim_start().starts_with(['(', ',', '}', ';']);
            whole && (before.ends_with("::") || used)
        })
    })
}

/// Tests, and what drives them.
fn drives_tests(name: &str) -> bool {
    name.contains("/tests/") || name.starts_with("testkit/") || name.starts_with("e2e/")
}

#[test]
fn tests_wait_in_one_way() {
    let found = offences(|name, text| {
        let (n, line) = code(text).find(|(_, line)| sleeps(line))?;
        let bound = drives_tests(name) && name != "testkit/src/wait.rs";
        bound.then(|| format!("{name}:{n}: testkit's until and lapse wait: {}", line.trim()))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The positive control of the rule above: it finds the sleeps that there are, and planted ones.
#[test]
fn a_planted_sleep_is_found() {
    let planted = [
        concat!("    tokio::time::sle", "ep(pause).await;"),
        concat!("use std::thread::sle", "ep;"),
        concat!("use tokio::time::{Instant, sle", "ep};"),
        concat!("    sle", "ep_until(due).await;"),
        concat!("let wait = Box::pin(sle", "ep(pause));"),
        concat!("    () = time::sle", "ep_until (due) => {}"),
        concat!("    retry.after(tokio::time::sle", "ep)"),
    ];
    for line in planted {
        assert!(sleeps(line), "{line}");
    }
    for line in ["let sleeper = asleep(rig);", "rig::sleeper(1)", "do sleep 1 and go on"] {
        assert!(!sleeps(line), "{line}");
    }
    let waits = fs::read_to_string(root().join("testkit/src/wait.rs")).unwrap();
    assert!(code(&waits).filter(|(_, line)| sleeps(line)).count() >= 3);
    for name in ["shared/tests/it/kills.rs", "e2e/src/rig.rs", "testkit/src/keeper.rs"] {
        assert!(drives_tests(name) && root().join(name).exists(), "{name}");
    }
    assert!(!drives_tests("shared/src/lanes.rs"));
}

/// The positive control: the rules above can fail.
#[test]
fn the_rules_see_what_they_forbid() {
    assert_eq!(imports("use std::io;\nuse ingress::App;\n", "ingress"), Some(2));
    assert_eq!(imports("// use ingress::App;\n", "ingress"), None);
    assert_eq!(imports("use shared::ingress::App;\n", "ingress"), None);
    assert!(mentions("    tokio::time::advance(x)", "tokio::"));
    assert!(!mentions("use my_tokio::x;", "tokio::"));
    assert!(all_files().len() > 20, "the walk finds no files");
}

#[test]
fn every_table_of_the_stores_has_a_stated_retention() {
    let page = fs::read_to_string(root().join("docs/store.md")).unwrap();
    let mut tables = 0;
    for engine in ["sqlite", "postgres"] {
        let folder = root().join("shared/src/store").join(engine).join("migrations");
        for entry in fs::read_dir(&folder).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let names = text.lines().filter_map(|line| line.trim().strip_prefix("create table "));
            for name in names.filter(|name| !name.contains(" partition of ")) {
                let name = name.trim_start_matches("if not exists ");
                let name = name.split([' ', '(']).next().unwrap();
                assert!(
                    page.contains(&format!("`{name}`")),
                    "docs/store.md does not tell of {name}"
                );
                tables += 1;
            }
        }
    }
    assert!(tables > 20, "only {tables} tables were found");
}

/// The names that an enum of `shared/src/fault.rs` declares.
fn variants(text: &str, name: &str) -> Vec<String> {
    let body =
        text.split(&format!("    {name} {{\n")).nth(1).unwrap().split("\n    }").next().unwrap();
    let variants = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    variants.map(|line| line.trim().split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn every_crash_point_and_seeded_defect_stands_in_the_code_and_nothing_builds_them_in() {
    let text = fs::read_to_string(root().join("shared/src/fault.rs")).unwrap();
    let rooms = ROOMS.iter().chain(&["shared"]).flat_map(|name| rust_files(name));
    let code: String = rooms
        .filter(|(name, _)| name.contains("/src/") && name != "shared/src/fault.rs")
        .map(|(_, text)| text)
        .collect();
    let mut all = 0;
    for (kind, call) in
        [("Point", ["point(Point::", "settled(Point::"]), ("Defect", ["has(Defect::"; 2])]
    {
        for variant in variants(&text, kind) {
            let stands = call.iter().any(|call| code.contains(&format!("{call}{variant})")));
            assert!(stands, "{kind}::{variant} stands nowhere");
            all += 1;
        }
    }
    assert!(all > 20, "only {all} were found");
    for name in ROOMS.iter().chain(&["shared", "switchhook"]) {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("default = ["), "{name} has default features");
    }
}
