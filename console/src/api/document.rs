//! The OpenAPI 3.1 document, from the table of routes and the types that are really read and written.

use http::Method;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::handlers::{Parent, Whom, Why};
use super::table::{Action, Answer, BASE, Body, ROUTES, Route, Shape};
use crate::office::actor::Scope;
use crate::office::analytics::AnalyticsView;
use crate::office::apps::{AppPatch, Rotation};
use crate::office::drafts::{AppDraft, BotDraft, ChannelDraft};
use crate::office::exchange::{Association, Document, Imported, PlaceholderView};
use crate::office::ledger::{AttemptView, DeliveryView, TurnView, WholeTurnView};
use crate::office::operators::{
    ApiTokenDraft, ApiTokenView, OperatorDraft, OperatorPatch, OperatorView,
};
use crate::office::publish::{PublishDraft, RequestView};
use crate::office::replays::{ReplayAsk, ReplayView};
use crate::office::views::{AppView, AuditView, BotView, ChannelView};

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.as_str().to_ascii_lowercase(), operation(route, &mut schemas));
        }
    }
    let mut definitions = schemas.take_definitions(true);
    definitions.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Switchhook admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The control plane: apps, bots, channels, approval, people.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.action.id(),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    let Some(fields) = operation.as_object_mut() else { return operation };
    if let Some(scope) = route.scope {
        fields.insert("x-scope".to_owned(), scope.as_str().into());
    }
    if route.is_public() {
        fields.insert("security".to_owned(), json!([]));
    }
    if let Some(body) = route.body {
        let schema = body_schema(body, schemas);
        let required = !matches!(body, Body::Why | Body::Rotation);
        let content = json!({ "application/json": { "schema": schema } });
        fields.insert("requestBody".to_owned(), json!({"required": required, "content": content}));
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let mut all: Vec<Value> = route
        .parameters()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}))
        .collect();
    for name in route.query {
        let counts = route.action == Action::CountDeliveries;
        let schema = match *name {
            "limit" => json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            "state" if route.action == Action::ListRequests => {
                json!({"type": "string", "enum": ["open", "decided"]})
            }
            "state" if counts => json!({"type": "string", "enum": ["delivered", "parked"]}),
            "state" => json!({"type": "string", "enum": ["waiting", "delivered", "parked"]}),
            "range" => json!({"type": "string", "enum": ["24h", "72h", "8d"], "default": "24h"}),
            "from_ms" | "to_ms" => json!({"type": "integer", "minimum": 0}),
            _ => text.clone(),
        };
        let required = counts && *name != "state";
        all.push(json!({"name": name, "in": "query", "required": required, "schema": schema}));
    }
    if route.wants_match() {
        all.push(json!({"name": "If-Match", "in": "header", "required": true, "schema": text}));
    }
    if route.takes_key() {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
        all.push(json!({"name": "Idempotency-Key", "in": "header", "schema": schema}));
    }
    all
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    match route.answer {
        Answer::One(shape) => {
            let schema = shape_schema(shape, schemas);
            all.insert("200".into(), json!({"description": "Done", "content": content(schema)}));
        }
        Answer::Made(shape) => {
            let schema = shape_schema(shape, schemas);
            all.insert("201".into(), json!({"description": "Made", "content": content(schema)}));
        }
        Answer::Page(shape) => {
            let schema = json!({
                "type": "object",
                "properties": {
                    "items": {"type": "array", "items": shape_schema(shape, schemas)},
                    "next_cursor": {"type": ["string", "null"]},
                },
                "required": ["items", "next_cursor"],
            });
            all.insert("200".into(), json!({"description": "A page", "content": content(schema)}));
        }
        Answer::Nothing => {
            all.insert("204".into(), json!({ "description": "Done" }));
        }
    }
    for (status, words) in refusals(route) {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        all.insert(status.to_owned(), json!({"description": words, "content": content}));
    }
    Value::Object(all)
}

