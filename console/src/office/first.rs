//! The first admin of an installation: whoever holds the link that `up` prints, once, for a day.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Role};
use super::book::{self, Book};
use super::decide::{Log, Plan};
use super::execute::Desk;
use super::operators::{OperatorView, digest_of, hash, put, random};
use super::problem::Problem;
use super::validate;

const ID: &str = "first";
/// How long the link is good.
const KEPT: Duration = Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
struct Invitation {
    until_ms: u64,
}

impl<S: Store> Desk<S> {
    /// A new invitation, in the place of the one before; `None` where there are operators.
    pub async fn invite(&self) -> Result<Option<String>, Problem> {
        let token = random(&self.entropy);
        let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        let until_ms = self.clock.unix_ms().saturating_add(kept);
        let made = self
            .decide(&Actor::command_line(), |book| {
                if book.all(Kind::Operator).next().is_some() {
                    return Ok(Plan { writes: Vec::new(), log: Vec::new(), answer: false });
                }
                let record = Record {
                    kind: Kind::Invitation,
                    id: ID.to_owned(),
                    body: json!(Invitation { until_ms }).to_string(),
                    sealed: Some(SecretString::from(digest_of(&token))),
                };
                let writes = vec![Write::Record { record, expires: Some(KEPT) }];
                let log = vec![Log::new("operator.invite", ID, json!({}))];
                Ok(Plan { writes, log, answer: true })
            })
            .await?;
        Ok(made.then_some(token))
    }

    /// Whether the invitation is good now. Looking does not use it up.
    pub async fn is_invited(&self, token: &str) -> Result<bool, Problem> {
        invited(self.book().await?.as_ref(), token, self.clock.unix_ms())
    }

    /// Uses the invitation up: makes the first admin.
    pub async fn accept(
        &self,
        token: &str,
        name: &str,
        password: &str,
    ) -> Result<OperatorView, Problem> {
        let refused = || Problem::forbidden("the link has been used, has expired, or is another");
        if !self.is_invited(token).await? {
            return Err(refused());
        }
        let mut wrong = Vec::new();
        validate::name(name, &mut wrong);
        validate::finish(&wrong, ())?;
        let hash = hash(password.to_owned(), &self.entropy).await?;
        let now = self.clock.unix_ms();
        self.decide(&Actor::command_line(), |book| {
            if !invited(book, token, now)? {
                return Err(refused());
            }
            let (name, role) = (name.to_owned(), Role::Admin);
            let answer = OperatorView { name, role, disabled: false, password: None };
            let gone = Write::RemoveRecord(Kind::Invitation, ID.to_owned());
            let log = Log::new("operator.first", answer.name.as_str(), json!({"after": answer}));
            Ok(Plan { writes: vec![put(&answer, &hash), gone], log: vec![log], answer })
        })
        .await
    }
}

fn invited(book: &Book, token: &str, now_ms: u64) -> Result<bool, Problem> {
    let Some(record) = book.record(Kind::Invitation, ID) else { return Ok(false) };
    let Invitation { until_ms } = book::body(record)?;
    // Digests are compared: how long it takes tells nothing of the token.
    let same = record.sealed.as_ref().is_some_and(|d| d.expose_secret() == digest_of(token));
    Ok(same && now_ms < until_ms && book.all(Kind::Operator).next().is_none())
}
