//! An office of the test's own.

pub(crate) mod api;
pub(crate) mod pages;

use console::office::actor::{Actor, Role, Scope};
use console::office::book::Book;
use console::office::drafts::ChannelDraft;
use console::office::execute::Desk;
use console::office::operators::OperatorDraft;
use console::office::problem::{self, Problem};
use console::office::views::ChannelView;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use shared::clock::Clock;
use shared::domain::channel::ChannelState;
use shared::entropy::Entropy;
use shared::registry::control::Kind;
use shared::registry::spec::BotSpec;
use shared::registry::{Channel, Registry, RegistryStore as _};
use shared::store::Store;
use testkit::pair::Pair;

pub(crate) const PASSWORD: &str = "a password of many bytes";

/// What the office knows after its own changes is what it would read.
pub(crate) async fn assert_current<S: Store>(desk: &Desk<S>) {
    let known = desk.book().await.unwrap();
    let read = Book::new(desk.store.control().await.unwrap());
    // Others may have changed something between the two.
    if known.revision == read.revision {
        assert_eq!(told(&known), told(&read));
    }
}

/// All of it in words, secrets included.
fn told(book: &Book) -> Vec<String> {
    let shown = |secret: Option<&SecretString>| secret.map(|text| text.expose_secret().to_owned());
    let Registry { apps, bots, channels, .. } = &*book.registry;
    let mut all: Vec<_> = apps
        .values()
        .map(|app| {
            let previous = app.previous.as_ref().map(|previous| &previous.secret);
            format!("{app:?} {:?} {:?}", shown(Some(&app.secret)), shown(previous))
        })
        .collect();
    all.extend(bots.values().map(|bot| format!("{bot:?} {:?}", shown(BotSpec::secret(bot)))));
    all.extend(channels.values().map(|channel| {
        let endpoint = channel.endpoint.as_ref();
        let token = endpoint.and_then(|endpoint| endpoint.token.as_ref());
        let signing = endpoint.map(|endpoint| &endpoint.signing_secret);
        let is_first = book.registry.channel(&channel.bot, None).map(|first| &first.id);
        let of_app = book.registry.channel_of(&channel.bot, &channel.client).map(|one| &one.id);
        format!("{channel:?} {:?} {:?} {is_first:?} {of_app:?}", shown(token), shown(signing))
    }));
    all.extend(Kind::ALL.into_iter().flat_map(|kind| {
        let records = book.all(kind);
        records.map(move |record| format!("{record:?} {:?}", shown(record.sealed.as_ref())))
    }));
    all.sort();
    all
}

/// Ends when dropped.
pub(crate) struct World<P: Pair> {
    pub(crate) desk: Desk<P::S>,
    pub(crate) ann: Actor,
    pub(crate) bob: Actor,
    pub(crate) dev: Actor,
}

impl<P: Pair> World<P> {
    /// Two admins, a developer, an app and a bot: `shop` and `clerk`.
    pub(crate) async fn start(pair: &P, two_person: bool) -> Self {
        let (_, store) = pair.process().await.unwrap();
        let url = "https://hooks.example".to_owned();
        let desk = Desk::new(store, Clock::Real, Entropy::Real, url).with_two_people(two_person);
        let local = Actor::command_line();
        desk.add_app(&local, &from(json!({"name": "shop"}))).await.unwrap();
        desk.add_bot(&local, &from(json!({"name": "clerk"}))).await.unwrap();
        let [ann, bob] = ["ann", "bob"].map(|name| actor(name, Role::Admin));
        Self { desk, ann, bob, dev: actor("dev", Role::Developer) }
    }

    /// A draft of a channel of the bot.
    pub(crate) async fn channel(&self, name: &str, more: Value) -> ChannelView {
        let mut draft = json!({"bot": "clerk", "app": "shop", "name": name});
        draft.as_object_mut().unwrap().extend(map(more));
        let draft: ChannelDraft = from(draft);
        let added = self.desk.add_channel(&self.dev, &draft, ChannelState::Draft).await.unwrap();
        assert_current(&self.desk).await;
        added
    }

    /// What rooms see.
    pub(crate) async fn runs(&self, id: &str) -> Channel {
        let registry = self.desk.store.registry().await.unwrap();
        registry.channels[&id.into()].as_ref().clone()
    }

    /// Publishes by the developer, approved by an admin.
    pub(crate) async fn publish(&self, channels: &[&str]) {
        let asked = self.desk.publish(&self.dev, "clerk", &selection(channels)).await.unwrap();
        let verdict = console::office::publish::Verdict::Approve;
        self.desk.judge(&self.ann, &asked.request_id, verdict, "").await.unwrap();
        assert_current(&self.desk).await;
    }
}

pub(crate) fn selection(channels: &[&str]) -> console::office::publish::PublishDraft {
    from(json!({ "channels": channels }))
}

pub(crate) fn operator(name: &str, role: Role) -> OperatorDraft {
    OperatorDraft { name: name.to_owned(), role, password: Some(PASSWORD.to_owned()) }
}

pub(crate) fn actor(name: &str, role: Role) -> Actor {
    let scopes = Scope::ALL.into_iter().filter(|scope| role.may(*scope)).collect();
    Actor { name: name.to_owned(), person: name.to_owned(), scopes }
}

pub(crate) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    from(value)
}

pub(crate) fn refused<T>(result: Result<T, Problem>, kind: problem::Kind) -> String {
    let problem = result.err().expect("refused");
    assert_eq!(problem.kind, kind, "{problem}");
    problem.words
}
