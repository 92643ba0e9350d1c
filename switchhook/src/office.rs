//! How a command reaches the office: in this process, on engines that it opens itself, or in a running
//! `up` that holds them, through the socket in its data folder.

pub(crate) mod reach;
pub(crate) mod socket;

pub(crate) use console::office::{
    Request, Response, apply, apps, drafts, execute, find, token, validate, views,
};
