//! Crash points and seeded defects, for tests: a binary built with the feature `faults`, which is never
//! the product, can be told to end or stop at a named step, or to break one rule on purpose. Without the
//! feature everything here is empty.
//!
//! The environment variable `FAILPOINTS` says what happens (the syntax is that of crate `fail`):
//! `turn.after-commit=2*off->1*return(abort)` ends the process when that step is reached for the third
//! time, `return(freeze)` stops it (SIGSTOP) until it is sent SIGCONT, `return(abort 200)` waits 200 ms at
//! the step before; `defect.no-fence=return` switches a defect on.

/// Declares an enum whose variants have names, and the table of them.
macro_rules! named {
    ($(#[doc = $doc:literal])+ $Name:ident { $( $(#[doc = $what:literal])+ $Variant:ident = $name:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Name { $( $(#[doc = $what])+ $Variant, )+ }

        impl $Name {
            /// Every one that there is.
            pub const ALL: &[Self] = &[ $( Self::$Variant, )+ ];

            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$Variant => $name, )+ }
            }
        }
    };
}

named! {
    /// A step between taking a message and being done with it.
    Point {
        /// A request is admitted and about to be handed to the broker.
        AcceptBegun = "accept.before-publish",
        /// The broker's client has it, and nothing is written yet.
        AcceptWriting = "accept.before-write",
        /// It is written and not confirmed.
        AcceptWritten = "accept.before-confirm",
        /// It is confirmed and the client has no answer.
        AcceptConfirmed = "accept.after-confirm",
        /// A turn's job has reached its lane.
        TurnTaken = "turn.after-deliver",
        /// Its conversation is loaded.
        TurnLoaded = "turn.after-load",
        /// The HTTP bot's answer is there, not yet obeyed.
        TurnCalled = "turn.after-call",
        /// The bot has run and everything is decided.
        TurnRan = "turn.after-bot",
        /// Everything is written and not committed.
        TurnInTransaction = "turn.inside-txn",
        /// It is committed and nobody was told.
        TurnCommitted = "turn.after-commit",
        /// Everybody was told and the job is not acked.
        TurnTold = "turn.after-publish",
        /// A doorbell has reached its lane.
        DeliveryTaken = "delivery.after-deliver",
        /// The row is claimed.
        DeliveryClaimed = "delivery.after-claim",
        /// The POST is about to be made.
        DeliveryPosting = "delivery.before-post",
        /// The POST has ended and nothing is written of it.
        DeliveryPosted = "delivery.after-post",
        /// The outcome is written and the job is not acked.
        DeliverySettled = "delivery.after-settle",
        /// In a call to the outside: the head of the response is there, the body is not.
        CallHead = "call.after-head",
        /// A job's ack is asked for and not sent.
        Acked = "job.after-ack",
        /// A job's ack is written to RabbitMQ.
        AckSent = "job.after-ack-sent",
    }
}

named! {
    /// A rule broken on purpose, to see that the checker of the end-to-end tests finds it.
    Defect {
        /// A job is acked before its work is done.
        AckBeforeCommit = "defect.ack-before-commit",
        /// An asynchronous message is answered before the broker has confirmed it.
        AnswerBeforeConfirm = "defect.answer-before-confirm",
        /// A commit asks neither for the conversation's version nor for the turn's row (PostgreSQL).
        NoFence = "defect.no-fence",
        /// Every attempt at a delivery has a `webhook-id` of its own.
        FreshWebhookId = "defect.fresh-webhook-id",
        /// An `Idempotency-Key` is looked up without its channel.
        KeyWithoutChannel = "defect.key-without-channel",
        /// A hand-over cancels its consumer while jobs are unacknowledged (RabbitMQ).
        CancelConsumer = "defect.cancel-consumer",
    }
}

/// Reaches a step. May end the process, or stop it.
#[inline]
pub fn point(point: Point) {
    #[cfg(feature = "faults")]
    live::reach(point);
    let _ = point;
}

/// As [`point`], after what has been sent to a database before has arrived there. At once when nothing is
/// to happen at this step.
#[cfg_attr(
    not(feature = "faults"),
    expect(clippy::unused_async, reason = "it waits in test builds")
)]
pub async fn settled(point: Point) {
    #[cfg(feature = "faults")]
    if live::is_armed(point) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        live::reach(point);
    }
    let _ = point;
}

/// Whether a defect is switched on.
#[inline]
pub fn has(defect: Defect) -> bool {
    #[cfg(feature = "faults")]
    return live::has(defect);
    #[cfg(not(feature = "faults"))]
    {
        let _ = defect;
        false
    }
}

#[cfg(feature = "faults")]
mod live {
    use std::process::{Command, abort};
    use std::sync::Once;
    use std::time::Duration;

    use super::{Defect, Point};

    /// Stops this process, whose child the shell is.
    const STOP: &str = "kill -STOP $PPID";

    pub(super) fn reach(point: Point) {
        set_up();
        let name = point.as_str();
        fail::fail_point!(name, |action| act(name, action.as_deref().unwrap_or("abort")));
    }

    pub(super) fn is_armed(point: Point) -> bool {
        set_up();
        fail::list().iter().any(|(name, _)| name == point.as_str())
    }

    pub(super) fn has(defect: Defect) -> bool {
        set_up();
        fail::fail_point!(defect.as_str(), |_| true);
        false
    }

    /// Reads `FAILPOINTS`, once; a mistake in it ends the process.
    fn set_up() {
        static SET_UP: Once = Once::new();
        // Kept for the life of the process: what is dropped is switched off.
        SET_UP.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    }

    fn act(point: &str, action: &str) {
        let (action, wait_ms) = action.split_once(' ').unwrap_or((action, "0"));
        std::thread::sleep(Duration::from_millis(wait_ms.parse().unwrap_or(0)));
        tracing::error!(fault.point = point, fault.action = action, "a crash point is reached");
        if action != "freeze" {
            abort();
        }
        if let Err(error) = Command::new("/bin/sh").args(["-c", STOP]).status() {
            tracing::error!(%error, "the process could not be stopped");
        }
        tracing::error!(fault.point = point, "goes on after a freeze");
    }
}
