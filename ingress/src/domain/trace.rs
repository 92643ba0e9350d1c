//! W3C Trace Context: read strictly, written anew. `tracestate` is dropped: nothing that a user made
//! up travels further than it must.

/// The trace that a turn belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    trace: u128,
    sampled: bool,
}

impl Trace {
    /// Reads a `traceparent` (Trace Context §3.2). A version that is not known may have more fields.
    pub(crate) fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        let usable = version != 0xff && trace != 0 && span != 0 && !(version == 0 && more);
        usable.then_some(Self { trace, sampled: flags & 1 == 1 })
    }

    /// A new trace. `id` is random; zero, which no trace may have, becomes one.
    pub(crate) fn new(id: u128) -> Self {
        Self { trace: id.max(1), sampled: false }
    }

    /// The header for what comes next, under a span of our own.
    pub(crate) fn child(self, span: u64) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, span.max(1), u8::from(self.sampled))
    }
}

/// Lower-case hex digits only, exactly so many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let right = text.len() == digits && text.bytes().all(plain);
    right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_trace_goes_on_under_a_new_span() {
        let trace = Trace::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(trace.child(7), "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-01");
        assert_eq!(Trace::new(0).child(0), format!("00-{:032x}-{:016x}-00", 1, 1));
    }

    #[test]
    fn only_what_the_standard_allows_is_read() {
        let later = GOOD.replacen("00", "01", 1) + "-what-the-future-was";
        assert!(Trace::parse(later.as_bytes()).is_some());
        for bad in [
            "",
            "00",
            &format!("{GOOD}-00"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace("b7ad6b7169203331", "b7ad6b716920333"),
            &GOOD.replace('-', "_"),
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Trace::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
