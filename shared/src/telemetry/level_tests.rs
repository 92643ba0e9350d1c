use std::sync::{Mutex, PoisonError};

use super::*;

type Said = Arc<Mutex<Vec<String>>>;

fn level() -> (LogLevel, Said) {
    let said = Said::default();
    let say = Arc::clone(&said);
    let level = LogLevel::new("info", move |directives: &str| {
        say.lock().unwrap_or_else(PoisonError::into_inner).push(directives.to_owned());
        Ok(())
    });
    (level, said)
}

#[tokio::test(start_paused = true)]
async fn another_level_holds_for_its_time_and_then_the_settings_again() {
    let (level, said) = level();
    let keeping = tokio::task::JoinSet::from_iter([level.clone().keep()]);
    level.change("dispatcher=trace, shared=debug", Duration::from_mins(1)).unwrap();
    assert_eq!(*said.lock().unwrap(), ["info,dispatcher=trace,shared=debug"]);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(level.changed().is_some());
    // A second change has a time of its own.
    level.change("debug", Duration::from_mins(1)).unwrap();
    assert_eq!(level.changed().unwrap().level, "debug");
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(said.lock().unwrap().len(), 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(level.changed(), None);
    assert_eq!(said.lock().unwrap()[2], "info");
    drop(keeping);
}

#[test]
fn a_bare_level_is_that_of_our_own_crates_and_nobody_elses_can_be_changed() {
    let all = directives("debug").unwrap();
    assert!(all.starts_with("shared=debug,ingress=debug,") && all.ends_with(",outcome=debug"));
    for wrong in ["", "loud", "hyper=trace", "debug,lapin=debug", "shared=", "=debug", "DEBUG"] {
        assert!(directives(wrong).is_err(), "{wrong}");
    }
    let (level, said) = level();
    for lasting in [Duration::ZERO, LONGEST + Duration::from_secs(1)] {
        assert!(level.change("debug", lasting).is_err());
    }
    assert!(level.change("loud", LONGEST).is_err());
    assert_eq!(*said.lock().unwrap(), [""; 0]);
}
