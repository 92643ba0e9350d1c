//! The web pages, on the console's own listener. They only translate: the office decides. `table` lists every
//! page with the right that it needs; pages are data (`ui`) that templates render and escape.

mod analytics;
mod approvals;
mod apps;
mod ask;
mod assets;
mod bot_edit;
mod bots;
mod browser;
mod bubbles;
mod channel_edit;
mod channel_keys;
mod channels;
mod exchange;
mod fields;
mod form;
mod frame;
mod home;
mod ledger;
pub(crate) mod limits;
mod lists;
mod people;
mod replays;
mod reply;
mod serve;
mod shown;
mod sign_in;
mod table;
pub(crate) mod talk;
mod time;
mod turn;
mod ui;
mod wizard;

pub(crate) use serve::answer;
pub use table::{PAGES, PageRoute, Right};

use ask::{Ask, cancel};
use reply::Done;
use ui::{Block, Card, Field, Form, Page};

/// A question before something that cannot be taken back.
struct Confirm {
    title: String,
    words: String,
    /// The page of what it is about.
    at: String,
    /// What is done to it, as its address says.
    word: &'static str,
    button: &'static str,
    section: &'static str,
    fields: Vec<Field>,
}

fn confirm<B, S: shared::store::Store>(ask: &Ask<'_, B, S>, of: Confirm) -> Done {
    let action = format!("{}/{}", of.at, of.word);
    let form = Form {
        fields: of.fields,
        danger: true,
        cancel: Some(cancel(of.at)),
        ..ask.form(action, of.button)
    };
    let (title, section) = (of.title, of.section);
    let card = Card { words: of.words, parts: vec![Block::Form(form)], ..Card::default() };
    Done::Page(Page { title, section, blocks: vec![Block::Card(card)], ..Page::default() })
}
