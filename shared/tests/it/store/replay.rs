//! Settled deliveries are sent again: each once, in the old order, behind what is there.

use std::time::Duration;

use shared::clock::Clock;
use shared::domain::delivery::ParkReason::Exhausted;
use shared::domain::ids::{ChannelId, ConversationId, DeliveryId};
use shared::entropy::Entropy;
use shared::registry::control::{Audit, ControlStore as _};
use shared::store::ledger::{LedgerStore as _, Standing};
use shared::store::replay::{
    Begun, Chosen, Counted, MOST, Range, Replay, ReplayDraft, ReplayState, ReplayStore, Stepped,
};
use shared::store::{Deliveries as _, Turns as _, Upkeep as _, Verdict};
use uuid::Uuid;

use super::fixtures::World;
use super::harness::Harness;

conformance! {
    a_range_is_appended_in_the_old_order_behind_what_is_there,
    attempt_numbers_go_on_and_the_sweep_rings_for_what_is_sent_again,
    one_delivery_is_sent_again_alone,
    only_the_channel_the_standing_and_the_range_that_were_asked_for_are_chosen,
    what_is_not_settled_any_more_is_passed_over_and_what_is_settled_later_is_not_in_it,
    a_repeat_with_the_same_key_is_the_same_replay,
    processes_at_one_moment_send_each_delivery_again_once,
    a_cancelled_replay_sends_no_more_and_says_so,
    a_range_that_is_too_much_is_refused_whole,
    replays_are_listed_newest_first,
}

pub(super) fn audit() -> Audit {
    let id = || Entropy::Real.uuid_v7(Clock::Real.unix_ms()).simple().to_string();
    Audit {
        id: id(),
        actor: "ann".to_owned(),
        action: "delivery.replay".to_owned(),
        subject: id(),
        detail: "{}".to_owned(),
    }
}

pub(super) fn draft(chosen: Chosen) -> ReplayDraft {
    let id = Entropy::Real.uuid_v7(Clock::Real.unix_ms());
    ReplayDraft { id, chosen, once: None, audit: audit() }
}

fn range(channel: &ChannelId) -> Range {
    let to_ms = 253_402_300_799_000;
    Range { channel: channel.clone(), from_ms: 0, to_ms, standing: None }
}

/// All that is settled on a channel.
pub(super) fn everything(channel: &ChannelId) -> ReplayDraft {
    draft(Chosen::Range(range(channel)))
}

async fn begin<S: ReplayStore>(store: &S, draft: &ReplayDraft) -> Replay {
    match store.begin_replay(draft).await.unwrap() {
        Begun::Yes(replay) => replay,
        other => panic!("{other:?}"),
    }
}

/// Until nothing is left to do; how many were appended.
pub(super) async fn finish<S: ReplayStore>(store: &S) -> u64 {
    let mut appended = 0;
    loop {
        match store.step_replay().await.unwrap() {
            Stepped::Idle => return appended,
            Stepped::Appended(count) => appended += count,
            Stepped::Ended(replay) => assert_eq!(replay.state, ReplayState::Done),
        }
    }
}

/// What is unsettled, as it will be delivered.
async fn bodies<H: Harness>(world: &World<H>, conversation: ConversationId) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(lowest) = world.s.lowest(conversation).await.unwrap() {
        bodies.push(String::from_utf8(lowest.delivery.body.to_vec()).unwrap());
        world.deliver(conversation).await;
    }
    bodies
}

