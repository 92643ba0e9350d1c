//! The settings of a container: an environment file that becomes the `ConfigMap` and compose's `env_file`.
//!
//! What has its default stands there as a comment, so that a default that a later version improves takes
//! effect, and a version before it does not meet a setting that it does not know.

use std::fmt::Write as _;

use shared::config::{Setting, TABLE};

pub const PATH: &str = "deploy/kubernetes/base/settings.env";

/// Never in the `ConfigMap`: they come from Secrets.
pub const SECRETS: [&str; 4] = ["engines.amqp", "engines.postgres", "keys.envelope", "keys.vault"];

/// What a container needs otherwise than a laptop, and why.
pub const CONTAINER: [(&str, &str, &str); 6] = [
    ("ingress.listen", "0.0.0.0:8080", "The port of the Service."),
    ("admin.listen", "0.0.0.0:8081", "Probes and metrics; a NetworkPolicy says who may ask."),
    ("log.format", "json", "One object a line, for whatever collects logs."),
    ("lifecycle.linger", "5s", "Load balancers see /readyz fail while clients are still served."),
    ("ingress.connections_per_ip_max", "10000", "All clients come from the proxy's few addresses."),
    (
        "ingress.failures_per_minute",
        "60000",
        "As above: one client's bad tokens refuse nobody else.",
    ),
];

/// The file's text.
pub fn text() -> String {
    let mut text =
        "# Generated from the table of settings by `cargo run -p deploy`; do not edit.\n\
         # Change a setting in an overlay: configMapGenerator, behavior: merge.\n\
         # A comment shows a default. Not here, because secret: "
            .to_owned();
    let secrets = SECRETS.map(|key| TABLE.iter().find(|setting| setting.key == key));
    let secrets: Vec<_> = secrets.into_iter().flatten().map(Setting::env).collect();
    text.push_str(&secrets.join(", "));
    text.push_str(".\n");
    for setting in TABLE.iter().filter(|setting| !SECRETS.contains(&setting.key)) {
        let own = CONTAINER.iter().find(|(key, ..)| *key == setting.key);
        // Writing to a String cannot fail.
        let _ = match own {
            Some((_, value, why)) => {
                write!(text, "\n# {}\n# {why}\n{}={value}\n", setting.help.trim(), setting.env())
            }
            None => {
                write!(
                    text,
                    "\n# {}\n#{}={}\n",
                    setting.help.trim(),
                    setting.env(),
                    setting.default
                )
            }
        };
    }
    text
}
