//! Signing in to the pages: sessions, limits, and forms that are only taken from pages of ours.

use console::office::operators::OperatorPatch;
use reqwest::Method;

use crate::support::PASSWORD;
use crate::support::api::Api;
use crate::support::pages::{Browser, encoded};
use testkit::pair::Pair;

on_both! {
    who_is_not_signed_in_sees_the_door_and_nothing_else,
    a_session_is_new_at_each_sign_in_and_ends_with_the_sign_out_for_whoever_has_copied_it,
    cookies_are_out_of_reach_of_scripts_and_of_other_sites,
    another_password_a_lock_and_another_role_reach_sessions_that_are_open,
    a_wrong_name_and_a_wrong_password_read_the_same,
    guesses_run_out_and_lock_nobody_out_of_their_own_browser,
    forms_from_elsewhere_change_nothing,
    signing_in_leads_only_to_paths_of_ours,
    the_first_admin_is_made_once_by_whoever_holds_the_link,
}

async fn who_is_not_signed_in_sees_the_door_and_nothing_else<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let browser = Browser::new(&api);
    for path in ["/", "/bots", "/operators", "/none", "/bots/none/edit", "/sign-out"] {
        let shown = browser.get(path).await;
        let (status, to) = (shown.status, shown.header("location"));
        assert!(status == 303 && to.starts_with("/sign-in"), "{path}: {status} {to}");
    }
    let door = browser.get("/sign-in").await;
    assert_eq!((door.status, door.header("cache-control")), (200, "no-store"));
    let policy = door.header("content-security-policy");
    for part in
        ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(door.header("x-content-type-options"), "nosniff");
}

async fn a_session_is_new_at_each_sign_in_and_ends_with_the_sign_out_for_whoever_has_copied_it<
    P: Pair,
>(
    pair: P,
) {
    let api = Api::start(&pair).await;
    let browser = Browser::signed_in(&api, "ann").await;
    let copied = browser.cookies();
    let session = |cookies: &[(String, String)]| {
        let found = cookies.iter().find(|(name, _)| name == "switchhook-session");
        found.map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(browser.get("/bots").await.status, 200);
    // A page of a signed-in person leads to no second sign-in, and another sign-in is another session.
    assert_eq!(browser.get("/sign-in").await.header("location"), "/");
    let other = Browser::signed_in(&api, "ann").await;
    assert_ne!(session(&copied), session(&other.cookies()));
    let out = browser.fill("/bots", "/sign-out", &[]).await;
    assert_eq!(out.status, 303);
    let thief = Browser::new(&api);
    thief.set_cookies(copied.clone());
    assert_eq!(thief.get("/bots").await.status, 303);
    assert_eq!(other.get("/bots").await.status, 200);
    // What was altered is no session.
    let altered = copied.into_iter().map(|(name, value)| (name, format!("{value}A"))).collect();
    thief.set_cookies(altered);
    assert_eq!(thief.get("/bots").await.status, 303);
}

async fn cookies_are_out_of_reach_of_scripts_and_of_other_sites<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let browser = Browser::new(&api);
    let entered = browser.enter("ann", PASSWORD).await;
    let cookies: Vec<_> = entered.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        let text = cookie.to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
            assert!(text.contains(part), "{text}");
        }
    }
}

async fn another_password_a_lock_and_another_role_reach_sessions_that_are_open<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let local = console::office::actor::Actor::command_line();
    let browser = Browser::signed_in(&api, "dev").await;
    assert_eq!(browser.get("/operators").await.status, 403);
    let admin = console::office::actor::Role::Admin;
    let up = OperatorPatch { role: Some(admin), ..OperatorPatch::default() };
    api.desk.change_operator(&local, "dev", &up).await.unwrap();
    assert_eq!(browser.get("/operators").await.status, 200);
    let password = Some("another password!!".to_owned());
    let new = OperatorPatch { password, ..OperatorPatch::default() };
    api.desk.change_operator(&local, "dev", &new).await.unwrap();
    assert_eq!(browser.get("/operators").await.status, 303);
    assert_eq!(browser.enter("dev", "another password!!").await.status, 303);
    assert_eq!(browser.get("/bots").await.status, 200);
    let lock = OperatorPatch { disabled: Some(true), ..OperatorPatch::default() };
    api.desk.change_operator(&local, "dev", &lock).await.unwrap();
    assert_eq!(browser.get("/bots").await.status, 303);
}

async fn a_wrong_name_and_a_wrong_password_read_the_same<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let plain = |text: &str, name: &str| {
        let text = text.replace(name, "NAME");
        let csrf = text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        text.replace(csrf, "")
    };
    let mut texts = std::collections::BTreeSet::new();
    for name in ["ann", "nobody", "DEV"] {
        let browser = Browser::new(&api);
        let shown = browser.enter(name, "a wrong password").await;
        assert_eq!(shown.status, 422);
        texts.insert(plain(&shown.text, &format!("value=\"{name}\"")));
    }
    assert_eq!(texts.len(), 1);
}

