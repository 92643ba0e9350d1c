use std::time::Duration;

use super::*;
use crate::check::{Fault, Verdict};
use crate::journal::{Sample, Samples};
use crate::torture::faults::{self, Window};
use crate::torture::{Engines, Torture};

fn outcome() -> Outcome {
    let time = Duration::from_secs;
    let sample = |second| Sample {
        began: time(second),
        ended: time(second),
        accepted: true,
        conversation: 1,
    };
    let window = Window {
        fault: faults::Fault::Freeze,
        target: "dispatcher-0, <30 s>".to_owned(),
        began: time(3),
        ended: time(5),
        refused: Some(4),
        taken_over: Some(6),
        exit: None,
    };
    let fault = Fault { kind: Kind::Lost, conversation: 7, what: "message 4".to_owned() };
    Outcome {
        torture: Torture {
            minutes: 1.0,
            seed: 4711,
            engines: Engines::Rabbitmq,
            faults: Vec::new(),
            faults_max: None,
            freeze: 30,
            thinks: 50,
            conversations: 4,
            out: "unused".into(),
        },
        verdict: Verdict { sends: 10, faults: vec![fault], ..Verdict::default() },
        windows: vec![window],
        samples: Samples {
            tries: (0..10).map(sample).collect(),
            processed: vec![time(1)],
            delivered: vec![time(2)],
            ..Samples::default()
        },
        took: time(60),
    }
}

#[test]
fn the_page_holds_the_verdict_the_timeline_every_check_and_every_fault_and_asks_nobody() {
    let page = page(&outcome(), "a machine");
    for part in ["BROKEN", "4711", "a machine", "message 4", "dispatcher-0, &lt;30 s&gt;"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for kind in Kind::ALL {
        assert!(page.contains(&format!("<td>{}<td>", kind.name())), "{}", kind.name());
    }
    assert_eq!(page.matches("<polyline").count(), 3);
    assert!(!page.contains("NaN") && !page.contains("src=") && !page.contains("href="), "{page}");
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http"), "{outside}");
}
