//! Bots of other platforms, against small stand-ins that were written from descriptions of their protocols.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::outcome::Outcome;
use shared::domain::turn::{Mode, Turn};
use shared::registry::{Activities, Bot, ConnectorLogic, Logic, Model, Peer, RepliesBy, Tool};

use super::support::server::{Answer, Asked, Server};
use super::support::world::{Dispatcher, SORRY, World, a_bot};

const ALLOWED: [(&str, &str); 1] = [("egress.allow", "127.0.0.0/8")];

async fn world(server: &Server, peer: Peer) -> (World, Dispatcher) {
    world_with(server, peer, &[]).await
}

pub(crate) async fn world_with(
    server: &Server,
    peer: Peer,
    flags: &[(&str, &str)],
) -> (World, Dispatcher) {
    let logic = ConnectorLogic {
        peer,
        url: server.url(),
        authorization: Some("Bearer s3cret".into()),
        deadline: Duration::from_secs(10),
        attempts_max: 2,
    };
    let world = World::with(Bot { logic: Logic::Connector(Box::new(logic)), ..a_bot() }).await;
    let flags: Vec<_> = ALLOWED.into_iter().chain(flags.iter().copied()).collect();
    let dispatcher = world.dispatcher_of_registry(&flags).await;
    (world, dispatcher)
}

fn model() -> Model {
    Model {
        model: "m".to_owned(),
        instructions: Some("Be kind.".to_owned()),
        stream: false,
        history: 4,
        max_tokens: None,
        temperature: None,
        tools: Vec::new(),
    }
}

fn new_session(world: &World, text: &str) -> Turn {
    Turn { new_session: true, ..world.turn(Mode::Sync, "ann", text) }
}

pub(crate) async fn fails_with(world: &World, text: &str, why: &str) {
    let turn = world.say("ann", text).await;
    assert_eq!(world.answer(&turn).await, json!({"text": SORRY}));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::BotFailed);
    let detail = world.store.detail(turn.id);
    assert!(detail.contains(why), "{detail}");
}

fn of_all(server: &Server, at: impl Fn(&Asked) -> Value) -> Vec<Value> {
    server.asked().iter().map(at).collect()
}

#[tokio::test]
async fn rasa_is_asked_with_a_sender_for_each_session_and_its_silence_is_no_failure() {
    let server = Server::start(|asked, _| {
        Answer::Json(match asked.body["message"].as_str() {
            Some("menu") => {
                json!([{"text": "Which?", "buttons": [{"title": "A", "payload": "/a"}]}])
            }
            Some("nothing") => json!([]),
            said => json!([{"recipient_id": "x", "text": said}, {"image": "http://i/a.png"}]),
        })
    })
    .await;
    let (world, _dispatcher) = world(&server, Peer::Rasa).await;
    let image = "{&quot;type&quot;:&quot;image&quot;,&quot;payload&quot;:{&quot;url&quot;:&quot;http://i/a.png&quot;}}";
    assert_eq!(world.ask("ann", "hi").await, json!({"text": ["hi", image]}));
    let menu = world.ask("ann", "menu").await["text"].as_str().unwrap().replace("&quot;", "\"");
    assert_eq!(serde_json::from_str::<Value>(&menu).unwrap()["payload"]["text"], "Which?");
    let turn = world.say("ann", "nothing").await;
    assert_eq!(world.answer(&turn).await, json!({"text": []}));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Answered);
    let turn = new_session(&world, "hi");
    world.publish(&turn).await;
    world.answer(&turn).await;
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path == "/bot/webhooks/rest/webhook"));
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == "Bearer s3cret"));
    let senders = of_all(&server, |asked| asked.body["sender"].clone());
    assert_eq!(senders[0], senders[2]);
    assert_ne!(senders[0], senders[3]);
    assert_eq!(asked[0].body["metadata"]["customData"]["userToken"], "t0ken");
}

