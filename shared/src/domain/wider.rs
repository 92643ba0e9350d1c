//! What scripts keep beyond one conversation: of a user over all bots, of a bot over all users, of everybody.
//! A turn reads it as of its start; what it changes is applied in its commit, key by key, last writer wins,
//! except that numbers are added to where they stand.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::ids::{BotId, ClientId, UserId};

/// Whose it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// One user of one app, over all bots (`UserSession`).
    User(ClientId, UserId),
    /// One bot, over all users (`BotContext`).
    Bot(BotId),
    /// All bots, all users (`EnterpriseContext`).
    Enterprise,
}

impl Scope {
    /// Its name in rows. Client ids and bot ids hold no slash, so no two scopes have one name.
    pub fn name(&self) -> String {
        match self {
            Self::User(client, user) => format!("user/{client}/{user}"),
            Self::Bot(bot) => format!("bot/{bot}"),
            Self::Enterprise => "enterprise".to_owned(),
        }
    }
}

/// One key as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    pub scope: Scope,
    pub key: String,
    /// JSON.
    pub value: String,
}

/// What becomes of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub scope: Scope,
    pub key: String,
    pub effect: Effect,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// JSON, and how long it is kept; for ever without a time.
    Put(String, Option<Duration>),
    Delete,
    /// Added to the number that stands there; what is no number counts as zero.
    Add(i64),
}

/// One change of each key, in the order of scopes and keys, from many in the order in which they were made.
pub fn fold<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Change> {
    let mut folded: BTreeMap<(String, &str), (&Scope, Effect)> = BTreeMap::new();
    for Change { scope, key, effect } in changes {
        match folded.entry((scope.name(), key)) {
            Entry::Vacant(free) => {
                free.insert((scope, effect.clone()));
            }
            Entry::Occupied(mut taken) => {
                let (_, before) = taken.get_mut();
                *before = then(before, effect);
            }
        }
    }
    let change = |((_, key), (scope, effect)): ((String, &str), (&Scope, Effect))| Change {
        scope: scope.clone(),
        key: key.to_owned(),
        effect,
    };
    folded.into_iter().map(change).collect()
}

/// Two changes of one key as one.
fn then(before: &Effect, next: &Effect) -> Effect {
    match (before, next) {
        (Effect::Add(one), Effect::Add(other)) => Effect::Add(one.saturating_add(*other)),
        (Effect::Put(value, kept), Effect::Add(by)) => Effect::Put(sum(Some(value), *by), *kept),
        (Effect::Delete, Effect::Add(by)) => Effect::Put(sum(None, *by), None),
        (_, Effect::Put(..) | Effect::Delete) => next.clone(),
    }
}

/// A number of at most 17 digits before and after its point, as both engines read one.
pub fn is_number(value: &str) -> bool {
    let digits =
        |text: &str| (1..=17).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    match unsigned.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(unsigned),
    }
}

/// The sum as JSON.
pub fn sum(value: Option<&str>, by: i64) -> String {
    let Some(value) = value.filter(|value| is_number(value)) else { return by.to_string() };
    if let Ok(whole) = value.parse::<i64>() {
        return whole.saturating_add(by).to_string();
    }
    // Between numbers with a fraction there is no exactness to lose.
    #[expect(clippy::cast_precision_loss, reason = "as in the script that reads it")]
    let sum = value.parse::<f64>().unwrap_or_default() + by as f64;
    sum.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, effect: Effect) -> Change {
        Change { scope: Scope::Enterprise, key: key.to_owned(), effect }
    }

    fn put(value: &str) -> Effect {
        Effect::Put(value.to_owned(), None)
    }

    #[test]
    fn the_last_writer_wins_and_numbers_add_up() {
        let ttl = Some(Duration::from_secs(1));
        for (effects, expected) in [
            (vec![put("1"), put("2")], put("2")),
            (vec![Effect::Add(2), Effect::Add(3)], Effect::Add(5)),
            (vec![put("40"), Effect::Add(2)], put("42")),
            (vec![put("1.5"), Effect::Add(2)], put("3.5")),
            (vec![put("\"x\""), Effect::Add(2)], put("2")),
            (vec![Effect::Put("1".into(), ttl), Effect::Add(1)], Effect::Put("2".into(), ttl)),
            (vec![Effect::Delete, Effect::Add(1)], put("1")),
            (vec![Effect::Add(1), Effect::Delete], Effect::Delete),
            (vec![Effect::Delete, put("1")], put("1")),
        ] {
            let changes: Vec<_> = effects.iter().map(|e| change("k", e.clone())).collect();
            assert_eq!(fold(&changes), [change("k", expected)], "{effects:?}");
        }
    }

    #[test]
    fn keys_come_in_one_order_whoever_changed_them_first() {
        let bot = Change { scope: Scope::Bot("st-1".into()), ..change("z", put("1")) };
        let changes = [change("b", put("1")), change("a", put("1")), bot.clone()];
        let keys: Vec<_> = fold(&changes).into_iter().map(|change| change.key).collect();
        assert_eq!(keys, ["z", "a", "b"]);
    }

    #[test]
    fn scopes_have_names_that_nobody_else_has() {
        let user = |client: &str, user: &str| Scope::User(client.into(), user.into()).name();
        assert_ne!(user("cs-1", "a/b"), user("cs-1", "a"));
        assert_ne!(user("cs-1", "x"), user("cs-2", "x"));
        assert_ne!(Scope::Bot("st-1".into()).name(), Scope::Enterprise.name());
    }
}
