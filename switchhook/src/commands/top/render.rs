//! A frame as text. PURE.

use std::fmt::Write as _;

use super::view::{Process, View};

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Whether escapes may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Colours,
    Plain,
}

impl Paint {
    fn with(self, how: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("{how}{text}{PLAIN}"),
            Self::Plain => text.to_owned(),
        }
    }
}

pub(super) fn frame(view: &View, paint: Paint) -> String {
    let mut text = String::new();
    for (place, process) in view.processes.iter().enumerate() {
        one(&mut text, place + 1, process, paint);
    }
    if let Some((due, oldest)) = view.due {
        let line = format!("due deliveries in nobody's hands: {due}, the oldest for {oldest:.1} s");
        let how = if due > 0.0 { RED } else { DIM };
        let _ = writeln!(text, "\n{}", paint.with(how, &line));
    }
    if !view.queues.is_empty() {
        let _ = writeln!(text, "\n{}", paint.with(BOLD, "jobs that wait on RabbitMQ"));
        for depth in &view.queues {
            let line = format!(
                "  {:<44} {:>9} ready  {:>3} consumers",
                depth.queue, depth.ready, depth.consumers
            );
            let _ = writeln!(text, "{line}");
        }
    }
    if !view.partitions.is_empty() {
        let _ =
            writeln!(text, "\n{}", paint.with(BOLD, "partitions with lanes (who works on them)"));
        for worked in &view.partitions {
            let owners: Vec<_> = worked.owners.iter().map(|place| format!("#{place}")).collect();
            let (queue, partition, lanes) = (&worked.queue, &worked.partition, worked.lanes);
            let _ = writeln!(
                text,
                "  {queue:<11} {partition:<4} {lanes:>6} lanes  {}",
                owners.join(" ")
            );
        }
    }
    text
}

fn one(text: &mut String, place: usize, process: &Process, paint: Paint) {
    let rooms = process.rooms.join("+");
    let head = format!("#{place} {} {rooms} {}", process.url, process.version);
    let _ = write!(text, "{}", paint.with(BOLD, head.trim_end()));
    if let Some(error) = &process.error {
        let _ = writeln!(text, "  {}", paint.with(RED, error));
        return;
    }
    let away = if process.broker_up { "" } else { "  the broker is away" };
    let _ = writeln!(text, "{}", paint.with(RED, away));
    let gauges: Vec<_> =
        process.gauges.iter().map(|(word, value)| format!("{word} {value:.0}")).collect();
    let _ = writeln!(text, "   {}", gauges.join(" · "));
    let rates: Vec<_> =
        process.rates.iter().map(|(word, rate)| format!("{word} {rate:.1}/s")).collect();
    if !rates.is_empty() {
        let _ = writeln!(text, "   {}", rates.join(" · "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{Look, Worked};
    use super::*;

    #[test]
    fn a_frame_without_a_terminal_has_no_escapes() {
        let look = Look {
            samples: super::super::exposition::parse("switchhook_ingress_in_flight 4\n"),
            at: 0.0,
        };
        let processes = vec![
            Process::of("http://a", &Look::default(), &look),
            Process::away("http://b", "no connection".to_owned()),
        ];
        let mut view = View::of(processes, &[look], Vec::new());
        view.due = Some((1.0, 2.0));
        view.partitions.push(Worked {
            queue: "turns".to_owned(),
            partition: "p01".to_owned(),
            lanes: 2.0,
            owners: vec![1, 2],
        });
        let plain = frame(&view, Paint::Plain);
        assert!(!plain.contains('\x1b'), "{plain}");
        for part in [
            "#1 http://a ingress",
            "in flight 4",
            "no connection",
            "the broker is away",
            "#1 #2",
            "oldest for 2.0 s",
        ] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        assert!(frame(&view, Paint::Colours).contains(RED));
    }
}
