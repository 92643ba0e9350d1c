//! The broker, and the processes themselves.

use super::{Panel, panel};

pub(super) const BROKER: &[Panel] = &[
    panel(
        "Publishes",
        "Of turns, by how they ended.",
        "ops",
        &[("sum by (end) (rate(switchhook_broker_publishes_total[$__rate_interval]))", "{{end}}")],
    ),
    panel(
        "Blocked",
        "1 while RabbitMQ's alarm stops a process.",
        "short",
        &[("switchhook_broker_blocked", "{{instance}}")],
    ),
    panel(
        "Connections lost",
        "By purpose.",
        "ops",
        &[(
            "sum by (connection) (rate(switchhook_broker_reconnects_total[$__rate_interval]))",
            "{{connection}}",
        )],
    ),
    panel(
        "Dropped",
        "Best-effort messages.",
        "ops",
        &[("sum by (kind) (rate(switchhook_broker_dropped_total[$__rate_interval]))", "{{kind}}")],
    ),
    panel(
        "Jobs",
        "Given by the broker; those that may have been given before.",
        "ops",
        &[
            ("sum by (queue) (rate(switchhook_lanes_jobs_total[$__rate_interval]))", "{{queue}}"),
            (
                "sum by (queue) (rate(switchhook_lanes_redelivered_total[$__rate_interval]))",
                "{{queue}} again",
            ),
        ],
    ),
    panel(
        "Hand-overs",
        "Subscriptions that ended, by how.",
        "ops",
        &[(
            "sum by (queue, reason) (rate(switchhook_lanes_subscriptions_ended_total[$__rate_interval]))",
            "{{queue}} {{reason}}",
        )],
    ),
    panel(
        "Unrouted, stale",
        "Turns without a partition; acks that came too late.",
        "ops",
        &[
            ("sum(rate(switchhook_broker_unrouted_total[$__rate_interval]))", "unrouted"),
            ("sum(rate(switchhook_broker_stale_acks_total[$__rate_interval]))", "stale acks"),
        ],
    ),
    panel(
        "Queues",
        "RabbitMQ's own figures: jobs in each partition.",
        "short",
        &[(
            r#"rabbitmq_detailed_queue_messages{queue=~"[^.]+\\.(turns|deliveries)\\..+"}"#,
            "{{queue}}",
        )],
    ),
    panel(
        "CPU",
        "Cores that each process uses.",
        "short",
        &[("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}")],
    ),
    panel("Memory", "Resident.", "bytes", &[("process_resident_memory_bytes", "{{instance}}")]),
    panel("Files", "Open ones.", "short", &[("process_open_fds", "{{instance}}")]),
    panel(
        "Cleaning",
        "Rows removed; rounds that failed.",
        "ops",
        &[
            ("sum(rate(switchhook_cleaned_rows_total[$__rate_interval]))", "removed"),
            ("sum(rate(switchhook_clean_failures_total[$__rate_interval]))", "failed"),
        ],
    ),
    panel(
        "Versions",
        "Processes of each version.",
        "short",
        &[("count by (version) (switchhook_build_info)", "{{version}}")],
    ),
];
