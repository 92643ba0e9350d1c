//! What is done by forms, without any script; and strings that want to be more than text.

use console::PAGES;
use console::office::actor::Actor;
use reqwest::Method;
use serde_json::json;
use shared::domain::channel::ChannelState;

use crate::support::api::Api;
use crate::support::from;
use crate::support::pages::{Browser, Shown};
use testkit::pair::Pair;

on_both! {
    a_channel_is_added_step_by_step_and_lives_when_an_admin_has_approved_it,
    an_asynchronous_channel_shows_its_signing_secret_once_and_never_its_token,
    a_channel_that_waits_by_itself_is_shown_although_a_request_mentions_it,
    a_form_that_is_sent_twice_makes_one_thing_and_one_that_is_stale_changes_nothing,
    strings_that_want_to_be_more_stay_text_in_every_field_on_every_page,
}

/// What a link or a form of a page leads to, behind `start`.
fn after(shown: &Shown, start: &str) -> String {
    let rest = shown.text.split(start).nth(1);
    assert!(rest.is_some(), "{start} in {}", shown.text);
    rest.unwrap().split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

async fn bot(browser: &Browser<'_>, name: &str) -> String {
    let words = [("name", name), ("logic", "echo")];
    let made = browser.fill("/bots/new", "/bots/new", &words).await;
    assert_eq!(made.status, 303, "{}", made.text);
    made.header("location").split('?').next().unwrap().to_owned()
}

/// Walks the steps to a channel of a bot. Returns the last page.
async fn channel(browser: &Browser<'_>, bot: &str, name: &str, more: &[(&str, &str)]) -> Shown {
    let start = format!("{bot}/add-channel");
    let made = browser.fill(&start, &start, &[("new_app", name), ("algorithm", "HS256")]).await;
    assert!(made.text.contains("Client secret"), "{}", made.text);
    let next = after(&made, "class=\"button primary\" href=\"");
    let app = next.split("app=").nth(1).unwrap().to_owned();
    assert_eq!(browser.get(&next).await.status, 200);
    let answers = if more.is_empty() { "sync" } else { "async" };
    let enable = format!("{start}/enable?app={app}&name=x&mode={answers}");
    let words = [("app", app.as_str()), ("name", name), ("mode", answers), ("enable", "yes")];
    browser.fill(&enable, &format!("{start}/save"), &[&words[..], more].concat()).await
}

async fn a_channel_is_added_step_by_step_and_lives_when_an_admin_has_approved_it<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let ann = Browser::signed_in(&api, "ann").await;
    let bot = bot(&dev, "clerk").await;
    let saved = channel(&dev, &bot, "web", &[]).await;
    assert_eq!(saved.status, 200, "{}", saved.text);
    for words in ["It waits for approval", "https://hooks.example/chatbot/hooks/st-", "curl"] {
        assert!(saved.text.contains(words), "{words} in {}", saved.text);
    }
    let channel = after(&saved, "class=\"button primary\" href=\"");
    let shown = dev.get(&channel).await;
    assert!(shown.text.contains("awaiting approval"));
    let inbox = ann.get("/approvals").await;
    let request = after(&inbox, "class=\"strong\" href=\"");
    let asked = ann.get(&request).await;
    assert!(asked.text.contains("web (webhook)"), "{}", asked.text);
    // A rejection needs a reason; the developer cannot decide.
    let no = ann.fill(&request, &format!("{request}/reject"), &[("why", " ")]).await;
    assert_eq!(no.status, 422);
    let no = dev.fill(&request, &format!("{request}/approve"), &[]).await;
    assert_eq!(no.status, 403);
    let yes = ann.fill(&request, &format!("{request}/approve"), &[]).await;
    assert_eq!(yes.status, 303, "{}", yes.text);
    assert!(dev.get(&channel).await.text.contains("badge good\">live"));
    // A test token is minted here, and nowhere kept.
    let minted = dev.fill(&channel, &format!("{channel}/token"), &[]).await;
    assert!(minted.text.contains("bearer eyJ"), "{}", minted.text);
    for (word, state) in [("suspend", "suspended"), ("approve", "live")] {
        let form = format!("{channel}/{word}");
        assert_eq!(ann.fill(&form, &form, &[]).await.status, 303);
        assert!(dev.get(&channel).await.text.contains(state));
    }
    let form = format!("{channel}/delete");
    assert_eq!(dev.fill(&form, &form, &[]).await.status, 403);
    assert_eq!(ann.fill(&form, &form, &[]).await.status, 303);
    assert_eq!(dev.get(&channel).await.status, 404);
}

