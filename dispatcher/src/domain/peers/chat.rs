//! OpenAI-compatible chat completions: the request, and an answer that came whole or piece by piece.

use serde_json::{Value, json};
use shared::registry::{Model, Tool};

use super::{list_at, object, sse, text_at};

/// The bytes of history that are kept, whatever their number.
const HISTORY_BYTES_MAX: usize = 64 * 1024;

/// A call that the model wants made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Empty when it said nothing.
    pub text: String,
    pub calls: Vec<Call>,
}

/// The request's body. `messages` is the whole conversation after the instructions.
pub fn question(model: &Model, messages: &[Value]) -> Value {
    let system = model.instructions.iter().map(|text| json!({"role": "system", "content": text}));
    let messages: Vec<_> = system.chain(messages.iter().cloned()).collect();
    let mut body = object(json!({
        "model": model.model,
        "messages": messages,
        "stream": model.stream,
    }));
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    if let Some(most) = model.max_tokens {
        set("max_completion_tokens", json!(most));
    }
    if let Some(temperature) = model.temperature {
        set("temperature", json!(temperature));
    }
    if !model.tools.is_empty() {
        set("tools", model.tools.iter().map(tool).collect());
    }
    Value::Object(body)
}

fn tool(tool: &Tool) -> Value {
    let Tool { name, description, parameters, .. } = tool;
    let function = json!({"name": name, "description": description, "parameters": parameters});
    json!({"type": "function", "function": function})
}

/// What the model said before it called, as it is told again with the results.
pub fn called(answer: &Answer) -> Value {
    let calls: Vec<_> = answer
        .calls
        .iter()
        .map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        })
        .collect();
    json!({"role": "assistant", "content": answer.text, "tool_calls": calls})
}

pub fn result(call: &Call, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": call.id, "content": content})
}

/// Reads an answer, whole or as events.
pub fn answer(body: &str) -> Result<Answer, String> {
    if sse::is_json(body) {
        let body = serde_json::from_str(body).map_err(|_| "its answer is no JSON".to_owned())?;
        return whole(&body);
    }
    let mut answer = Answer::default();
    let mut calls = Calls::default();
    let (mut seen, mut ended) = (false, false);
    for event in sse::events(body) {
        if event.data == "[DONE]" {
            ended = true;
            break;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
            return Err("a piece of its answer is no JSON".to_owned());
        };
        refused(&chunk)?;
        // The last chunk may hold the usage and no choice.
        let Some(choice) = list_at(&chunk, "choices").first() else { continue };
        seen = true;
        ended |= choice["finish_reason"].is_string();
        let delta = &choice["delta"];
        for key in ["content", "refusal"] {
            answer.text.push_str(text_at(delta, key).unwrap_or_default());
        }
        for piece in list_at(delta, "tool_calls") {
            calls.add(piece);
        }
    }
    if !seen {
        return Err("its answer has no choice".to_owned());
    }
    // What is called with half of its arguments does something else.
    if !ended && !calls.0.is_empty() {
        return Err("its answer has no end".to_owned());
    }
    answer.calls = named(calls.0.into_iter().map(|(_, call)| call));
    Ok(answer)
}

/// Calls that come piece by piece, each with the index that its pieces name, if they name one. Some peers give
/// none, or the same to all.
#[derive(Default)]
struct Calls(Vec<(Option<u64>, Call)>);

