//! Talk to bot.

use shared::config::Settings;
use shared::config::value::Value as _;
use shared::egress::Client;
use url::Url;

/// A client that reaches ingress, and where it is. The guard protects against addresses that a stranger
/// chose; this one the operator chose.
pub(crate) fn way(settings: &Settings) -> Option<(Client, Url)> {
    let own = || {
        let url = Url::parse(&crate::host_url(settings)).ok();
        settings.console.ingress_url.clone().or(url)
    };
    let anywhere = ["0.0.0.0/0", "::/0"];
    let allow =
        anywhere.iter().filter_map(|text| shared::config::value::AllowedTarget::parse(text).ok());
    let open = shared::config::Egress { allow: allow.collect(), allow_http: true };
    Some((Client::new(&open, Vec::new()).ok()?, own()?))
}
