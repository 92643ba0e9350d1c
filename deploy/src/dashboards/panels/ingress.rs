//! What clients meet.

use super::{Panel, panel};

pub(super) const INGRESS: &[Panel] = &[
    panel(
        "Publishes",
        "What the broker said.",
        "ops",
        &[(
            "sum by (outcome) (rate(switchhook_ingress_publishes_total[$__rate_interval]))",
            "{{outcome}}",
        )],
    ),
    panel(
        "Time to the confirm",
        "An asynchronous 200 waits for it.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_ingress_publish_duration_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_ingress_publish_duration_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_ingress_publish_duration_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "In flight",
        "Turns that wait for a confirm or a reply; refused beyond ingress.in_flight_max.",
        "short",
        &[("switchhook_ingress_in_flight", "{{instance}}")],
    ),
    panel(
        "Waiting callers",
        "Requests that wait for a reply.",
        "short",
        &[("switchhook_ingress_waiters", "{{instance}}")],
    ),
    panel(
        "Connections",
        "Open ones.",
        "short",
        &[("switchhook_ingress_connections", "{{instance}}")],
    ),
    panel(
        "Connections refused",
        "Too many of one address.",
        "ops",
        &[("rate(switchhook_ingress_connections_refused_total[$__rate_interval])", "{{instance}}")],
    ),
    panel(
        "Bad tokens",
        "By reason; clients see one 401.",
        "ops",
        &[(
            "sum by (reason) (rate(switchhook_ingress_auth_failures_total[$__rate_interval]))",
            "{{reason}}",
        )],
    ),
    panel(
        "Replies on other ways",
        "Late: nobody waited any more. Rescued: read from the store.",
        "ops",
        &[
            ("sum(rate(switchhook_ingress_late_replies_total[$__rate_interval]))", "late"),
            ("sum(rate(switchhook_ingress_rescued_replies_total[$__rate_interval]))", "rescued"),
        ],
    ),
    panel(
        "Saturated bots",
        "Refused until a dispatcher withdraws.",
        "short",
        &[("switchhook_ingress_saturated_bots", "{{instance}}")],
    ),
    panel(
        "Age of the registry",
        "Served from memory while the database is away.",
        "s",
        &[("switchhook_registry_age_seconds", "{{instance}}")],
    ),
];
