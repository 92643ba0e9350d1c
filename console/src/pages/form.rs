//! What a form or a query says.

/// More than any of our forms has.
const PAIRS_MAX: usize = 2_000;

/// Words with their values, in order.
#[derive(Clone, Default)]
pub(super) struct Words(Vec<(String, String)>);

impl Words {
    /// Reads `a=b&c=d`; `None` where there is a NUL, which no store takes, or too much.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        if text.split(|byte| *byte == b'&').count() > PAIRS_MAX {
            return None;
        }
        let pairs: Vec<_> = url::form_urlencoded::parse(text)
            .map(|(word, value)| (word.into_owned(), value.into_owned()))
            .collect();
        let nul = pairs.iter().any(|(word, value)| word.contains('\0') || value.contains('\0'));
        (!nul).then_some(Self(pairs))
    }

    /// As it was typed; nothing where it was not given.
    pub(super) fn raw(&self, word: &str) -> &str {
        self.0.iter().find(|(known, _)| known == word).map_or("", |(_, value)| value)
    }

    /// Without blanks at its ends.
    pub(super) fn text(&self, word: &str) -> &str {
        self.raw(word).trim()
    }

    /// `None` for an empty one.
    pub(super) fn given(&self, word: &str) -> Option<&str> {
        Some(self.text(word)).filter(|text| !text.is_empty())
    }

    pub(super) fn is_checked(&self, word: &str) -> bool {
        self.raw(word) == "yes"
    }

    /// All of it but some words, encoded.
    pub(super) fn written(&self, but: &[&str]) -> String {
        let pairs = self.0.iter().filter(|(word, _)| !but.contains(&word.as_str()));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    pub(super) fn all(&self, word: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == word);
        found.map(|(_, value)| value.clone()).collect()
    }
}

/// A query, encoded.
pub(super) fn query(path: &str, words: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    let mut any = false;
    for (word, value) in words.iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(word, value);
        any = true;
    }
    if any { format!("{path}?{}", text.finish()) } else { path.to_owned() }
}