#[tokio::test]
async fn an_action_servers_slots_last_for_a_session_and_followups_are_run() {
    let server = Server::start(|asked, _| {
        let count = asked.body["tracker"]["slots"]["n"].as_u64().unwrap_or_default() + 1;
        if asked.body["tracker"]["latest_message"]["text"] == "gone" {
            let headers = vec![("content-type", "application/json")];
            return Answer::Raw(404, headers, br#"{"error":"x","action_name":"x"}"#.to_vec());
        }
        Answer::Json(match asked.body["next_action"].as_str() {
            Some("first") => json!({"events": [{"event": "slot", "name": "n", "value": count},
                {"event": "followup", "name": "second"}], "responses": []}),
            _ => json!({"events": [], "responses": [{"text": format!("{}", count - 1)}]}),
        })
    })
    .await;
    let (world, _dispatcher) =
        world(&server, Peer::RasaActions { action: "first".to_owned() }).await;
    for n in 1..=3 {
        assert_eq!(world.ask("ann", "x").await, json!({"text": n.to_string()}));
    }
    fails_with(&world, "gone", "no action first").await;
    assert_eq!(world.ask("ann", "x").await, json!({"text": "4"}));
    assert_eq!(world.ask("bob", "x").await, json!({"text": "1"}));
}

#[tokio::test]
async fn an_activity_bot_is_told_of_arrivals_and_must_reply_with_its_response() {
    let server = Server::start(|asked, _| {
        assert_eq!(asked.body["deliveryMode"], "expectReplies");
        let message = |text: &str| json!({"type": "message", "text": text});
        Answer::Json(match (asked.body["type"].as_str(), asked.body["text"].as_str()) {
            (Some("conversationUpdate"), _) => json!({"activities": [message("welcome")]}),
            (_, Some("bye")) => {
                json!({"activities": [message("so long"), {"type": "endOfConversation"}]})
            }
            (_, Some("normal")) => json!({"id": "1"}),
            (_, text) => json!({"activities": [{"type": "typing"}, message(text.unwrap())]}),
        })
    })
    .await;
    let how = Activities { replies: RepliesBy::Expect, ..Activities::default() };
    let (world, _dispatcher) = world(&server, Peer::BotFramework(how)).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": ["welcome", "hi"]}));
    assert_eq!(world.ask("ann", "you").await, json!({"text": "you"}));
    assert_eq!(world.ask("ann", "bye").await, json!({"text": "so long", "endOfTask": true}));
    fails_with(&world, "normal", "expectReplies").await;
    assert!(server.asked().iter().all(|asked| asked.path == "/bot"));
}

/// A model that wants to know the balance before it answers.
fn clever(asked: &Asked) -> Value {
    if asked.path == "/balance" {
        return json!({"balance": 7, "of": asked.body["customData"]["userToken"]});
    }
    let messages = asked.body["messages"].as_array().unwrap();
    let last = messages.last().unwrap();
    let message = match (last["role"].as_str(), last["content"].as_str()) {
        (Some("user"), Some("balance?")) => json!({"content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "balance", "arguments": "{\"account\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "unknown", "arguments": "{}"}}]}),
        (Some("tool"), Some(result)) => {
            let balance = messages[messages.len() - 2]["content"].as_str().unwrap();
            json!({"content": format!("{balance} {result}")})
        }
        _ => json!({"content": format!("{} messages", messages.len())}),
    };
    json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

#[tokio::test]
async fn a_model_gets_a_bounded_history_and_its_tools_are_called() {
    let server = Server::start(|asked, _| Answer::Json(clever(asked))).await;
    let tool = Tool {
        name: "balance".to_owned(),
        description: "Reads a balance.".to_owned(),
        url: server.url().join("/balance").unwrap(),
        parameters: json!({"type": "object"}),
    };
    let peer = Peer::Openai(Model { tools: vec![tool], ..model() });
    let (world, _dispatcher) = world(&server, peer).await;
    for expected in ["2 messages", "4 messages", "6 messages", "6 messages"] {
        assert_eq!(world.ask("ann", "hi").await, json!({"text": expected}));
    }
    let said = world.ask("ann", "balance?").await;
    let expected = r#"{"balance":7,"of":"t0ken"} {"error":"there is no such tool"}"#;
    assert_eq!(said, json!({"text": expected}));
    let asked = server.asked();
    let call = asked.iter().find(|asked| asked.path == "/balance").unwrap();
    assert_eq!(
        (&call.body["arguments"], &call.body["user"]["id"]),
        (&json!({"account": 1}), &json!("ann"))
    );
    assert!(call.headers["idempotency-key"].contains("-0-"));
    // The model's key is for the model.
    assert!(!call.headers.contains_key("authorization"));
    assert_eq!(asked[0].path, "/bot/chat/completions");
    assert_eq!(world.kept("ann").await, json!({}));
}

#[tokio::test]
async fn a_conversation_that_outgrows_its_session_goes_on_without_what_is_oldest() {
    let count = |asked: &Asked| {
        let list = asked.body["messages"].as_array().or(asked.body["input"].as_array());
        let said = list.unwrap().iter().filter(|said| said["role"] != "system").count();
        format!("{said}{}", "\"".repeat(200))
    };
    let server = Server::start(move |asked, _| {
        let text = count(asked);
        Answer::Json(if asked.path.ends_with("responses") {
            let content = json!([{"type": "output_text", "text": text}]);
            json!({"output": [{"type": "message", "content": content}]})
        } else {
            json!({"choices": [{"message": {"content": text}}]})
        })
    })
    .await;
    let model = Model { history: 1_000, ..model() };
    let responses = Peer::OpenaiResponses { model: model.clone(), store: false };
    for peer in [Peer::Openai(model), responses] {
        let flags = [("dispatcher.session_max", "2KiB")];
        let (world, _dispatcher) = world_with(&server, peer, &flags).await;
        let mut heard = Vec::new();
        for number in 0..8 {
            let said = if number == 6 { "x".repeat(4_000) } else { "hi".to_owned() };
            let answer = world.ask("ann", &said).await;
            heard.push(answer["text"].as_str().unwrap().trim_end_matches('"').to_owned());
        }
        // Three answers have room; one that has none alone is not kept, and the next begins anew.
        assert_eq!(heard, ["1", "3", "5", "7", "7", "7", "7", "1"]);
    }
}

#[tokio::test]
async fn a_streamed_answer_is_put_together_and_a_broken_one_is_a_failure() {
    let server = Server::start(|asked, _| {
        assert_eq!(asked.body["stream"], true);
        let fails = asked.body["messages"].to_string().contains("break");
        let last = if fails { r#"{"error":{"code":"overloaded","message":"x"}}"# } else { "[DONE]" };
        let body = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"Hel\"}}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"lo\"}}}}]}}\n\ndata: {last}\n\n"
        );
        Answer::Raw(200, vec![("content-type", "text/event-stream")], body.into_bytes())
    })
    .await;
    let peer = Peer::Openai(Model { stream: true, ..model() });
    let (world, _dispatcher) = world(&server, peer).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "Hello"}));
    fails_with(&world, "break", "overloaded").await;
    // What failed is not part of the conversation.
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "Hello"}));
}