async fn guesses_run_out_and_lock_nobody_out_of_their_own_browser<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let owner = Browser::signed_in(&api, "ann").await;
    owner.fill("/bots", "/sign-out", &[]).await;
    let guesser = Browser::new(&api);
    let mut verified = 0;
    let mut last = None;
    for n in 0..15 {
        let shown = guesser.enter("ann", &format!("wrong password {n}")).await;
        verified += usize::from(shown.status == 422);
        last = Some(shown);
    }
    assert_eq!(verified, 10);
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() <= 91);
    // Not even the right password is tried from there; in the owner's browser it is.
    assert_eq!(guesser.enter("ann", PASSWORD).await.status, 429);
    assert_eq!(owner.enter("ann", PASSWORD).await.status, 303);
    // Names that nobody has run out the same way.
    let other = Browser::new(&api);
    for n in 0..10 {
        assert_eq!(other.enter("nobody", &format!("wrong password {n}")).await.status, 422);
    }
    assert_eq!(other.enter("nobody", "wrong password").await.status, 429);
}

/// The form's token, its media type, and other headers.
type Case<'c> = (&'c str, &'c str, Vec<(&'c str, &'c str)>);

async fn forms_from_elsewhere_change_nothing<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let ann = Browser::signed_in(&api, "ann").await;
    let dev = Browser::signed_in(&api, "dev").await;
    let good = ann.get("/bots/new").await.hidden("csrf");
    let others = dev.get("/bots/new").await.hidden("csrf");
    assert!(!good.is_empty() && good != others);
    let words = |csrf: &str| {
        let pairs = [("csrf", csrf), ("name", "evil"), ("logic", "echo")];
        encoded(&pairs.map(|(word, value)| (word.to_owned(), value.to_owned())))
    };
    let form = "application/x-www-form-urlencoded";
    let own = api.url.clone();
    let cases: Vec<Case<'_>> = vec![
        ("", form, vec![]),
        ("wrong", form, vec![]),
        (&others, form, vec![]),
        (&good, form, vec![("origin", "https://evil.example")]),
        (&good, form, vec![("origin", "null")]),
        (&good, form, vec![("origin", "http://127.0.0.1:1")]),
        (&good, form, vec![("sec-fetch-site", "cross-site")]),
        (&good, form, vec![("sec-fetch-site", "same-site")]),
        (&good, form, vec![("sec-fetch-site", "none")]),
        (&good, form, vec![("origin", &own), ("sec-fetch-site", "cross-site")]),
        (&good, "text/plain", vec![]),
        (&good, "application/json", vec![]),
        (&good, "multipart/form-data; boundary=x", vec![]),
    ];
    for (csrf, media, headers) in &cases {
        let mut request = ann.request(Method::POST, "/bots/new").body(words(csrf));
        request = request.header("content-type", *media);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let shown = ann.send(request).await;
        assert!([400, 403].contains(&shown.status), "{csrf} {media} {headers:?}: {}", shown.status);
    }
    let before = api.desk.bots().await.unwrap();
    assert!(before.iter().all(|bot| bot.name != "evil"), "no state was changed");
    // And with what a browser says on a page of ours, it is taken.
    let request = ann.request(Method::POST, "/bots/new").header("content-type", form);
    let request = request.header("origin", &own).header("sec-fetch-site", "same-origin");
    let shown = ann.send(request.body(words(&good))).await;
    assert_eq!(shown.status, 303, "{}", shown.text);
    // GET changes nothing, whatever is asked.
    for path in ["/bots/new?name=x&logic=echo", "/sign-out"] {
        let shown = ann.get(path).await;
        assert!([200, 405].contains(&shown.status), "{path}");
    }
    assert_eq!(ann.get("/bots").await.status, 200);
}

async fn signing_in_leads_only_to_paths_of_ours<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    for (next, expected) in [
        ("/channels", "/channels"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nset-cookie: a=b", "/"),
    ] {
        let browser = Browser::new(&api);
        let words = [("name", "ann"), ("password", PASSWORD), ("next", next)];
        let shown = browser.fill("/sign-in", "/sign-in", &words).await;
        assert_eq!((shown.status, shown.header("location")), (303, expected), "{next}");
    }
}

async fn the_first_admin_is_made_once_by_whoever_holds_the_link<P: Pair>(pair: P) {
    let api = Api::empty(&pair).await;
    let token = api.desk.invite().await.unwrap().unwrap();
    let browser = Browser::new(&api);
    assert_eq!(browser.get("/welcome?token=wrong").await.status, 422);
    // Looking does not use it up.
    let page = format!("/welcome?token={token}");
    assert_eq!(browser.get(&page).await.status, 200);
    let short = [("token", token.as_str()), ("name", "ann"), ("password", "short")];
    assert_eq!(browser.fill(&page, "/welcome", &short).await.status, 422);
    // A new link replaces the one before.
    let second = api.desk.invite().await.unwrap().unwrap();
    let words = [("token", token.as_str()), ("name", "ann"), ("password", PASSWORD)];
    assert_eq!(browser.fill("/sign-in", "/welcome", &words).await.status, 422);
    let words = [("token", second.as_str()), ("name", "ann"), ("password", PASSWORD)];
    let made = browser.fill("/sign-in", "/welcome", &words).await;
    assert_eq!((made.status, made.header("location")), (303, "/"));
    assert_eq!(browser.get("/operators").await.status, 200);
    let again = Browser::new(&api);
    let words = [("token", second.as_str()), ("name", "eve"), ("password", PASSWORD)];
    assert_eq!(again.fill("/sign-in", "/welcome", &words).await.status, 422);
    assert_eq!(api.desk.invite().await.unwrap(), None);
    let known = api.desk.operators().await.unwrap();
    assert_eq!(known.len(), 1);
}
