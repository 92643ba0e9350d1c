//! Figures of a channel over time, counted when somebody looks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::domain::outcome::Outcome;
use shared::store::Store;
use shared::store::tally::{Figures, TallyAsk};

use super::actor::{Actor, Scope};
use super::execute::Desk;
use super::find;
use super::problem::Problem;

const HOUR_MS: u64 = 3_600_000;

/// How far back, and in which steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    Day,
    ThreeDays,
    EightDays,
}

impl Span {
    pub const ALL: [Self; 3] = [Self::Day, Self::ThreeDays, Self::EightDays];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::ThreeDays => "72h",
            Self::EightDays => "8d",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Day => "24 hours, by hour",
            Self::ThreeDays => "3 days, by hour",
            Self::EightDays => "8 days, by day",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.as_str() == text)
    }

    /// The width of a step, and how many there are.
    const fn steps(self) -> (u64, u32) {
        match self {
            Self::Day => (HOUR_MS, 24),
            Self::ThreeDays => (HOUR_MS, 72),
            Self::EightDays => (24 * HOUR_MS, 8),
        }
    }
}

/// Figures of a channel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AnalyticsView {
    pub channel_id: String,
    /// As lists name it: `web (webhook)`.
    pub channel: String,
    /// `24h`, `72h` or `8d`, until now, in whole hours or days (UTC).
    pub range: String,
    /// Milliseconds since 1970.
    pub from_ms: u64,
    pub to_ms: u64,
    pub step_ms: u64,
    /// Only the newest 10,000 messages, or deliveries, are counted, and there were more.
    pub messages_cut: bool,
    pub deliveries_cut: bool,
    pub whole: FiguresView,
    pub steps: Vec<StepView>,
}

/// Figures of one step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Where it begins.
    pub at_ms: u64,
    pub figures: FiguresView,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FiguresView {
    pub messages: u64,
    /// Different users.
    pub users: u64,
    /// Messages by what became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// From the acceptance of a message to the end of its bot's run.
    pub latency_ms: LatencyView,
    /// By the time at which they were settled.
    pub deliveries: DeliveriesView,
}

/// Half of the messages, 95 and 99 of a hundred took no longer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LatencyView {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveriesView {
    pub delivered: u64,
    pub parked: u64,
    /// Attempts that were begun at them.
    pub attempts: u64,
}

impl<S: Store> Desk<S> {
    /// Figures of a channel: of the last day by hour, unless something else is asked for.
    pub async fn analytics(
        &self,
        actor: &Actor,
        channel: &str,
        range: Option<&str>,
    ) -> Result<AnalyticsView, Problem> {
        actor.need(Scope::Read)?;
        let wrong = || Problem::invalid("range: 24h, 72h or 8d");
        let span = range.map_or(Some(Span::Day), Span::parse).ok_or_else(wrong)?;
        let book = self.book().await?;
        let channel = find::channel(&book.registry, channel)?;
        let (step_ms, count) = span.steps();
        let to_ms = (self.clock.unix_ms() / step_ms + 1) * step_ms;
        let from_ms = to_ms.saturating_sub(step_ms * u64::from(count));
        let ask = TallyAsk {
            channel: channel.id.clone(),
            from_ms: from_ms.cast_signed(),
            width_ms: step_ms.cast_signed(),
            count,
        };
        let tally = self.store.tally(&ask).await?;
        let step = |(at_ms, figures): (u64, &Figures)| StepView {
            at_ms,
            figures: FiguresView::of(figures),
        };
        let starts = (0_u64..).map(|n| from_ms + n * step_ms);
        Ok(AnalyticsView {
            channel_id: channel.id.to_string(),
            channel: format!("{} (webhook)", channel.name),
            range: span.as_str().to_owned(),
            from_ms,
            to_ms,
            step_ms,
            messages_cut: tally.turns_cut,
            deliveries_cut: tally.deliveries_cut,
            whole: FiguresView::of(&tally.whole),
            steps: starts.zip(&tally.buckets).map(step).collect(),
        })
    }
}

impl FiguresView {
    fn of(figures: &Figures) -> Self {
        let [p50, p95, p99] = figures.latency;
        let names = Outcome::ALL.map(|outcome| outcome.as_str().to_owned());
        Self {
            messages: figures.turns,
            users: figures.users,
            outcomes: names.into_iter().zip(figures.outcomes).collect(),
            latency_ms: LatencyView { p50, p95, p99 },
            deliveries: DeliveriesView {
                delivered: figures.delivered,
                parked: figures.parked,
                attempts: figures.attempts,
            },
        }
    }

    pub fn answered(&self) -> u64 {
        self.outcomes.get(Outcome::Answered.as_str()).copied().unwrap_or(0)
    }
}
