//! The bare chain behind the queue: respond, dispatch, deliver. A task for each job, one acker.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicPublishOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::queue;
use crate::durability::PostgresGroup;
use crate::role;

/// Replies to each job with its own body.
pub(crate) async fn respond(
    amqp: &str,
    queue_name: &str,
    postgres: Option<&str>,
) -> anyhow::Result<()> {
    let connection = queue::connect(amqp).await?;
    let amqp_channel = connection.create_channel().await?;
    let replies = connection.create_channel().await?;
    queue::declare(&amqp_channel, queue_name, "quorum").await?;
    let jobs = queue::consume(&amqp_channel, queue_name, false).await?;
    let commits = open(postgres).await?;
    role::ready(0).await?;
    each(jobs, &amqp_channel, move |job| {
        let (replies, commits) = (replies.clone(), commits.clone());
        async move {
            commit(commits, &job).await?;
            let reply_to = job.properties.reply_to().clone().context("a job without reply-to")?;
            let mut properties = queue::transient();
            if let Some(id) = job.properties.correlation_id() {
                properties = properties.with_correlation_id(id.clone());
            }
            let options = BasicPublishOptions::default();
            replies.basic_publish("".into(), reply_to, options, &job.data, properties).await?;
            Ok(())
        }
    })
    .await
}

/// Hands each job on as a doorbell: transient, without a confirm.
pub(crate) async fn dispatch(
    amqp: &str,
    from: &str,
    to: &str,
    postgres: Option<&str>,
) -> anyhow::Result<()> {
    let connection = queue::connect(amqp).await?;
    let amqp_channel = connection.create_channel().await?;
    let out = connection.create_channel().await?;
    queue::declare(&amqp_channel, from, "quorum").await?;
    queue::declare(&amqp_channel, to, "classic").await?;
    let jobs = queue::consume(&amqp_channel, from, false).await?;
    let commits = open(postgres).await?;
    role::ready(0).await?;
    let to: Arc<str> = to.into();
    each(jobs, &amqp_channel, move |job| {
        let (out, to, commits) = (out.clone(), Arc::clone(&to), commits.clone());
        async move {
            commit(commits, &job).await?;
            let options = BasicPublishOptions::default();
            let name = to.as_ref().into();
            out.basic_publish("".into(), name, options, &job.data, queue::transient()).await?;
            Ok(())
        }
    })
    .await
}

/// POSTs each job's body.
pub(crate) async fn deliver(amqp: &str, queue_name: &str, url: &str) -> anyhow::Result<()> {
    let connection = queue::connect(amqp).await?;
    let amqp_channel = connection.create_channel().await?;
    queue::declare(&amqp_channel, queue_name, "classic").await?;
    let jobs = queue::consume(&amqp_channel, queue_name, false).await?;
    role::ready(0).await?;
    let poster = super::embedded::Poster::new(url)?;
    each(jobs, &amqp_channel, move |mut job| {
        let poster = poster.clone();
        async move { poster.post(std::mem::take(&mut job.data).into()).await }
    })
    .await
}

async fn open(postgres: Option<&str>) -> anyhow::Result<Option<PostgresGroup>> {
    match postgres {
        Some(url) => Ok(Some(PostgresGroup::open(url).await?)),
        None => Ok(None),
    }
}

async fn commit(commits: Option<PostgresGroup>, job: &Delivery) -> anyhow::Result<()> {
    match commits {
        Some(commits) => commits.commit(job.data.clone()).await,
        None => Ok(()),
    }
}

/// Runs `work` for every job in a task of its own (the prefetch bounds them) and acks in order.
async fn each<F, Fut>(
    mut jobs: lapin::Consumer,
    amqp_channel: &Channel,
    work: F,
) -> anyhow::Result<()>
where
    F: Fn(Delivery) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (done_tx, done_rx) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(queue::ack_in_order(amqp_channel.clone(), done_rx));
    while let Some(job) = jobs.next().await {
        let job = job?;
        let tag = job.delivery_tag;
        let (work, done_tx) = (work(job), done_tx.clone());
        tasks.spawn(async move {
            work.await?;
            done_tx.send(tag).context("the acker has ended")
        });
        while let Some(ended) = tasks.try_join_next() {
            ended??;
        }
    }
    bail!("the broker ended the consumer")
}