/// What a route may say instead.
fn refusals(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("400", "Wrong in itself"), ("404", "There is no such thing")];
    if !route.is_public() {
        all.extend([
            ("401", "No valid token"),
            ("403", "The token may not"),
            ("408", "The body came too slowly"),
            ("413", "The body is too large"),
            ("415", "The body is not JSON"),
        ]);
    }
    if *route.method != Method::GET {
        all.push(("409", "It does not go together with what is there"));
    }
    if route.wants_match() {
        all.extend([("412", "It has changed since"), ("428", "If-Match is missing")]);
    }
    if route.takes_key() {
        all.extend([
            ("412", "Others were faster, again and again"),
            ("422", "The Idempotency-Key was used for something else"),
        ]);
    }
    all.push(("503", "The store is away, or too much at once"));
    all
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail"],
    })
}

fn body_schema(body: Body, schemas: &mut SchemaGenerator) -> Value {
    let schema = match body {
        Body::App => schemas.subschema_for::<AppDraft>(),
        Body::AppPatch => schemas.subschema_for::<AppPatch>(),
        Body::Rotation => schemas.subschema_for::<Rotation>(),
        Body::Bot => schemas.subschema_for::<BotDraft>(),
        Body::BotPatch => {
            return patch(schemas.root_schema_for::<BotDraft>().into(), &["id", "script"]);
        }
        Body::Parent => schemas.subschema_for::<Parent>(),
        Body::Document => schemas.subschema_for::<Document>(),
        Body::Channel => schemas.subschema_for::<ChannelDraft>(),
        Body::ChannelPatch => {
            let whole = schemas.root_schema_for::<ChannelDraft>().into();
            return patch(whole, &["id", "bot", "approve"]);
        }
        Body::Association => schemas.subschema_for::<Association>(),
        Body::Publish => schemas.subschema_for::<PublishDraft>(),
        Body::Why => schemas.subschema_for::<Why>(),
        Body::Whom => schemas.subschema_for::<Whom>(),
        Body::Operator => schemas.subschema_for::<OperatorDraft>(),
        Body::OperatorPatch => schemas.subschema_for::<OperatorPatch>(),
        Body::Token => schemas.subschema_for::<ApiTokenDraft>(),
        Body::Replay => schemas.subschema_for::<ReplayAsk>(),
    };
    schema.into()
}

/// A whole thing's schema as that of a merge patch: nothing is required, `null` takes a word out.
fn patch(mut whole: Value, fixed: &[&str]) -> Value {
    let Some(fields) = whole.as_object_mut() else { return whole };
    for word in ["$schema", "$defs", "required", "title"] {
        fields.shift_remove(word);
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !fixed.contains(&name.as_str()));
    }
    whole
}

fn shape_schema(shape: Shape, schemas: &mut SchemaGenerator) -> Value {
    let schema = match shape {
        Shape::Actor => return actor(schemas),
        Shape::App => schemas.subschema_for::<AppView>(),
        Shape::Bot => schemas.subschema_for::<BotView>(),
        Shape::Document => schemas.subschema_for::<Document>(),
        Shape::Imported => schemas.subschema_for::<Imported>(),
        Shape::Channel => schemas.subschema_for::<ChannelView>(),
        Shape::Placeholder => schemas.subschema_for::<PlaceholderView>(),
        Shape::Request => schemas.subschema_for::<RequestView>(),
        Shape::Operator => schemas.subschema_for::<OperatorView>(),
        Shape::Token => schemas.subschema_for::<ApiTokenView>(),
        Shape::Audit => schemas.subschema_for::<AuditView>(),
        Shape::Turn => schemas.subschema_for::<TurnView>(),
        Shape::WholeTurn => schemas.subschema_for::<WholeTurnView>(),
        Shape::Attempt => schemas.subschema_for::<AttemptView>(),
        Shape::Delivery => schemas.subschema_for::<DeliveryView>(),
        Shape::Analytics => schemas.subschema_for::<AnalyticsView>(),
        Shape::Replay => schemas.subschema_for::<ReplayView>(),
        Shape::Rows => {
            return json!({
                "type": "object",
                "properties": {"rows": {"type": "integer", "minimum": 0}},
                "required": ["rows"],
            });
        }
        Shape::Schema => return json!({ "type": "object" }),
    };
    schema.into()
}

fn actor(schemas: &mut SchemaGenerator) -> Value {
    let scope: Value = schemas.subschema_for::<Scope>().into();
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "operator": {"type": "string"},
            "scopes": {"type": "array", "items": scope},
        },
        "required": ["name", "operator", "scopes"],
    })
}
