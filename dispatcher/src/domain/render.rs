//! From what a bot said to the bytes that are stored and sent.

use bytes::Bytes;
use shared::domain::ids::{BotId, UserId};
use shared::domain::turn::Mode;
use shared::registry::{Compatibility, Overrides};
use shared::wire::v1::{self, TaskEnd};

use super::overrides::Spoken;

/// What a turn leaves behind for its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The answer of a synchronous turn, and what a poll reads in either mode.
    pub reply: Bytes,
    /// One POST body for each message of an asynchronous turn.
    pub deliveries: Vec<Bytes>,
}

/// For whom, and how.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub user: &'a UserId,
    pub bot: &'a BotId,
    pub mode: Mode,
    pub compatibility: Compatibility,
    /// What the channel shows instead of messages with these keys.
    pub overrides: &'a Overrides,
}

/// A bot that says nothing gives `{"text":[]}` and no POST.
pub fn render(messages: &[Spoken], end: Option<&TaskEnd>, reader: Reader<'_>) -> Rendered {
    let texts = texts(messages, reader);
    let reply = v1::sync_body(&texts, reader.compatibility.single_as_string, end);
    Rendered { reply, deliveries: posts(&texts, reader) }
}

/// The same for a turn that did not run because of others; `outcome` says why.
pub fn render_aside(messages: &[Spoken], outcome: &str, reader: Reader<'_>) -> Rendered {
    let texts = texts(messages, reader);
    let reply = v1::aside_body(&texts, reader.compatibility.single_as_string, outcome);
    Rendered { reply, deliveries: posts(&texts, reader) }
}

fn texts(messages: &[Spoken], reader: Reader<'_>) -> Vec<String> {
    let escape = reader.compatibility.escape_templates;
    messages.iter().map(|spoken| spoken.shown(reader.overrides).to_text(escape)).collect()
}

fn posts(texts: &[String], reader: Reader<'_>) -> Vec<Bytes> {
    let post = |text: &String| v1::post_body(text, reader.user.as_str(), reader.bot.as_str());
    match reader.mode {
        Mode::Async => texts.iter().map(post).collect(),
        Mode::Sync => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use shared::wire::v1::BotMessage;

    use super::*;

    fn rendered(texts: &[&str], mode: Mode) -> (String, Vec<String>) {
        let said = |text: &&str| Spoken::of(BotMessage::Text((*text).to_owned()));
        let messages: Vec<_> = texts.iter().map(said).collect();
        let (user, bot) = ("ann".into(), "st-1".into());
        let compatibility = Compatibility::default();
        let overrides = &Overrides::NONE;
        let reader = Reader { user: &user, bot: &bot, mode, compatibility, overrides };
        let rendered = render(&messages, None, reader);
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&rendered.reply), rendered.deliveries.iter().map(text).collect())
    }

    #[test]
    fn both_modes_have_the_stored_answer_and_only_async_has_posts_one_each() {
        assert_eq!(rendered(&["a", "b"], Mode::Sync), (r#"{"text":["a","b"]}"#.into(), vec![]));
        let posts = [
            r#"{"text":"a","to":"ann","from":"st-1"}"#.to_owned(),
            r#"{"text":"b","to":"ann","from":"st-1"}"#.to_owned(),
        ];
        assert_eq!(
            rendered(&["a", "b"], Mode::Async),
            (r#"{"text":["a","b"]}"#.into(), posts.to_vec())
        );
    }

    #[test]
    fn silence_is_an_empty_array_and_no_post() {
        assert_eq!(rendered(&[], Mode::Async), (r#"{"text":[]}"#.into(), vec![]));
    }
}
