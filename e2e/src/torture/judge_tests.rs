use super::*;
use crate::journal::Sample;

fn at(seconds: u64, accepted: bool) -> Sample {
    let ended = Duration::from_secs(seconds);
    Sample { began: ended, ended, accepted, conversation: 1 }
}

fn window() -> Window {
    Window {
        fault: Fault::Freeze,
        target: "dispatcher-0".to_owned(),
        began: Duration::from_secs(10),
        ended: Duration::from_secs(20),
        refused: Some(2),
        taken_over: Some(3),
        exit: None,
    }
}

fn good() -> Samples {
    let tries = (0..60).map(|second| at(second, !(12..22).contains(&second))).collect();
    Samples { tries, ..Samples::default() }
}

fn kinds(windows: &[Window], samples: &Samples) -> Vec<Kind> {
    let mut verdict = Verdict::default();
    judge(&mut verdict, &[Fault::Freeze], windows, samples);
    verdict.faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn a_run_that_was_served_again_in_time_is_good_and_its_gap_is_told() {
    let (windows, samples) = ([window()], good());
    assert_eq!(kinds(&windows, &samples), []);
    assert_eq!(served(&windows[0], &samples), Some(Duration::from_secs(2)));
    assert_eq!(gap(&windows[0], &samples), Duration::from_secs(11));
    assert_eq!(slowest(&windows, &samples), Duration::from_secs(2));
}

#[test]
fn a_product_that_does_not_serve_again_in_time_is_found() {
    let mut samples = good();
    samples.tries.retain(|sample| !(12..55).contains(&sample.ended.as_secs()));
    assert_eq!(kinds(&[window()], &samples), [Kind::Stalled]);
    samples.tries.retain(|sample| sample.ended.as_secs() < 12);
    assert_eq!(kinds(&[window()], &samples), [Kind::Stalled]);
}

#[test]
fn a_process_that_does_not_end_in_time_is_found() {
    let window = Window { exit: Some(Duration::from_secs(26)), ..window() };
    assert_eq!(kinds(&[window], &good()), [Kind::Stalled]);
}

#[test]
fn a_freeze_in_which_no_turn_was_taken_over_shows_nothing() {
    let window = Window { taken_over: Some(0), ..window() };
    assert_eq!(kinds(&[window], &good()), [Kind::Vacuous]);
}

#[test]
fn a_fault_that_never_struck_and_a_load_that_is_refused_in_calm_times_show_nothing() {
    assert_eq!(kinds(&[], &good()), [Kind::Vacuous]);
    let mut samples = good();
    samples.tries.iter_mut().for_each(|sample| sample.accepted &= sample.ended.as_secs() % 2 == 0);
    assert_eq!(kinds(&[window()], &samples), [Kind::Vacuous]);
    assert_eq!(kinds(&[window()], &Samples::default()), [Kind::Stalled, Kind::Vacuous]);
}
