//! The part of a bot or channel that a store keeps as one JSON text, so that a new setting needs no
//! migration. Ids, names, states and secrets have columns of their own and never appear here.
//!
//! Knows serde and the registry's types; not the engines.

use std::collections::HashMap;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::beside::BesideSpec;
use super::{
    App, Bot, Channel, Compatibility, ConnectorLogic, Endpoint, HttpLogic, Logic, Overrides, Peer,
    Rate, Registry, ScriptLogic, TokenRules, Unreadable, WhileBusy,
};
use crate::domain::ids::BotId;
use crate::domain::retry::{Policy, Spacing};

/// What an app asks of its tokens.
#[derive(Debug, Serialize, Deserialize)]
pub struct RulesSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    age_max_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    networks: Vec<String>,
    #[serde(default)]
    single_use: bool,
}

impl RulesSpec {
    pub fn of(rules: &TokenRules) -> Self {
        Self {
            age_max_ms: rules.age_max.map(ms),
            networks: rules.networks.iter().map(ToString::to_string).collect(),
            single_use: rules.single_use,
        }
    }

    /// `None` when a network is none: a rule that cannot be read must not become no rule.
    pub fn rules(&self) -> Option<TokenRules> {
        let networks = self.networks.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        Some(TokenRules {
            age_max: self.age_max_ms.map(Duration::from_millis),
            networks: networks.ok()?,
            single_use: self.single_use,
        })
    }
}

/// A bot's settings; its secret (`authorization`, or a script's `env`) is apart.
#[derive(Debug, Serialize, Deserialize)]
pub struct BotSpec {
    logic: LogicSpec,
    error_message: String,
    session_timeout_ms: u64,
    permits: u32,
    #[serde(default, skip_serializing_if = "BesideSpec::is_empty")]
    beside: BesideSpec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum LogicSpec {
    Echo,
    Http {
        #[serde(with = "url_text")]
        url: Url,
        deadline_ms: u64,
        attempts_max: u32,
    },
    Script {
        name: String,
        source: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart_dialogs: bool,
    },
    Connector {
        peer: Peer,
        #[serde(with = "url_text")]
        url: Url,
        deadline_ms: u64,
        attempts_max: u32,
    },
}

/// Bots as they are read from their rows, and those that cannot be.
#[derive(Debug, Default)]
pub struct Bots {
    readable: Vec<Bot>,
    unreadable: HashMap<BotId, Unreadable>,
}

impl Bots {
    /// One more row: its id, its name, its spec, its secret. What one bot is must not take the others away.
    pub fn add(&mut self, id: &str, name: String, spec: &str, secret: Option<SecretString>) {
        match serde_json::from_str::<BotSpec>(spec) {
            Ok(spec) => self.readable.push(spec.into_bot(id, name, secret)),
            Err(error) => {
                let why = error.to_string();
                self.unreadable.insert(id.into(), Unreadable { name, why });
            }
        }
    }

    pub fn registry(self, apps: Vec<App>, channels: Vec<Channel>) -> Registry {
        Registry::new(apps, self.readable, channels).without(self.unreadable)
    }
}

/// A channel's settings; its endpoint's `token` and `signing_secret` are apart, and so is `disabled`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChannelSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointSpec>,
    deadline_ms: u64,
    single_as_string: bool,
    escape_templates: bool,
    rate_per_second: u32,
    rate_burst: u32,
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    overrides: Overrides,
    /// Missing for `queue`. A word of a later release counts as that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    while_busy: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndpointSpec {
    #[serde(with = "url_text")]
    post_url: Url,
    token_header: String,
    retry: SpacingSpec,
    jitter: f64,
    deadline_ms: u64,
    permits: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SpacingSpec {
    List { waits_ms: Vec<u64> },
    Exponential { initial_ms: u64, factor: f64, max_ms: u64, attempts_max: u32 },
}

/// What a channel's endpoint keeps outside its spec.
#[derive(Debug)]
pub struct EndpointState {
    pub token: Option<SecretString>,
    /// Present where the spec has an endpoint.
    pub signing_secret: Option<SecretString>,
    pub disabled: bool,
}

impl BotSpec {
    pub fn of(bot: &Bot) -> Self {
        let logic = match &bot.logic {
            Logic::Echo => LogicSpec::Echo,
            Logic::Http(http) => LogicSpec::Http {
                url: http.url.clone(),
                deadline_ms: ms(http.deadline),
                attempts_max: http.attempts_max,
            },
            Logic::Script(script) => LogicSpec::Script {
                name: script.name.clone(),
                source: script.source.to_string(),
                restart_dialogs: script.restart_dialogs,
            },
            Logic::Connector(connector) => LogicSpec::Connector {
                peer: connector.peer.clone(),
                url: connector.url.clone(),
                deadline_ms: ms(connector.deadline),
                attempts_max: connector.attempts_max,
            },
        };
        Self {
            logic,
            error_message: bot.error_message.clone(),
            session_timeout_ms: ms(bot.session_timeout),
            permits: bot.permits,
            beside: BesideSpec::of(&bot.beside),
        }
    }

