//! A browser of a kind: it keeps cookies, follows nothing, and finds the token of forms.

use std::sync::Mutex;

use reqwest::Method;
use testkit::pair::Pair;

use super::PASSWORD;
use super::api::Api;

pub(crate) struct Browser<'a> {
    url: &'a str,
    http: &'a reqwest::Client,
    cookies: Mutex<Vec<(String, String)>>,
}

/// An answer, read.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Shown {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the first hidden field of this name.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.text.split(&start).nth(1).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(api: &'a Api<impl Pair>) -> Self {
        Self { url: &api.url, http: &api.http, cookies: Mutex::default() }
    }

    pub(crate) async fn signed_in(api: &'a Api<impl Pair>, name: &str) -> Self {
        let browser = Self::new(api);
        let entered = browser.enter(name, PASSWORD).await;
        assert_eq!((entered.status, entered.header("location")), (303, "/"), "{}", entered.text);
        browser
    }

    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        self.cookies.lock().unwrap().clone()
    }

    pub(crate) fn set_cookies(&self, cookies: Vec<(String, String)>) {
        *self.cookies.lock().unwrap() = cookies;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let cookies: Vec<_> =
            self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("{}{path}", self.url);
        self.http.request(method, url).header("cookie", cookies.join("; "))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Shown {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for value in headers.get_all("set-cookie") {
            let pair = value.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Shown { status, text: response.text().await.unwrap(), headers }
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        self.send(self.request(Method::GET, path)).await
    }

    /// Opens the page of a form, and sends it with these words.
    pub(crate) async fn fill(&self, page: &str, action: &str, words: &[(&str, &str)]) -> Shown {
        let form = self.get(page).await;
        let mut all = vec![("csrf".to_owned(), form.hidden("csrf"))];
        for name in ["once", "seen"] {
            let value = form.hidden(name);
            if !value.is_empty() {
                all.push((name.to_owned(), value));
            }
        }
        all.extend(words.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())));
        self.post(action, &all).await
    }

    pub(crate) async fn post(&self, path: &str, words: &[(String, String)]) -> Shown {
        let body = encoded(words);
        let request = self.request(Method::POST, path);
        let media = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", media).body(body)).await
    }

    pub(crate) async fn enter(&self, name: &str, password: &str) -> Shown {
        let words = [("name", name), ("password", password)];
        self.fill("/sign-in", "/sign-in", &words).await
    }
}

pub(crate) fn encoded(words: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(words).finish()
}