async fn a_range_is_appended_in_the_old_order_behind_what_is_there<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let first = world.say(&ann, &["a", "b", "c"]).await;
    let version = first.done.version;
    world.deliver(ann.id()).await;
    world.settle(first.place(1), 0, Verdict::Park(Exhausted)).await;
    world.say(&bob, &["x"]).await;
    world.deliver(bob.id()).await;
    let draft = world.draft(&ann, version, super::fixtures::turn(), &["d"]);
    world.s.commit(draft).await.unwrap();
    let counted = world.s.count_settled(&range(&world.channel)).await.unwrap();
    assert_eq!(counted, Counted::Exactly(4));
    let replay = begin(&world.s, &everything(&world.channel)).await;
    assert_eq!((replay.total, replay.sent, replay.state), (4, 0, ReplayState::Running));
    assert_eq!(finish(&world.s).await, 4);
    let replay = world.s.replay(replay.id).await.unwrap().unwrap();
    assert_eq!((replay.sent, replay.passed, replay.state), (4, 0, ReplayState::Done));
    assert!(replay.ended_ms.is_some_and(|ended| ended >= replay.created_ms));
    let rows = world.s.unsettled(ann.id(), first.turn).await.unwrap();
    assert!(rows.iter().all(|row| row.redriven));
    let ids: Vec<_> = rows.iter().map(|row| row.id.index).collect();
    assert_eq!(ids, [0, 1, 2], "ids are unchanged");
    assert_eq!(bodies(&world, ann.id()).await, ["d", "a", "b", "c"]);
    assert_eq!(bodies(&world, bob.id()).await, ["x"]);
    let version = world.conversation(&ann).await.version;
    assert_eq!(version, first.done.version + 1, "only the turn has moved it");
}

async fn attempt_numbers_go_on_and_the_sweep_rings_for_what_is_sent_again<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a", "b"]).await;
    world.deliver(key.id()).await;
    world.deliver(key.id()).await;
    begin(&world.s, &everything(&world.channel)).await;
    finish(&world.s).await;
    let hints = world.s.sweep(10, 10, &[]).await.unwrap();
    assert_eq!(hints.len(), 1, "the first of them, at once");
    assert_eq!(hints[0].place.number, said.done.first_delivery + 2);
    let lowest = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert_eq!((lowest.delivery.attempt, lowest.due_in), (1, Duration::ZERO));
    let claim = world.claim(lowest.delivery.place, 1).await;
    world.settle(claim.place, 2, Verdict::Delivered).await;
    let attempts = world.s.attempts(said.turn, None, 10).await.unwrap().rows;
    let attempts: Vec<_> =
        attempts.iter().filter(|one| one.id.index == 0).map(|one| one.attempt).collect();
    assert_eq!(attempts, [1, 2], "the log has both");
}

async fn one_delivery_is_sent_again_alone<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a", "b", "c"]).await;
    let one = draft(Chosen::One(DeliveryId { turn: said.turn, index: 1 }));
    assert_eq!(world.s.begin_replay(&one).await.unwrap(), Begun::Nothing, "it waits");
    assert_eq!(world.s.replay(one.id).await.unwrap(), None, "nothing is kept of that");
    assert_eq!(bodies(&world, key.id()).await, ["a", "b", "c"]);
    let none = draft(Chosen::One(DeliveryId { turn: said.turn, index: 9 }));
    assert_eq!(world.s.begin_replay(&none).await.unwrap(), Begun::Nothing);
    let replay = begin(&world.s, &one).await;
    assert_eq!((replay.total, &replay.channel, &replay.chosen), (1, &world.channel, &one.chosen));
    assert_eq!(finish(&world.s).await, 1);
    assert_eq!(bodies(&world, key.id()).await, ["b"]);
    assert_eq!(finish(&world.s).await, 0);
    assert_eq!(world.lowest(key.id()).await, None);
}

