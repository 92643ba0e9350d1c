//! Makes the topology true on the broker. Everything is asked for passively first and created only
//! when it is missing, so that a process without the right to configure works on a broker that an
//! operator has prepared. What exists with other arguments is reported and used as it is.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::link::{Error, Link};
use super::{Config, Limits, Shared};
use crate::topology::{DELIVERY_LIMIT, Queue, Topology};

struct Exchange {
    name: String,
    kind: ExchangeKind,
    arguments: FieldTable,
}

struct Declared {
    name: String,
    arguments: FieldTable,
    exchange: String,
    key: String,
}

/// An AMQP channel to declare on. The broker closes it at every refusal; the next call opens another.
struct Scratch<'a> {
    link: &'a Link,
    channel: Option<Channel>,
}

impl Scratch<'_> {
    async fn call<T, F>(&mut self, ask: impl FnOnce(Channel) -> F) -> Result<T, Error>
    where
        F: Future<Output = lapin::Result<T>>,
    {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.link.open_channel().await?,
        };
        let answer = self.link.call(ask(channel.clone())).await;
        if answer.is_ok() {
            self.channel = Some(channel);
        }
        answer
    }
}

/// Declares exchanges, queues and bindings. One at a time in a process: two would only find each
/// other's work.
pub(super) async fn all(shared: &Shared, link: &Link) -> Result<(), Error> {
    let _one_at_a_time = shared.declaring.lock().await;
    let topology = &shared.config.topology;
    let mut scratch = Scratch { link, channel: None };
    for exchange in exchanges(topology) {
        declare_exchange(&mut scratch, exchange).await?;
    }
    for queue in queues(&shared.config) {
        declare_queue(&mut scratch, queue).await?;
    }
    Ok(())
}

/// Declares what replies and announcements go through.
pub(super) async fn reply_exchanges(shared: &Shared, link: &Link) -> Result<(), Error> {
    let mut scratch = Scratch { link, channel: None };
    for exchange in reply_exchange_specs(&shared.config.topology) {
        declare_exchange(&mut scratch, exchange).await?;
    }
    Ok(())
}

/// Whether the broker says that something is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    refusal(error) == Some(AMQPSoftError::NOTFOUND)
}

/// Whether a queue exists on a node that is down: RabbitMQ says so with the same code as for one that does
/// not exist, and only in words.
fn is_away(error: &Error) -> bool {
    is_missing(error) && error.to_string().contains("home node")
}

