//! Conversation files: what a user says and what a bot should answer, in YAML (`docs/scripts.md`).

use std::fmt;

use serde_json::{Map, Value};
use shared::wire::v1::BotMessage;

use super::Said;

/// One line of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    User(Said),
    /// A text, or a template as an object.
    Bot(Value),
    /// The bot fails, with this in the reason.
    Fails(String),
}

/// Why a file is no conversation, in words that name the line's number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

/// One exchange of a conversation.
pub(super) struct Exchange<'a> {
    pub(super) said: &'a Said,
    pub(super) answers: Vec<Line>,
}

/// Where a conversation went otherwise. Prints as a readable comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What went as it should.
    pub before: Vec<Line>,
    pub said: Said,
    pub expected: Vec<Line>,
    pub got: Vec<Line>,
}

/// Reads a conversation file: a list of `user:`, `bot:` and `fails:`.
pub fn read(text: &str) -> Result<Vec<Line>, Mistake> {
    let items: Vec<Map<String, Value>> = serde_saphyr::from_str(text)
        .map_err(|error| Mistake(format!("not a list of `user: …` and `bot: …`: {error}")))?;
    let lines: Vec<Line> = (1..)
        .zip(items)
        .map(|(number, item)| line(item).map_err(|why| Mistake(format!("entry {number}: {why}"))))
        .collect::<Result<_, _>>()?;
    match lines.first() {
        Some(Line::User(_)) => Ok(lines),
        _ => Err(Mistake("a conversation begins with what the user says".to_owned())),
    }
}

fn line(item: Map<String, Value>) -> Result<Line, String> {
    let mut entries = item.into_iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err("one of `user`, `bot` and `fails`".to_owned());
    };
    match key.as_str() {
        "user" => said(value).map(Line::User),
        "bot" => Ok(Line::Bot(match value {
            Value::Object(_) => value,
            other => Value::String(scalar(other)?),
        })),
        "fails" => Ok(Line::Fails(scalar(value)?)),
        other => Err(format!("`{other}` is none of `user`, `bot` and `fails`")),
    }
}

/// `user: text`, or an object with `text`, `newSession` and other fields of the request.
fn said(value: Value) -> Result<Said, String> {
    let Value::Object(mut more) = value else {
        return Ok(Said { text: scalar(value)?, ..Said::default() });
    };
    let text = more.shift_remove("text").map_or(Ok(String::new()), scalar)?;
    let new_session = more.shift_remove("newSession") == Some(Value::Bool(true));
    Ok(Said { text, new_session, more })
}

/// YAML takes `3` and `yes` for something else than what was said.
fn scalar(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("a text is wanted".to_owned()),
    }
}

pub(super) fn exchanges(lines: &[Line]) -> Vec<Exchange<'_>> {
    let mut exchanges: Vec<Exchange<'_>> = Vec::new();
    for line in lines {
        match (line, exchanges.last_mut()) {
            (Line::User(said), _) => exchanges.push(Exchange { said, answers: Vec::new() }),
            (answer, Some(exchange)) => exchange.answers.push(answer.clone()),
            (_, None) => {}
        }
    }
    exchanges
}

pub(super) fn shown(message: BotMessage) -> Line {
    Line::Bot(match message {
        BotMessage::Text(text) => Value::String(text),
        BotMessage::Template(template) => template,
    })
}

/// Objects are the same whatever the order of their keys.
pub(super) fn are_same(expected: &[Line], got: &[Line]) -> bool {
    expected.len() == got.len()
        && expected.iter().zip(got).all(|(expected, got)| match (expected, got) {
            (Line::Fails(part), Line::Fails(whole)) => whole.contains(part.as_str()),
            (expected, got) => expected == got,
        })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, text) = match self {
            Self::User(said) => ("user ", said.text.clone()),
            Self::Bot(Value::String(text)) => ("bot  ", text.clone()),
            Self::Bot(template) => ("bot  ", template.to_string()),
            Self::Fails(why) => ("fails", why.clone()),
        };
        write!(f, "{who}  {}", text.replace('\n', "\n           "))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.before {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "    {}", Line::User(self.said.clone()))?;
        let most = self.expected.len().max(self.got.len());
        for number in 0..most {
            match (self.expected.get(number), self.got.get(number)) {
                (Some(expected), Some(got))
                    if are_same(std::slice::from_ref(expected), std::slice::from_ref(got)) =>
                {
                    writeln!(f, "    {got}")?;
                }
                (expected, got) => {
                    expected.map_or(Ok(()), |line| writeln!(f, "  - {line}"))?;
                    got.map_or(Ok(()), |line| writeln!(f, "  + {line}"))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_a_list_of_who_says_what() {
        let text = "- user: hi\n- bot: \"a\\nb\"\n- bot: {type: template}\n- user:\n    text: 3\n    newSession: true\n    customData: {k: v}\n- fails: nope\n";
        let more = json!({"customData": {"k": "v"}}).as_object().unwrap().clone();
        let expected = [
            Line::User(Said { text: "hi".into(), ..Said::default() }),
            Line::Bot(json!("a\nb")),
            Line::Bot(json!({"type": "template"})),
            Line::User(Said { text: "3".into(), new_session: true, more }),
            Line::Fails("nope".into()),
        ];
        assert_eq!(read(text).unwrap(), expected);
        for (text, why) in [
            ("- bot: hi\n", "begins with what the user says"),
            ("- user: a\n- robot: b\n", "entry 2: `robot`"),
            ("- user: [a]\n", "entry 1: a text"),
            ("user: a\n", "not a list"),
            ("", "begins with"),
        ] {
            let mistake = read(text).unwrap_err().to_string();
            assert!(mistake.contains(why), "{text:?}: {mistake}");
        }
    }

    #[test]
    fn a_difference_shows_what_went_before_and_both_sides() {
        let said = |text: &str| Said { text: text.into(), ..Said::default() };
        let bot = |text: &str| Line::Bot(json!(text));
        let difference = Difference {
            before: vec![Line::User(said("hi")), bot("a")],
            said: said("x"),
            expected: vec![bot("same"), bot("b"), bot("c")],
            got: vec![bot("same"), bot("d")],
        };
        let shown = "    user   hi\n    bot    a\n    user   x\n    bot    same\n  - bot    b\n  + bot    d\n  - bot    c\n";
        assert_eq!(difference.to_string(), shown);
    }
}
