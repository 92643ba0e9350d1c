//! The whole product, in one process or in many, with apps, bots and channels in every state that a client can meet.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::rig;
use serde_json::json;
use testkit::system::{Shape, System as Installation};
use testkit::until_within;

use super::http::{Request, send};
use super::mint::minimal;
use super::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(90);

const BOT: &str = "st-00000000-0000-5000-8000-0000000000b1";
const BARE_BOT: &str = "st-00000000-0000-5000-8000-0000000000b2";
const BOT_HS512: &str = "st-00000000-0000-5000-8000-0000000000b3";
const FIRST: &str = "ivrInst-00000000-0000-5000-8000-0000000000c1";
const ASYNCHRONOUS: &str = "ivrInst-00000000-0000-5000-8000-0000000000c2";
const AWAITING: &str = "ivrInst-00000000-0000-5000-8000-0000000000c3";
const SUSPENDED: &str = "ivrInst-00000000-0000-5000-8000-0000000000c4";
const SLOW: &str = "ivrInst-00000000-0000-5000-8000-0000000000c5";
const FOREIGN: &str = "ivrInst-00000000-0000-5000-8000-0000000000c6";
const ELSEWHERE: &str = "ivrInst-00000000-0000-5000-8000-0000000000c7";

/// Credentials of a client.
pub(crate) struct App {
    pub(crate) client: String,
    pub(crate) secret: String,
}

impl App {
    fn new(digits: &str) -> Self {
        Self {
            client: format!("cs-00000000-0000-5000-8000-0000000000{digits}"),
            // Long enough for HS512.
            secret: format!("Never-a-real-secret-{digits}").repeat(4),
        }
    }
}

/// Ends when dropped.
pub(crate) struct System {
    /// Where the webhook endpoint listens.
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) other: App,
    pub(crate) hs512: App,
    pub(crate) bot: &'static str,
    /// A bot without a channel.
    pub(crate) bare_bot: &'static str,
    /// The short path of the bot's first channel, which is synchronous and `app`'s.
    pub(crate) synchronous: String,
    /// The same channel by its instance id.
    pub(crate) by_instance: String,
    pub(crate) asynchronous: String,
    pub(crate) awaiting: String,
    pub(crate) suspended: String,
    /// One message a second of a conversation.
    pub(crate) slow: String,
    /// A live channel of the same bot that is the `other` app's.
    pub(crate) foreign: String,
    /// The instance id of another bot's channel.
    pub(crate) elsewhere: &'static str,
    pub(crate) synchronous_hs512: String,
    /// What the asynchronous channel answers to.
    pub(crate) receiver: Receiver,
    installation: Installation,
}

impl System {
    /// Starts it in one process, with these settings besides the usual.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_as(Shape::Whole, settings).await
    }

    pub(crate) async fn start_as(shape: Shape, settings: &[(&str, &str)]) -> Self {
        let receiver = Receiver::start().await;
        let [app, other, hs512] = ["a1", "a2", "a3"].map(App::new);
        let registry = registry(&app, &other, &hs512, &receiver.url());
        let mut all = vec![("egress.allow", "127.0.0.0/8"), ("log.level", "warn")];
        all.extend(settings);
        let binary = rig::binary().unwrap();
        let installation = Installation::start(&binary, shape, &registry, &all).await.unwrap();
        installation.run(&["channel", "suspend", SUSPENDED]).await.unwrap();
        let host = installation.hosts().remove(0);
        let by_id = |bot: &str, id: &str| format!("/chatbot/hooks/{bot}/hookInstance/{id}");
        let system = Self {
            address: host.trim_start_matches("http://").parse().unwrap(),
            app,
            other,
            hs512,
            bot: BOT,
            bare_bot: BARE_BOT,
            synchronous: format!("/chatbot/hooks/{BOT}"),
            by_instance: by_id(BOT, FIRST),
            asynchronous: by_id(BOT, ASYNCHRONOUS),
            awaiting: by_id(BOT, AWAITING),
            suspended: by_id(BOT, SUSPENDED),
            slow: by_id(BOT, SLOW),
            foreign: by_id(BOT, FOREIGN),
            elsewhere: ELSEWHERE,
            synchronous_hs512: format!("/chatbot/hooks/{BOT_HS512}"),
            receiver,
            installation,
        };
        system.until_suspended().await;
        system
    }

    /// Other processes learn of the suspension a little later.
    async fn until_suspended(&self) {
        let token = minimal(&self.app.client, &self.app.secret);
        let request = Request::post(&self.suspended, self.message("nobody", "hello"));
        let request = request.bearer(&token).bytes();
        until_within("a suspension is learnt of", PATIENCE, || async {
            send(self.address, &request).await.is_some_and(|answer| answer.status == 403)
        })
        .await;
    }

    /// The one process.
    pub(crate) fn pid(&self) -> u32 {
        self.installation.processes()[0].pid().unwrap()
    }

    /// The body of a plain message.
    #[expect(clippy::unused_self, reason = "reads as what the system is told")]
    pub(crate) fn message(&self, user: &str, text: &str) -> String {
        json!({"message": {"text": text}, "from": {"id": user}}).to_string()
    }
}

/// The registry's file.
fn registry(ours: &App, other: &App, hs512: &App, post_url: &str) -> String {
    let app = |name: &str, app: &App, algorithm: &str| {
        let App { client, secret } = app;
        format!(
            "[[apps]]\nname = \"{name}\"\nid = \"{client}\"\nsecret = \"{secret}\"\n\
             algorithm = \"{algorithm}\"\n\n"
        )
    };
    let bot = |name: &str, id: &str| format!("[[bots]]\nname = \"{name}\"\nid = \"{id}\"\n\n");
    let channel = |bot: &str, app: &str, id: &str, more: &str| {
        format!(
            "[[channels]]\nname = \"{id}\"\nbot = \"{bot}\"\napp = \"{app}\"\nid = \"{id}\"\n\
             {more}\n\n"
        )
    };
    let fast = "approve = true\nrate = 100000\nburst = 100000";
    let slow = "approve = true\nrate = 1\nburst = 1";
    let asynchronous = format!("{fast}\npost_url = \"{post_url}\"");
    [
        app("app", ours, "HS256"),
        app("other", other, "HS256"),
        app("hs512", hs512, "HS512"),
        bot("bot", BOT),
        bot("bare", BARE_BOT),
        bot("hs512", BOT_HS512),
        channel("bot", "app", FIRST, fast),
        channel("bot", "app", ASYNCHRONOUS, &asynchronous),
        channel("bot", "app", AWAITING, ""),
        channel("bot", "app", SUSPENDED, fast),
        channel("bot", "app", SLOW, slow),
        channel("bot", "other", FOREIGN, fast),
        channel("hs512", "hs512", ELSEWHERE, fast),
    ]
    .concat()
}
