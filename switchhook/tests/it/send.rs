//! `send`: a conversation by hand.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Data, stdout};

#[tokio::test]
async fn the_answer_comes_back_in_both_modes() {
    let data = Data::new();
    let up = data.up(&[]).await;
    assert_eq!(data.run(&["send", "--channel", "echo/sync", "how", "are", "you"]), "how are you\n");
    assert_eq!(data.run(&["send", "--channel", "echo/async", "and now"]), "and now\n");
    let text = data.run(&["send", "--channel", "echo/sync", "--json", "raw"]);
    assert_eq!(text.trim(), r#"{"text":"raw"}"#);
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn without_a_text_every_line_of_the_input_is_said_in_order() {
    let data = Data::new();
    let up = data.up(&[]).await;
    for channel in ["echo/sync", "echo/async"] {
        let mut child = data
            .command(&["send", "--channel", channel])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"one\ntwo\nthree\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(stdout(&output), "one\ntwo\nthree\n", "{channel}");
    }
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn a_refusal_is_told_and_fails() {
    let data = Data::new();
    let up = data.up(&[]).await;
    data.run(&["channel", "suspend", "echo/sync"]);
    let (code, said) = data.fails(&["send", "--channel", "echo/sync", "hello"]);
    assert_eq!(code, 65, "{said}");
    assert!(said.contains("403") && said.contains("suspended"), "{said}");
    assert_eq!(up.stop().await, Some(0));
    let (code, said) = data.fails(&["send", "--channel", "echo/async", "hello"]);
    assert_eq!(code, 69, "nobody listens: {said}");
}
