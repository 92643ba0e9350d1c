//! Apps: whose tokens are believed, by which keys, and under which rules.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::ids::ClientId;

/// How an app signs its tokens; pinned per app, never read from a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    Hs256,
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256; the app's key is public.
    Rs256,
    Rs512,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Hs512, Self::Rs256, Self::Rs512];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs512 => "RS512",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether the app keeps the signing key to itself, and we only know the public one.
    pub const fn is_public_key(self) -> bool {
        matches!(self, Self::Rs256 | Self::Rs512)
    }

    /// The fewest bytes of a shared secret (RFC 7518 §3.2).
    pub const fn secret_min(self) -> usize {
        match self {
            Self::Hs256 | Self::Rs256 => 32,
            Self::Hs512 | Self::Rs512 => 64,
        }
    }
}

/// Credentials of a client.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: ClientId,
    pub name: String,
    pub algorithm: Algorithm,
    /// The key that proves its tokens: a shared secret of at least [`Algorithm::secret_min`] bytes, or
    /// the customer's RSA public key in PEM. Encrypted at rest either way.
    pub secret: SecretString,
    /// The key before it, good for a while after a rotation.
    pub previous: Option<PreviousSecret>,
    pub rules: TokenRules,
}

/// A key that was replaced.
#[derive(Clone, Debug)]
pub struct PreviousSecret {
    pub secret: SecretString,
    /// The end of the overlap, in milliseconds since the Unix epoch. From then on it proves nothing.
    pub until_ms: u64,
}

/// What an app asks of its tokens beyond a good signature. All off by default: many clients send
/// nothing but `appId` and `sub`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The oldest token that is taken, by its `iat`, which must then be there.
    pub age_max: Option<Duration>,
    /// Where the app's requests may come from, by the address of the connection; empty is anywhere.
    pub networks: Vec<IpNet>,
    /// A message's token is taken once: it must carry `jti`, and an `exp` at most [`JTI_LIFE`] ahead.
    pub single_use: bool,
}

/// The longest life of a token that is taken once.
pub const JTI_LIFE: Duration = Duration::from_hours(1);

impl TokenRules {
    /// Whether an address may speak for the app.
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_speak_where_no_network_is_named_or_one_holds_it() {
        let rules = |networks: &[&str]| TokenRules {
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            ..TokenRules::default()
        };
        for (networks, peer, allowed) in [
            (&[][..], "203.0.113.9", true),
            (&["203.0.113.0/24"], "203.0.113.9", true),
            (&["203.0.113.0/24"], "::ffff:203.0.113.9", true),
            (&["203.0.113.0/24"], "203.0.114.9", false),
            (&["203.0.113.0/24", "2001:db8::/32"], "2001:db8::1", true),
            (&["203.0.113.0/24"], "2001:db8::1", false),
        ] {
            assert_eq!(rules(networks).allows(peer.parse().unwrap()), allowed, "{peer}");
        }
    }
}
