//! Operators and their API tokens: who they are, how they prove it, what they may.

use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::config::value::Value as _;
use shared::entropy::Entropy;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Role, Scope};
use super::book::{self, Book};
use super::decide::{Log, Plan};
use super::execute::Desk;
use super::problem::Problem;
use super::validate;

/// OWASP's least for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Lengths of passwords, in bytes.
const PASSWORD: std::ops::RangeInclusive<usize> = 12..=1_024;
/// What a token begins with, so that scanners find one that was lost.
const PREFIX: &str = "shk_";
/// What a path of the pages, or the audit log, means otherwise.
const TAKEN: [&str; 4] = ["new", ".", "..", "command line"];
/// Tokens of one operator, and how long one lives at most.
const TOKENS_MAX: usize = 100;
const LIFE_MAX: Duration = Duration::from_hours(24 * 366);
const OPERATORS_MAX: usize = 1_000;

/// An operator to be.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorDraft {
    /// How they sign in, and how the audit log names them.
    pub name: String,
    /// `developer` or `admin`.
    pub role: Role,
    /// At least 12 bytes; otherwise one is made and shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What may be changed of an operator.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// An operator as they are shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperatorView {
    pub name: String,
    pub role: Role,
    pub disabled: bool,
    /// Shown once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A token to be.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenDraft {
    /// What it is for.
    pub name: String,
    /// Whose it is; one's own when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What it may; never more than its operator.
    pub scopes: Vec<Scope>,
    /// How long it lives, like `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
}

