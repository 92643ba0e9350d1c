//! Who is signed in to the pages. A session is a record that ends by itself; what a browser holds is 256
//! random bits, kept here as a digest.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Role, Scope};
use super::book::{self, Book};
use super::decide::{Log, Plan};
use super::execute::Desk;
use super::operators::{OperatorView, digest_of, operator, random};
use super::problem::Problem;

/// How long a session lasts, whatever is done in it.
pub const ABSOLUTE: Duration = Duration::from_hours(12);
/// Sessions of one operator; the oldest goes when another begins.
const EACH_MAX: usize = 10;

#[derive(Serialize, Deserialize)]
struct Session {
    operator: String,
    at_ms: u64,
    /// Of the password that it was opened with: another password ends it.
    stamp: String,
}

/// Who holds a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedIn {
    pub actor: Actor,
    pub role: Role,
}

impl<S: Store> Desk<S> {
    /// Opens a session for who has just proved who they are, and ends the one that the browser had. Returns
    /// what the browser is to keep.
    pub async fn open_session(
        &self,
        actor: &Actor,
        before: Option<&str>,
    ) -> Result<String, Problem> {
        let token = random(&self.entropy);
        let now = self.clock.unix_ms();
        self.decide(actor, |book| {
            let record = operator(book, &actor.person)?;
            let session =
                Session { operator: actor.person.clone(), at_ms: now, stamp: stamp(record) };
            let mut mine = Vec::new();
            for kept in book.all(Kind::Session) {
                let other: Session = book::body(kept)?;
                if other.operator == actor.person {
                    mine.push((other.at_ms, kept.id.clone()));
                }
            }
            mine.sort_unstable();
            let over = (mine.len() + 1).saturating_sub(EACH_MAX);
            let mut gone: Vec<String> = mine.into_iter().take(over).map(|(_, id)| id).collect();
            gone.extend(
                before.map(digest_of).filter(|id| book.record(Kind::Session, id).is_some()),
            );
            let mut writes: Vec<Write> =
                gone.into_iter().map(|id| Write::RemoveRecord(Kind::Session, id)).collect();
            let (id, body) = (digest_of(&token), json!(session).to_string());
            let record = Record { kind: Kind::Session, id, body, sealed: None };
            writes.push(Write::Record { record, expires: Some(ABSOLUTE) });
            let log = vec![Log::new("operator.sign_in", actor.person.as_str(), json!({}))];
            Ok(Plan { writes, log, answer: () })
        })
        .await?;
        Ok(token)
    }

    /// Who holds it, with the rights that they have now.
    pub async fn session(&self, token: &str) -> Result<Option<SignedIn>, Problem> {
        let book = self.book().await?;
        let Some(kept) = book.record(Kind::Session, &digest_of(token)) else { return Ok(None) };
        let session: Session = book::body(kept)?;
        let age = self.clock.unix_ms().saturating_sub(session.at_ms);
        if u128::from(age) >= ABSOLUTE.as_millis() {
            return Ok(None);
        }
        signed_in(&book, &session)
    }

    /// Ends it. One that is not there is ended already.
    pub async fn close_session(&self, actor: &Actor, token: &str) -> Result<(), Problem> {
        self.decide(actor, |_| {
            let writes = vec![Write::RemoveRecord(Kind::Session, digest_of(token))];
            let log = vec![Log::new("operator.sign_out", actor.person.as_str(), json!({}))];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }
}

fn signed_in(book: &Book, session: &Session) -> Result<Option<SignedIn>, Problem> {
    let Ok(record) = operator(book, &session.operator) else { return Ok(None) };
    let view: OperatorView = book::body(record)?;
    if view.disabled || stamp(record) != session.stamp {
        return Ok(None);
    }
    let scopes = Scope::ALL.into_iter().filter(|scope| view.role.may(*scope)).collect();
    let actor = Actor { name: view.name.clone(), person: view.name, scopes };
    Ok(Some(SignedIn { actor, role: view.role }))
}

fn stamp(record: &Record) -> String {
    record.sealed.as_ref().map_or_else(String::new, |hash| digest_of(hash.expose_secret()))
}
