//! The whole at a glance.

use super::{Panel, panel};

pub(super) const OVERVIEW: &[Panel] = &[
    panel(
        "Requests",
        "What clients get, by route and status class.",
        "reqps",
        &[(
            "sum by (route, status) (rate(switchhook_ingress_request_duration_seconds_count[$__rate_interval]))",
            "{{route}} {{status}}",
        )],
    ),
    panel(
        "Time to the answer",
        "From a request's head to its answer.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_ingress_request_duration_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_ingress_request_duration_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_ingress_request_duration_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "Refusals",
        "Who is turned away, and why.",
        "reqps",
        &[(
            "sum by (reason) (rate(switchhook_ingress_refusals_total[$__rate_interval]))",
            "{{reason}}",
        )],
    ),
    panel(
        "Turns by their fate",
        "Everything but `answered` deserves a look.",
        "ops",
        &[(
            "sum by (outcome) (rate(switchhook_dispatcher_turns_total[$__rate_interval]))",
            "{{outcome}}",
        )],
    ),
    panel(
        "Turns wait",
        "From acceptance to the start of the run.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_dispatcher_queue_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_dispatcher_queue_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_dispatcher_queue_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "Deliveries by their fate",
        "Everything but `delivered` was parked.",
        "ops",
        &[(
            "sum by (outcome) (rate(switchhook_deliverer_settled_total[$__rate_interval]))",
            "{{outcome}}",
        )],
    ),
    panel(
        "Time to the delivery",
        "From acceptance to the receiver's 2xx.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_deliverer_delivery_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_deliverer_delivery_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_deliverer_delivery_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "Overdue",
        "How long the oldest delivery that nobody takes up has been due.",
        "s",
        &[("max(switchhook_sweep_oldest_due_seconds)", "oldest")],
    ),
    panel(
        "The broker",
        "1 while each process can give it jobs.",
        "short",
        &[("min by (instance) (switchhook_broker_up)", "{{instance}}")],
    ),
    panel(
        "Error budgets",
        "Part of the last hour that was bad.",
        "percentunit",
        &[
            ("switchhook:hook_bad:ratio_rate1h", "hooks"),
            ("switchhook:delivery_late:ratio_rate1h", "deliveries"),
        ],
    ),
];
