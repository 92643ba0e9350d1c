//! What operators look at: turns, deliveries and attempts, a page at a time.

use std::time::Duration;

use shared::domain::delivery::ParkReason::{Behind, Exhausted};
use shared::domain::outcome::Outcome;
use shared::store::ledger::{DeliveriesAsk, LedgerStore as _, Standing, TurnsAsk};
use shared::store::{Deliveries as _, Upkeep as _, Verdict};

use super::fixtures::{World, attempt, turn};
use super::harness::Harness;

conformance! {
    turns_are_listed_newest_first_and_narrowed_by_what_is_asked,
    pages_of_turns_hold_everything_once,
    a_whole_turn_has_its_deliveries_and_attempts,
    pages_of_attempts_hold_each_once_by_message_and_attempt,
    deliveries_are_listed_by_where_they_stand,
    pages_of_settled_deliveries_hold_everything_once,
    of_an_erased_user_the_ledger_says_nothing,
}

fn asked() -> TurnsAsk {
    TurnsAsk { limit: 50, ..TurnsAsk::default() }
}

fn standing(standing: Standing) -> DeliveriesAsk {
    DeliveriesAsk { standing, channel: None, after: None, limit: 50 }
}

async fn turns_are_listed_newest_first_and_narrowed_by_what_is_asked<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let first = world.say(&ann, &["a"]).await;
    let second = world.say(&bob, &["b"]).await;
    let third = world.say(&ann, &["c"]).await;
    let mut newest = [first.turn, second.turn, third.turn];
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let all = world.s.turns(&asked()).await.unwrap();
    assert_eq!(all.rows.iter().map(|row| row.turn).collect::<Vec<_>>(), newest);
    assert_eq!(all.next, None);
    let bobs = all.rows.iter().find(|row| row.turn == second.turn).unwrap();
    assert_eq!((bobs.user.as_deref(), &bobs.channel), (Some("bob"), &world.channel));
    assert_eq!((bobs.outcome, bobs.conversation), (Outcome::Answered, bob.id()));
    assert!(bobs.committed_at_ms > 1_600_000_000_000);
    let of = TurnsAsk { conversation: Some(bob.id()), ..asked() };
    assert_eq!(world.s.turns(&of).await.unwrap().rows.len(), 1);
    let of = TurnsAsk { channel: Some(world.channel.clone()), ..asked() };
    assert_eq!(world.s.turns(&of).await.unwrap().rows.len(), 3);
    for nothing in [
        TurnsAsk { channel: Some("none".into()), ..asked() },
        TurnsAsk { outcome: Some(Outcome::BotFailed), ..asked() },
        TurnsAsk { conversation: Some(world.user("eve").id()), ..asked() },
    ] {
        assert_eq!(world.s.turns(&nothing).await.unwrap().rows, []);
    }
}

async fn pages_of_turns_hold_everything_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let ann = world.user("ann");
    let mut said = Vec::new();
    for _ in 0..7 {
        said.push(world.say(&ann, &[]).await.turn);
    }
    said.sort_unstable_by(|a, b| b.cmp(a));
    for conversation in [None, Some(ann.id())] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let ask = TurnsAsk { conversation, before, limit: 3, ..TurnsAsk::default() };
            let page = world.s.turns(&ask).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.turn));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, said);
    }
}

async fn a_whole_turn_has_its_deliveries_and_attempts<H: Harness>(h: H) {
    let world = World::new(h).await;
    let ann = world.user("ann");
    let said = world.say(&ann, &["a", "b"]).await;
    let failed = Verdict::Retry(Duration::ZERO);
    world.s.settle(said.place(0), 0, Some(attempt(1)), failed).await.unwrap();
    let whole = world.s.turn(said.turn).await.unwrap().unwrap();
    assert_eq!((whole.turn.turn, whole.turn.user.as_deref()), (said.turn, Some("ann")));
    let bodies: Vec<_> = whole.deliveries.iter().map(|row| row.body.clone()).collect();
    assert_eq!(bodies, ["a", "b"]);
    assert!(whole.deliveries.iter().all(|row| row.standing == Standing::Waiting));
    let attempts = world.s.attempts(said.turn, None, 10).await.unwrap();
    let [one] = &attempts.rows[..] else { panic!("one attempt: {attempts:?}") };
    assert_eq!(attempts.next, None);
    let expected = attempt(1);
    assert_eq!((one.id, one.attempt), (whole.deliveries[0].id, 1));
    assert_eq!(
        (one.status, &one.error, &one.response),
        (expected.status, &expected.error, &expected.response)
    );
    assert_eq!(one.took_ms, u64::from(expected.took_ms));
    assert_eq!(world.s.turn(turn()).await.unwrap(), None);
}