/// Says how much it was told, and knows its first answer no more once it was asked three times.
fn responder(asked: &Asked, number: usize) -> Answer {
    let previous = asked.body["previous_response_id"].as_str();
    if number == 2 && previous.is_some() {
        let body = br#"{"error":{"code":"previous_response_not_found"}}"#.to_vec();
        return Answer::Raw(400, vec![("content-type", "application/json")], body);
    }
    let said = format!(
        "{} {}",
        asked.body["input"].as_array().unwrap().len(),
        previous.unwrap_or("nothing")
    );
    Answer::Json(json!({
        "id": format!("resp_{number}"), "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": said}]}],
    }))
}

#[tokio::test]
async fn responses_are_chained_by_their_ids_or_told_the_history() {
    let server = Server::start(responder).await;
    let peer = |store| Peer::OpenaiResponses { model: model(), store };
    let (world, _dispatcher) = self::world(&server, peer(true)).await;
    for expected in ["1 nothing", "1 resp_0", "1 nothing", "1 resp_3"] {
        assert_eq!(world.ask("ann", "hi").await, json!({"text": expected}));
    }
    let server = Server::start(responder).await;
    let (world, _dispatcher) = self::world(&server, peer(false)).await;
    for expected in ["1 nothing", "3 nothing", "5 nothing", "5 nothing"] {
        assert_eq!(world.ask("ann", "hi").await, json!({"text": expected}));
    }
    assert_eq!(server.asked()[0].path, "/bot/responses");
    assert_eq!(server.asked()[0].body["instructions"], "Be kind.");
}