impl Calls {
    fn add(&mut self, piece: &Value) {
        let index = piece["index"].as_u64();
        let function = &piece["function"];
        let given = |text: &&str| !text.is_empty();
        let id = text_at(piece, "id").filter(given);
        let name = text_at(function, "name").filter(given);
        let open = self.0.iter().rposition(|(of, _)| index.is_none() || *of == index);
        let at = match open {
            Some(at) if !begins(&self.0[at].1, id, name) => at,
            Some(_) | None => {
                self.0.push((index, Call::default()));
                self.0.len() - 1
            }
        };
        let call = &mut self.0[at].1;
        if let Some(id) = id {
            id.clone_into(&mut call.id);
        }
        if let Some(name) = name {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(text_at(function, "arguments").unwrap_or_default());
    }
}

/// Whether a piece with this id and name is the first of another call than the one that is open.
fn begins(open: &Call, id: Option<&str>, name: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    match id {
        Some(id) if !open.id.is_empty() => id != open.id,
        // Without ids, arguments that are whole are the end of a call.
        _ if open.name.is_empty() => false,
        _ => name != open.name || serde_json::from_str::<Value>(&open.arguments).is_ok(),
    }
}

/// The calls, each with an id, by which its result is known: not every peer gives one.
fn named(calls: impl Iterator<Item = Call>) -> Vec<Call> {
    let named = calls.zip(1..).map(|(mut call, number)| {
        if call.id.is_empty() {
            call.id = format!("call_{number}");
        }
        call
    });
    named.collect()
}

fn whole(body: &Value) -> Result<Answer, String> {
    refused(body)?;
    let choice = list_at(body, "choices").first().ok_or("its answer has no choice")?;
    let message = &choice["message"];
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        // Parts, as some peers give them.
        Value::Array(parts) => parts.iter().filter_map(|part| text_at(part, "text")).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            text_at(message, "refusal").unwrap_or_default().to_owned()
        }
    };
    let call = |call: &Value| Call {
        id: text_at(call, "id").unwrap_or_default().to_owned(),
        name: text_at(&call["function"], "name").unwrap_or_default().to_owned(),
        arguments: match &call["function"]["arguments"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    };
    Ok(Answer { text, calls: named(list_at(message, "tool_calls").iter().map(call)) })
}

/// An error in the place of an answer, or in the midst of a stream.
pub(super) fn refused(body: &Value) -> Result<(), String> {
    match body.get("error") {
        None | Some(Value::Null) => Ok(()),
        Some(error) => Err(format!("it answered with an error{}", word(error))),
    }
}

