//! How many synchronous turns of one app with one bot may be under way: as many as are answered without
//! waiting. Nobody knows that number; it is found from where the time of answered turns went.
//!
//! A gradient limit (after TCP Vegas and Netflix's `concurrency-limits`). A turn's own time is what its
//! bot and its own conversation took; the rest is the wait for the bot, which the dispatcher measures, and
//! what the system adds. Window by window, the means are compared with what is tolerated. More makes the
//! limit smaller in proportion, less lets it grow while it is in use. So a slow bot is not mistaken for
//! a busy one, and no two clocks need to agree. Times are counted from one moment in the past.

use std::time::Duration;

use shared::wire::jobs::Spent;

/// A window lasts at least so long, and has so many answers or lasts for long.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOW_LONG: Duration = Duration::from_secs(1);
const ANSWERS_MIN: u32 = 10;
/// And at least so many of its turns' times: those that are answered first waited least.
const TURNS: u32 = 2;
/// A wait for the bot that is tolerated, and what the system may add. Each may also be a third of the
/// turn's own time.
const WAIT_OK: Duration = Duration::from_millis(20);
const ADDED_OK: Duration = Duration::from_millis(100);
/// The most that one window takes away.
const CUT_MAX: f64 = 0.5;
/// What a window adds, before the first cut and after it.
const GROWTH_FAST: f64 = 0.5;
const GROWTH: f64 = 0.05;
/// What a window takes away from a limit that is not used.
const DECAY: f64 = 0.05;
/// So long after a cut the limit grows fast again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Limit {
    allowed: f64,
    least: f64,
    most: f64,
    under_way: u32,
    window: Window,
    cut_at: Option<Duration>,
}

/// What was answered since the last change of those turns that began after it.
#[derive(Debug)]
struct Window {
    began: Duration,
    /// The most turns under way.
    peak: u32,
    answers: u32,
    took: Duration,
    own: Duration,
    waited: Duration,
}

impl Window {
    fn new(began: Duration, under_way: u32) -> Self {
        let zero = Duration::ZERO;
        Self { began, peak: under_way, answers: 0, took: zero, own: zero, waited: zero }
    }

    fn add(&mut self, took: Duration, spent: Spent) {
        self.answers += 1;
        self.took += took;
        self.own += spent.own;
        self.waited += spent.waited;
    }

    fn is_over(&self, now: Duration) -> bool {
        let lasted = now.saturating_sub(self.began);
        let enough = self.answers >= ANSWERS_MIN || lasted >= WINDOW_LONG;
        enough && lasted >= WINDOW.max(TURNS * self.took / self.answers.max(1))
    }
}

impl Limit {
    /// Begins with `first`; what the system adds never makes it smaller. Never more than `most`.
    pub(crate) fn new(first: u32, most: u32, now: Duration) -> Self {
        let first = f64::from(first.clamp(1, most.max(1)));
        Self {
            allowed: first,
            least: first,
            most: f64::from(most.max(1)),
            under_way: 0,
            window: Window::new(now, 0),
            cut_at: None,
        }
    }

    /// Takes one more turn, or not.
    pub(crate) fn enter(&mut self) -> bool {
        if f64::from(self.under_way) + 1.0 > self.allowed {
            return false;
        }
        self.under_way += 1;
        self.window.peak = self.window.peak.max(self.under_way);
        true
    }

    /// A turn that began then has ended; `spent` where it was answered.
    pub(crate) fn leave(&mut self, began: Duration, spent: Option<Spent>, now: Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(spent) = spent.filter(|_| began >= self.window.began) else { return };
        self.window.add(now.saturating_sub(began), spent);
        if self.window.is_over(now) {
            self.learn(now);
        }
    }

    /// Nobody needs it: it would be the same anew.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        let lately = |at| now.saturating_sub(at) < FORGIVEN_AFTER;
        self.under_way == 0 && !lately(self.window.began)
    }

    fn learn(&mut self, now: Duration) {
        let Window { answers, took, own, waited, peak, .. } = self.window;
        let mean = |sum: Duration| sum / answers.max(1);
        let (own, waited) = (mean(own), mean(waited));
        let added = mean(took).saturating_sub(own + waited);
        let cut = |over: Duration, ok: Duration| {
            let ok = ok.max(own / 3);
            (over > ok).then(|| (own + ok).div_duration_f64(own + over).max(CUT_MAX))
        };
        let used = f64::from(peak) >= self.allowed / 2.0;
        let spare = self.allowed > self.least;
        if let Some(cut) = cut(waited, WAIT_OK) {
            self.allowed = (self.allowed * cut).max(1.0);
            self.cut_at = Some(now);
        } else if let Some(cut) = cut(added, ADDED_OK) {
            if spare {
                self.allowed = (self.allowed * cut).max(self.least);
                self.cut_at = Some(now);
            }
        } else if used {
            let lately = self.cut_at.is_some_and(|at| now.saturating_sub(at) < FORGIVEN_AFTER);
            let growth = if lately { GROWTH } else { GROWTH_FAST };
            self.allowed = (self.allowed + (self.allowed * growth).max(1.0)).min(self.most);
        } else if spare {
            self.allowed = (self.allowed * (1.0 - DECAY)).max(self.least);
        }
        self.window = Window::new(now, self.under_way);
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
