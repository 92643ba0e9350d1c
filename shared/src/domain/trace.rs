//! W3C Trace Context: read strictly, written anew. `tracestate` is dropped: nothing that a user made
//! up travels further than it must.

use std::fmt;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::ids::TurnId;

/// A trace's id, as 32 hex digits. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Zero, which no trace may have, becomes one.
    pub fn new(id: u128) -> Self {
        Self(id.max(1))
    }

    /// The low half, of which sampling makes its choice.
    pub fn low(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or(0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A span's id, as 16 hex digits. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// Zero, which no span may have, becomes one.
    pub fn new(id: u64) -> Self {
        Self(id.max(1))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SpanId {
    /// The span of the `number`th doing of something in a trace: the same, whoever makes it, so that a later
    /// one can point to an earlier one.
    pub fn derived(trace: TraceId, of: Uuid, number: u64) -> Self {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&trace.0.to_be_bytes());
        bytes[16..32].copy_from_slice(of.as_bytes());
        bytes[32..].copy_from_slice(&number.to_be_bytes());
        Self::new(xxh3_64(&bytes))
    }

    /// As a number, to be derived from.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A place in a trace: what a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub trace: TraceId,
    pub span: SpanId,
    /// Whether this trace is to be recorded.
    pub sampled: bool,
}

impl Context {
    /// Reads a `traceparent` (Trace Context §3.2). A version that is not known may have more fields.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        let usable = version != 0xff && trace != 0 && span != 0 && !(version == 0 && more);
        usable.then(|| Self {
            trace: TraceId::new(trace),
            span: SpanId::new(span),
            sampled: flags & 1 == 1,
        })
    }

    /// The trace of a turn whose own is not known: made of its id, so that all who make it make the same.
    /// It is not recorded, for nobody knows whether that was wanted.
    pub fn of_turn(turn: TurnId) -> Self {
        let id = turn.uuid().as_u128();
        Self { trace: TraceId::new(id), span: SpanId::new(1), sampled: false }
    }

    /// Another span of the same trace.
    #[must_use]
    pub const fn with_span(self, span: SpanId) -> Self {
        Self { span, ..self }
    }
}

/// The value of a `traceparent`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
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
        let context = Context::parse(GOOD).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(
            context.with_span(SpanId::new(7)).to_string(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-01"
        );
        let turn = Context::of_turn(TurnId::new(uuid::Uuid::from_u128(0xabc)));
        assert_eq!(
            turn.with_span(SpanId::new(0)).to_string(),
            "00-00000000000000000000000000000abc-0000000000000001-00"
        );
    }

    #[test]
    fn only_what_the_standard_allows_is_read() {
        let later = GOOD.replacen("00", "01", 1) + "-what-the-future-was";
        assert!(Context::parse(&later).is_some());
        assert!(Context::parse(&GOOD.replace("-01", "-03")).unwrap().sampled);
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
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }
}