/// A token as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiTokenView {
    pub token_id: String,
    pub name: String,
    pub operator: String,
    pub scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// Shown once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl<S: Store> Desk<S> {
    pub async fn add_operator(
        &self,
        actor: &Actor,
        draft: &OperatorDraft,
    ) -> Result<OperatorView, Problem> {
        actor.need(Scope::Administer)?;
        let mut wrong = Vec::new();
        validate::name(&draft.name, &mut wrong);
        if TAKEN.contains(&draft.name.as_str()) {
            wrong.push(format!("name: {:?} has another meaning here", draft.name));
        }
        validate::finish(&wrong, ())?;
        let made = draft.password.is_none().then(|| random(&self.entropy));
        let password = made.clone().or_else(|| draft.password.clone()).unwrap_or_default();
        let hash = hash(password, &self.entropy).await?;
        self.decide(actor, |book| {
            if book.record(Kind::Operator, &draft.name).is_some() {
                let words = format!("an operator is named {:?} already", draft.name);
                return Err(Problem::conflict(words));
            }
            if book.all(Kind::Operator).count() >= OPERATORS_MAX {
                return Err(Problem::conflict("there are too many operators"));
            }
            let (name, role) = (draft.name.clone(), draft.role);
            let mut answer = OperatorView { name, role, disabled: false, password: None };
            let log = vec![Log::new("operator.add", draft.name.as_str(), json!({"after": answer}))];
            let writes = vec![put(&answer, &hash)];
            answer.password.clone_from(&made);
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    pub async fn change_operator(
        &self,
        actor: &Actor,
        name: &str,
        patch: &OperatorPatch,
    ) -> Result<OperatorView, Problem> {
        actor.need(Scope::Administer)?;
        let new = match patch.password.clone() {
            Some(password) => Some(hash(password, &self.entropy).await?),
            None => None,
        };
        self.decide(actor, |book| {
            let record = operator(book, name)?;
            let old: OperatorView = book::body(record)?;
            let after = OperatorView {
                role: patch.role.unwrap_or(old.role),
                disabled: patch.disabled.unwrap_or(old.disabled),
                ..old.clone()
            };
            stays_ruled(book, name, &after)?;
            let kept = record.sealed.as_ref().map(|hash| hash.expose_secret().to_owned());
            let hash = new.clone().or(kept).unwrap_or_default();
            let detail = json!({"before": old, "after": after, "password": new.is_some()});
            let log = vec![Log::new("operator.change", name, detail)];
            Ok(Plan { writes: vec![put(&after, &hash)], log, answer: after })
        })
        .await
    }

    /// Removes an operator with all their tokens.
    pub async fn remove_operator(&self, actor: &Actor, name: &str) -> Result<(), Problem> {
        actor.need(Scope::Administer)?;
        self.decide(actor, |book| {
            let old: OperatorView = book::body(operator(book, name)?)?;
            stays_ruled(book, name, &OperatorView { disabled: true, ..old.clone() })?;
            let mut writes = vec![Write::RemoveRecord(Kind::Operator, name.to_owned())];
            for record in book.all(Kind::Token) {
                if book::body::<ApiTokenView>(record)?.operator == name {
                    writes.push(Write::RemoveRecord(Kind::Token, record.id.clone()));
                }
            }
            let log = vec![Log::new("operator.remove", name, json!({"before": old}))];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }

    pub async fn operators(&self) -> Result<Vec<OperatorView>, Problem> {
        let book = self.book().await?;
        book.all(Kind::Operator).map(book::body).collect()
    }

    pub async fn add_api_token(
        &self,
        actor: &Actor,
        draft: &ApiTokenDraft,
    ) -> Result<ApiTokenView, Problem> {
        let whose = draft.operator.clone().unwrap_or_else(|| actor.person.clone());
        if whose != actor.person {
            actor.need(Scope::Administer)?;
        }
        let mut wrong = Vec::new();
        validate::name(&draft.name, &mut wrong);
        validate::finish(&wrong, ())?;
        let life = draft.life.as_deref().map(Duration::parse).transpose()?;
        if draft.scopes.is_empty() || life.is_some_and(|life| life > LIFE_MAX) {
            return Err(Problem::invalid("scopes: at least one; life: at most 366 days"));
        }
        let now = self.clock.unix_ms();
        let ms = life.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let (token, id) = (format!("{PREFIX}{}", random(&self.entropy)), self.short_id());
        self.decide(actor, |book| {
            let owner: OperatorView = book::body(operator(book, &whose)?)?;
            let over = draft.scopes.iter().find(|scope| !owner.role.may(**scope));
            // Nobody makes a token that may more than they may themselves.
            let over = over.or_else(|| draft.scopes.iter().find(|scope| !actor.may(**scope)));
            if let Some(scope) = over {
                let words = format!("scopes: {} is more than may be given", scope.as_str());
                return Err(Problem::forbidden(words));
            }
            let mut mine = 0;
            for record in book.all(Kind::Token) {
                mine += usize::from(book::body::<ApiTokenView>(record)?.operator == whose);
            }
            if mine >= TOKENS_MAX {
                return Err(Problem::conflict(format!("{whose} has {TOKENS_MAX} tokens already")));
            }
            let mut answer = ApiTokenView {
                token_id: id.clone(),
                name: draft.name.clone(),
                operator: whose.clone(),
                scopes: draft.scopes.clone(),
                expires_at_ms: ms.map(|ms| now.saturating_add(ms)),
                token: None,
            };
            let log = vec![Log::new("token.add", id.as_str(), json!({"after": answer}))];
            let sealed = Some(SecretString::from(digest_of(&token)));
            let body = json!(answer).to_string();
            let record = Record { kind: Kind::Token, id: id.clone(), body, sealed };
            answer.token = Some(token.clone());
            Ok(Plan { writes: vec![Write::Record { record, expires: life }], log, answer })
        })
        .await
    }

    pub async fn api_tokens(&self, actor: &Actor) -> Result<Vec<ApiTokenView>, Problem> {
        let book = self.book().await?;
        let all: Vec<ApiTokenView> =
            book.all(Kind::Token).map(book::body).collect::<Result<_, _>>()?;
        let theirs =
            |token: &ApiTokenView| actor.may(Scope::Administer) || token.operator == actor.person;
        Ok(all.into_iter().filter(theirs).collect())
    }

    pub async fn remove_api_token(&self, actor: &Actor, id: &str) -> Result<(), Problem> {
        self.decide(actor, |book| {
            let missing = || Problem::missing("token", id);
            let record = book.record(Kind::Token, id).ok_or_else(missing)?;
            let old: ApiTokenView = book::body(record)?;
            if old.operator != actor.person && !actor.may(Scope::Administer) {
                return Err(missing());
            }
            let log = vec![Log::new("token.remove", id, json!({"before": old}))];
            let writes = vec![Write::RemoveRecord(Kind::Token, id.to_owned())];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }

    /// Who holds this token, and what they may now.
    pub async fn holder(&self, token: &str) -> Result<Option<Actor>, Problem> {
        let book = self.book().await?;
        let Some(id) = book.token(&digest_of(token)) else { return Ok(None) };
        let Some(record) = book.record(Kind::Token, id) else { return Ok(None) };
        let view: ApiTokenView = book::body(record)?;
        if view.expires_at_ms.is_some_and(|ends| self.clock.unix_ms() >= ends) {
            return Ok(None);
        }
        let Ok(owner) = operator(&book, &view.operator) else { return Ok(None) };
        let owner: OperatorView = book::body(owner)?;
        if owner.disabled {
            return Ok(None);
        }
        let scopes = view.scopes.into_iter().filter(|scope| owner.role.may(*scope)).collect();
        let name = format!("{} (token {})", owner.name, view.token_id);
        Ok(Some(Actor { name, person: owner.name, scopes }))
    }

    /// Who signs in with this name and password. It takes as long for a name that nobody has.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<Option<Actor>, Problem> {
        let book = self.book().await?;
        let record = book.record(Kind::Operator, name);
        let hash = record.and_then(|record| record.sealed.as_ref());
        let hash = hash.map_or_else(|| NOBODY.to_owned(), |hash| hash.expose_secret().to_owned());
        let proved = proves(password.to_owned(), hash).await?;
        let Some(record) = record.filter(|_| proved) else { return Ok(None) };
        let view: OperatorView = book::body(record)?;
        if view.disabled {
            return Ok(None);
        }
        let scopes = Scope::ALL.into_iter().filter(|scope| view.role.may(*scope)).collect();
        Ok(Some(Actor { name: view.name.clone(), person: view.name, scopes }))
    }
}

/// A hash that no password is known for, with the same cost.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn operator<'b>(book: &'b Book, name: &str) -> Result<&'b Record, Problem> {
    book.record(Kind::Operator, name).ok_or_else(|| Problem::missing("operator", name))
}

/// The last admin stays one.
fn stays_ruled(book: &Book, name: &str, after: &OperatorView) -> Result<(), Problem> {
    let rules = |view: &OperatorView| view.role == Role::Admin && !view.disabled;
    if rules(after) {
        return Ok(());
    }
    for record in book.all(Kind::Operator) {
        if record.id != name && rules(&book::body(record)?) {
            return Ok(());
        }
    }
    let before: OperatorView = book::body(operator(book, name)?)?;
    if rules(&before) { Err(Problem::conflict("it is the last admin")) } else { Ok(()) }
}

pub(super) fn put(view: &OperatorView, hash: &str) -> Write {
    let sealed = Some(SecretString::from(hash));
    let body = json!(view).to_string();
    let record = Record { kind: Kind::Operator, id: view.name.clone(), body, sealed };
    Write::Record { record, expires: None }
}

/// 256 random bits as text.
pub(super) fn random(entropy: &Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What of a token is kept: it has 256 random bits, so a plain digest gives nothing away.
pub(super) fn digest_of(token: &str) -> String {
    BASE64_STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

fn argon2() -> Result<Argon2<'static>, Problem> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None);
    let params = params.map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

pub(super) async fn hash(password: String, entropy: &Entropy) -> Result<String, Problem> {
    if !PASSWORD.contains(&password.len()) {
        return Err(Problem::invalid("password: 12 to 1024 bytes"));
    }
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let salt = BASE64_STANDARD_NO_PAD.encode(salt);
    costly(move || {
        let salt = Salt::from_b64(&salt).map_err(|error| Problem::invalid(error.to_string()))?;
        let hash = argon2()?.hash_password(password.as_bytes(), salt);
        hash.map(|hash| hash.to_string()).map_err(|error| Problem::invalid(error.to_string()))
    })
    .await
}

async fn proves(password: String, hash: String) -> Result<bool, Problem> {
    costly(move || {
        let Ok(hash) = PasswordHash::new(&hash) else { return Ok(false) };
        let password = &password.as_bytes()[..password.len().min(*PASSWORD.end())];
        Ok(argon2()?.verify_password(password, &hash).is_ok())
    })
    .await
}

/// Off the threads that serve, and one at a time: sign-ins must not cost anybody else their turn.
async fn costly<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    static ONE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
    let _turn = ONE.acquire().await.map_err(|error| Problem::invalid(error.to_string()))?;
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::invalid(error.to_string()))?
}
