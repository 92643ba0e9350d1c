//! JSON as it came: every key kept, nothing lost by a later one of the same name, and bounded while
//! it is read.
//!
//! `serde_json::Value` silently takes the last of two equal keys, and a derived struct only notices
//! the keys that it knows; both are openings for a body that two readers understand differently.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// How much of a document is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Objects and arrays inside each other.
    pub depth: u32,
    /// Values in all, keys not counted.
    pub values: u32,
}

/// One JSON value. Numbers are doubles: they are only compared, never handed on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads one document. The error is in words for whoever sent it and quotes nothing of it.
    pub(crate) fn parse(text: &'a str, bounds: Bounds) -> Result<Self, serde_json::Error> {
        let values = Cell::new(0);
        let seed = Seed { bounds, depth: 0, values: &values };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let node = seed.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(node)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The object's fields, when it is one.
    pub(crate) fn fields(&self) -> Option<Fields<'_, 'a>> {
        match self {
            Self::Object(fields) => Some(Fields(fields)),
            _ => None,
        }
    }
}

/// The fields of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'n, 'a>(&'n [(Cow<'a, str>, Node<'a>)]);

impl<'n, 'a> Fields<'n, 'a> {
    /// A field; `null` counts as absent.
    pub(crate) fn get(self, name: &str) -> Option<&'n Node<'a>> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, node)| node);
        found.filter(|node| **node != Node::Null)
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A key that comes twice.
    pub(crate) fn twice(self) -> Option<&'n str> {
        const FEW: usize = 16;
        let keys = || self.0.iter().map(|(key, _)| key.as_ref());
        if self.0.len() <= FEW {
            return keys()
                .enumerate()
                .find(|(i, key)| keys().take(*i).any(|k| k == *key))
                .map(|f| f.1);
        }
        let mut sorted: Vec<&str> = keys().collect();
        sorted.sort_unstable();
        sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

#[derive(Clone, Copy)]
struct Seed<'c> {
    bounds: Bounds,
    depth: u32,
    values: &'c Cell<u32>,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == self.bounds.depth {
            let depth = self.bounds.depth;
            return Err(E::custom(format_args!("more than {depth} levels of nesting")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > self.bounds.values {
            let most = self.bounds.values;
            return Err(D::Error::custom(format_args!("more than {most} values")));
        }
        deserializer.deserialize_any(self)
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are only compared")]
impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value as f64))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value))
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        free_of_nul(Cow::Borrowed(text)).map(Node::Text)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        free_of_nul(Cow::Owned(text.to_owned())).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let inside = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let inside = self.deeper()?;
        let mut fields = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            fields.push((key, entries.next_value_seed(inside)?));
        }
        Ok(Node::Object(fields))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        free_of_nul(Cow::Borrowed(text))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        free_of_nul(Cow::Owned(text.to_owned()))
    }
}

/// PostgreSQL stores no NUL in text: what holds one is refused at the door.
fn free_of_nul<E: serde::de::Error>(text: Cow<'_, str>) -> Result<Cow<'_, str>, E> {
    if text.as_bytes().contains(&0) {
        return Err(E::custom("a NUL character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 3, values: 10 };

    #[test]
    fn equal_keys_are_kept_and_found() {
        let node = Node::parse(r#"{"a":1,"b":{"c":1,"c":2},"\u0061":2}"#, BOUNDS).unwrap();
        assert_eq!(node.fields().unwrap().twice(), Some("a"));
        assert_eq!(node.fields().unwrap().get("b").unwrap().fields().unwrap().twice(), Some("c"));
        let many = (0..100).map(|i| format!(r#""k{i}":1,"#)).collect::<Vec<_>>().concat();
        let bounds = Bounds { values: 200, ..BOUNDS };
        for (text, twice) in
            [(format!(r#"{{{many}"k7":2}}"#), Some("k7")), (format!(r#"{{{many}"z":2}}"#), None)]
        {
            assert_eq!(Node::parse(&text, bounds).unwrap().fields().unwrap().twice(), twice);
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        fn words(text: &str) -> Result<Node<'_>, String> {
            Node::parse(text, BOUNDS).map_err(|error| error.to_string())
        }
        assert!(words("[[[1]]]").is_ok());
        assert!(words("[[[[1]]]]").unwrap_err().starts_with("more than 3 levels of nesting"));
        assert!(words("[1,1,1,1,1,1,1,1,1]").is_ok());
        assert!(words("[1,1,1,1,1,1,1,1,1,1]").unwrap_err().starts_with("more than 10 values"));
    }

    #[test]
    fn nul_lone_surrogates_and_a_second_document_are_refused() {
        for bad in [
            r#""a\u0000""#,
            r#"{"a\u0000":1}"#,
            r#""\ud800""#,
            "1 1",
            "",
            "{",
            "nul",
            "[1,]",
            "01",
            "1e999",
            "NaN",
            "'a'",
        ] {
            assert!(Node::parse(bad, BOUNDS).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_null_field_is_absent_but_there() {
        let node = Node::parse(r#"{"a":null}"#, BOUNDS).unwrap();
        let fields = node.fields().unwrap();
        assert_eq!((fields.get("a"), fields.has("a"), fields.has("b")), (None, true, false));
    }
}
