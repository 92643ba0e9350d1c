//! The office, as those who ask it meet it: on both pairs of engines.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// Makes a test of each function on both pairs.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $name() {
                    let clock = shared::clock::Clock::Real;
                    let pair = testkit::pair::Embedded::start(clock).await.unwrap();
                    super::$name(pair).await;
                }
            )+
        }
        mod served {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(testkit::pair::Served::start().await.unwrap()).await;
                }
            )+
        }
    };
}

mod analytics;
mod api;
mod attempts;
mod canaries;
mod connectors;
mod exchange;
mod life;
mod overrides;
mod page_forms;
mod page_rights;
mod people;
mod replays;
mod scale;
mod sign_in;
mod slow;
mod support;