#[tokio::test]
async fn a_kit_gets_its_payload_back_changed_and_cannot_answer_later() {
    let server = Server::start(|asked, _| {
        let mut payload = asked.body.clone();
        if payload["message"] == "later" {
            return Answer::Raw(202, vec![], br#"{"customCode":"ASYNC_RESPONSE"}"#.to_vec());
        }
        let session = &mut payload["context"]["session"]["BotUserSession"];
        session["n"] = json!(session["n"].as_u64().unwrap_or_default() + 1);
        payload["message"] = json!(format!(
            "{} {}",
            session["n"], session["lastMessage"]["customData"]["userToken"]
        ));
        Answer::Json(payload)
    })
    .await;
    let component = "Ask Me".to_owned();
    let (world, _dispatcher) =
        world(&server, Peer::Botkit { client_id: "cs-1".to_owned(), component }).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "1 \"t0ken\""}));
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "2 \"t0ken\""}));
    assert_eq!(world.kept("ann").await, json!({"n": 2}));
    fails_with(&world, "later", "callbackUrl").await;
    let asked = &server.asked()[0];
    let path = format!(
        "/bot/sdk/bots/{}/components/Ask%20Me/on_webhook",
        asked.body["botId"].as_str().unwrap()
    );
    assert_eq!(asked.path, path);
    // Header, claims and a signature, as a kit reads them.
    let token = &asked.headers["token"];
    assert_eq!(token.split('.').count(), 3);
    assert!(!asked.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_dify_conversation_lasts_as_long_as_the_session() {
    let server = Server::start(|asked, number| {
        if asked.body["query"] == "gone" && asked.body["conversation_id"] != "" {
            let body = br#"{"code":"not_found","message":"Conversation Not Exists."}"#.to_vec();
            return Answer::Raw(404, vec![("content-type", "application/json")], body);
        }
        let conversation = match asked.body["conversation_id"].as_str() {
            Some("") => format!("c{number}"),
            kept => kept.unwrap().to_owned(),
        };
        if asked.body["response_mode"] == "blocking" {
            return Answer::Json(json!({"answer": conversation, "conversation_id": conversation}));
        }
        let message =
            json!({"event": "message", "answer": conversation, "conversation_id": conversation});
        let body =
            format!("event: ping\n\ndata: {message}\n\ndata: {{\"event\":\"message_end\"}}\n\n");
        Answer::Raw(200, vec![("content-type", "text/event-stream")], body.into_bytes())
    })
    .await;
    let (world, _dispatcher) = self::world(&server, Peer::Dify { stream: true }).await;
    for expected in ["c0", "c0"] {
        assert_eq!(world.ask("ann", "hi").await, json!({"text": expected}));
    }
    let turn = new_session(&world, "hi");
    world.publish(&turn).await;
    assert_eq!(world.answer(&turn).await, json!({"text": "c2"}));
    // Another app has taken its place, or somebody has deleted it there.
    assert_eq!(world.ask("ann", "gone").await, json!({"text": "c4"}));
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "c4"}));
    let (world, _dispatcher) = self::world(&server, Peer::Dify { stream: false }).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "c6"}));
    assert_eq!(server.asked()[0].path, "/bot/chat-messages");
}

#[tokio::test]
async fn a_call_is_repeated_only_when_the_peer_has_not_begun_on_it() {
    let server = Server::start(|asked, number| match (asked.body["message"].as_str(), number) {
        (Some("busy"), 0) => Answer::Raw(429, vec![("retry-after", "0")], vec![]),
        (Some("broken"), _) => Answer::Raw(500, vec![], b"the user said broken".to_vec()),
        (Some("huge"), _) => Answer::Raw(200, vec![], vec![b'['; 5 * 1024 * 1024]),
        (Some("deep"), _) => {
            let deep = format!("[{{\"custom\":{{\"a\":{}1{}}}}}]", "[".repeat(60), "]".repeat(60));
            Answer::Raw(200, vec![], deep.into_bytes())
        }
        (Some("packed"), _) => Answer::Raw(200, vec![("content-encoding", "gzip")], vec![31, 139]),
        (Some("html"), _) => Answer::Raw(200, vec![], b"<html>".to_vec()),
        _ => Answer::Json(json!([{"text": "ok"}])),
    })
    .await;
    let (world, _dispatcher) = world(&server, Peer::Rasa).await;
    assert_eq!(world.ask("ann", "busy").await, json!({"text": "ok"}));
    for (text, why) in [
        ("broken", "it answered 500"),
        ("huge", "too large"),
        ("deep", "too deep"),
        ("packed", "compressed"),
        ("html", "no messages"),
    ] {
        let before = server.asked().len();
        fails_with(&world, text, why).await;
        assert_eq!(server.asked().len(), before + 1, "{text}");
    }
}
