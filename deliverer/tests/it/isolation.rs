//! A slow or dead endpoint delays only its own deliveries.

use std::time::Duration;

use shared::domain::ids::ConversationKey;
use shared::registry::Endpoint;
use tokio::time::Instant;

use super::support::receiver::{Answer, Receiver};
use super::support::until;
use super::support::world::{World, endpoint};

const CROWD: usize = 60;

fn crowd(world: &World) -> Vec<ConversationKey> {
    (0..CROWD).map(|n| world.user(&format!("user-{n}"))).collect()
}

#[tokio::test]
async fn a_crowd_at_a_hanging_endpoint_does_not_delay_another() {
    let hanging = Receiver::start(|_, _| Answer::Hang).await;
    let healthy = Receiver::answering(200).await;
    let world = World::new(endpoint(hanging.url())).await;
    let channel = world.channel(endpoint(healthy.url())).await;
    let _deliverer = world.deliverer().await;
    for key in crowd(&world) {
        world.say(&key, &["lost"]).await;
    }
    hanging.got(usize::try_from(Endpoint::PERMITS).unwrap()).await;
    let begun = Instant::now();
    for number in 0..20 {
        let key = ConversationKey::new(channel.clone(), format!("well-{number}").into());
        world.say(&key, &["hello"]).await;
    }
    healthy.got(20).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let permits = usize::try_from(Endpoint::PERMITS).unwrap();
    assert_eq!(hanging.at_once_max(), permits, "as many at once as the endpoint has permits");
}

#[tokio::test]
async fn more_conversations_than_permits_are_all_served_a_few_at_a_time() {
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_millis(50), 200)).await;
    let narrow = Endpoint { permits: 3, ..endpoint(receiver.url()) };
    let world = World::new(narrow).await;
    let deliverer = world.deliverer().await;
    let crowd = crowd(&world);
    for key in &crowd {
        world.say(key, &["one", "two"]).await;
    }
    receiver.got(2 * CROWD).await;
    for key in &crowd {
        world.settled(key).await;
    }
    assert_eq!(receiver.posts().len(), 2 * CROWD, "each once");
    assert!(receiver.at_once_max() <= 3);
    assert!(deliverer.metric("deliverer_put_off_total", Some("permits")) > 0);
    until("nobody waits", || async { deliverer.metric("deliverer_waiting", None) == 0 }).await;
}

#[tokio::test]
async fn the_permits_of_the_process_bound_all_endpoints_together() {
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_millis(20), 200)).await;
    let world = World::new(endpoint(receiver.url())).await;
    let other = world.channel(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer_with(&[("deliverer.permits", "2")]).await;
    let mut keys = crowd(&world);
    keys.extend((0..CROWD).map(|n| ConversationKey::new(other.clone(), format!("o-{n}").into())));
    for key in &keys {
        world.say(key, &["one"]).await;
    }
    receiver.got(2 * CROWD).await;
    for key in &keys {
        world.settled(key).await;
    }
    assert_eq!(receiver.posts().len(), 2 * CROWD, "each once");
    assert!(receiver.at_once_max() <= 2);
}
