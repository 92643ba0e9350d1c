//! The sweep: whose doorbell is rung, and whose is not.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::domain::delivery::ParkReason;
use shared::domain::ids::ChannelId;
use shared::store::{Backlog, Deliveries as _, Hint, Verdict};

use super::fixtures::{LEASE, Said, World};
use super::harness::Harness;

conformance! {
    a_row_committed_a_moment_ago_is_not_rung,
    a_row_whose_doorbell_was_lost_is_rung_after_half_a_minute,
    a_row_whose_retry_came_due_is_rung_at_once,
    a_row_that_was_rung_is_rung_again_only_after_half_a_minute,
    a_row_that_is_not_due_is_not_rung,
    a_claimed_row_is_left_alone_until_its_lease_ends,
    only_heads_are_rung,
    a_row_that_moved_up_is_rung_in_seconds_when_nobody_goes_on_with_it,
    the_sweep_takes_the_oldest_due_within_its_limits,
    a_disabled_endpoint_is_not_rung,
    a_paused_endpoint_gives_one_probe,
    sweeps_at_one_moment_share_the_rows,
    a_hint_names_all_that_a_doorbell_needs,
    the_due_heads_of_an_endpoint_come_oldest_first,
    the_backlog_is_what_is_due_and_in_nobodys_hands,
}

const HALF_A_MINUTE: Duration = Duration::from_secs(31);

fn conversations(hints: &[Hint]) -> Vec<shared::domain::ids::ConversationId> {
    hints.iter().map(|hint| hint.place.conversation).collect()
}

async fn sweep<H: Harness>(world: &World<H>) -> Vec<Hint> {
    world.s.sweep(1_000, 1_000, &[]).await.unwrap()
}

/// One conversation each, with one delivery each, a second apart, the first the oldest.
async fn crowd<H: Harness>(world: &World<H>, channel: &ChannelId, users: usize) -> Vec<Said> {
    let mut said = Vec::new();
    for n in 0..users {
        let mut key = world.user(&format!("user {n}"));
        key.channel = channel.clone();
        said.push(world.say(&key, &["one", "two"]).await);
        world.h.pass(Duration::from_secs(1)).await;
    }
    said
}

async fn a_row_committed_a_moment_ago_is_not_rung<H: Harness>(h: H) {
    let world = World::new(h).await;
    world.say(&world.user("ann"), &["one"]).await;
    assert_eq!(sweep(&world).await, [], "its own doorbell is on the way");
    world.h.pass(Duration::from_secs(15)).await;
    assert_eq!(sweep(&world).await, []);
}

async fn a_row_whose_doorbell_was_lost_is_rung_after_half_a_minute<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    world.h.pass(HALF_A_MINUTE).await;
    let hints = sweep(&world).await;
    assert_eq!(hints.len(), 1);
    assert_eq!(hints[0].place, said.place(0));
}

async fn a_row_whose_retry_came_due_is_rung_at_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    for seen in 0..3 {
        let verdict = match seen {
            0 => Verdict::Retry(Duration::from_secs(10)),
            1 => Verdict::Defer(Duration::from_secs(10)),
            _ => Verdict::Ours(Duration::from_secs(10)),
        };
        let claim = world.claim(said.place(0), seen).await;
        world.settle(said.place(0), claim.attempt, verdict.clone()).await;
        world.h.pass(Duration::from_secs(10)).await;
        assert_eq!(sweep(&world).await.len(), 1, "{verdict:?}: its due time was moved");
    }
}

async fn a_row_that_was_rung_is_rung_again_only_after_half_a_minute<H: Harness>(h: H) {
    let world = World::new(h).await;
    world.say(&world.user("ann"), &["one"]).await;
    world.h.pass(HALF_A_MINUTE).await;
    for _ in 0..3 {
        assert_eq!(sweep(&world).await.len(), 1);
        assert_eq!(sweep(&world).await.len(), 0);
        world.h.pass(Duration::from_secs(15)).await;
        assert_eq!(sweep(&world).await.len(), 0);
        world.h.pass(Duration::from_secs(16)).await;
    }
}

