//! Deliveries and endpoints.

use super::{Panel, panel};

pub(super) const DELIVERER: &[Panel] = &[
    panel(
        "Attempts",
        "What came of them.",
        "ops",
        &[(
            "sum by (result) (rate(switchhook_deliverer_attempts_total[$__rate_interval]))",
            "{{result}}",
        )],
    ),
    panel(
        "Time of an attempt",
        "Until its answer is complete or its deadline has passed.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_deliverer_attempt_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_deliverer_attempt_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_deliverer_attempt_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "In flight",
        "Attempts that run now.",
        "short",
        &[("switchhook_deliverer_in_flight", "{{instance}}")],
    ),
    panel(
        "Waiting",
        "Conversations that wait for their endpoint; retries with a timer.",
        "short",
        &[
            ("sum(switchhook_deliverer_waiting)", "waiting"),
            ("sum(switchhook_deliverer_timers)", "timers"),
        ],
    ),
    panel(
        "Put off",
        "Endpoints that could not be called at once.",
        "ops",
        &[(
            "sum by (reason) (rate(switchhook_deliverer_put_off_total[$__rate_interval]))",
            "{{reason}}",
        )],
    ),
    panel(
        "Breakers",
        "Open now.",
        "short",
        &[("switchhook_deliverer_breakers_open", "{{instance}}")],
    ),
    panel(
        "Claims",
        "What the store said.",
        "ops",
        &[(
            "sum by (result) (rate(switchhook_deliverer_claims_total[$__rate_interval]))",
            "{{result}}",
        )],
    ),
    panel(
        "Other ways",
        "First attempts without a claim; outcomes that another wrote.",
        "ops",
        &[
            ("sum(rate(switchhook_deliverer_unclaimed_total[$__rate_interval]))", "unclaimed"),
            ("sum(rate(switchhook_deliverer_missed_total[$__rate_interval]))", "missed"),
            ("sum(rate(switchhook_deliverer_strays_total[$__rate_interval]))", "strays"),
            ("sum(rate(switchhook_deliverer_asked_total[$__rate_interval]))", "asked"),
            ("sum(rate(switchhook_deliverer_rung_total[$__rate_interval]))", "rung"),
        ],
    ),
    panel(
        "Due",
        "Deliveries that are due and in nobody's hands.",
        "short",
        &[("max(switchhook_sweep_due_deliveries)", "due")],
    ),
    panel(
        "The sweep",
        "Doorbells rung, and those that the broker did not take; failed rounds.",
        "ops",
        &[
            ("sum(rate(switchhook_sweep_rung_total[$__rate_interval]))", "rung"),
            ("sum(rate(switchhook_sweep_unrung_total[$__rate_interval]))", "not taken"),
            (
                r#"sum(rate(switchhook_sweep_rounds_total{result="failed"}[$__rate_interval]))"#,
                "failed rounds",
            ),
        ],
    ),
    panel(
        "Lanes",
        "By partition.",
        "short",
        &[(
            r#"sum by (partition, instance) (switchhook_lanes_active{queue="deliveries"})"#,
            "{{partition}} {{instance}}",
        )],
    ),
];
