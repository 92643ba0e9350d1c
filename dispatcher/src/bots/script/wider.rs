//! The wider contexts of scripts: which of them a script may use, and what it may make of them.

use std::time::Duration;

use ::script::job::Wide;
use serde_json::{Map, Value};
use shared::domain::turn::Turn;
use shared::domain::wider::{Change, Effect, Kept, Scope};

use crate::domain::clean;

/// Keys that one turn may change.
const CHANGES_MAX: usize = 100;
const KEY_MAX: usize = 200;
const VALUE_MAX: usize = 64 * 1024;
/// Of one scope, all keys and values together.
const SCOPE_MAX: usize = 256 * 1024;
const KEYS_MAX: usize = 1_000;
const KEPT_MAX: Duration = Duration::from_hours(24 * 366);
/// Larger numbers are no whole numbers in a script.
const NUMBER_MAX: u64 = 1 << 53;

const NAMES: [&str; 3] = ["UserSession", "BotContext", "EnterpriseContext"];

/// The scopes that a script names somewhere in its text; what is not named is not read from the store.
pub(crate) fn scopes(source: &str, turn: &Turn) -> Vec<Scope> {
    let scope = |name: &str| match name {
        "UserSession" => Scope::User(turn.client.clone(), turn.user.clone()),
        "BotContext" => Scope::Bot(turn.bot.clone()),
        _ => Scope::Enterprise,
    };
    NAMES.into_iter().filter(|name| names(source, name)).map(scope).collect()
}

/// `BotUserSession` does not name `UserSession`.
fn names(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| !source[..at].ends_with("Bot"))
}

const fn name(scope: &Scope) -> &'static str {
    match scope {
        Scope::User(..) => NAMES[0],
        Scope::Bot(_) => NAMES[1],
        Scope::Enterprise => NAMES[2],
    }
}

/// As the script finds them.
pub(super) fn input(scopes: &[Scope], kept: &[Kept]) -> Map<String, Value> {
    let whole = |scope: &Scope| {
        let own = kept.iter().filter(|kept| kept.scope == *scope);
        let value = |kept: &Kept| serde_json::from_str(&kept.value).unwrap_or_default();
        let map: Map<_, _> = own.map(|kept| (kept.key.clone(), value(kept))).collect();
        (name(scope).to_owned(), Value::Object(map))
    };
    scopes.iter().map(whole).collect()
}

/// What a script wants changed, if it may. It came out of a host, so nothing of it is to be trusted.
pub(super) fn changes(
    scopes: &[Scope],
    kept: &[Kept],
    wanted: Vec<Wide>,
) -> Result<Vec<Change>, String> {
    if wanted.len() > CHANGES_MAX {
        return Err(format!("it changes more than {CHANGES_MAX} keys of wider contexts"));
    }
    let changes = wanted.into_iter().map(|wide| change(scopes, wide));
    let changes = changes.collect::<Result<Vec<_>, String>>()?;
    for scope in scopes {
        fits(scope, kept, &changes)?;
    }
    Ok(changes)
}

fn change(scopes: &[Scope], wide: Wide) -> Result<Change, String> {
    let Wide { scope, key, put, ms, add } = wide;
    let known = scopes.iter().find(|known| name(known) == scope);
    let known = known.ok_or("it changes a context that it does not name")?;
    let key = clean::text(key);
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(format!("{scope}: a key has 1 to {KEY_MAX} bytes"));
    }
    let effect = match (put, add) {
        (Some(value), _) => {
            if !clean::is_shallow(&value) {
                return Err(format!("{scope}.{key} is nested too deep"));
            }
            let value = clean::value(value).to_string();
            if value.len() > VALUE_MAX {
                return Err(format!("{scope}.{key} is larger than {VALUE_MAX} bytes"));
            }
            Effect::Put(value, ms.map(|ms| Duration::from_millis(ms).min(KEPT_MAX)))
        }
        (None, Some(by)) if by.unsigned_abs() <= NUMBER_MAX => Effect::Add(by),
        (None, Some(_)) => return Err(format!("{scope}.{key}: too large a number is added")),
        (None, None) => Effect::Delete,
    };
    Ok(Change { scope: known.clone(), key, effect })
}

