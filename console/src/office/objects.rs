//! Objects inside of drafts. What serde derives would read a list of values, in the order of the fields, as
//! an object too; no description of ours allows that.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub(super) fn one<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let Some(words) = Option::<Map<String, Value>>::deserialize(from)? else { return Ok(None) };
    serde_json::from_value(words.into()).map(Some).map_err(Error::custom)
}

pub(super) fn many<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let Some(all) = Option::<Vec<Map<String, Value>>>::deserialize(from)? else { return Ok(None) };
    let read = |words: Map<String, Value>| serde_json::from_value(words.into());
    all.into_iter().map(read).collect::<Result<_, _>>().map(Some).map_err(Error::custom)
}
