//! Marks of redelivered runs, and the deaths that they tell of.

use shared::store::{Deaths, Turns as _};
use uuid::Uuid;

use super::fixtures::{World, turn};
use super::harness::Harness;

conformance! {
    a_mark_that_was_not_removed_is_a_death,
    a_mark_that_was_removed_is_no_death,
    deaths_of_solo_runs_are_counted_apart,
    a_processs_own_later_mark_replaces_its_earlier_one,
    marks_belong_to_their_turn,
    removing_a_mark_that_is_not_there_is_no_error,
}

const NONE: Deaths = Deaths { all: 0, solo: 0 };

fn processes<const N: usize>() -> [Uuid; N] {
    std::array::from_fn(|_| turn().uuid())
}

async fn a_mark_that_was_not_removed_is_a_death<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (turn, [a, b, c]) = (turn(), processes());
    assert_eq!(world.s.mark(turn, a, false).await.unwrap(), NONE);
    assert_eq!(world.s.mark(turn, b, false).await.unwrap(), Deaths { all: 1, solo: 0 });
    assert_eq!(world.s.mark(turn, c, true).await.unwrap(), Deaths { all: 2, solo: 0 });
}

async fn a_mark_that_was_removed_is_no_death<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let (turn, [a, b, c]) = (turn(), processes());
    world.s.mark(turn, a, false).await.unwrap();
    world.s.unmark(turn, a).await.unwrap();
    assert_eq!(other.mark(turn, b, true).await.unwrap(), NONE);
    other.unmark(turn, b).await.unwrap();
    assert_eq!(world.s.mark(turn, c, false).await.unwrap(), NONE);
    assert_eq!(world.s.mark(turn, a, false).await.unwrap(), Deaths { all: 1, solo: 0 });
}

async fn deaths_of_solo_runs_are_counted_apart<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (turn, [one, two, three, four]) = (turn(), processes());
    world.s.mark(turn, one, false).await.unwrap();
    assert_eq!(world.s.mark(turn, two, true).await.unwrap(), Deaths { all: 1, solo: 0 });
    assert_eq!(world.s.mark(turn, three, true).await.unwrap(), Deaths { all: 2, solo: 1 });
    assert_eq!(world.s.mark(turn, four, true).await.unwrap(), Deaths { all: 3, solo: 2 });
}

async fn a_processs_own_later_mark_replaces_its_earlier_one<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (turn, [a, b]) = (turn(), processes());
    assert_eq!(world.s.mark(turn, a, false).await.unwrap(), NONE);
    assert_eq!(world.s.mark(turn, a, true).await.unwrap(), NONE, "its own is no death");
    assert_eq!(world.s.mark(turn, b, false).await.unwrap(), Deaths { all: 1, solo: 1 });
    assert_eq!(world.s.mark(turn, b, false).await.unwrap(), Deaths { all: 1, solo: 1 });
    world.s.unmark(turn, a).await.unwrap();
    assert_eq!(world.s.mark(turn, b, true).await.unwrap(), NONE);
}

async fn marks_belong_to_their_turn<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (first, second, [a, b]) = (turn(), turn(), processes());
    world.s.mark(first, a, true).await.unwrap();
    assert_eq!(world.s.mark(second, b, false).await.unwrap(), NONE);
    world.s.unmark(second, a).await.unwrap();
    assert_eq!(world.s.mark(first, b, false).await.unwrap(), Deaths { all: 1, solo: 1 });
}

async fn removing_a_mark_that_is_not_there_is_no_error<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (turn, [a]) = (turn(), processes());
    world.s.unmark(turn, a).await.unwrap();
    assert_eq!(world.s.mark(turn, a, false).await.unwrap(), NONE);
    world.s.unmark(turn, a).await.unwrap();
    world.s.unmark(turn, a).await.unwrap();
}