async fn an_asynchronous_channel_shows_its_signing_secret_once_and_never_its_token<P: Pair>(
    pair: P,
) {
    let api = Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let bot = bot(&dev, "clerk").await;
    let bad = [("post_url", "nonsense"), ("access_token", "CANARY-token")];
    let again = channel(&dev, &bot, "hook", &bad).await;
    assert_eq!(again.status, 422, "{}", again.text);
    assert!(again.text.contains("not an http or https URL") && !again.text.contains("CANARY"));
    let good = [("post_url", "https://a.example/in"), ("access_token", "CANARY-token")];
    let saved = channel(&dev, &bot, "hook2", &good).await;
    assert!(saved.text.contains("whsec_"), "{}", saved.text);
    let channel = after(&saved, "class=\"button primary\" href=\"");
    let edit = format!("{channel}/edit");
    let words = [("name", "hook3"), ("mode", "async"), ("post_url", "https://b.example/")];
    let moved = dev.fill(&edit, &edit, &words).await;
    assert!(moved.text.contains("access_token: give it again"), "{}", moved.text);
    for page in [channel.as_str(), &edit, "/channels", &bot, "/approvals"] {
        let text = dev.get(page).await.text;
        assert!(!text.contains("whsec_") && !text.contains("CANARY"), "{page}");
    }
}

async fn a_form_that_is_sent_twice_makes_one_thing_and_one_that_is_stale_changes_nothing<
    P: Pair,
>(
    pair: P,
) {
    let api = Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let form = dev.get("/apps/new").await;
    let words: Vec<_> = [
        ("csrf", form.hidden("csrf")),
        ("once", form.hidden("once")),
        ("name", "shop".to_owned()),
        ("algorithm", "HS256".to_owned()),
    ]
    .map(|(word, value)| (word.to_owned(), value))
    .into();
    let (one, two) = (dev.post("/apps/new", &words).await, dev.post("/apps/new", &words).await);
    assert_eq!((one.status, two.status), (200, 200), "{}", two.text);
    assert_eq!(api.desk.apps().await.unwrap().len(), 1);
    // What was typed otherwise since is neither made nor taken for made.
    let mut changed = words.clone();
    "another shop".clone_into(&mut changed[2].1);
    let refused = dev.post("/apps/new", &changed).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(api.desk.apps().await.unwrap().len(), 1);
    let bot = bot(&dev, "clerk").await;
    let edit = format!("{bot}/edit");
    let old = dev.get(&edit).await.hidden("seen");
    let words = [("name", "clerk 2"), ("logic", "echo")];
    assert_eq!(dev.fill(&edit, &edit, &words).await.status, 303);
    let csrf = dev.get(&edit).await.hidden("csrf");
    let stale: Vec<_> =
        [("csrf", csrf), ("seen", old), ("name", "clerk 3".into()), ("logic", "echo".into())]
            .map(|(word, value)| (word.to_owned(), value))
            .into();
    let shown = dev.post(&edit, &stale).await;
    assert_eq!(shown.status, 422);
    assert!(shown.text.contains("It has changed since"), "{}", shown.text);
}

async fn a_channel_that_waits_by_itself_is_shown_although_a_request_mentions_it<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let local = Actor::command_line();
    let alone = json!({"bot": "clerk", "app": "shop", "name": "by itself"});
    let state = ChannelState::AwaitingApproval;
    let alone = api.desk.add_channel(&local, &from(alone), state).await.unwrap();
    let asked = json!({"bot": "clerk", "app": "shop", "name": "asked for"});
    assert_eq!(api.post("/channels", asked).await.status, 201);
    let comment = format!("like {}, please", alone.webhook_id);
    let ask = json!({"channels": ["asked for"], "comment": comment});
    assert_eq!(api.post("/bots/clerk/publish-requests", ask).await.status, 201);
    let ann = Browser::signed_in(&api, "ann").await;
    let inbox = ann.get("/approvals").await;
    let link = format!("/channels/{}", alone.webhook_id);
    assert!(inbox.text.contains(&link), "{}", inbox.text);
    assert!(
        !inbox.text.contains("asked for (webhook)"),
        "it waits with its request: {}",
        inbox.text
    );
}

