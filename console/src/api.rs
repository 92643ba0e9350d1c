//! The admin API, `/api/admin/v1`: one table of routes (`table`) makes the router, the rights and the
//! OpenAPI document. It only translates: the office decides.

mod answer;
mod call;
mod document;
mod handlers;
mod page;
mod public;
mod serve;
mod table;

pub(crate) use answer::{Refusal, Reply};
pub use document::document;
pub(crate) use serve::answer;
pub use table::{ROUTES, Route};

use crate::room::Room;