fn refusal(error: &Error) -> Option<AMQPSoftError> {
    let Error::Amqp(error) = error else { return None };
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

async fn declare_exchange(scratch: &mut Scratch<'_>, exchange: Exchange) -> Result<(), Error> {
    let Exchange { name, kind, arguments } = exchange;
    let mut options = ExchangeDeclareOptions {
        passive: true,
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let (asked, kind_asked) = (name.clone(), kind.clone());
    let found = scratch
        .call(async |channel: Channel| {
            channel.exchange_declare(asked.into(), kind_asked, options, FieldTable::default()).await
        })
        .await;
    match found {
        Err(error) if is_missing(&error) => {}
        other => return other,
    }
    options.passive = false;
    let asked = name.clone();
    let made = scratch
        .call(async |channel: Channel| {
            channel.exchange_declare(asked.into(), kind, options, arguments).await
        })
        .await;
    tolerate(made, &name)
}

async fn declare_queue(scratch: &mut Scratch<'_>, queue: Declared) -> Result<(), Error> {
    let Declared { name, arguments, exchange, key } = queue;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let asked = name.clone();
    let found = scratch
        .call(async |channel: Channel| {
            channel.queue_declare(asked.into(), passive, FieldTable::default()).await
        })
        .await;
    match found {
        Err(error) if is_away(&error) => {
            tracing::error!(
                broker.queue = %name,
                "the queue's node is down; going on without it until the node is back"
            );
            return Ok(());
        }
        Err(error) if is_missing(&error) => {
            tracing::info!(broker.queue = %name, "creating a queue that is missing");
        }
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    // Also what exists is declared once more: a queue made otherwise than it has to be shows then.
    let asked = name.clone();
    let made = scratch
        .call(async |channel: Channel| {
            channel.queue_declare(asked.into(), QueueDeclareOptions::durable(), arguments).await
        })
        .await;
    tolerate(made.map(drop), &name)?;
    let asked = name.clone();
    let bound = scratch
        .call(async |channel: Channel| {
            let options = QueueBindOptions::default();
            let (exchange, key) = (exchange.into(), key.into());
            channel.queue_bind(asked.into(), exchange, key, options, FieldTable::default()).await
        })
        .await;
    tolerate(bound, &name)
}

/// What an operator has prepared otherwise, or forbids us to prepare, is used as it is.
fn tolerate(made: Result<(), Error>, name: &str) -> Result<(), Error> {
    let Err(error) = made else { return Ok(()) };
    match refusal(&error) {
        Some(AMQPSoftError::PRECONDITIONFAILED) => {
            tracing::warn!(broker.object = name, %error, "exists with other arguments; using it");
            Ok(())
        }
        Some(AMQPSoftError::ACCESSREFUSED) => {
            tracing::debug!(broker.object = name, "not allowed to configure; using it as it is");
            Ok(())
        }
        _ => Err(error),
    }
}

fn exchanges(topology: &Topology) -> Vec<Exchange> {
    let unrouted = topology.unrouted(Queue::Turns);
    let direct = |name: String| {
        let arguments = FieldTable::default();
        Exchange { name, kind: ExchangeKind::Direct, arguments }
    };
    let mut all = vec![
        Exchange {
            name: unrouted.clone(),
            kind: ExchangeKind::Fanout,
            arguments: FieldTable::default(),
        },
        Exchange {
            name: topology.exchange(Queue::Turns),
            kind: ExchangeKind::Direct,
            arguments: table(&[("alternate-exchange", text(&unrouted))]),
        },
        // A doorbell that nobody hears is rung again from its row: no alternate is needed.
        direct(topology.exchange(Queue::Deliveries)),
        direct(topology.dead_exchange()),
    ];
    all.extend(reply_exchange_specs(topology));
    all
}

fn reply_exchange_specs(topology: &Topology) -> [Exchange; 2] {
    [
        Exchange {
            name: topology.replies_exchange(),
            kind: ExchangeKind::Direct,
            arguments: FieldTable::default(),
        },
        Exchange {
            name: topology.control_exchange(),
            kind: ExchangeKind::Fanout,
            arguments: FieldTable::default(),
        },
    ]
}

fn queues(config: &Config) -> Vec<Declared> {
    let Config { topology, limits, .. } = config;
    let limits = *limits;
    let mut all = Vec::new();
    for queue in Queue::ALL {
        all.push(Declared {
            name: topology.dead(queue),
            arguments: table(&quorum(limits)),
            exchange: topology.dead_exchange(),
            key: queue.to_string(),
        });
    }
    // One consumer at a time, so that what is found here keeps its order.
    let mut unrouted = quorum(limits).to_vec();
    unrouted.extend(single_active_consumer());
    unrouted.push(("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)));
    all.push(Declared {
        name: topology.unrouted(Queue::Turns),
        arguments: table(&unrouted),
        exchange: topology.unrouted(Queue::Turns),
        key: String::new(),
    });
    for queue in Queue::ALL {
        for partition in topology.partitions() {
            all.push(Declared {
                name: topology.queue(queue, partition),
                arguments: partition_arguments(config, queue),
                exchange: topology.exchange(queue),
                key: topology.routing_key(partition),
            });
        }
    }
    all
}

fn partition_arguments(config: &Config, queue: Queue) -> FieldTable {
    let Config { topology, limits, .. } = config;
    let limits = *limits;
    if !queue.durable() && !config.replicated {
        let mut arguments = vec![("x-queue-type", text("classic"))];
        arguments.extend(bounds(limits));
        arguments.extend(single_active_consumer());
        return table(&arguments);
    }
    let mut arguments = quorum(limits).to_vec();
    arguments.extend(single_active_consumer());
    arguments.push(("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)));
    if !queue.durable() {
        return table(&arguments);
    }
    arguments.extend([
        ("x-dead-letter-exchange", text(&topology.dead_exchange())),
        ("x-dead-letter-routing-key", text(queue.as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]);
    table(&arguments)
}

fn quorum(limits: Limits) -> [(&'static str, AMQPValue); 4] {
    let [jobs, bytes, overflow] = bounds(limits);
    [("x-queue-type", text("quorum")), jobs, bytes, overflow]
}

fn bounds(limits: Limits) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-max-length", AMQPValue::LongLongInt(limits.jobs_max)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(limits.bytes_max)),
        ("x-overflow", text("reject-publish")),
    ]
}

fn single_active_consumer() -> [(&'static str, AMQPValue); 1] {
    [("x-single-active-consumer", AMQPValue::Boolean(true))]
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table(entries: &[(&'static str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}
