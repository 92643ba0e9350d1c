//! Channels and their places in the metrics.

use prometheus::{Encoder as _, Opts, Registry as Metrics, TextEncoder};

use super::*;
use crate::registry::{Compatibility, Overrides, Rate, Registry, WhileBusy};

const WORDS: [&str; 2] = ["good", "bad"];

fn channel(bot: &str, ordinal: u32, state: ChannelState) -> Channel {
    Channel {
        id: format!("{bot}-{ordinal}").into(),
        bot: bot.into(),
        client: "cs-1".into(),
        name: format!("channel {ordinal}"),
        ordinal,
        endpoint: None,
        state,
        deadline: Channel::DEADLINE,
        compatibility: Compatibility::default(),
        overrides: Overrides::NONE,
        while_busy: WhileBusy::Queue,
        rate: Rate::default(),
    }
}

fn registry(channels: Vec<Channel>) -> Registry {
    Registry::new(Vec::new(), Vec::new(), channels)
}

fn live(count: u32) -> Registry {
    registry((1..=count).map(|ordinal| channel("bot", ordinal, ChannelState::Live)).collect())
}

/// Places, and the metrics that they are scraped by.
fn places(registry: Registry, max: u32) -> (Metrics, Places<ByWord<2>>) {
    let metrics = Metrics::new();
    let family = IntCounterVec::new(Opts::new("said", "What was said."), &["channel", "word"]);
    let family = family.unwrap();
    let families: Vec<Box<dyn Collector>> = vec![Box::new(family.clone())];
    let make = move |label: &str| ByWord::new(&family, label, WORDS);
    let cache = Cache::new(registry);
    let places = Places::register(&metrics, families, make, (&cache, max)).unwrap();
    (metrics, places)
}

/// Every series as a scrape shows it.
fn scraped(metrics: &Metrics) -> Vec<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&metrics.gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn sum(series: &[String]) -> u64 {
    series.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[test]
fn there_are_never_more_labels_than_the_maximum_and_nothing_is_lost_from_the_sums() {
    for (max, known, heard) in [(3, 5, 40), (3, 0, 40), (0, 5, 40), (100, 5, 40), (40, 0, 40)] {
        let (metrics, places) = places(live(known), max);
        let mut said = 0;
        for round in 1..=3 {
            for ordinal in 1..=heard {
                let id = ChannelId::from(format!("bot-{ordinal}"));
                for _ in 0..ordinal {
                    places.of(&id, |figures| figures.inc(WORDS[round % 2]));
                    said += 1;
                }
            }
        }
        let series = scraped(&metrics);
        let own = max.min(heard) as usize;
        assert_eq!(series.len(), (own + 1) * WORDS.len(), "{max} {known}: {series:?}");
        assert_eq!(sum(&series), said, "{max} {known}");
        let others: Vec<_> =
            series.iter().filter(|line| line.contains(r#"channel="other""#)).cloned().collect();
        assert_eq!(others.len(), WORDS.len());
        let beyond: u32 = (max.min(heard) + 1..=heard).sum();
        assert_eq!(sum(&others), u64::from(beyond) * 3, "{max} {known}");
    }
}

#[test]
fn a_race_for_the_last_places_gives_no_more_of_them_and_loses_nothing() {
    let (metrics, places) = places(live(0), 10);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let places = &places;
            scope.spawn(move || {
                for ordinal in 0..1_000 {
                    let id = ChannelId::from(format!("bot-{}", (ordinal + thread * 7) % 50));
                    places.of(&id, |figures| figures.inc("good"));
                }
            });
        }
    });
    let series = scraped(&metrics);
    assert_eq!(series.len(), 11 * WORDS.len());
    assert_eq!(sum(&series), 4_000);
}

#[test]
fn live_channels_come_first_and_the_first_ones_of_each_bot_before_their_later_ones() {
    let channels = [
        channel("a", 1, ChannelState::Suspended),
        channel("b", 3, ChannelState::Live),
        channel("a", 2, ChannelState::Live),
        channel("b", 1, ChannelState::Live),
    ];
    for (max, expected) in
        [(1, vec!["b-1"]), (2, vec!["a-2", "b-1"]), (3, vec!["a-2", "b-1", "b-3"])]
    {
        let (_, places) = places(registry(channels.to_vec()), max);
        let has: Vec<_> = ["a-1", "a-2", "b-1", "b-3"]
            .into_iter()
            .filter(|id| places.has(&(*id).into()))
            .collect();
        assert_eq!(has, expected);
    }
}

#[test]
fn a_new_channel_begins_with_0_and_a_removed_one_keeps_what_it_had() {
    let (metrics, places) = places(live(2), 3);
    places.of(&"bot-1".into(), |figures| figures.inc("good"));
    let cache = &places.0.registry;
    assert_eq!(scraped(&metrics).len(), 3 * WORDS.len());
    // The first is removed, and two are new: one finds the last place.
    let now = [2, 3, 4].map(|ordinal| channel("bot", ordinal, ChannelState::Live));
    cache.put(registry(now.to_vec()));
    let series = scraped(&metrics);
    let of = |label: &str, word: &str| {
        let start = format!(r#"said{{channel="{label}",word="{word}"}} "#);
        series.iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    assert_eq!(of("bot-1", "good").as_deref(), Some("1"));
    assert_eq!(of("bot-3", "bad").as_deref(), Some("0"));
    assert_eq!(of("bot-4", "bad"), None);
}
