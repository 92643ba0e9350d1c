//! New ids and secrets, in the shapes that clients of the protocol expect.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use shared::domain::ids::{BotId, ChannelId, ClientId};
use shared::entropy::Entropy;

pub(crate) fn bot(entropy: &Entropy) -> BotId {
    BotId::new(format!("st-{}", entropy.uuid_v5_shape()))
}

pub(crate) fn client(entropy: &Entropy) -> ClientId {
    ClientId::new(format!("cs-{}", entropy.uuid_v5_shape()))
}

pub(crate) fn channel(entropy: &Entropy) -> ChannelId {
    ChannelId::new(format!("ivrInst-{}", entropy.uuid_v5_shape()))
}

/// An app's secret: 32 random bytes for HS256, 64 for HS512, as base64 text. The text itself is the
/// key, as clients use it, so it is longer than its bytes.
pub(crate) fn app_secret(entropy: &Entropy, bytes: usize) -> SecretString {
    random(entropy, bytes).into()
}

/// A Standard Webhooks secret.
pub(crate) fn signing_secret(entropy: &Entropy) -> SecretString {
    format!("whsec_{}", random(entropy, 32)).into()
}

fn random(entropy: &Entropy, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    entropy.fill(&mut random);
    BASE64_STANDARD.encode(random)
}
