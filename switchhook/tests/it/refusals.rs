//! What is refused before a port is opened, and what is said then.

use crate::support::{Data, stderr, switchhook};

fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchhook(arguments);
    command.envs(environment.iter().copied()).current_dir(folder.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "a refused start leaves something behind: {left:?}");
    stderr(&output)
}

#[test]
fn engines_come_in_pairs_or_not_at_all() {
    let amqp = ["--amqp", "amqp://127.0.0.1:1"];
    let postgres = ["--postgres", "postgres://127.0.0.1:1/x"];
    for one in [amqp, postgres] {
        for command in ["up", "ingress", "dispatcher", "deliverer", "migrate"] {
            let said = refused(&[&[command], &one[..]].concat(), &[]);
            assert!(said.contains("go together"), "{command}: {said}");
        }
    }
}

#[test]
fn every_mistake_in_the_settings_is_told_at_once() {
    let environment = [
        ("SWITCHHOOK_INGRESS_LISTEN", "everywhere"),
        ("SWITCHHOOK_DISPATCHER_PERMITS", "many"),
        ("SWITCHHOOK_LIFECYCLE_DRAIN", "20"),
        ("SWITCHHOOK_NO_SUCH", "1"),
    ];
    let said = refused(&["up"], &environment);
    for key in ["ingress.listen", "dispatcher.permits", "lifecycle.drain", "SWITCHHOOK_NO_SUCH"] {
        assert!(said.contains(key), "{key} in {said}");
    }
}

#[test]
fn a_settings_file_with_unknown_keys_is_refused() {
    let data = Data::new();
    let file = data
        .file("settings.toml", "[ingress]\nlisten = \"127.0.0.1:1\"\nlissten = 1\n[a]\nb = 1\n");
    let (code, said) = data.fails(&["up", "--config", &file]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("ingress.lissten") && said.contains("a.b"), "{said}");
}

#[test]
fn a_room_alone_needs_engines_that_others_can_reach() {
    for room in ["ingress", "dispatcher", "deliverer"] {
        let said = refused(&[room], &[]);
        assert!(said.contains("switchhook up"), "{room}: {said}");
    }
}

#[test]
fn rooms_of_one_installation_are_not_given_keys_of_their_own() {
    let pair = ["--amqp", "amqp://127.0.0.1:1", "--postgres", "postgres://127.0.0.1:1/x"];
    let said = refused(
        &[&["ingress", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], &pair[..]]
            .concat(),
        &[],
    );
    assert!(
        said.contains("keys.") && !said.contains("listen") && said.contains("same keys"),
        "{said}"
    );
}

#[test]
fn keys_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = Data::new();
    data.run(&["app", "list"]);
    let keys = data.path().join("keys.toml");
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = data.fails(&["app", "list"]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}
