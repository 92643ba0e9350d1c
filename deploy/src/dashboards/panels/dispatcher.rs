//! Turns, bots and commits.

use super::{Panel, panel};

pub(super) const DISPATCHER: &[Panel] = &[
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
