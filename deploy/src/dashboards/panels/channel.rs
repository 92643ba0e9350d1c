//! Single channels: those that were chosen, together or side by side.

use super::{Panel, panel};

pub(super) const CHANNEL: &[Panel] = &[
    panel(
        "Messages",
        "Of callers with a good token, by whether they were accepted.",
        "reqps",
        &[(
            r#"sum by (result) (rate(switchhook_channel_requests_total{channel=~"$channel"}[$__rate_interval]))"#,
            "{{result}}",
        )],
    ),
    panel(
        "Turns by their fate",
        "Everything but `answered` deserves a look.",
        "ops",
        &[(
            r#"sum by (outcome) (rate(switchhook_channel_turns_total{channel=~"$channel"}[$__rate_interval]))"#,
            "{{outcome}}",
        )],
    ),
    panel(
        "Time of a turn",
        "From its id to the end of its run.",
        "s",
        &[
            (
                r#"histogram_quantile(0.5, sum by (le) (rate(switchhook_channel_turn_seconds_bucket{channel=~"$channel"}[$__rate_interval])))"#,
                "half",
            ),
            (
                r#"histogram_quantile(0.9, sum by (le) (rate(switchhook_channel_turn_seconds_bucket{channel=~"$channel"}[$__rate_interval])))"#,
                "nine of ten",
            ),
        ],
    ),
    panel(
        "Time to the delivery",
        "From the acceptance of a turn to the delivery of one of its messages.",
        "s",
        &[
            (
                r#"histogram_quantile(0.5, sum by (le) (rate(switchhook_channel_delivery_seconds_bucket{channel=~"$channel"}[$__rate_interval])))"#,
                "half",
            ),
            (
                r#"histogram_quantile(0.9, sum by (le) (rate(switchhook_channel_delivery_seconds_bucket{channel=~"$channel"}[$__rate_interval])))"#,
                "nine of ten",
            ),
        ],
    ),
    panel(
        "Attempts",
        "What came of them.",
        "ops",
        &[(
            r#"sum by (result) (rate(switchhook_channel_attempts_total{channel=~"$channel"}[$__rate_interval]))"#,
            "{{result}}",
        )],
    ),
    panel(
        "Deliveries by their fate",
        "Those parked behind another are not counted.",
        "ops",
        &[(
            r#"sum by (outcome) (rate(switchhook_channel_deliveries_total{channel=~"$channel"}[$__rate_interval]))"#,
            "{{outcome}}",
        )],
    ),
    panel(
        "Attempts that deliver",
        "Of all attempts of the channel in a quarter of an hour.",
        "percentunit",
        &[(
            r#"switchhook:channel_attempts_delivered:ratio_rate15m{channel=~"$channel"}"#,
            "{{channel}}",
        )],
    ),
    panel(
        "Deliveries that arrive",
        "Of all that ended in an hour.",
        "percentunit",
        &[(
            r#"switchhook:channel_deliveries_delivered:ratio_rate1h{channel=~"$channel"}"#,
            "{{channel}}",
        )],
    ),
    panel(
        "The busiest",
        "Turns, of all channels.",
        "ops",
        &[(
            "topk(10, sum by (channel) (rate(switchhook_channel_turns_total[$__rate_interval])))",
            "{{channel}}",
        )],
    ),
];
