//! What a page is asked: by whom, about what, with which words.

use shared::store::Store;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::form::Words;
use super::ui::{Field, Form, Kind, Link};
use crate::office::actor::{Actor, Scope};
use crate::office::decide::Once;
use crate::office::execute::Desk;
use crate::office::problem;
use crate::room::Room;

/// See the module's documentation.
pub(super) struct Ask<'r, B, S> {
    pub(super) room: &'r Room<B, S>,
    pub(super) actor: Actor,
    pub(super) csrf: String,
    pub(super) parts: Vec<String>,
    pub(super) query: Words,
    pub(super) form: Words,
    /// Asked by a script of ours, which wants a part of a page.
    pub(super) is_script: bool,
}

impl<B, S: Store> Ask<'_, B, S> {
    pub(super) fn desk(&self) -> &Desk<S> {
        &self.room.desk
    }

    /// The office, for which a second submit of the same form is the same request, and one that was typed
    /// otherwise since is refused.
    pub(super) fn desk_once(&self, what: &str) -> Desk<S> {
        let key = self.form.raw("once");
        let mut desk = self.room.desk.clone();
        if (16..=64).contains(&key.len()) {
            let text = |text: String| {
                BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
            };
            let id = text(format!("page {what} {} {key}", self.actor.person));
            // The key is kept nowhere, so that nobody can guess at what was typed.
            let typed = self.form.written(&["csrf"]);
            let fingerprint = text(format!("page {what} {key} {typed}"));
            desk.once = Some(Once { id, fingerprint });
        }
        desk
    }

    /// The first part of the path that varies.
    pub(super) fn id(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.actor.may(scope)
    }

    /// A form of this session.
    pub(super) fn form(&self, action: impl Into<String>, submit: &str) -> Form {
        Form {
            action: action.into(),
            csrf: self.csrf.clone(),
            submit: submit.to_owned(),
            ..Form::default()
        }
    }

    /// As [`Ask::form`], of which a second submit is the same.
    pub(super) fn form_once(&self, action: impl Into<String>, submit: &str) -> Form {
        let typed = self.form.raw("once");
        let fresh = || self.room.ground.entropy.hex(16);
        let once = if typed.is_empty() { fresh() } else { typed.to_owned() };
        Form { once, ..self.form(action, submit) }
    }

    /// The tag of what an edit began with.
    pub(super) fn seen(&self) -> Option<&str> {
        self.form.given("seen")
    }
}

pub(super) fn seen(tag: String) -> Field {
    Field { name: "seen", kind: Kind::Hidden, value: tag, ..Field::default() }
}

/// Whether what was typed can be typed again, better.
pub(super) fn can_be_mended(why: &problem::Problem) -> bool {
    use problem::Kind as K;
    match why.kind {
        K::Invalid | K::Conflict | K::Stale => true,
        K::NotFound | K::Reused | K::Forbidden | K::Away => false,
    }
}

pub(super) fn cancel(href: impl Into<String>) -> Link {
    Link::new(href, "Cancel")
}
