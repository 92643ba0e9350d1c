//! The tables of which the dashboards are made.

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
    Dashboard { name: "overview", title: "the whole", panels: OVERVIEW },
    Dashboard { name: "ingress", title: "ingress", panels: INGRESS },
    Dashboard { name: "dispatcher", title: "dispatcher", panels: DISPATCHER },
    Dashboard { name: "deliverer", title: "deliverer", panels: DELIVERER },
    Dashboard { name: "broker", title: "the broker and the processes", panels: BROKER },
];

const OVERVIEW: &[Panel] = &[
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

const INGRESS: &[Panel] = &[
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

const DISPATCHER: &[Panel] = &[
    panel(
        "Bots' time",
        "A run, from its start to its end.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_dispatcher_bot_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_dispatcher_bot_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_dispatcher_bot_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "Running",
        "Turns whose bot runs now.",
        "short",
        &[("switchhook_dispatcher_permits_in_use", "{{instance}}")],
    ),
    panel(
        "Commits",
        "Missed: another was faster. Unknown: the database did not answer.",
        "ops",
        &[(
            "sum by (result) (rate(switchhook_dispatcher_commits_total[$__rate_interval]))",
            "{{result}}",
        )],
    ),
    panel(
        "Time of a commit",
        "Its wait for a group included.",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(switchhook_dispatcher_commit_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate(switchhook_dispatcher_commit_seconds_bucket[$__rate_interval])))",
                "nine of ten",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(switchhook_dispatcher_commit_seconds_bucket[$__rate_interval])))",
                "99 of 100",
            ),
        ],
    ),
    panel(
        "Turns seen before",
        "Already in the inbox; marked runs; solo runs after a death.",
        "ops",
        &[
            ("sum(rate(switchhook_dispatcher_duplicates_total[$__rate_interval]))", "in the inbox"),
            ("sum(rate(switchhook_dispatcher_marks_total[$__rate_interval]))", "marked"),
            ("sum(rate(switchhook_dispatcher_solo_runs_total[$__rate_interval]))", "solo"),
        ],
    ),
    panel(
        "Replies",
        "Answers, and the broker's messages that carried them.",
        "ops",
        &[
            ("sum(rate(switchhook_dispatcher_replies_total[$__rate_interval]))", "answers"),
            ("sum(rate(switchhook_dispatcher_reply_batches_total[$__rate_interval]))", "messages"),
        ],
    ),
    panel(
        "Doorbells",
        "Lost ones are rung by the sweep.",
        "ops",
        &[(
            "sum by (result) (rate(switchhook_dispatcher_doorbells_total[$__rate_interval]))",
            "{{result}}",
        )],
    ),
    panel(
        "Put aside",
        "Jobs kept for an operator.",
        "ops",
        &[("sum(rate(switchhook_dispatcher_strays_total[$__rate_interval]))", "strays")],
    ),
    panel(
        "Saturated bots, breakers",
        "Announced as saturated; times that a breaker opened.",
        "short",
        &[
            ("sum(switchhook_dispatcher_saturated_bots)", "saturated"),
            (
                "sum(increase(switchhook_dispatcher_breakers_opened_total[$__rate_interval]))",
                "opened",
            ),
        ],
    ),
    panel(
        "Lanes",
        "By partition: where the work is, and who has it.",
        "short",
        &[(
            r#"sum by (partition, instance) (switchhook_lanes_active{queue="turns"})"#,
            "{{partition}} {{instance}}",
        )],
    ),
];

const DELIVERER: &[Panel] = &[
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

const BROKER: &[Panel] = &[
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
