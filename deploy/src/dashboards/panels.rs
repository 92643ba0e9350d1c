//! The tables of which the dashboards are made.

mod broker;
mod channel;
mod deliverer;
mod dispatcher;
mod ingress;
mod overview;

/// One dashboard.
pub(super) struct Dashboard {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
    /// Its queries ask for the channels that are chosen: `$channel`.
    pub(super) by_channel: bool,
}

/// One panel: queries with their legends.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) meaning: &'static str,
    /// As Grafana calls it.
    pub(super) unit: &'static str,
    pub(super) queries: &'static [(&'static str, &'static str)],
}

const fn panel(
    title: &'static str,
    meaning: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, meaning, unit, queries }
}

const fn dashboard(name: &'static str, title: &'static str, panels: &'static [Panel]) -> Dashboard {
    Dashboard { name, title, panels, by_channel: false }
}

pub(super) const DASHBOARDS: &[Dashboard] = &[
    dashboard("overview", "the whole", overview::OVERVIEW),
    dashboard("ingress", "ingress", ingress::INGRESS),
    dashboard("dispatcher", "dispatcher", dispatcher::DISPATCHER),
    dashboard("deliverer", "deliverer", deliverer::DELIVERER),
    Dashboard { by_channel: true, ..dashboard("channel", "single channels", channel::CHANNEL) },
    dashboard("broker", "the broker and the processes", broker::BROKER),
];