async fn pages_of_attempts_hold_each_once_by_message_and_attempt<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["a", "b"]).await;
    let mut expected = Vec::new();
    for index in [0, 1] {
        let place = said.place(index.into());
        for number in 1..=3 {
            // The first POST of all is not claimed.
            let seen = if number == 1 { 0 } else { world.claim(place, number - 1).await.attempt };
            let again = Verdict::Retry(Duration::ZERO);
            let verdict = if number == 3 { Verdict::Delivered } else { again };
            world.s.settle(place, seen, Some(attempt(number)), verdict).await.unwrap();
            expected.push((index, number));
        }
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.s.attempts(said.turn, after, 2).await.unwrap();
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.iter().map(|one| (one.id.index, one.attempt)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn deliveries_are_listed_by_where_they_stand<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let first = world.say(&ann, &["a", "b"]).await;
    let second = world.say(&bob, &["c"]).await;
    let waiting = world.s.deliveries(&standing(Standing::Waiting)).await.unwrap().rows;
    let places: Vec<_> = waiting.iter().map(|row| row.place).collect();
    assert_eq!(waiting.len(), 2, "the first of each conversation");
    assert!(places.contains(&first.place(0)) && places.contains(&second.place(0)));
    world.settle(first.place(0), 0, Verdict::Park(Exhausted)).await;
    world.deliver(bob.id()).await;
    assert_eq!(world.s.deliveries(&standing(Standing::Waiting)).await.unwrap().rows, []);
    let done = world.s.deliveries(&standing(Standing::Delivered)).await.unwrap().rows;
    assert_eq!(done.iter().map(|row| row.place).collect::<Vec<_>>(), [second.place(0)]);
    assert_eq!(done[0].user.as_deref(), Some("bob"));
    let parked = world.s.deliveries(&standing(Standing::Parked)).await.unwrap().rows;
    let mut reasons: Vec<_> = parked.iter().map(|row| (row.place.number, row.reason)).collect();
    reasons.sort_unstable_by_key(|(number, _)| *number);
    let numbers = [first.place(0).number, first.place(1).number];
    assert_eq!(reasons, [(numbers[0], Some(Exhausted)), (numbers[1], Some(Behind))]);
    let other = world.another_channel().await;
    let ask = DeliveriesAsk { channel: Some(other), ..standing(Standing::Parked) };
    assert_eq!(world.s.deliveries(&ask).await.unwrap().rows, []);
}

async fn pages_of_settled_deliveries_hold_everything_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut expected = Vec::new();
    for user in ["ann", "bob", "eve"] {
        let said = world.say(&world.user(user), &["a", "b", "c"]).await;
        // What is parked behind is settled at the same moment.
        world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
        expected.extend([said.place(0), said.place(1), said.place(2)]);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let ask = DeliveriesAsk { after, limit: 2, ..standing(Standing::Parked) };
        let page = world.s.deliveries(&ask).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.place));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

async fn of_an_erased_user_the_ledger_says_nothing<H: Harness>(h: H) {
    let world = World::new(h).await;
    let ann = world.user("ann");
    let said = world.say(&ann, &["a secret"]).await;
    world.s.erase(&ann.channel, &ann.user).await.unwrap();
    let whole = world.s.turn(said.turn).await.unwrap().unwrap();
    assert_eq!((whole.turn.user, whole.reply.is_empty()), (None, true));
    let attempts = world.s.attempts(said.turn, None, 10).await.unwrap();
    assert_eq!((whole.deliveries.len(), attempts.rows.len()), (0, 0));
}
