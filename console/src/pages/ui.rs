//! What pages are made of. Pages are data; these pieces and their templates are the only way to HTML, and
//! every text goes through askama's escaping.

pub(crate) mod chart;
mod talk;

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;

pub(crate) use talk::{
    Bubble, Bubbles, Chat, Chatter, Element, Event, Picture, Press, Rich, Timeline,
};

/// What surrounds a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) who: Option<Who>,
    pub(crate) csrf: String,
    /// Requests that wait for a decision.
    pub(crate) waiting: usize,
    pub(crate) css: String,
    pub(crate) js: String,
    pub(crate) theme: String,
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) administers: bool,
}

/// A page.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Which part of the navigation it belongs to.
    pub(crate) section: &'static str,
    pub(crate) crumbs: Vec<Link>,
    pub(crate) lead: String,
    pub(crate) badge: Option<Badge>,
    pub(crate) actions: Vec<Link>,
    /// Seconds after which a page that is looked at shows what is new by itself; 0 for never.
    pub(crate) live: u32,
    pub(crate) blocks: Vec<Block>,
}

/// For the first page of what changes by itself; later ones stand still.
pub(crate) fn live(first: bool) -> u32 {
    if first { 5 } else { 0 }
}

#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Whole<'p> {
    pub(crate) frame: &'p Frame,
    pub(crate) page: &'p Page,
}

/// A place on a page. `href` is always one of ours, made by [`path`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) text: String,
    /// `primary`, `danger` or nothing.
    pub(crate) kind: &'static str,
}

impl Link {
    pub(crate) fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { href: href.into(), text: text.into(), kind: "" }
    }

    pub(crate) fn primary(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: "primary", ..Self::new(href, text) }
    }

    pub(crate) fn danger(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: "danger", ..Self::new(href, text) }
    }
}

/// A word with a colour; the word says all.
#[derive(Clone, Debug)]
pub(crate) struct Badge {
    /// `good`, `warn`, `bad`, `info` or `calm`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

pub(crate) fn badge(kind: &'static str, text: impl Into<String>) -> Badge {
    Badge { kind, text: text.into() }
}

/// What stands in a cell or beside a label.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    Strong(Link),
    Link(Link),
    Badge(Badge),
    Code(String),
    /// With a button that copies it.
    Copy(String),
    Time {
        iso: String,
        words: String,
    },
    Nothing,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn time(ms: u64) -> Self {
        Self::Time { iso: super::time::iso(ms), words: super::time::words(ms) }
    }
}

/// A part of a page.
pub(crate) enum Block {
    Notice(Notice),
    Card(Card),
    Table(Table),
    Facts(Facts),
    Code(Code),
    Form(Form),
    Steps(Steps),
    Tiles(Tiles),
    Ask(AskForm),
    Chat(Chat),
    Chatter(Bubbles),
    Timeline(Timeline),
    Charts(chart::Charts),
}

#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice {
    /// As a badge's.
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

#[derive(Template, Default)]
#[template(path = "card.html")]
pub(crate) struct Card {
    pub(crate) title: String,
    pub(crate) words: String,
    pub(crate) actions: Vec<Link>,
    pub(crate) parts: Vec<Block>,
    pub(crate) danger: bool,
}

#[derive(Template, Default)]
#[template(path = "table.html")]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) empty: String,
    pub(crate) filter: Option<Filter>,
    pub(crate) first: Option<String>,
    pub(crate) next: Option<String>,
}

/// What narrows a list: a form that asks by GET.
pub(crate) struct Filter {
    pub(crate) action: String,
    pub(crate) fields: Vec<Field>,
}

/// A form that asks by GET: a step on the way.
#[derive(Template)]
#[template(path = "ask.html")]
pub(crate) struct AskForm {
    pub(crate) filter: Filter,
    pub(crate) submit: &'static str,
    pub(crate) cancel: String,
}

#[derive(Template)]
#[template(path = "facts.html")]
pub(crate) struct Facts(pub(crate) Vec<(&'static str, Vec<Cell>)>);

#[derive(Template)]
#[template(path = "code.html")]
pub(crate) struct Code {
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) secret: bool,
}

#[derive(Template, Default)]
#[template(path = "form.html")]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) csrf: String,
    /// Makes a second submit the same one.
    pub(crate) once: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) submit: String,
    pub(crate) danger: bool,
    /// Other buttons: their words, and where they send the form.
    pub(crate) more: Vec<(&'static str, String)>,
    pub(crate) cancel: Option<Link>,
    pub(crate) inline: bool,
}

/// One thing to fill in.
#[derive(Clone, Default)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) hint: String,
    pub(crate) kind: Kind,
    pub(crate) value: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) required: bool,
    pub(crate) complete: &'static str,
    /// A class that shows it only when another field has a value.
    pub(crate) when: &'static str,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Text,
    Password,
    Url,
    Search,
    /// A minute.
    Moment,
    Area,
    Code,
    Select,
    Radio,
    Checks,
    Check,
    Hidden,
}

impl Kind {
    pub(crate) const fn input(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Url => "url",
            Self::Search => "search",
            Self::Hidden => "hidden",
            Self::Moment => "datetime-local",
            Self::Text
            | Self::Area
            | Self::Code
            | Self::Select
            | Self::Radio
            | Self::Checks
            | Self::Check => "text",
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) text: String,
    pub(crate) hint: String,
    pub(crate) chosen: bool,
}

#[derive(Template)]
#[template(path = "steps.html")]
pub(crate) struct Steps {
    pub(crate) names: Vec<&'static str>,
    /// From 0.
    pub(crate) now: usize,
}

#[derive(Template)]
#[template(path = "tiles.html")]
pub(crate) struct Tiles(pub(crate) Vec<Tile>);

pub(crate) struct Tile {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) words: String,
    pub(crate) href: String,
}

impl Page {
    fn is_in(&self, section: &str) -> bool {
        self.section == section
    }
}

impl Frame {
    /// Whether this part of the navigation shows how much waits there.
    fn counts(&self, section: &str) -> bool {
        section == "approvals" && self.waiting > 0
    }
}

impl Notice {
    fn is_bad(&self) -> bool {
        self.kind == "bad"
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notice(part) => part.fmt(f),
            Self::Card(part) => part.fmt(f),
            Self::Table(part) => part.fmt(f),
            Self::Facts(part) => part.fmt(f),
            Self::Code(part) => part.fmt(f),
            Self::Form(part) => part.fmt(f),
            Self::Steps(part) => part.fmt(f),
            Self::Tiles(part) => part.fmt(f),
            Self::Ask(part) => part.fmt(f),
            Self::Chat(part) => part.fmt(f),
            Self::Chatter(part) => Chatter { part }.fmt(f),
            Self::Timeline(part) => part.fmt(f),
            Self::Charts(part) => part.fmt(f),
        }
    }
}

/// Every part of it was escaped by its own template.
impl HtmlSafe for Block {}

/// A path of ours: parts are percent-encoded.
pub(crate) fn path(parts: &[&str]) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                use fmt::Write as _;
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}
