//! Everything in one process.

mod reload;

use std::net::SocketAddr;
use std::path::PathBuf;

use shared::broker::Broker;
use shared::config::Settings;
use shared::config::value::AllowedTarget;
use shared::engines::Options;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::keys::{self, WhenMissing};
use shared::lifecycle::Lifecycle;
use shared::process::{self, Failure, Rooms};
use shared::store::Store;
use tokio::net::TcpListener;

use crate::admin::reachable;
use crate::cli::{Engines, Up};
use crate::demo::{self, Demo, Urls};
use crate::office::execute::Desk;
use crate::office::{reach, socket};
use crate::output;
use reload::Reload;

pub(crate) fn run(engines: &Engines, args: &Up) -> Result<(), Failure> {
    let flags = super::listen_flags(args.listen.as_ref(), args.admin_listen.as_ref());
    let mut settings = super::load(engines, &flags)?;
    keys::make_folder(&settings.engines.data)?;
    keys::load(&settings, &Entropy::Real, WhenMissing::Make)?;
    let options = Options { name: "up", keys: WhenMissing::Make, migrate: true, dispatches: true };
    process::block_on_threads(settings.lifecycle.threads, async move {
        let listener = process::bind("ingress.listen", settings.ingress.listen)?;
        let admin = process::bind("admin.listen", settings.admin.listen)?;
        // With port 0 the system has chosen; from here on the settings tell the truth.
        settings.ingress.listen = local(&listener)?;
        settings.admin.listen = local(&admin)?;
        let console = match settings.console.listen {
            Some(address) => Some(process::bind("console.listen", address)?),
            None => None,
        };
        if let Some(listener) = &console {
            settings.console.listen = Some(local(listener)?);
        }
        let house = House { listener, console, demo: !args.no_demo, watch: args.watch.clone() };
        // Boxed: all rooms are in it.
        Box::pin(process::live(settings, admin, options, house)).await
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::other(error.to_string()))
}

/// All rooms under one roof.
struct House {
    listener: TcpListener,
    console: Option<TcpListener>,
    demo: bool,
    /// What is applied now and after each change.
    watch: Option<PathBuf>,
}

impl Rooms for House {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        mut settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        let data = settings.engines.data.clone();
        let mut demo = if self.demo {
            demo::prepare(&ground.store, &data, &ground.entropy).await?
        } else {
            None
        };
        if let Some(sink) = demo.as_ref().and_then(|demo| demo.sink.as_ref()) {
            let address = sink.address();
            settings
                .egress
                .allow
                .push(AllowedTarget { network: address.ip().into(), port: Some(address.port()) });
        }
        let urls = urls(&settings);
        let desk = desk(&ground, &settings, &urls.host);
        let reload = match self.watch {
            Some(path) => {
                // Boxed: all that the office can do is in it.
                Some(Box::pin(Reload::begin(path, ground.clone(), desk.clone())).await?)
            }
            None => None,
        };
        ground.registry.refresh(&ground.store).await?;
        let lives = [(); 3].map(|()| ground.lifecycle.part());
        let [ingress, dispatcher, deliverer] =
            lives.clone().map(|lifecycle| Ground { lifecycle, ..ground.clone() });
        deliverer::start(deliverer, &settings).await?;
        dispatcher::start(dispatcher, &settings).await?;
        ingress::start(ingress, &settings, self.listener).await?;
        if let Some(listener) = self.console {
            let mut settings = settings.clone();
            settings.ingress.listen = reachable(settings.ingress.listen);
            console::start(ground.clone(), &settings, listener);
            tell_of_console(&ground, &settings, &urls.host).await?;
        }
        if settings.engines.postgres.is_none() {
            socket::serve(&ground, desk, &data)?;
        }
        tell(&ground, demo.as_mut(), &urls)?;
        if let Some(reload) = reload {
            reload.go_on();
        }
        if let Some(sink) = demo.and_then(|demo| demo.sink) {
            sink.serve(&ground.lifecycle);
        }
        Ok(lives.into())
    }

    fn cleans(&self) -> bool {
        true
    }
}

fn desk<B, S: Store>(ground: &Ground<B, S>, settings: &Settings, host: &str) -> Desk<S> {
    let (clock, entropy) = (ground.clock.clone(), ground.entropy.clone());
    Desk::new(ground.store.clone(), clock, entropy, host.to_owned())
        .with_two_people(settings.console.two_person)
}

/// Says where everything is, and how to try it.
fn tell<B, S>(ground: &Ground<B, S>, demo: Option<&mut Demo>, urls: &Urls) -> anyhow::Result<()> {
    let Urls { host, admin } = urls;
    output::line(&format!("Switchhook listens on {host} (probes and metrics: {admin})"))?;
    let Some(demo) = demo else { return Ok(()) };
    demo.write(urls)?;
    let commands = demo.commands(&ground.clock).map_err(|why| anyhow::anyhow!(why))?;
    output::line(&commands)?;
    Ok(())
}

/// Where the pages are; while nobody can sign in, with the link that makes the first admin.
async fn tell_of_console<B: Broker, S: Store>(
    ground: &Ground<B, S>,
    settings: &Settings,
    host: &str,
) -> anyhow::Result<()> {
    let Some(address) = settings.console.listen.map(reachable) else { return Ok(()) };
    let url = settings.console.public_url.as_ref();
    let url = url.map_or_else(|| format!("http://{address}"), ToString::to_string);
    let url = url.trim_end_matches('/');
    output::line(&format!("The console is at {url}"))?;
    let (clock, entropy) = (ground.clock.clone(), ground.entropy.clone());
    let desk = Desk::new(ground.store.clone(), clock, entropy, host.to_owned());
    if let Some(token) = desk.invite().await? {
        let link = format!("{url}/welcome?token={token}");
        output::line(&format!("Become the first admin, once, within a day: {link}"))?;
    }
    Ok(())
}

fn urls(settings: &Settings) -> Urls {
    let mut settings = settings.clone();
    settings.ingress.listen = reachable(settings.ingress.listen);
    let admin = format!("http://{}", reachable(settings.admin.listen));
    Urls { host: reach::host_url(&settings), admin }
}
