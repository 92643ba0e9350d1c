//! Where HTTP/1.1 requests begin and end in a stream of bytes, read as strictly as can be.
//!
//! hyper is lenient where two readers may differ about where a request ends, which is what request
//! smuggling lives on: it takes lines that end in a bare LF, and `Content-Length` together with
//! `Transfer-Encoding`. This scanner watches the same bytes and overwrites the first doubtful one
//! with NUL, which hyper's parser refuses with 400 and closes. It decides nothing else.

/// The longest head line that is understood; only framing headers are, and those are short.
const LINE_MAX: usize = 128;

/// Follows one connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    /// The last byte was a CR that nothing has followed yet.
    cr: bool,
    line: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests: empty lines may come.
    Idle,
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// The line end after a chunk's data.
    ChunkEnd,
    Trailers,
    /// Refused: whatever comes is no request.
    Poisoned,
}

impl Default for Scanner {
    fn default() -> Self {
        let line = Vec::with_capacity(LINE_MAX);
        Self { state: State::Idle, cr: false, line, length: None, chunked: false }
    }
}

impl Scanner {
    /// Whether a head has begun and not ended.
    pub(crate) fn in_head(&self) -> bool {
        matches!(self.state, State::RequestLine | State::Headers | State::Poisoned)
    }

    /// Looks at what has come, and spoils it where it is doubtful.
    pub(crate) fn scan(&mut self, mut bytes: &mut [u8]) {
        while let Some(first) = bytes.first_mut() {
            let taken = match self.state {
                State::Body(left) => self.skip(left, bytes.len(), State::Idle, State::Body),
                State::ChunkData(left) => {
                    self.skip(left, bytes.len(), State::ChunkEnd, State::ChunkData)
                }
                State::Poisoned => {
                    *first = 0;
                    1
                }
                _ => {
                    if self.line_byte(*first).is_none() {
                        self.state = State::Poisoned;
                        *first = 0;
                    }
                    1
                }
            };
            bytes = &mut bytes[taken..];
        }
    }

    fn skip(&mut self, left: u64, here: usize, then: State, more: fn(u64) -> State) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(here);
        let left = left - taken as u64;
        self.state = if left == 0 { then } else { more(left) };
        taken
    }

    /// One byte of a line; `None` when it makes the request doubtful.
    fn line_byte(&mut self, byte: u8) -> Option<()> {
        match (self.cr, byte) {
            (true, b'\n') => {
                self.cr = false;
                self.line_end()?;
                self.line.clear();
            }
            (true, _) | (false, b'\n') => return None,
            (false, b'\r') => self.cr = true,
            (false, byte) => {
                if self.state == State::Idle {
                    self.state = State::RequestLine;
                }
                if self.line.len() < LINE_MAX {
                    self.line.push(byte);
                }
            }
        }
        Some(())
    }

    fn line_end(&mut self) -> Option<()> {
        self.state = match self.state {
            State::Idle => State::Idle,
            State::RequestLine => State::Headers,
            State::Headers if self.line.is_empty() => self.head_end()?,
            State::Headers => {
                self.header()?;
                State::Headers
            }
            State::ChunkSize => match chunk_size(&self.line)? {
                0 => State::Trailers,
                size => State::ChunkData(size),
            },
            State::ChunkEnd if self.line.is_empty() => State::ChunkSize,
            State::Trailers if self.line.is_empty() => State::Idle,
            State::Trailers => State::Trailers,
            State::ChunkEnd | State::Body(_) | State::ChunkData(_) | State::Poisoned => {
                return None;
            }
        };
        Some(())
    }

    fn header(&mut self) -> Option<()> {
        let colon = self.line.iter().position(|byte| *byte == b':');
        // A longer name than any framing header's is cut off before its colon: not ours.
        let Some(colon) = colon else { return (self.line.len() == LINE_MAX).then_some(()) };
        let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
        // A line that is folded onto the next, or a space before the colon.
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value)?;
            if self.length.replace(length).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return None;
            }
            self.chunked = true;
        }
        Some(())
    }

    fn head_end(&mut self) -> Option<State> {
        let state = match (self.length.take(), std::mem::take(&mut self.chunked)) {
            (Some(_), true) => return None,
            (None, true) => State::ChunkSize,
            (None | Some(0), false) => State::Idle,
            (Some(length), false) => State::Body(length),
        };
        Some(state)
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// The size before an optional extension (RFC 9112 §7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let hex = !size.is_empty() && size.len() <= 15 && size.iter().all(u8::is_ascii_hexdigit);
    hex.then(|| u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()).flatten()
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
