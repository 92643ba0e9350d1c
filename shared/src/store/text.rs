//! Text that goes into rows for an operator to read.

/// At most `max` bytes, cut between characters, with NUL (which PostgreSQL refuses) made visible.
pub(crate) fn clipped(text: &str, max: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::clipped;

    #[test]
    fn text_is_cut_between_characters_and_holds_no_nul() {
        assert_eq!(clipped("a\0b", 10), "a\u{fffd}b");
        assert_eq!(clipped("ääää", 5), "ää");
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("\0\0", 4), "\u{fffd}");
    }
}
