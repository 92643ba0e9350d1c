//! Whether a bot or an endpoint is called at all, as a pure state machine: closed, open, or trying once.

use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// How long it stays open before one may try.
    pub open: Duration,
}

/// The state; `now` is any monotonic time since a fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Option<Duration>,
    trying: bool,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Run,
    /// It is the one that tries; its result decides.
    Try,
    /// Do not call.
    Refuse,
}

impl Breaker {
    /// Whether calls are refused at this moment.
    pub fn refuses(&self, now: Duration) -> bool {
        self.open_until.is_some_and(|until| self.trying || now < until)
    }

    /// Whether it is open, or trying: not known to be well.
    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// How long calls are refused at least; `None` when one is allowed now. While one tries, nobody
    /// knows: then it is zero.
    pub fn refuses_for(&self, now: Duration) -> Option<Duration> {
        let until = self.open_until?;
        self.refuses(now).then(|| until.saturating_sub(now))
    }

    /// Asks to call. After [`Admission::Try`], [`Self::gave_up`] or [`Self::ended`] must follow.
    pub fn admit(&mut self, now: Duration) -> Admission {
        match self.open_until {
            None => Admission::Run,
            Some(_) if self.refuses(now) => Admission::Refuse,
            Some(_) => {
                self.trying = true;
                Admission::Try
            }
        }
    }

    /// A call has ended. Returns whether this opened the breaker.
    pub fn ended(&mut self, well: bool, now: Duration, rules: Rules) -> bool {
        if well {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let opens = self.trying || (self.open_until.is_none() && self.failures >= rules.failures);
        if opens {
            self.open_until = Some(now + rules.open);
        }
        self.trying = false;
        opens
    }

    /// The one that tried ended without a result: another may try.
    pub fn gave_up(&mut self) {
        self.trying = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{Refuse, Run, Try};
    use super::*;

    const RULES: Rules = Rules { failures: 3, open: Duration::from_secs(5) };

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for expected in [false, false, true] {
            assert_eq!(breaker.admit(at(0)), Run);
            assert_eq!(breaker.ended(false, at(0), RULES), expected);
        }
        breaker
    }

    #[test]
    fn it_opens_after_consecutive_failures_and_then_lets_one_try() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(4)), Refuse);
        assert_eq!(breaker.refuses_for(at(4)), Some(at(1)));
        assert_eq!(breaker.refuses_for(at(5)), None);
        assert_eq!(breaker.admit(at(5)), Try);
        assert_eq!(breaker.admit(at(5)), Refuse, "only one tries");
        assert_eq!(breaker.refuses_for(at(5)), Some(Duration::ZERO));
        assert!(breaker.is_open());
        assert!(!breaker.ended(true, at(6), RULES));
        assert_eq!(breaker.admit(at(6)), Run);
    }

    #[test]
    fn a_failed_try_opens_it_again_and_one_without_result_lets_another_try() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Try);
        assert!(breaker.ended(false, at(6), RULES));
        assert_eq!(breaker.admit(at(10)), Refuse);
        assert_eq!(breaker.admit(at(11)), Try);
        breaker.gave_up();
        assert_eq!(breaker.admit(at(11)), Try);
    }

    #[test]
    fn a_success_forgets_the_failures_before_it() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.ended(false, at(0), RULES));
            assert!(!breaker.ended(false, at(0), RULES));
            assert!(!breaker.ended(true, at(0), RULES));
        }
        assert_eq!(breaker.admit(at(0)), Run);
    }
}