/// The error's code or type, if it is a word: the rest may repeat what the user said.
pub fn word(error: &Value) -> String {
    let plain = |text: &&str| {
        text.len() <= 60 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let word =
        text_at(error, "code").filter(plain).or_else(|| text_at(error, "type").filter(plain));
    word.map(|word| format!(" ({word})")).unwrap_or_default()
}

/// The newest messages, at most so many and so many bytes of JSON. It never begins with an answer.
pub fn trim(mut history: Vec<Value>, most: u32, bytes_max: usize) -> Vec<Value> {
    // With the comma behind it.
    let size = |message: &Value| message.to_string().len() + 1;
    let mut bytes: usize = history.iter().map(size).sum();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let bytes_max = bytes_max.min(HISTORY_BYTES_MAX);
    let mut first = 0;
    for message in &history {
        let too_much = history.len() - first > most || bytes > bytes_max;
        if !too_much && message["role"] != "assistant" {
            break;
        }
        bytes -= size(message);
        first += 1;
    }
    history.split_off(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model {
            model: "m".into(),
            instructions: Some("Be kind.".into()),
            stream: false,
            history: 4,
            max_tokens: Some(5),
            temperature: None,
            tools: vec![Tool {
                name: "t".into(),
                description: "d".into(),
                url: "http://tool.test/".parse().unwrap(),
                parameters: json!({"type": "object"}),
            }],
        }
    }

    #[test]
    fn a_question_begins_with_the_instructions_and_names_the_tools() {
        let body = question(&model(), &[json!({"role": "user", "content": "hi"})]);
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be kind."}));
        assert_eq!(body["messages"][1]["content"], "hi");
        assert_eq!(body["tools"][0]["function"]["name"], "t");
        assert_eq!((&body["max_completion_tokens"], body.get("temperature")), (&json!(5), None));
    }

    #[test]
    fn whole_answers_are_read_with_texts_calls_and_refusals() {
        let of = |message: Value| answer(&json!({"choices": [{"message": message}]}).to_string());
        let text = |text: &str| Answer { text: text.into(), calls: Vec::new() };
        assert_eq!(of(json!({"content": "a", "tool_calls": null})).unwrap(), text("a"));
        assert_eq!(of(json!({"content": [{"type": "text", "text": "a"}]})).unwrap(), text("a"));
        assert_eq!(of(json!({"content": null, "refusal": "no"})).unwrap(), text("no"));
        let calls = json!({"content": null, "tool_calls": [{"id": "c", "function": {"name": "t", "arguments": "{}"}}]});
        let expected = Call { id: "c".into(), name: "t".into(), arguments: "{}".into() };
        assert_eq!(of(calls).unwrap().calls, [expected]);
        let error =
            r#"{"error":{"message":"the user said x","type":"invalid_request_error","code":null}}"#;
        let why = answer(error).unwrap_err();
        assert!(why.contains("invalid_request_error") && !why.contains("user said"), "{why}");
        answer("{}").unwrap_err();
    }

    #[test]
    fn pieces_are_put_together_and_what_is_odd_about_them_is_borne() {
        let body = concat!(
            ": keepalive\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":null,\"content\":null}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"lo\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"t\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n",
        );
        let expected = Call { id: "c".into(), name: "t".into(), arguments: "{\"a\":1}".into() };
        assert_eq!(answer(body).unwrap(), Answer { text: "Hello".into(), calls: vec![expected] });
        answer("data: {\"error\":{\"type\":\"server_error\"}}\n\n").unwrap_err();
        answer("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"code\":\"overloaded\"}}\n\n").unwrap_err();
        answer("").unwrap_err();
    }

    #[test]
    fn calls_are_told_apart_though_their_pieces_have_no_index_or_all_the_same() {
        let streamed = |deltas: &[Value]| {
            let chunk = |calls: &Value| json!({"choices": [{"delta": {"tool_calls": calls}}]});
            let event = |calls| format!("data: {}\n\n", chunk(calls));
            let events: Vec<String> = deltas.iter().map(event).collect();
            let answer = answer(&format!("{}data: [DONE]\n\n", events.concat())).unwrap();
            let call = |call: Call| format!("{} {} {}", call.id, call.name, call.arguments);
            answer.calls.into_iter().map(call).collect::<Vec<_>>()
        };
        let call = |id: Value, name: &str, arguments: &str| json!({"id": id, "function": {"name": name, "arguments": arguments}});
        let more = |arguments: &str| json!([{"function": {"arguments": arguments}}]);
        let (a, b) = (call(json!("a"), "t", "{}"), call(json!("b"), "t", "{}"));
        assert_eq!(streamed(&[json!([a]), json!([b])]), ["a t {}", "b t {}"]);
        assert_eq!(streamed(&[json!([a, b])]), ["a t {}", "b t {}"]);
        // Piece by piece, one after the other.
        let (a, b) = (call(json!("a"), "t", ""), call(json!("b"), "u", "{"));
        let pieces = [json!([a]), more("{\"x\""), more(":1}"), json!([b]), more("}")];
        assert_eq!(streamed(&pieces), ["a t {\"x\":1}", "b u {}"]);
        // One index for all.
        let at = |mut call: Value| {
            call["index"] = json!(0);
            json!([call])
        };
        let more = json!([{"index": 0, "id": null, "function": {"name": null, "arguments": "}"}}]);
        assert_eq!(streamed(&[at(a), at(b), more]), ["a t ", "b u {}"]);
        // No ids: whole calls, and one whose name comes with every piece.
        let whole = |name: &str, arguments: &str| json!([call(json!(""), name, arguments)]);
        let said = [whole("t", "{}"), whole("t", "{\"x\""), whole("t", ":1}"), whole("u", "{}")];
        assert_eq!(streamed(&said), ["call_1 t {}", "call_2 t {\"x\":1}", "call_3 u {}"]);
    }

    #[test]
    fn history_is_bounded_by_number_and_bytes_and_begins_with_the_user() {
        let message = |role: &str, n: usize| json!({"role": role, "content": "x".repeat(n)});
        let talk = |turns: usize, n: usize| -> Vec<_> {
            (0..turns).flat_map(|_| [message("user", n), message("assistant", n)]).collect()
        };
        let all = usize::MAX;
        assert_eq!(trim(talk(5, 1), 4, all).len(), 4);
        assert_eq!(trim(talk(5, 1), 3, all).len(), 2);
        assert_eq!(trim(talk(5, 1), 0, all), Vec::<Value>::new());
        assert_eq!(trim(talk(5, 10_000), 100, all).len(), 6);
        assert_eq!(trim(talk(2, 1), 100, all).len(), 4);
        assert_eq!(trim(talk(5, 1_000), 100, 4_500).len(), 4);
        assert_eq!(trim(talk(5, 1_000), 100, 10), Vec::<Value>::new());
        // What is written takes more bytes than what was said.
        let quotes = vec![json!({"role": "user", "content": "\"".repeat(1_000)}); 2];
        assert_eq!(trim(quotes, 100, 3_000).len(), 1);
    }
}
