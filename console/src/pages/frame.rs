//! What surrounds a page.

use shared::broker::Broker;
use shared::registry::control::Kind;
use shared::store::Store;

use super::assets;
use super::ui::{Frame, Who};
use crate::office::actor::Scope;
use crate::office::sessions::SignedIn;
use crate::room::Room;

/// Section, path, words.
pub(super) const NAVIGATION: [(&str, &str, &str); 11] = [
    ("home", "/", "Overview"),
    ("bots", "/bots", "Bots"),
    ("channels", "/channels", "Channels"),
    ("apps", "/apps", "Apps"),
    ("approvals", "/approvals", "Approvals"),
    ("turns", "/turns", "Conversations"),
    ("deliveries", "/deliveries", "Deliveries"),
    ("analytics", "/analytics", "Analytics"),
    ("people", "/operators", "Operators"),
    ("tokens", "/tokens", "API tokens"),
    ("audit", "/audit", "Audit log"),
];

pub(super) fn outside(csrf: String) -> Frame {
    let [css, js, theme] = assets::paths().map(str::to_owned);
    Frame { who: None, csrf, waiting: 0, css, js, theme }
}

pub(super) async fn inside<B: Broker, S: Store>(
    room: &Room<B, S>,
    who: &SignedIn,
    csrf: String,
) -> Frame {
    let book = room.desk.book().await;
    let waiting = book.map_or(0, |book| book.all(Kind::Request).count());
    let who = Who {
        name: who.actor.name.clone(),
        role: who.role.as_str(),
        administers: who.actor.may(Scope::Administer),
    };
    Frame { who: Some(who), waiting, ..outside(csrf) }
}
