//! Pieces that show what was said, and what happened to it.

use askama::Template;
use askama::filters::HtmlSafe;

/// A conversation by hand.
#[derive(Template)]
#[template(path = "chat.html")]
pub(crate) struct Chat {
    pub(crate) say: String,
    pub(crate) heard: String,
    pub(crate) csrf: String,
    pub(crate) user: String,
    pub(crate) said: Bubbles,
}

/// What was said and answered.
#[derive(Template, Default)]
#[template(path = "bubbles.html")]
pub(crate) struct Bubbles(pub(crate) Vec<Bubble>);

impl HtmlSafe for Bubbles {}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bubble {
    Mine(String),
    Text(String),
    Rich(Rich),
    Wrong(String),
    Meta(String),
}

/// A template of the protocol, as far as it can be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rich {
    pub(crate) text: String,
    pub(crate) picture: Option<Picture>,
    pub(crate) buttons: Vec<Press>,
    pub(crate) elements: Vec<Element>,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Element {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) picture: Option<Picture>,
    pub(crate) buttons: Vec<Press>,
}

/// A picture that the page may show by itself, or the address of one that it may not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Picture {
    Inline(String),
    Elsewhere(String),
}

/// A button of a template: it leads to a page, or says something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Press {
    Open { title: String, url: String },
    Say { title: String, payload: String },
}

/// What happened, in order.
#[derive(Template)]
#[template(path = "timeline.html")]
pub(crate) struct Timeline(pub(crate) Vec<Event>);

pub(crate) struct Event {
    /// As a badge's.
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) iso: String,
    pub(crate) when: String,
    pub(crate) lines: Vec<String>,
}

/// Bubbles that nobody answers.
#[derive(Template)]
#[template(source = "<ol class=\"messages still\">{{ part }}</ol>", ext = "html")]
pub(crate) struct Chatter<'b> {
    pub(crate) part: &'b Bubbles,
}
