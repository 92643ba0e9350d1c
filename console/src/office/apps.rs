//! Apps: made, renamed, given new keys, removed.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::config::value::Value as _;
use shared::registry::control::Write;
use shared::registry::{Algorithm, App, PreviousSecret};
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::book::Book;
use super::decide::{Log, Plan};
use super::drafts::{AppDraft, RulesDraft};
use super::execute::Desk;
use super::problem::Problem;
use super::views::AppView;
use super::{etag, find, validate};

/// How long the key before the new one is good, unless it is said otherwise, and at most.
const OVERLAP: Duration = Duration::from_hours(24);
const OVERLAP_MAX: Duration = Duration::from_hours(24 * 90);

/// A new key for an app.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How long the present key stays good beside the new one, like `24h`; `0s` ends it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// Another algorithm; the present key then ends now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// What can be changed of an app besides its keys.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesDraft>,
}

impl<S: Store> Desk<S> {
    pub async fn add_app(&self, actor: &Actor, draft: &AppDraft) -> Result<AppView, Problem> {
        actor.need(Scope::Configure)?;
        let app = validate::app(draft, &self.entropy)?;
        let made = draft.secret.is_none() && draft.public_key.is_none();
        self.decide(actor, |book| {
            free(book, &app)?;
            if book.registry.apps.contains_key(&app.client_id) {
                return Err(Problem::conflict(format!(
                    "there is an app {} already",
                    app.client_id
                )));
            }
            let view = AppView::of(&app, made);
            let log = Log::new("app.add", app.client_id.as_str(), json!({"after": told(&app)}));
            Ok(Plan { writes: vec![put(&app)], log: vec![log], answer: view })
        })
        .await
    }

    pub async fn change_app(
        &self,
        actor: &Actor,
        name: &str,
        patch: &AppPatch,
        expected: Option<&str>,
    ) -> Result<AppView, Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let old = find::app(&book.registry, name)?;
            etag::check(expected, &AppView::of(&old, false))?;
            let mut wrong = Vec::new();
            let mut app = old.as_ref().clone();
            if let Some(name) = &patch.name {
                validate::name(name, &mut wrong);
                app.name.clone_from(name);
            }
            if let Some(rules) = &patch.rules {
                app.rules = validate::rules(rules, &mut wrong);
            }
            validate::finish(&wrong, ())?;
            free(book, &app)?;
            let detail = json!({"before": told(&old), "after": told(&app)});
            let log = Log::new("app.change", app.client_id.as_str(), detail);
            let answer = AppView::of(&app, false);
            Ok(Plan { writes: vec![put(&app)], log: vec![log], answer })
        })
        .await
    }

    /// Gives an app a new key; the present one stays good for the overlap.
    pub async fn rotate(
        &self,
        actor: &Actor,
        name: &str,
        ask: &Rotation,
    ) -> Result<AppView, Problem> {
        actor.need(Scope::Configure)?;
        let overlap = ask.overlap.as_deref().map(Duration::parse).transpose()?.unwrap_or(OVERLAP);
        if overlap > OVERLAP_MAX {
            return Err(Problem::invalid("overlap: at most 90 days"));
        }
        let word = ask.algorithm.as_deref();
        let algorithm = word.map(|text| {
            Algorithm::parse(text)
                .ok_or_else(|| Problem::invalid(format!("algorithm: {text:?} is not known")))
        });
        let algorithm = algorithm.transpose()?;
        let made = |algorithm: Algorithm| {
            let (mut wrong, given) =
                (Vec::new(), (ask.secret.as_deref(), ask.public_key.as_deref()));
            let key = validate::key(algorithm, given, &self.entropy, &mut wrong);
            validate::finish(&wrong, key)
        };
        let now = self.clock.unix_ms();
        self.decide(actor, |book| {
            let old = find::app(&book.registry, name)?;
            let algorithm = algorithm.unwrap_or(old.algorithm);
            let secret: SecretString = made(algorithm)?;
            let ends = now.saturating_add(u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX));
            let kept = algorithm == old.algorithm && !overlap.is_zero();
            let previous =
                kept.then(|| PreviousSecret { secret: old.secret.clone(), until_ms: ends });
            let app = App { algorithm, secret, previous, ..old.as_ref().clone() };
            let shown = ask.secret.is_none() && ask.public_key.is_none();
            let detail = json!({"before": told(&old), "after": told(&app)});
            let log = Log::new("app.rotate", app.client_id.as_str(), detail);
            let answer = AppView::of(&app, shown);
            Ok(Plan { writes: vec![put(&app)], log: vec![log], answer })
        })
        .await
    }

    pub async fn remove_app(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<&str>,
    ) -> Result<(), Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let app = find::app(&book.registry, name)?;
            etag::check(expected, &AppView::of(&app, false))?;
            let mut used = book.registry.channels.values();
            if let Some(channel) = used.find(|channel| channel.client == app.client_id) {
                let words = format!("the channel {} is this app's: delete it first", channel.id);
                return Err(Problem::conflict(words));
            }
            let log = Log::new("app.remove", app.client_id.as_str(), json!({"before": told(&app)}));
            let writes = vec![Write::RemoveApp(app.client_id.clone())];
            Ok(Plan { writes, log: vec![log], answer: () })
        })
        .await
    }
}

fn put(app: &App) -> Write {
    Write::App(Box::new(app.clone()))
}

/// Names are for people: two of the same would mislead them.
fn free(book: &Book, app: &App) -> Result<(), Problem> {
    let mut others = book.registry.apps.values();
    if others.any(|other| other.name == app.name && other.client_id != app.client_id) {
        return Err(Problem::conflict(format!("an app is named {:?} already", app.name)));
    }
    Ok(())
}

/// For the audit log: what there is to say without a secret.
fn told(app: &App) -> serde_json::Value {
    serde_json::to_value(AppView::of(app, false)).unwrap_or_default()
}
