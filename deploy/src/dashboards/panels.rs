//! The tables of which the dashboards are made.

mod broker;
mod deliverer;
mod dispatcher;
mod ingress;
mod overview;

/// One dashboard.
pub(super) struct Dashboard {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
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

pub(super) const DASHBOARDS: &[Dashboard] = &[
    Dashboard { name: "overview", title: "the whole", panels: overview::OVERVIEW },
    Dashboard { name: "ingress", title: "ingress", panels: ingress::INGRESS },
    Dashboard { name: "dispatcher", title: "dispatcher", panels: dispatcher::DISPATCHER },
    Dashboard { name: "deliverer", title: "deliverer", panels: deliverer::DELIVERER },
    Dashboard { name: "broker", title: "the broker and the processes", panels: broker::BROKER },
];
