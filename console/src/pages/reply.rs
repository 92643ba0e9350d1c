//! Answers of pages: the only file of the pages that knows status codes and headers.

use askama::Template as _;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::ui::{Block, Frame, Notice, Page, Whole};
use crate::api::Reply;
use crate::office::problem::{Kind, Problem};

/// Scripts and styles are the program's own; nothing is framed, and forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What came of a request.
pub(super) enum Done {
    Page(Page),
    /// A form that was not taken, with what is wrong.
    Again(Page),
    /// To another page, by GET.
    Go(String),
    /// A file to keep.
    File {
        name: &'static str,
        text: String,
    },
    /// A part of a page, for a script; `more`: it changes yet, ask again, for what came behind `after`.
    Piece {
        html: String,
        more: bool,
        after: String,
    },
    /// Too often: try again.
    Later {
        page: Page,
        seconds: u64,
    },
}

pub(super) fn done(frame: &Frame, done: Done) -> Reply {
    match done {
        Done::Page(page) => html(StatusCode::OK, frame, &page),
        Done::Again(page) => html(StatusCode::UNPROCESSABLE_ENTITY, frame, &page),
        Done::Go(to) => go(&to),
        Done::File { name, text } => file(name, text),
        Done::Piece { html, more, after } => {
            let mut reply = bare(StatusCode::OK, "text/html; charset=utf-8", html.into());
            let more = HeaderValue::from_static(if more { "yes" } else { "no" });
            reply.headers_mut().insert(HeaderName::from_static("x-more"), more);
            if let Ok(after) = HeaderValue::try_from(after) {
                reply.headers_mut().insert(HeaderName::from_static("x-after"), after);
            }
            reply
        }
        Done::Later { page, seconds } => {
            let mut reply = html(StatusCode::TOO_MANY_REQUESTS, frame, &page);
            reply.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            reply
        }
    }
}

pub(super) fn html(status: StatusCode, frame: &Frame, page: &Page) -> Reply {
    let whole = Whole { frame, page };
    match whole.render() {
        Ok(text) => bare(status, "text/html; charset=utf-8", text.into()),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            bare(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::from_static(b"sorry"))
        }
    }
}

pub(super) fn go(to: &str) -> Reply {
    let mut reply = bare(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    if let Ok(to) = HeaderValue::try_from(to) {
        reply.headers_mut().insert(header::LOCATION, to);
    }
    reply
}

fn file(name: &str, text: String) -> Reply {
    let mut reply = bare(StatusCode::OK, "application/json", text.into());
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        reply.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    reply
}

/// What the edge of the pages refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    NoPage,
    Method(&'static str),
    /// Not from a page of ours, or from one of another session.
    Foreign,
    BadRequest,
    TooLarge,
    TooSlow,
    Busy,
}

impl Refusal {
    pub(super) fn reply(self, frame: &Frame) -> Reply {
        let (status, title, words) = match self {
            Self::NoPage => {
                (StatusCode::NOT_FOUND, "There is nothing here", "No page has this address.")
            }
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Not like this",
                "This address is asked in another way.",
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "This form is not from here",
                "It was made by another site or for another session. Go back, reload the page, and try again.",
            ),
            Self::BadRequest => {
                (StatusCode::BAD_REQUEST, "That cannot be read", "The request is not well formed.")
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "Too large", "At most 4 MiB are taken.")
            }
            Self::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "Too slow", "The request did not come in time.")
            }
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too much at once",
                "Nothing was done. Try again in a moment.",
            ),
        };
        let mut reply = html(status, frame, &told(title, words));
        if let Self::Method(allowed) = self {
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        reply
    }
}

/// A problem as a page of its own.
pub(super) fn refused(frame: &Frame, why: &Problem) -> Reply {
    let (status, title) = match why.kind {
        Kind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "That is not possible"),
        Kind::Conflict | Kind::Reused => (StatusCode::CONFLICT, "That does not go together"),
        Kind::Stale => (StatusCode::CONFLICT, "It has changed meanwhile"),
        Kind::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
        Kind::Away => (StatusCode::SERVICE_UNAVAILABLE, "The store is away"),
    };
    html(status, frame, &told(title, &words(why)))
}

/// What a person reads. What the inside said of itself stays inside.
pub(super) fn words(why: &Problem) -> String {
    if why.kind == Kind::Away {
        tracing::warn!(error = %why.words, "the pages have no store");
        return "Try again in a moment. Whether a change was made is not known.".to_owned();
    }
    why.words.clone()
}

fn told(title: &str, words: &str) -> Page {
    let notice = Notice { kind: "bad", title: title.to_owned(), lines: vec![words.to_owned()] };
    Page { title: title.to_owned(), blocks: vec![Block::Notice(notice)], ..Page::default() }
}

fn bare(status: StatusCode, media: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}
