//! The sealed envelope of every body on the broker: version, kind, key id, MAC, payload.
//!
//! Whoever reaches the broker but does not hold the key can neither forge nor alter a job, nor pass
//! one kind of body off as another (threat T13).

use aws_lc_rs::hmac;
use bytes::{BufMut as _, Bytes, BytesMut};

const VERSION: u8 = 1;
const MAC_LEN: usize = 32;
const HEAD_LEN: usize = 3 + MAC_LEN;

/// What is inside; part of what the MAC covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Turn = 1,
    Delivery = 2,
    Replies = 3,
    Announcement = 4,
    /// Not on the broker: what a browser keeps of who is signed in.
    Session = 5,
    /// Not on the broker: what a browser keeps of who has signed in there before.
    Device = 6,
    /// Not on the broker: in the URL that a bot is told to call.
    Ticket = 7,
    Activity = 8,
}

/// Whether an envelope says that it is of this kind, which is not proved before it is opened.
pub(super) fn says(sealed: &Bytes, kind: Kind) -> bool {
    sealed.get(1) == Some(&(kind as u8))
}

/// The keys of an installation: the first seals, all of them open.
#[derive(Clone)]
pub struct Keys(Vec<(u8, hmac::Key)>);

/// Why an envelope was not opened. An operator's words; nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the envelope is too short")]
    Short,
    #[error("the envelope has version {0}, which this release does not know")]
    Version(u8),
    #[error("the envelope is of another kind")]
    Kind,
    #[error("the envelope's MAC does not match any of the keys")]
    Mac,
}

impl Keys {
    /// Keys of at least 32 bytes, the current one first. `None` when there is none or one is short.
    pub fn new(keys: &[Vec<u8>]) -> Option<Self> {
        let long_enough = keys.iter().all(|key| key.len() >= 32);
        (!keys.is_empty() && long_enough).then(|| {
            Self(
                keys.iter()
                    .map(|key| (key_id(key), hmac::Key::new(hmac::HMAC_SHA256, key)))
                    .collect(),
            )
        })
    }

    /// Puts a payload into an envelope.
    pub fn seal(&self, kind: Kind, payload: &[u8]) -> Bytes {
        let (id, key) = &self.0[0];
        let head = [VERSION, kind as u8, *id];
        let mut sealed = BytesMut::with_capacity(HEAD_LEN + payload.len());
        sealed.put_slice(&head);
        sealed.put_slice(mac(key, &head, payload).as_ref());
        sealed.put_slice(payload);
        sealed.freeze()
    }

    /// Checks an envelope and returns its payload.
    pub fn open(&self, kind: Kind, sealed: &Bytes) -> Result<Bytes, OpenError> {
        if sealed.len() < HEAD_LEN {
            return Err(OpenError::Short);
        }
        let head = [sealed[0], sealed[1], sealed[2]];
        if head[0] != VERSION {
            return Err(OpenError::Version(head[0]));
        }
        if head[1] != kind as u8 {
            return Err(OpenError::Kind);
        }
        let tag = &sealed[3..HEAD_LEN];
        let mut message = Vec::with_capacity(3 + sealed.len() - HEAD_LEN);
        message.extend_from_slice(&head);
        message.extend_from_slice(&sealed[HEAD_LEN..]);
        let known = self.0.iter().filter(|(id, _)| *id == head[2]);
        for (_, key) in known {
            if hmac::verify(key, &message, tag).is_ok() {
                return Ok(sealed.slice(HEAD_LEN..));
            }
        }
        Err(OpenError::Mac)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

fn mac(key: &hmac::Key, head: &[u8], payload: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(head);
    context.update(payload);
    context.sign()
}

/// Tells keys apart without telling anything of them.
fn key_id(key: &[u8]) -> u8 {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key).as_ref()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seeds: &[u8]) -> Keys {
        Keys::new(&seeds.iter().map(|seed| vec![*seed; 32]).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_current_and_the_previous_key() {
        let sealed = keys(&[1]).seal(Kind::Turn, b"hello");
        assert_eq!(keys(&[1]).open(Kind::Turn, &sealed).unwrap(), "hello");
        assert_eq!(keys(&[2, 1]).open(Kind::Turn, &sealed).unwrap(), "hello");
        assert_eq!(keys(&[2]).open(Kind::Turn, &sealed), Err(OpenError::Mac));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let keys = keys(&[1]);
        let sealed = keys.seal(Kind::Delivery, b"{\"a\":1}");
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.open(Kind::Delivery, &forged.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn one_kind_does_not_pass_for_another() {
        let keys = keys(&[1]);
        let sealed = keys.seal(Kind::Turn, b"x");
        assert_eq!(keys.open(Kind::Replies, &sealed), Err(OpenError::Kind));
        let mut forged = sealed.to_vec();
        forged[1] = Kind::Replies as u8;
        assert_eq!(keys.open(Kind::Replies, &forged.into()), Err(OpenError::Mac));
    }

    #[test]
    fn short_and_missing_keys_are_refused() {
        assert!(Keys::new(&[]).is_none());
        assert!(Keys::new(&[vec![0; 31]]).is_none());
    }
}
