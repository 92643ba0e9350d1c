use proptest::prelude::*;

use super::*;

/// Whether the scanner lets these bytes pass, fed in pieces of `step`.
fn passes(text: &str, step: usize) -> bool {
    let mut bytes = text.as_bytes().to_vec();
    let mut scanner = Scanner::default();
    for piece in bytes.chunks_mut(step) {
        scanner.scan(piece);
    }
    bytes == text.as_bytes()
}

const CLEAN: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1\n2\r3",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\n\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING:CHUNKED\r\n\r\n0\r\nTrailer: x\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
];

const DOUBTFUL: &[&str] = &[
    "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
    "POST / HTTP/1.1\r\nno colon\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
];

#[test]
fn what_every_reader_reads_alike_passes_untouched_and_nothing_else_does() {
    for step in [1, 2, 7, 1_000] {
        for text in CLEAN {
            assert!(passes(text, step), "{step}: {text:?}");
            for after in CLEAN {
                assert!(passes(&format!("{text}{after}"), step), "{step}: {text:?} {after:?}");
            }
            for after in DOUBTFUL {
                assert!(!passes(&format!("{text}{after}"), step), "{step}: {text:?} {after:?}");
            }
        }
        for text in DOUBTFUL {
            assert!(!passes(text, step), "{step}: {text:?}");
        }
    }
}

#[test]
fn a_head_is_in_progress_from_its_first_byte_to_its_empty_line() {
    let mut scanner = Scanner::default();
    let mut look = |text: &str| {
        scanner.scan(&mut text.as_bytes().to_vec());
        scanner.in_head()
    };
    assert!(!look("\r\n"));
    assert!(look("P"));
    assert!(look("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"));
    assert!(!look("\r\n1"));
    assert!(look("2GET"));
}

proptest! {
    #[test]
    fn nothing_is_touched_before_the_first_doubtful_byte(text in "[ -~\r\n]{0,200}", step in 1usize..50) {
        let mut bytes = text.as_bytes().to_vec();
        let mut scanner = Scanner::default();
        for piece in bytes.chunks_mut(step) {
            scanner.scan(piece);
        }
        let touched = bytes.iter().zip(text.as_bytes()).position(|(a, b)| a != b);
        if let Some(first) = touched {
            prop_assert!(bytes[first..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn the_size_of_the_pieces_changes_nothing(text in "(POST|GET) / HTTP/1.1\r\n(Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n|X: y\r\n){0,3}\r\n[0-9a-f\r\n]{0,40}", step in 1usize..50) {
        prop_assert_eq!(passes(&text, step), passes(&text, usize::MAX));
    }
}