async fn only_the_channel_the_standing_and_the_range_that_were_asked_for_are_chosen<H: Harness>(
    h: H,
) {
    let world = World::new(h).await;
    let other = world.another_channel().await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let eve = shared::domain::ids::ConversationKey::new(other.clone(), "eve".into());
    world.say(&ann, &["old"]).await;
    world.deliver(ann.id()).await;
    world.h.pass(Duration::from_hours(2)).await;
    let parked = world.say(&ann, &["a", "b"]).await;
    world.deliver(ann.id()).await;
    world.settle(parked.place(1), 0, Verdict::Park(Exhausted)).await;
    world.say(&bob, &["x"]).await;
    world.deliver(bob.id()).await;
    world.say(&eve, &["e"]).await;
    world.deliver(eve.id()).await;
    let now = i64::try_from(Clock::Real.unix_ms()).unwrap();
    let hour = 3_600_000;
    let all = |standing| Range {
        channel: world.channel.clone(),
        from_ms: now - hour,
        to_ms: now + hour,
        standing,
    };
    let counts = [
        (all(None), 3),
        (all(Some(Standing::Delivered)), 2),
        (all(Some(Standing::Parked)), 1),
        (Range { to_ms: now - hour, from_ms: 0, ..all(None) }, 1),
        (Range { channel: other, ..all(None) }, 1),
        (Range { channel: "ivrInst-none".into(), ..all(None) }, 0),
    ];
    for (range, count) in counts {
        let counted = world.s.count_settled(&range).await.unwrap();
        assert_eq!(counted, Counted::Exactly(count), "{range:?}");
    }
    let replay = begin(&world.s, &draft(Chosen::Range(all(Some(Standing::Delivered))))).await;
    assert_eq!(replay.chosen, Chosen::Range(all(Some(Standing::Delivered))));
    finish(&world.s).await;
    assert_eq!(bodies(&world, ann.id()).await, ["a"]);
    assert_eq!(bodies(&world, bob.id()).await, ["x"]);
    assert_eq!(bodies(&world, eve.id()).await, [""; 0]);
}

async fn what_is_not_settled_any_more_is_passed_over_and_what_is_settled_later_is_not_in_it<
    H: Harness,
>(
    h: H,
) {
    let world = World::new(h).await;
    let (ann, bob, eve) = (world.user("ann"), world.user("bob"), world.user("eve"));
    for key in [&ann, &bob] {
        let said = world.say(key, &["a", "b"]).await;
        world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    }
    world.say(&eve, &["erased"]).await;
    world.deliver(eve.id()).await;
    let replay = begin(&world.s, &everything(&world.channel)).await;
    assert_eq!(replay.total, 5);
    // Redriven, and delivered again before the replay comes to it: under another number.
    world.s.redrive(ann.id()).await.unwrap();
    assert_eq!(bodies(&world, ann.id()).await, ["a", "b"]);
    world.s.erase(&eve.channel, &eve.user).await.unwrap();
    world.say(&bob, &["c"]).await;
    world.deliver(bob.id()).await;
    assert_eq!(finish(&world.s).await, 2);
    let replay = world.s.replay(replay.id).await.unwrap().unwrap();
    assert_eq!((replay.total, replay.sent, replay.passed), (5, 2, 3));
    assert_eq!(world.lowest(ann.id()).await, None, "it came home already");
    assert_eq!(bodies(&world, bob.id()).await, ["a", "b"]);
}

async fn a_repeat_with_the_same_key_is_the_same_replay<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let key = world.user("ann");
    world.say(&key, &["a"]).await;
    world.deliver(key.id()).await;
    let once = Some(("key".to_owned(), "print".to_owned()));
    let drafts = [(); 2].map(|()| ReplayDraft { once: once.clone(), ..everything(&world.channel) });
    let (first, second) = tokio::join!(begin(&world.s, &drafts[0]), begin(&other, &drafts[1]));
    assert_eq!(first, second);
    assert_eq!(finish(&world.s).await, 1);
    assert_eq!(bodies(&world, key.id()).await, ["a"]);
    let again = ReplayDraft { once: once.clone(), ..everything(&world.channel) };
    let replay = begin(&world.s, &again).await;
    assert_eq!((replay.id, replay.state), (first.id, ReplayState::Done));
    assert_eq!(finish(&world.s).await, 0);
    let reused = ReplayDraft {
        once: Some(("key".to_owned(), "another print".to_owned())),
        ..everything(&world.channel)
    };
    assert_eq!(world.s.begin_replay(&reused).await.unwrap(), Begun::Reused);
    let entries = world.s.audit(None, None, 10).await.unwrap();
    let replays = entries.iter().filter(|one| one.entry.action == "delivery.replay").count();
    assert_eq!(replays, 1, "one entry for one replay");
}

