use super::*;

/// A bot that does so many turns at once, each of which takes so long, in steps of a millisecond.
struct Model {
    limit: Limit,
    now: Duration,
    permits: usize,
    takes: Duration,
    waiting: std::collections::VecDeque<Duration>,
    running: Vec<(Duration, Duration)>,
    answered: Vec<Duration>,
    refused: u32,
    most: u32,
}

impl Model {
    fn new(first: u32, permits: usize, takes: u64) -> Self {
        let now = Duration::ZERO;
        Self {
            limit: Limit::new(first, 4096, now),
            now,
            permits,
            takes: Duration::from_millis(takes),
            waiting: std::collections::VecDeque::new(),
            running: Vec::new(),
            answered: Vec::new(),
            refused: 0,
            most: 0,
        }
    }

    /// So many milliseconds with so many arrivals in each.
    fn run(&mut self, ms: u32, per_ms: f64) {
        let (mut owed, step) = (0.0, Duration::from_millis(1));
        self.answered.clear();
        (self.refused, self.most) = (0, 0);
        for _ in 0..ms {
            self.now += step;
            let (ended, running) = self
                .running
                .iter()
                .partition(|(_, started)| self.now.saturating_sub(*started) >= self.takes);
            self.running = running;
            for (began, started) in Vec::from_iter::<Vec<(Duration, Duration)>>(ended) {
                let spent = Spent { own: self.takes, waited: started.saturating_sub(began) };
                self.limit.leave(began, Some(spent), self.now);
                self.answered.push(self.now.saturating_sub(began));
            }
            owed += per_ms;
            while owed >= 1.0 {
                owed -= 1.0;
                if self.limit.enter() {
                    self.waiting.push_back(self.now);
                } else {
                    self.refused += 1;
                }
            }
            while self.running.len() < self.permits
                && let Some(began) = self.waiting.pop_front()
            {
                self.running.push((began, self.now));
            }
            self.most = self.most.max(self.limit.under_way);
        }
    }

    fn slowest_percent(&mut self) -> Duration {
        self.answered.sort_unstable();
        self.answered[self.answered.len() * 99 / 100]
    }
}

#[test]
fn below_the_capacity_nobody_is_refused() {
    let mut model = Model::new(16, 32, 100);
    for per_ms in [0.05, 0.16, 0.25, 0.3] {
        model.run(10_000, per_ms);
    }
    model.run(10_000, 0.3);
    assert_eq!(model.refused, 0);
}

#[test]
fn after_two_seconds_a_flood_is_answered_at_the_capacity_without_a_long_wait() {
    let mut model = Model::new(64, 32, 100);
    model.run(5_000, 0.16);
    model.run(2_000, 0.64);
    for per_ms in [0.64, 1.6, 3.2] {
        model.run(10_000, per_ms);
        let capacity = 10_000 * 32 / 100;
        assert!(model.answered.len() >= capacity * 99 / 100, "{}", model.answered.len());
        assert!(
            model.slowest_percent() <= Duration::from_millis(200),
            "{:?}",
            model.slowest_percent()
        );
    }
    model.run(2_000, 0.16);
    model.run(5_000, 0.16);
    assert_eq!(model.refused, 0, "and it recovers");
}

#[test]
fn a_slow_bot_is_not_taken_for_a_busy_one() {
    let mut model = Model::new(64, 200, 5_000);
    for per_ms in [0.01, 0.015, 0.02, 0.03] {
        model.run(60_000, per_ms);
        assert_eq!(model.refused, 0, "{} under way, none of which waits", model.most);
    }
    assert_eq!(model.most, 150);
}

#[test]
fn one_at_a_time_is_the_least_and_the_most_is_kept() {
    let mut model = Model::new(1, 1, 50);
    model.run(20_000, 1.0);
    assert!(model.answered.len() >= 380, "{}", model.answered.len());
    let mut model = Model::new(64, 100_000, 10);
    model.limit.most = 100.0;
    model.run(5_000, 100.0);
    assert_eq!(model.most, 100);
}

#[test]
fn what_was_needed_once_is_given_back() {
    let mut model = Model::new(16, 1_000, 100);
    model.run(20_000, 3.0);
    assert!(model.most >= 250, "{}", model.most);
    model.run(20_000, 0.1);
    assert!(model.limit.allowed <= 32.0, "{}", model.limit.allowed);
    assert!(!model.limit.is_idle(model.now));
    model.run(1_000, 0.0);
    assert!(model.limit.is_idle(model.now + Duration::from_mins(1)));
}

#[test]
fn what_the_system_adds_brings_a_limit_back_to_where_it_began_but_no_lower() {
    let began = Duration::ZERO;
    let mut limit = Limit::new(16, 4096, began);
    limit.allowed = 200.0;
    let mut now = began;
    for _ in 0..200 {
        let turns: Vec<_> = (0..20).filter(|_| limit.enter()).collect();
        let (began, spent) = (now, Spent { own: Duration::ZERO, waited: Duration::ZERO });
        now += Duration::from_millis(400);
        for _ in turns {
            limit.leave(began, Some(spent), now);
        }
    }
    assert!((limit.allowed - 16.0).abs() < f64::EPSILON, "{}", limit.allowed);
}