/// Whether a scope has room for what is put. Turns at the same time may each find room: the bound is soft.
fn fits(scope: &Scope, kept: &[Kept], changes: &[Change]) -> Result<(), String> {
    let own = || changes.iter().filter(|change| change.scope == *scope);
    let put = |change: &Change| match &change.effect {
        Effect::Put(value, _) => Some(change.key.len() + value.len()),
        Effect::Add(_) => Some(change.key.len() + 20),
        Effect::Delete => None,
    };
    if own().find_map(put).is_none() {
        return Ok(());
    }
    let stays = |kept: &&Kept| kept.scope == *scope && !own().any(|change| change.key == kept.key);
    let sizes = kept.iter().filter(stays).map(|kept| kept.key.len() + kept.value.len());
    let (keys, bytes) =
        sizes.chain(own().filter_map(put)).fold((0, 0), |(keys, all), size| (keys + 1, all + size));
    if keys > KEYS_MAX || bytes > SCOPE_MAX {
        let name = name(scope);
        return Err(format!("{name} would have more than {KEYS_MAX} keys or {SCOPE_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: &str = "BotContext";

    fn wide(key: &str, put: Option<Value>, add: Option<i64>) -> Wide {
        Wide { scope: BOT.to_owned(), key: key.to_owned(), put, ms: None, add }
    }

    #[test]
    fn a_script_has_the_scopes_that_it_names() {
        for (source, expected) in [
            ("context.session.BotUserSession.x = 1", vec![false, false, false]),
            ("context.UserSession.x", vec![true, false, false]),
            ("BotUserSession UserSession", vec![true, false, false]),
            ("BotContext + EnterpriseContext", vec![false, true, true]),
        ] {
            let got: Vec<_> = NAMES.iter().map(|name| names(source, name)).collect();
            assert_eq!(got, expected, "{source}");
        }
    }

    #[test]
    fn what_a_script_wants_is_checked_whatever_its_host_says() {
        let scopes = [Scope::Bot("st-1".into())];
        let of = |wide: Wide| changes(&scopes, &[], vec![wide]).map(|mut all| all.remove(0).effect);
        assert_eq!(of(wide("k", Some(Value::Null), None)), Ok(Effect::Put("null".into(), None)));
        assert_eq!(of(wide("k", None, Some(-2))), Ok(Effect::Add(-2)));
        assert_eq!(of(wide("k", None, None)), Ok(Effect::Delete));
        let long = Value::String("x".repeat(VALUE_MAX));
        for wrong in [
            wide("", None, None),
            wide(&"k".repeat(KEY_MAX + 1), None, None),
            wide("k", Some(long), None),
            wide("k", None, Some(i64::MIN)),
            Wide { scope: "UserSession".to_owned(), ..wide("k", None, None) },
            Wide { scope: "nothing".to_owned(), ..wide("k", None, None) },
        ] {
            of(wrong).unwrap_err();
        }
        let many = vec![wide("k", None, None); CHANGES_MAX + 1];
        changes(&scopes, &[], many).unwrap_err();
    }

    #[test]
    fn a_scope_that_is_full_takes_nothing_more_but_lets_go() {
        let scope = Scope::Bot("st-1".into());
        let value = format!("\"{}\"", "x".repeat(60 * 1024));
        let kept: Vec<_> = (0..4)
            .map(|n| Kept { scope: scope.clone(), key: n.to_string(), value: value.clone() })
            .collect();
        let scopes = [scope];
        let of = |all: Vec<Wide>| changes(&scopes, &kept, all).map(|all| all.len());
        let large = || Some(Value::String("x".repeat(30 * 1024)));
        of(vec![wide("new", large(), None)]).unwrap_err();
        assert_eq!(of(vec![wide("0", None, None)]), Ok(1));
        assert_eq!(of(vec![wide("0", large(), None)]), Ok(1));
        assert_eq!(of(vec![wide("0", None, None), wide("new", large(), None)]), Ok(2));
    }
}
