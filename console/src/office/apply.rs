//! A registry file brought into the registry: what is missing is added, what is there otherwise is changed,
//! what the file does not name stays. A change of what runs is an edit, which waits to be published, unless
//! the file approves a channel of its bot. Everything is planned and checked before anything is written, and a
//! second run finishes what a first left undone.

mod plan;

use serde::{Deserialize, Serialize};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::store::Store;

use super::actor::Actor;
use super::diff::Difference;
use super::drafts::{AppDraft, BotDraft, ChannelDraft};
use super::execute::Desk;
use super::problem::Problem;
use super::publish::{PublishDraft, Verdict};
use plan::{Deed, Step};

/// What the audit log and the request say of what a file published.
const COMMENT: &str = "by a registry file";

/// The file (`docs/registry-file.md`).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    #[serde(default)]
    pub apps: Vec<AppDraft>,
    #[serde(default)]
    pub bots: Vec<BotDraft>,
    #[serde(default)]
    pub channels: Vec<ChannelDraft>,
}

impl RegistryFile {
    /// Adds what another file says.
    pub fn extend(&mut self, other: Self) {
        self.apps.extend(other.apps);
        self.bots.extend(other.bots);
        self.channels.extend(other.channels);
    }
}

/// What becomes of one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// `app`, `bot` or `channel`.
    pub what: String,
    pub name: String,
    /// Empty for what is not made yet.
    pub id: String,
    /// `added`, `changed`, `edited` (it waits to be published), `approved`, `published` or `unchanged`.
    pub done: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// The secret that was made for it, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl<S: Store> Desk<S> {
    /// Plans what a file says, and does it unless it is a rehearsal.
    pub async fn apply(
        &self,
        actor: &Actor,
        file: &RegistryFile,
        rehearse: bool,
    ) -> Result<Vec<Line>, Problem> {
        let book = self.book().await?;
        let steps = plan::plan(&book, file, &self.entropy)?;
        let mut lines: Vec<Line> = Vec::new();
        for Step { deed, mut line } in steps {
            if !rehearse {
                self.carry_out(actor, deed, &mut line).await.map_err(|problem| {
                    let done: Vec<_> =
                        lines.iter().map(|line| format!("{} {}", line.what, line.name)).collect();
                    let words = format!(
                        "{} {}: {} (done before: {})",
                        line.what,
                        line.name,
                        problem.words,
                        done.join(", ")
                    );
                    Problem { words, ..problem }
                })?;
            }
            lines.push(line);
        }
        Ok(lines)
    }

    async fn carry_out(&self, actor: &Actor, deed: Deed, line: &mut Line) -> Result<(), Problem> {
        match deed {
            Deed::Nothing => {}
            Deed::AddApp(draft) => {
                let made = self.add_app(actor, &draft).await?;
                (line.id, line.secret) = (made.client_id, made.client_secret);
            }
            Deed::ChangeApp(patch) => {
                self.change_app(actor, &line.id, &patch, None).await?;
            }
            Deed::AddBot(draft) => line.id = self.add_bot(actor, &draft).await?.bot_id,
            Deed::ChangeBot(patch) => {
                self.change_bot(actor, &line.id, &patch, None).await?;
            }
            Deed::AddChannel(draft) => {
                let state = ChannelState::AwaitingApproval;
                let made = self.add_channel(actor, &draft, state).await?;
                line.id = made.webhook_id;
                line.secret = made.endpoint.and_then(|endpoint| endpoint.signing_secret);
            }
            Deed::ChangeChannel(patch) => {
                self.change_channel(actor, &line.id, &patch, None).await?;
            }
            Deed::Approve => {
                self.act(actor, &line.id, ChannelAction::Approve).await?;
            }
            Deed::Publish(channels) => self.put_through(actor, &line.id, channels).await?,
        }
        Ok(())
    }

    /// Publishes a bot and approves that; a request that cannot be approved does not stay open.
    async fn put_through(
        &self,
        actor: &Actor,
        bot: &str,
        channels: Vec<String>,
    ) -> Result<(), Problem> {
        let draft = PublishDraft { channels, comment: COMMENT.to_owned() };
        let asked = self.publish(actor, bot, &draft).await?;
        let judged = self.judge(actor, &asked.request_id, Verdict::Approve, COMMENT).await;
        if let Err(problem) = judged {
            self.judge(actor, &asked.request_id, Verdict::Withdraw, COMMENT).await?;
            return Err(problem);
        }
        Ok(())
    }
}
