//! The JSON Schema of an exported bot, from the drafts that are really read. Whatever it refuses, an import
//! refuses; an import looks at more (addresses, scripts, words of one kind of connector only).

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};
use shared::registry::Overrides;

use super::{Document, NOT_OF_BOT, NOT_OF_CHANNEL};
use crate::office::drafts::{BotDraft, ChannelDraft};

/// By itself, for editors and validators.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "A bot with its channels, as Switchhook exports it".into());
    schema.into()
}

pub(super) fn bot(generator: &mut SchemaGenerator) -> Schema {
    without(BotDraft::json_schema(generator), NOT_OF_BOT)
}

pub(super) fn channel(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = without(ChannelDraft::json_schema(generator), NOT_OF_CHANNEL);
    // In a change, unlike here, `null` takes a message out.
    if let Some(overrides) =
        schema.pointer_mut("/properties/overrides").and_then(Value::as_object_mut)
    {
        overrides.insert("additionalProperties".to_owned(), json!({"type": ["string", "object"]}));
        overrides.insert(
            "propertyNames".to_owned(),
            json!({"minLength": 1, "maxLength": Overrides::KEY_MAX}),
        );
        overrides.insert("maxProperties".to_owned(), Overrides::COUNT_MAX.into());
    }
    schema
}

pub(super) fn channels(generator: &mut SchemaGenerator) -> Schema {
    let items: Value = channel(generator).into();
    let channels = json!({"type": "array", "maxItems": super::CHANNELS_MAX, "items": items});
    channels.try_into().unwrap_or_default()
}

/// A draft's schema without some of its words: they are refused then, as everything is that it does not know.
fn without(mut whole: Schema, words: &[&str]) -> Schema {
    if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|word, _| !words.contains(&word.as_str()));
    }
    if let Some(required) = whole.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|word| word.as_str().is_none_or(|word| !words.contains(&word)));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_no_word_that_is_a_secret_or_of_one_installation_only() {
        let schema = schema();
        let words = |draft| {
            let place = format!("/properties/{draft}/properties");
            schema.pointer(&place).and_then(Value::as_object).expect("a draft with words").clone()
        };
        let (bot, channel) = (words("bot"), words("channels/items"));
        for (words, others) in [(&bot, NOT_OF_BOT), (&channel, NOT_OF_CHANNEL)] {
            for other in others {
                assert!(!words.contains_key(*other), "{other}");
            }
        }
        assert!(bot.contains_key("name") && bot.contains_key("connector"), "{bot:?}");
        assert!(
            channel.contains_key("overrides") && channel.contains_key("post_url"),
            "{channel:?}"
        );
    }
}