async fn a_row_that_is_not_due_is_not_rung<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    world.settle(said.place(0), 0, Verdict::Retry(Duration::from_mins(10))).await;
    world.h.pass(Duration::from_mins(5)).await;
    assert_eq!(sweep(&world).await, []);
    assert_eq!(world.s.due(&world.channel, 10).await.unwrap(), []);
    world.h.pass(Duration::from_mins(5)).await;
    assert_eq!(sweep(&world).await.len(), 1);
}

async fn a_claimed_row_is_left_alone_until_its_lease_ends<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    world.claim(said.place(0), 0).await;
    world.h.pass(HALF_A_MINUTE).await;
    assert_eq!(sweep(&world).await, []);
    assert_eq!(world.s.due(&world.channel, 10).await.unwrap(), []);
    world.h.pass(LEASE).await;
    assert_eq!(world.s.due(&world.channel, 10).await.unwrap().len(), 1);
    assert_eq!(sweep(&world).await.len(), 1);
}

async fn only_heads_are_rung<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two"]).await;
    world.say(&key, &["three"]).await;
    world.h.pass(HALF_A_MINUTE).await;
    assert_eq!(sweep(&world).await.len(), 1);
    world.settle(said.place(0), 0, Verdict::Retry(Duration::from_mins(10))).await;
    world.h.pass(HALF_A_MINUTE).await;
    assert_eq!(sweep(&world).await, [], "those behind wait with their head");
    world.settle(said.place(0), 1, Verdict::Delivered).await;
    world.h.pass(HALF_A_MINUTE).await;
    let hints = sweep(&world).await;
    assert_eq!(hints.len(), 1);
    assert_eq!(hints[0].place, said.place(1), "the next one moved up");
}

async fn a_row_that_moved_up_is_rung_in_seconds_when_nobody_goes_on_with_it<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two"]).await;
    world.settle(said.place(0), 0, Verdict::Delivered).await;
    assert_eq!(sweep(&world).await, [], "the lane goes on with it");
    world.h.pass(Duration::from_secs(6)).await;
    let hints = sweep(&world).await;
    assert_eq!(hints.len(), 1);
    assert_eq!(hints[0].place, said.place(1));
    world.h.pass(Duration::from_secs(15)).await;
    assert_eq!(sweep(&world).await, [], "its doorbell is on the way");
}

async fn the_sweep_takes_the_oldest_due_within_its_limits<H: Harness>(h: H) {
    let world = World::new(h).await;
    let elsewhere = world.another_channel().await;
    let here = crowd(&world, &world.channel, 6).await;
    let there = crowd(&world, &elsewhere, 6).await;
    world.h.pass(HALF_A_MINUTE).await;
    // Four of each endpoint would be eight; the oldest five are these.
    let first = conversations(&world.s.sweep(4, 5, &[]).await.unwrap());
    assert_eq!(first.len(), 5);
    let taken: BTreeSet<_> = first.iter().copied().collect();
    let mut expected: BTreeSet<_> = here[..4].iter().map(|said| said.conversation).collect();
    expected.insert(there[0].conversation);
    assert_eq!(taken, expected, "four here, and the oldest there");
    let second = conversations(&world.s.sweep(4, 100, &[]).await.unwrap());
    let taken: BTreeSet<_> = second.iter().copied().collect();
    let mut expected: BTreeSet<_> = here[4..].iter().map(|said| said.conversation).collect();
    expected.extend(there[1..5].iter().map(|said| said.conversation));
    assert_eq!(taken, expected);
    assert_eq!(sweep(&world).await.len(), 1, "the rest");
}

async fn a_disabled_endpoint_is_not_rung<H: Harness>(h: H) {
    let world = World::new(h).await;
    let elsewhere = world.another_channel().await;
    let here = crowd(&world, &world.channel, 3).await;
    crowd(&world, &elsewhere, 2).await;
    world.settle(here[0].place(0), 0, Verdict::Park(ParkReason::Gone)).await;
    world.h.pass(HALF_A_MINUTE).await;
    let hints = sweep(&world).await;
    assert_eq!(hints.len(), 2);
    assert!(hints.iter().all(|hint| hint.channel == elsewhere), "{hints:?}");
}

