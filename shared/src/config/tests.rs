use super::*;

fn load_with(
    file: &str,
    flags: &[(&str, &str)],
    environment: &[(&str, &str)],
) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switchhook.toml");
    std::fs::write(&path, file).unwrap();
    let flags: Vec<_> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_from(Some(&path), &flags, pairs)
}

#[test]
fn every_default_is_valid() {
    let settings = load_with("", &[], &[]).unwrap();
    assert_eq!(settings.ingress.body_max, Bytes(256 * 1024));
    assert_eq!(settings.retention.turns, Duration::from_hours(192));
    assert!(settings.engines.amqp.is_empty());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "[ingress]\nlisten = '127.0.0.1:1'\n[lifecycle]\ndrain = '1s'\n[log]\nlevel='a'";
    let environment = [("SWITCHHOOK_INGRESS_LISTEN", "127.0.0.1:2"), ("SWITCHHOOK_LOG_LEVEL", "b")];
    let settings = load_with(file, &[("ingress.listen", "127.0.0.1:3")], &environment).unwrap();
    assert_eq!(settings.ingress.listen.port(), 3);
    assert_eq!(settings.log.level, "b");
    assert_eq!(settings.lifecycle.drain, Duration::from_secs(1));
}

#[test]
fn all_mistakes_are_told_together() {
    let file = "[ingress]\nbody_max = 'big'\nlisen = 1\n[log]\nformat = 'xml'";
    let mistakes = load_with(file, &[], &[("SWITCHHOOK_NONSENSE", "1")]).unwrap_err();
    let text = mistakes.to_string();
    for part in ["ingress.body_max", "ingress.lisen: no such setting", "SWITCHHOOK_NONSENSE"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let engines = load_with("[engines]\namqp = 'amqp://x'", &[], &[]).unwrap_err();
    assert!(engines.to_string().contains("go together"), "{engines}");
}

#[test]
fn durations_sizes_and_networks_are_read_strictly() {
    for (text, ms) in [("500ms", 500), ("15s", 15_000), ("10min", 600_000), ("8d", 691_200_000)] {
        assert_eq!(Duration::parse(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for bad in ["", "15", "s", "-1s", "1.5s", "99999999999999999d"] {
        assert!(Duration::parse(bad).is_err(), "{bad}");
    }
    for bad in ["", "KiB", "1kb", "-1"] {
        assert!(Bytes::parse(bad).is_err(), "{bad}");
    }
    for (text, port) in
        [("10.0.0.0/8", None), ("127.0.0.1/32:9", Some(9)), ("[fd00::/8]:443", Some(443))]
    {
        assert_eq!(value::AllowedTarget::parse(text).map(|target| target.port), Ok(port), "{text}");
    }
    for bad in ["localhost", "10.0.0.0/8:x", "10.0.0.0/33"] {
        assert!(value::AllowedTarget::parse(bad).is_err(), "{bad}");
    }
}
