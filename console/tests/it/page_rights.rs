//! Who may open which page, by a table written by hand.

use console::PAGES;
use reqwest::Method;

use crate::support::api::Api;
use crate::support::pages::Browser;
use testkit::pair::Pair;

on_both! {
    each_role_opens_its_pages_and_no_other,
}

/// `n` nobody has to be signed in, `-` whoever is signed in, `r` read, `c` configure, `a` approve,
/// `o` operate, `m` administer.
const RIGHTS: &str = include_str!("page_rights.txt");

fn path(route: &console::PageRoute) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn each_role_opens_its_pages_and_no_other<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let admin = Browser::signed_in(&api, "ann").await;
    let developer = Browser::signed_in(&api, "dev").await;
    let nobody = Browser::new(&api);
    let mut rows = RIGHTS.lines().filter(|line| !line.starts_with('#'));
    for route in PAGES {
        let row = rows.next().expect("a row for each page");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[1..], [route.method.as_str(), route.path], "the table's order");
        // Signing out is what another test looks at.
        if words[0] == "n" || route.path == "/sign-out" {
            continue;
        }
        for (who, browser) in [("admin", &admin), ("developer", &developer)] {
            let allowed = who == "admin" || ["-", "r", "c"].contains(&words[0]);
            let shown = if route.method == "GET" {
                browser.get(&path(route)).await
            } else {
                browser.fill("/bots/new", &path(route), &[]).await
            };
            assert_eq!(shown.status != 403, allowed, "{who}: {row}: {}", shown.status);
            assert!(shown.status < 500, "{who}: {row}: {}", shown.status);
        }
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let shown = nobody.send(nobody.request(method, &path(route))).await;
        assert!(shown.header("location").starts_with("/sign-in"), "{row}: {}", shown.status);
    }
    assert_eq!(rows.next(), None, "a page for each row");
}
