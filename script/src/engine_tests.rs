use serde_json::{Value, json};

use super::*;
use crate::job::{Input, Job, Limits, Message, Outcome, Output, Response, Step};

#[path = "koreutil_tests.rs"]
mod koreutil;

const LIMITS: Limits =
    Limits { memory: 32 << 20, time_ms: 2_000, output: 1 << 20, messages: 50, steps: 200 };

fn message(text: &str, now: u64) -> Message {
    Message {
        text: text.into(),
        payload: json!({"message": {"text": text}}),
        now,
        seed: 7,
        ..Message::default()
    }
}

fn job(source: &str) -> Job {
    let input = Input { message: message("hi", 1_000), ..Input::default() };
    Job { name: "bot.js".into(), source: source.into(), input, limits: LIMITS }
}

/// As a host does it.
fn run(job: &Job) -> Result<String, Fault> {
    super::run(&serde_json::from_str(&serde_json::to_string(job).unwrap()).unwrap())
}

fn output(job: &Job) -> Output {
    let text = run(job).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn said(source: &str) -> Vec<Value> {
    output(&job(source)).says
}

/// Runs until the script is done: answers to its questions come from `answers`, calls are answered 200.
/// Returns what it said in each run.
fn talk(source: &str, answers: &[&str]) -> Vec<Vec<Value>> {
    let mut job = job(source);
    let mut answers = answers.iter();
    let mut all = Vec::new();
    loop {
        let out = output(&job);
        all.push(out.says.clone());
        if out.done {
            return all;
        }
        let now = 2_000 * u64::try_from(all.len()).unwrap();
        job.input.journal.extend(out.journal);
        for open in out.open {
            let result = if open.call.is_some() {
                let (headers, body) = (serde_json::Map::new(), "{\"n\":1}".to_owned());
                Outcome::Response(Response { status: 200, headers, body, truncated: false, now })
            } else {
                match answers.next() {
                    Some(text) => Outcome::Answer(message(text, now)),
                    None => return all,
                }
            };
            let step: &mut Step = &mut job.input.journal[open.step];
            step.round = Some(out.round + 1);
            step.result = Some(result);
        }
    }
}

#[test]
fn a_script_says_texts_and_templates_in_order() {
    let source = r#"say("a"); print(JSON.stringify({type:"template",payload:{x:1}})); print("b"); await say(3)"#;
    let template = json!({"type": "template", "payload": {"x": 1}});
    assert_eq!(said(source), [json!("a"), template, json!("b"), json!("3")]);
}

#[test]
fn the_request_is_where_scripts_of_both_habits_look_for_it() {
    let mut job = job(
        "const l = context.session.BotUserSession.lastMessage;
         say([message, l.customData.userToken, l.messagePayload.customData.userToken, env.KEY].join())",
    );
    job.input.message.payload = json!({"customData": {"userToken": "t"}});
    job.input.env = json!({"KEY": "v"}).as_object().unwrap().clone();
    assert_eq!(output(&job).says, [json!("hi,t,t,v")]);
}

#[test]
fn the_session_is_kept_by_put_and_by_assignment_and_without_what_is_set_anew() {
    let mut job = job("const s = context.session.BotUserSession;
         s.put('a', s.get('n') + 1); s.b = {c: 2}; s.delete('n'); delete s.gone");
    job.input.bot_user_session = json!({"n": 1, "gone": true}).as_object().unwrap().clone();
    assert_eq!(Value::Object(output(&job).bot_user_session), json!({"a": 2, "b": {"c": 2}}));
}

#[test]
fn what_is_put_for_some_minutes_is_gone_after_them() {
    let mut job = job("const s = context.session.BotUserSession;
         if (message === 'put') { s.put('a', 1, 5); s.put('b', 2); s.put('c', 3, 5); s.put('c', 4) }
         say([s.a, s.b, s.c, s._expires].join())");
    job.input.message = message("put", 1_000);
    for (now, expected) in [(1_000, "1,2,4,"), (300_999, "1,2,4,"), (301_000, ",2,4,")] {
        job.input.message.now = now;
        let out = output(&job);
        assert_eq!(out.says, [json!(expected)], "{now}");
        job.input.bot_user_session = out.bot_user_session;
        job.input.message.text = "look".into();
    }
    assert_eq!(Value::Object(job.input.bot_user_session), json!({"b": 2, "c": 4}));
}

#[test]
fn a_dialog_goes_on_where_it_waits_and_says_nothing_twice() {
    let source = r#"say("welcome"); const name = await ask("Your name?"); const age = await ask("Age, " + name + "?");
        say(name + " is " + age)"#;
    let runs = talk(source, &["Ann", "7"]);
    let expected = [json!(["welcome", "Your name?"]), json!(["Age, Ann?"]), json!(["Ann is 7"])];
    assert_eq!(json!(runs), json!(expected));
}

#[test]
fn an_answer_is_validated_and_asked_for_again() {
    let source =
        r#"const n = await ask("n?", {validate: /^\d+$/, retry: "digits!"}); say("got " + n)"#;
    assert_eq!(json!(talk(source, &["x", "12"])), json!([["n?"], ["digits!"], ["got 12"]]));
    let source =
        r#"try { await ask("n?", {validate: () => false, retries: 1}) } catch (e) { say(e.name) }"#;
    assert_eq!(json!(talk(source, &["x", "y"])), json!([["n?"], ["n?"], ["RetriesError"]]));
    let source = r#"try { await ask("n?", {timeout: 0.5}) } catch (e) { say(e.name) }"#;
    assert_eq!(json!(talk(source, &["x"])), json!([["n?"], ["TimeoutError"]]));
}

#[test]
fn a_confirmation_and_a_choice_are_flat_texts() {
    let source = r#"say(await confirm("Sure?")); say(await choose("Which?", ["red", {title: "Blue", value: "b"}]))"#;
    let expected =
        [json!(["Sure?\nYes, No, "]), json!(["true", "Which?\n1. red\n2. Blue"]), json!(["b"])];
    assert_eq!(json!(talk(source, &["yes", "2"])), json!(expected));
}

#[test]
fn calls_side_by_side_replay_in_the_order_in_which_they_came_back() {
    let source = r#"const f = async (n) => { const r = await fetch("http://x/" + n); return (await r.json()).n };
        const g = async () => { for (let i = 0; i < 9; i++) await null; const x = await f("b"); return x + await f("c") };
        const [a, b] = await Promise.all([f("a").then((n) => f("a" + n)), g()]);
        const said = await ask("more?"); say(a + b + said)"#;
    let runs = talk(source, &["!"]);
    assert_eq!(runs.last().unwrap(), &[json!("3!")]);
}

#[test]
fn a_failed_call_is_an_error_that_can_be_caught() {
    let mut job =
        job(r#"try { await fetch("http://x/") } catch (e) { say(e.name + " " + e.message) }"#);
    let out = output(&job);
    assert_eq!(out.open[0].call.as_ref().unwrap().url, "http://x/");
    job.input.journal.extend(out.journal);
    job.input.journal[0].round = Some(1);
    job.input.journal[0].result = Some(Outcome::Failed { why: "no".into(), now: 1 });
    assert_eq!(output(&job).says, [json!("FetchError no")]);
}

#[test]
fn time_and_chance_are_the_same_in_every_replay() {
    let source = r#"const a = [Date.now(), new Date().getTime(), new (new Date().constructor)().getTime(), Math.random()];
        await ask("?"); say(JSON.stringify(a)); say(String(Date.now())); say(Date().length > 10)"#;
    let one = talk(source, &["x"]);
    assert_eq!(one, talk(source, &["x"]));
    let first: Vec<f64> = serde_json::from_str(one[1][0].as_str().unwrap()).unwrap();
    assert_eq!(&first[..3], [1_000.0; 3]);
    assert_eq!(one[1][1..], [json!("2000"), json!("true")]);
}

#[test]
fn a_replay_that_differs_is_named() {
    let mut job = job(r#"await ask("Your name?")"#);
    job.input.journal = output(&job).journal;
    job.source = r#"try { await ask("Your age?") } catch {}"#.into();
    let fault = run(&job).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Replay);
    let words =
        "it did not do the same again: step 1 was say \"Your name?\", and is now say \"Your age?\"";
    assert_eq!(fault.message, words);
}

#[test]
fn an_error_names_its_line_in_the_script() {
    for (source, line, message) in [
        ("say(1)\nsay(2)\nthrow new Error('no')", 3, "Error: no"),
        ("\nnope()", 2, "ReferenceError: nope is not defined"),
        ("await ask(\n", 3, "unexpected token"),
        ("say(1)\nlet = = 3", 2, "unexpected"),
    ] {
        let fault = run(&job(source)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Thrown, "{source}");
        assert!(fault.message.contains(message), "{source}: {fault:?}");
        assert_eq!(fault.line, Some(line), "{fault:?}");
    }
    let fault = Fault { kind: FaultKind::Thrown, message: "no".into(), line: Some(2) };
    assert_eq!(fault.describe("b.js", "a\nb\nc\nd"), "b.js:2: no\n    1 | a\n>   2 | b\n    3 | c");
}

#[test]
fn what_runs_or_grows_without_end_is_ended() {
    for (source, kind) in [
        ("while (true) {}", FaultKind::Time),
        ("const f = async () => { while (true) await null }; await f()", FaultKind::Time),
        ("const a = []; while (true) a.push('x'.repeat(100000) + a.length)", FaultKind::Memory),
        ("for (let i = 0; i < 1000; i++) say(i)", FaultKind::Output),
        (
            "for (let i = 0; i < 1000; i++) fetch('http://x/' + i); await ask('?')",
            FaultKind::Output,
        ),
        ("say('x'.repeat(1 << 20)); await new Promise(() => {})", FaultKind::Thrown),
        ("await Promise.all([ask('a'), ask('b')])", FaultKind::Thrown),
        ("const f = () => f() + 1; f()", FaultKind::Thrown),
    ] {
        let mut job = job(source);
        job.limits.time_ms = 300;
        let fault = run(&job).unwrap_err();
        assert_eq!(fault.kind, kind, "{source}: {fault:?}");
    }
}

#[test]
fn there_is_no_way_to_the_outside() {
    let source = r#"say([typeof require, typeof process, typeof std, typeof os, typeof setTimeout, typeof Worker,
        typeof SharedArrayBuffer, typeof XMLHttpRequest].join());
        try { await import("os"); say("imported") } catch { say("no import") }"#;
    let said = said(source);
    assert_eq!(said[1], "no import");
    let kinds: Vec<_> = said[0].as_str().unwrap().split(',').collect();
    assert!(kinds[..6].iter().all(|kind| *kind == "undefined"), "{kinds:?}");
}

#[test]
fn a_check_finds_mistakes_and_runs_nothing() {
    assert_eq!(check("b.js", "while (true) {}; return await ask('?')"), Ok(()));
    let fault = check("b.js", "say(1)\nsay((2").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Thrown);
    for source in ["}; for (;;) {} (() => {", "}); for (;;) {} (() => {"] {
        // It is a mistake or none; what counts is that this comes back.
        let _ = check("b.js", source);
    }
    let sneaky = "}; throw new Error('ran'); (() => {";
    assert!(!check("b.js", sneaky).is_err_and(|fault| fault.message.contains("ran")));
}
