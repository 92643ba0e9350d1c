//! The customers' endpoint: writes down every POST before it answers, and answers badly now and then.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use shared::egress::{Error, Request, Response, StandIn};

use crate::check::Post;
use crate::world::{Process, World};

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) world: World,
    pub(crate) process: Process,
}

enum Answer {
    Status(StatusCode),
    Reset,
    Silence,
}

impl StandIn for Endpoint {
    fn answer(&self, request: Request) -> BoxFuture<'static, Result<Response, Error>> {
        self.clone().take(request).boxed()
    }
}

impl Endpoint {
    async fn take(self, request: Request) -> Result<Response, Error> {
        self.world.travel(self.process).await;
        let id = request.headers.get("webhook-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or("none").to_owned();
        self.log(Post::Arrived { id: id.clone(), body: request.body });
        let (answer, took) = self.draw();
        tokio::time::sleep(took).await;
        let answer = match answer {
            Answer::Status(status) => {
                if status.is_success() {
                    self.log(Post::Accepted { id });
                }
                let (headers, body) = (HeaderMap::new(), Bytes::new());
                Ok(Response { status, headers, body, truncated: false })
            }
            Answer::Reset => Err(Error::Protocol("simulated".to_owned())),
            Answer::Silence => std::future::pending().await,
        };
        self.world.gate(self.process).await;
        answer
    }

    fn log(&self, post: Post) {
        let mut state = self.world.lock();
        let number = state.history.posts.len() as u64;
        state.note("post", self.process, number);
        state.history.posts.push(post);
    }

    fn draw(&self) -> (Answer, Duration) {
        let mut state = self.world.lock();
        let mean = state.meanness.endpoint;
        let took = state.chance.ms(0, 80);
        if !state.chance.permille(mean) {
            return (Answer::Status(StatusCode::OK), took);
        }
        let answer = match state.chance.between(0, 3) {
            0 => Answer::Silence,
            1 => Answer::Reset,
            _ => Answer::Status(StatusCode::SERVICE_UNAVAILABLE),
        };
        (answer, took)
    }
}
