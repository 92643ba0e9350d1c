//! `completions`: a script that the shell itself accepts.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{stdout, switchhook};

#[test]
fn the_script_for_bash_is_one_and_knows_the_commands() {
    let output = switchhook(&["completions", "bash"]).output().unwrap();
    assert!(output.status.success());
    let script = stdout(&output);
    for word in ["channel", "doctor", "--listen", "redrive"] {
        assert!(script.contains(word), "{word}");
    }
    // Too long for an argument.
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn there_is_one_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = switchhook(&["completions", shell]).output().unwrap();
        assert!(output.status.success() && output.stdout.len() > 1000, "{shell}");
    }
}