/// They break out of text, of an attribute, of a title, of a textarea and of a script, where they can.
const NAUGHTY: [&str; 10] = [
    "<naughty onnaughty=1>",
    "\"><naughty>",
    "\" onnaughty=\"1",
    "' onnaughty='1",
    "</title></textarea></script><naughty>",
    "<!--<naughty>-->]]>",
    "&lt;naughty&gt;&#60;naughty",
    "{{7*7}}{%naughty%}${7*7}",
    "\u{202e}<naughty\u{2028}\u{feff}>",
    "javascript:naughty()//<naughty",
];

fn judge(place: &str, shown: &Shown) {
    assert!(shown.status < 500, "{place}: {}", shown.status);
    let lower = shown.text.to_lowercase();
    for bad in ["<naughty", "\" onnaughty", "' onnaughty", "href=\"javascript"] {
        assert!(!lower.contains(bad), "{bad} on {place}: {}", shown.text);
    }
}

async fn strings_that_want_to_be_more_stay_text_in_every_field_on_every_page<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let ann = Browser::signed_in(&api, "ann").await;
    for (n, evil) in NAUGHTY.into_iter().enumerate() {
        let name = format!("{evil}{n}");
        let words = [("name", name.as_str()), ("logic", "echo"), ("error_message", evil)];
        let made = ann.fill("/bots/new", "/bots/new", &words).await;
        assert_eq!(made.status, 303, "{}", made.text);
        let bot = made.header("location").split('?').next().unwrap().to_owned();
        judge(&bot, &ann.get(&bot).await);
        let saved = channel(&ann, &bot, &name, &[]).await;
        assert_eq!(saved.status, 200, "{}", saved.text);
        judge("saved", &saved);
        let person = json!({"name": name, "role": "developer", "password": "long enough indeed"});
        assert_eq!(api.post("/operators", person).await.status, 201);
        let token = [("name", name.as_str()), ("scopes", "read")];
        judge("token", &ann.fill("/tokens/new", "/tokens/new", &token).await);
        let inbox = ann.get("/approvals").await;
        judge("/approvals", &inbox);
        let request = after(&inbox, "class=\"strong\" href=\"");
        judge(&request, &ann.get(&request).await);
        let no = ann.fill(&request, &format!("{request}/reject"), &[("why", evil)]).await;
        assert_eq!(no.status, 303);
        judge(&request, &ann.get(&request).await);
        typed(&api, &ann, evil).await;
    }
    every_page(&api, &ann).await;
}

/// Words of the address, and forms that come back with what was typed.
async fn typed(api: &Api<impl Pair>, ann: &Browser<'_>, evil: &str) {
    for path in [
        "/bots",
        "/apps",
        "/channels",
        "/audit",
        "/approvals",
        "/sign-in",
        "/tokens",
        "/turns",
        "/deliveries",
    ] {
        let pairs = [
            "q", "after", "bot", "state", "subject", "before", "done", "next", "name", "channel",
            "user", "outcome",
        ];
        let pairs = pairs.map(|word| (word.to_owned(), evil.to_owned()));
        let query = crate::support::pages::encoded(&pairs);
        judge(path, &ann.get(&format!("{path}?{query}")).await);
        judge(path, &Browser::new(api).get(&format!("{path}?{query}")).await);
    }
    for route in PAGES.iter().filter(|route| route.method == "POST") {
        let path = route
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { "%3Cnaughty%3E" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        if path == "/sign-out" {
            continue;
        }
        let fields = ["name", "new_app", "http", "source", "document", "post_url", "app", "mode"];
        let more =
            ["age_max", "networks", "overlap", "why", "comment", "parent", "life", "user", "text"];
        let words: Vec<_> = fields.into_iter().chain(more).map(|field| (field, evil)).collect();
        judge(&path, &ann.fill("/bots/new", &path, &words).await);
    }
}

async fn every_page(api: &Api<impl Pair>, ann: &Browser<'_>) {
    let book = api.desk.book().await.unwrap();
    let mut ids: Vec<String> = book.registry.bots.keys().map(|id| format!("/bots/{id}")).collect();
    ids.extend(book.registry.apps.keys().map(|id| format!("/apps/{id}")));
    ids.extend(book.registry.channels.keys().map(|id| format!("/channels/{id}")));
    for id in ids {
        for word in
            ["", "/edit", "/delete", "/publish", "/parent", "/rotate", "/add-channel", "/export"]
        {
            let shown = ann.send(ann.request(Method::GET, &format!("{id}{word}"))).await;
            if word != "/export" {
                judge(&format!("{id}{word}"), &shown);
            }
        }
    }
    for path in ["/", "/bots", "/apps", "/channels", "/operators", "/tokens", "/audit"] {
        judge(path, &ann.get(path).await);
    }
}