async fn processes_at_one_moment_send_each_delivery_again_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let keys: Vec<_> = (0..30).map(|n| world.user(&format!("user {n}"))).collect();
    for key in &keys {
        world.say(key, &["a", "b", "c"]).await;
        for _ in 0..3 {
            world.deliver(key.id()).await;
        }
    }
    // Two replays of the same: who comes second finds them on their way.
    let replays = [
        begin(&world.s, &everything(&world.channel)).await,
        begin(&world.s, &everything(&world.channel)).await,
    ];
    let work = async |store: &H::S| {
        let mut appended = 0;
        loop {
            appended += finish(store).await;
            let left = async |id: Uuid| store.replay(id).await.unwrap().unwrap().state;
            let [a, b] = [left(replays[0].id).await, left(replays[1].id).await];
            if [a, b] == [ReplayState::Done; 2] {
                return appended;
            }
        }
    };
    let (a, b) = tokio::join!(work(&world.s), work(&other));
    assert_eq!(a + b, 90);
    let mut sums = (0, 0);
    for replay in &replays {
        let replay = world.s.replay(replay.id).await.unwrap().unwrap();
        assert_eq!(replay.sent + replay.passed, 90);
        sums = (sums.0 + replay.sent, sums.1 + replay.passed);
    }
    assert_eq!(sums, (90, 90));
    for key in &keys {
        assert_eq!(bodies(&world, key.id()).await, ["a", "b", "c"]);
    }
}

async fn a_cancelled_replay_sends_no_more_and_says_so<H: Harness>(h: H) {
    let world = World::new(h).await;
    for user in ["ann", "bob", "eve"] {
        let key = world.user(user);
        world.say(&key, &["a", "b"]).await;
        world.deliver(key.id()).await;
        world.deliver(key.id()).await;
    }
    let replay = begin(&world.s, &everything(&world.channel)).await;
    assert_eq!(world.s.step_replay().await.unwrap(), Stepped::Appended(2));
    let ended = world.s.cancel_replay(replay.id, &audit()).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.sent, ended.passed), (ReplayState::Cancelled, 2, 0));
    assert_eq!(world.s.step_replay().await.unwrap(), Stepped::Idle);
    assert_eq!(world.s.cancel_replay(replay.id, &audit()).await.unwrap(), Some(ended));
    assert_eq!(world.s.cancel_replay(Uuid::nil(), &audit()).await.unwrap(), None);
    let entries = world.s.audit(None, None, 10).await.unwrap();
    assert_eq!(entries.len(), 2, "one for its beginning, one for its end");
    assert_eq!(world.h.rows().await["replay_item"], 0, "nothing of it is left to do");
}

async fn a_range_that_is_too_much_is_refused_whole<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let many = vec!["x"; MOST as usize];
    let said = world.say(&ann, &many).await;
    world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    let range = range(&world.channel);
    assert_eq!(world.s.count_settled(&range).await.unwrap(), Counted::Exactly(MOST));
    world.say(&bob, &["one more"]).await;
    world.deliver(bob.id()).await;
    assert_eq!(world.s.count_settled(&range).await.unwrap(), Counted::TooMany);
    let refused = world.s.begin_replay(&everything(&world.channel)).await.unwrap();
    assert_eq!(refused, Begun::TooMany);
    assert_eq!(world.h.rows().await["replay"], 0);
    assert_eq!(world.h.rows().await["replay_item"], 0);
    let parked = Range { standing: Some(Standing::Parked), ..range };
    let replay = begin(&world.s, &draft(Chosen::Range(parked))).await;
    assert_eq!(replay.total, u64::from(MOST));
    assert_eq!(finish(&world.s).await, u64::from(MOST), "one conversation, one step");
    assert_eq!(world.lowest(bob.id()).await, None);
}

async fn replays_are_listed_newest_first<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    world.say(&key, &["a"]).await;
    world.deliver(key.id()).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.insert(0, begin(&world.s, &everything(&world.channel)).await.id);
        // Ids tell milliseconds.
        testkit::another_millisecond().await;
    }
    let ids = |rows: Vec<Replay>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(world.s.replays(None, 10).await.unwrap()), made);
    assert_eq!(ids(world.s.replays(Some(made[0]), 1).await.unwrap()), [made[1]]);
    assert_eq!(world.s.replay(Uuid::nil()).await.unwrap(), None);
}
