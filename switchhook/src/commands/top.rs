//! What the processes of an installation do just now, from their own metrics and the broker's figures.

mod exposition;
mod render;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use shared::broker::rabbitmq::{self, Depth};
use shared::config::Settings;
use shared::config::value::Value as _;
use shared::process::{self, Failure};
use tokio::time::Instant;
use url::Url;

use crate::admin::{Admin, page};
use crate::cli::watch::Top;
use crate::output;
use render::Paint;
use view::{Look, Process, View};

/// The broker's figures may take this long; then a frame goes without them.
const BROKER_MAX: Duration = Duration::from_secs(5);
const EVERY_LEAST: Duration = Duration::from_millis(200);
/// Home, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows frames until it is interrupted, or one.
pub(crate) fn run(settings: &Settings, args: &Top) -> Result<(), Failure> {
    let every = Duration::parse(&args.every)
        .map_err(|why| Failure::usage(format!("--every: {why}")))?
        .max(EVERY_LEAST);
    let urls = if args.urls.is_empty() {
        vec![page(None, settings.admin.listen, "/metrics")?]
    } else {
        let pages = args.urls.iter().map(|url| page(Some(url), settings.admin.listen, "/metrics"));
        pages.collect::<Result<_, _>>()?
    };
    let once = args.once || args.json.json || !std::io::stdout().is_terminal();
    process::block_on(async {
        let mut watch = Watch {
            admin: Admin::new()?,
            looks: urls.iter().map(|_| Look::default()).collect(),
            urls,
            began: Instant::now(),
        };
        // Rates need two looks.
        watch.view(settings).await;
        loop {
            tokio::time::sleep(every).await;
            let view = watch.view(settings).await;
            if args.json.json {
                return output::json(&view);
            }
            if once {
                return output::line(render::frame(&view, Paint::Plain).trim_end());
            }
            output::line(&format!("{CLEAR}{}", render::frame(&view, Paint::Colours)))?;
        }
    })
}

struct Watch {
    admin: Admin,
    urls: Vec<Url>,
    /// The last look at each of them.
    looks: Vec<Look>,
    began: Instant,
}

impl Watch {
    async fn view(&mut self, settings: &Settings) -> View {
        let pages =
            self.urls.iter().map(|url| self.admin.ask(Method::GET, url.clone(), Bytes::new()));
        let depths = async {
            let depths = tokio::time::timeout(BROKER_MAX, depths(settings)).await;
            depths.unwrap_or_default()
        };
        let (pages, depths) = tokio::join!(join_all(pages), depths);
        let at = self.began.elapsed().as_secs_f64();
        let mut processes = Vec::new();
        for ((url, look), page) in self.urls.iter().zip(&mut self.looks).zip(pages) {
            let url = url.as_str().trim_end_matches("/metrics");
            match page {
                Ok((200, text)) => {
                    let now = Look { samples: exposition::parse(&text), at };
                    processes.push(Process::of(url, look, &now));
                    *look = now;
                }
                Ok((status, _)) => {
                    *look = Look::default();
                    processes.push(Process::away(url, format!("it answers {status}")));
                }
                Err(failure) => {
                    *look = Look::default();
                    processes.push(Process::away(url, failure.message));
                }
            }
        }
        View::of(processes, &self.looks, depths)
    }
}

/// Jobs that wait, from the first node that tells.
async fn depths(settings: &Settings) -> Vec<Depth> {
    let topology = super::partitions::topology(settings).await;
    for node in &settings.engines.amqp {
        if let Ok(depths) = rabbitmq::depths(node, &topology).await {
            return depths;
        }
    }
    Vec::new()
}