async fn a_paused_endpoint_gives_one_probe<H: Harness>(h: H) {
    let world = World::new(h).await;
    let elsewhere = world.another_channel().await;
    let here = crowd(&world, &world.channel, 4).await;
    crowd(&world, &elsewhere, 3).await;
    world.h.pass(HALF_A_MINUTE).await;
    let paused = [world.channel.clone()];
    let hints = world.s.sweep(10, 100, &paused).await.unwrap();
    let probes: Vec<_> = hints.iter().filter(|hint| hint.channel == world.channel).collect();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].place, here[0].place(0), "the oldest");
    assert_eq!(hints.len(), 4);
}

async fn sweeps_at_one_moment_share_the_rows<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    crowd(&world, &world.channel, 40).await;
    world.h.pass(HALF_A_MINUTE).await;
    let mut rung = Vec::new();
    for _ in 0..10 {
        let (a, b) = tokio::join!(world.s.sweep(8, 8, &[]), other.sweep(8, 8, &[]));
        rung.extend(conversations(&a.unwrap()));
        rung.extend(conversations(&b.unwrap()));
    }
    assert_eq!(rung.len(), 40, "each row is rung once");
    assert_eq!(rung.iter().collect::<BTreeSet<_>>().len(), 40);
}

async fn a_hint_names_all_that_a_doorbell_needs<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("Zoë 😀");
    let said = world.say(&key, &["one"]).await;
    world.h.pass(HALF_A_MINUTE).await;
    let expected = Hint {
        place: said.place(0),
        hash: key.hash(),
        channel: world.channel.clone(),
        turn: said.turn,
    };
    assert_eq!(sweep(&world).await, [expected]);
    // Half of all hashes do not fit a signed 64-bit column without care.
    let large = (0..64).map(|n| world.user(&format!("user {n}"))).find(|key| key.hash() >> 63 == 1);
    let key = large.unwrap();
    world.say(&key, &["one"]).await;
    world.h.pass(Duration::from_secs(29)).await;
    world.h.pass(Duration::from_secs(2)).await;
    let hints = sweep(&world).await;
    let hint = hints.iter().find(|hint| hint.place.conversation == key.id()).unwrap();
    assert_eq!(hint.hash, key.hash());
}

async fn the_due_heads_of_an_endpoint_come_oldest_first<H: Harness>(h: H) {
    let world = World::new(h).await;
    let elsewhere = world.another_channel().await;
    let here = crowd(&world, &world.channel, 6).await;
    crowd(&world, &elsewhere, 2).await;
    let due = world.s.due(&world.channel, 4).await.unwrap();
    let places: Vec<_> = due.iter().map(|lowest| lowest.delivery.place).collect();
    assert_eq!(places, here[..4].iter().map(|said| said.place(0)).collect::<Vec<_>>());
    assert!(due.iter().all(|lowest| lowest.due_in.is_zero() && lowest.claimed_for.is_zero()));
    // Looking is not ringing: the sweep still finds them in their own time.
    world.h.pass(HALF_A_MINUTE).await;
    assert_eq!(sweep(&world).await.len(), 8);
    world.claim(here[0].place(0), 0).await;
    let due = world.s.due(&world.channel, 100).await.unwrap();
    assert_eq!(due.len(), 5, "a claimed one is not offered");
    assert_eq!(due[0].delivery.place, here[1].place(0));
}

async fn the_backlog_is_what_is_due_and_in_nobodys_hands<H: Harness>(h: H) {
    let world = World::new(h).await;
    assert_eq!(world.s.backlog().await.unwrap(), Backlog::default());
    let elsewhere = world.another_channel().await;
    let here = crowd(&world, &world.channel, 3).await;
    crowd(&world, &elsewhere, 2).await;
    world.h.pass(HALF_A_MINUTE).await;
    let backlog = world.s.backlog().await.unwrap();
    assert_eq!(backlog.due, 5, "one head of each conversation");
    assert!(backlog.oldest >= HALF_A_MINUTE, "{backlog:?}");
    // Looking is not ringing.
    assert_eq!(sweep(&world).await.len(), 5);
    assert_eq!(world.s.backlog().await.unwrap().due, 5);
    world.claim(here[0].place(0), 0).await;
    assert_eq!(world.s.backlog().await.unwrap().due, 4, "a claimed one is in somebody's hands");
    world.settle(here[1].place(0), 0, Verdict::Retry(Duration::from_hours(1))).await;
    assert_eq!(world.s.backlog().await.unwrap().due, 3, "a later one is not due");
}
