//! OpenAI-compatible responses: the request, and an answer that came whole or as events.

use serde_json::{Value, json};
use shared::registry::{Model, Tool};

use super::chat::{Call, refused};
use super::{list_at, object, sse, text_at};

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub id: Option<String>,
    pub texts: Vec<String>,
    pub calls: Vec<Call>,
    /// What it gave out, to be given back beside the results of its calls.
    pub output: Vec<Value>,
}

/// The request's body. With `previous` the peer knows what was before.
pub fn question(model: &Model, store: bool, previous: Option<&str>, input: &[Value]) -> Value {
    let mut body = object(json!({
        "model": model.model,
        "input": input,
        "store": store,
        "stream": model.stream,
    }));
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    if let Some(instructions) = &model.instructions {
        set("instructions", json!(instructions));
    }
    if let Some(previous) = previous {
        set("previous_response_id", json!(previous));
    }
    if let Some(most) = model.max_tokens {
        set("max_output_tokens", json!(most));
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
    json!({"type": "function", "name": name, "description": description, "parameters": parameters})
}

pub fn result(call: &Call, content: &str) -> Value {
    json!({"type": "function_call_output", "call_id": call.id, "output": content})
}

/// Reads an answer, whole or as events. Of events only the last matters: it holds everything.
pub fn answer(body: &str) -> Result<Answer, String> {
    if sse::is_json(body) {
        let body = serde_json::from_str(body).map_err(|_| "its answer is no JSON".to_owned())?;
        return whole(&body);
    }
    for event in sse::events(body).into_iter().rev() {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
        let kind = text_at(&data, "type").unwrap_or(&event.name);
        match kind {
            "response.completed" | "response.incomplete" | "response.failed" => {
                return whole(&data["response"]);
            }
            "error" => {
                return Err(format!("it answered with an error{}", super::chat::word(&data)));
            }
            // Pieces, and kinds that came later than this code.
            _ => {}
        }
    }
    Err("its answer has no end".to_owned())
}

fn whole(body: &Value) -> Result<Answer, String> {
    refused(body)?;
    if body["status"] == "failed" || body["status"] == "cancelled" {
        return Err("its answer failed".to_owned());
    }
    let output = body.get("output").and_then(Value::as_array).ok_or("its answer has no output")?;
    let mut answer = Answer {
        id: text_at(body, "id").map(str::to_owned),
        output: output.clone(),
        ..Answer::default()
    };
    for item in output {
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                let parts = list_at(item, "content").iter();
                let said = |part: &Value| {
                    let text = text_at(part, "text").or_else(|| text_at(part, "refusal"));
                    text.unwrap_or_default().to_owned()
                };
                answer.texts.push(parts.map(said).collect());
            }
            "function_call" => answer.calls.push(Call {
                id: text_at(item, "call_id").unwrap_or_default().to_owned(),
                name: text_at(item, "name").unwrap_or_default().to_owned(),
                arguments: text_at(item, "arguments").unwrap_or_default().to_owned(),
            }),
            _ => {}
        }
    }
    answer.texts.retain(|text| !text.is_empty());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Value {
        json!({"id": "resp_1", "object": "response", "status": "completed", "error": null, "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Hel"}, {"type": "output_text", "text": "lo"}]},
            {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"}]})
    }

    #[test]
    fn an_answer_is_read_whole_or_from_its_last_event() {
        let whole = answer(&body().to_string()).unwrap();
        assert_eq!(whole.texts, ["Hello"]);
        assert_eq!(whole.id.as_deref(), Some("resp_1"));
        let call = Call { id: "c".into(), name: "t".into(), arguments: "{}".into() };
        assert_eq!(whole.calls, [call]);
        let last = json!({"type": "response.completed", "sequence_number": 9, "response": body()});
        let events = format!(
            "event: response.created\ndata: {{\"type\":\"response.created\"}}\n\nevent: response.steer.x\ndata: {{\"type\":\"response.steer.x\"}}\n\nevent: response.completed\ndata: {last}\n\n"
        );
        assert_eq!(answer(&events).unwrap(), whole);
    }

    #[test]
    fn what_failed_or_was_cut_is_no_answer() {
        for wrong in [
            r#"{"status":"failed","output":[]}"#,
            r#"{"error":{"code":"x"}}"#,
            "data: {\"type\":\"response.created\"}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\"}\n\n",
            "",
        ] {
            answer(wrong).unwrap_err();
        }
    }
}