    /// The secret of a bot that has one, for the column of its own.
    pub fn secret(bot: &Bot) -> Option<&SecretString> {
        match &bot.logic {
            Logic::Echo => None,
            Logic::Http(http) => http.authorization.as_ref(),
            Logic::Script(script) => script.env.as_ref(),
            Logic::Connector(connector) => connector.authorization.as_ref(),
        }
    }

    /// The script of a bot that is one.
    pub fn source(&self) -> Option<&str> {
        match &self.logic {
            LogicSpec::Script { source, .. } => Some(source),
            LogicSpec::Echo | LogicSpec::Http { .. } | LogicSpec::Connector { .. } => None,
        }
    }

    pub fn into_bot(self, id: &str, name: String, secret: Option<SecretString>) -> Bot {
        let logic = match self.logic {
            LogicSpec::Echo => Logic::Echo,
            LogicSpec::Http { url, deadline_ms, attempts_max } => Logic::Http(HttpLogic {
                url,
                authorization: secret,
                deadline: Duration::from_millis(deadline_ms),
                attempts_max,
            }),
            LogicSpec::Script { name, source, restart_dialogs } => Logic::Script(ScriptLogic {
                name,
                source: source.into(),
                env: secret,
                restart_dialogs,
            }),
            LogicSpec::Connector { peer, url, deadline_ms, attempts_max } => {
                Logic::Connector(Box::new(ConnectorLogic {
                    peer,
                    url,
                    authorization: secret,
                    deadline: Duration::from_millis(deadline_ms),
                    attempts_max,
                }))
            }
        };
        Bot {
            id: id.into(),
            name,
            logic,
            error_message: self.error_message,
            session_timeout: Duration::from_millis(self.session_timeout_ms),
            permits: self.permits,
            beside: self.beside.into_beside(),
        }
    }
}

impl ChannelSpec {
    pub fn of(channel: &Channel) -> Self {
        Self {
            endpoint: channel.endpoint.as_ref().map(EndpointSpec::of),
            deadline_ms: ms(channel.deadline),
            single_as_string: channel.compatibility.single_as_string,
            escape_templates: channel.compatibility.escape_templates,
            rate_per_second: channel.rate.per_second,
            rate_burst: channel.rate.burst,
            overrides: channel.overrides.clone(),
            while_busy: (channel.while_busy != WhileBusy::Queue)
                .then(|| channel.while_busy.to_string()),
        }
    }

    /// `None` when the spec has an endpoint but its signing secret is missing.
    pub fn endpoint(&self, state: EndpointState) -> Option<Option<Endpoint>> {
        let Some(spec) = &self.endpoint else { return Some(None) };
        Some(Some(Endpoint {
            post_url: spec.post_url.clone(),
            token_header: spec.token_header.clone(),
            token: state.token,
            signing_secret: state.signing_secret?,
            retry: spec.policy(),
            deadline: Duration::from_millis(spec.deadline_ms),
            permits: spec.permits,
            disabled: state.disabled,
        }))
    }

    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub fn compatibility(&self) -> Compatibility {
        Compatibility {
            single_as_string: self.single_as_string,
            escape_templates: self.escape_templates,
        }
    }

    pub fn overrides(&self) -> Overrides {
        self.overrides.clone()
    }

    pub fn while_busy(&self) -> WhileBusy {
        self.while_busy.as_deref().and_then(WhileBusy::parse).unwrap_or_default()
    }

    pub fn rate(&self) -> Rate {
        Rate { per_second: self.rate_per_second, burst: self.rate_burst }
    }
}

impl EndpointSpec {
    fn of(endpoint: &Endpoint) -> Self {
        let retry = match &endpoint.retry.spacing {
            Spacing::List(waits) => {
                SpacingSpec::List { waits_ms: waits.iter().copied().map(ms).collect() }
            }
            Spacing::Exponential { initial, factor, max, attempts_max } => {
                SpacingSpec::Exponential {
                    initial_ms: ms(*initial),
                    factor: *factor,
                    max_ms: ms(*max),
                    attempts_max: *attempts_max,
                }
            }
        };
        Self {
            post_url: endpoint.post_url.clone(),
            token_header: endpoint.token_header.clone(),
            retry,
            jitter: endpoint.retry.jitter,
            deadline_ms: ms(endpoint.deadline),
            permits: endpoint.permits,
        }
    }

    fn policy(&self) -> Policy {
        let spacing = match &self.retry {
            SpacingSpec::List { waits_ms } => {
                Spacing::List(waits_ms.iter().copied().map(Duration::from_millis).collect())
            }
            SpacingSpec::Exponential { initial_ms, factor, max_ms, attempts_max } => {
                Spacing::Exponential {
                    initial: Duration::from_millis(*initial_ms),
                    factor: *factor,
                    max: Duration::from_millis(*max_ms),
                    attempts_max: *attempts_max,
                }
            }
        };
        Policy { spacing, jitter: self.jitter }
    }
}

/// A URL as its text.
pub(super) mod url_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use url::Url;

    pub(in crate::registry) fn serialize<S: Serializer>(
        url: &Url,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(url.as_str())
    }

    pub(in crate::registry) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Url, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(from)?;
        Url::parse(&text).map_err(D::Error::custom)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
