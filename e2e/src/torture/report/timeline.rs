//! Accepted, processed and delivered by the second, with the faults as bands behind.

use std::fmt::Write as _;
use std::time::Duration;

use crate::journal::Samples;
use crate::torture::faults::{Fault, Window};

const WIDTH: f64 = 1060.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 40.0;
const LINES: [(&str, &str); 3] =
    [("accepted", "#0b69a3"), ("processed", "#8d6c2f"), ("delivered", "#057a55")];

fn colour(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "#f7c6c5",
        Fault::Freeze => "#bae3ff",
        Fault::Broker => "#fce588",
        Fault::Postgres => "#dcd0f5",
        Fault::Terminate => "#f0c2e8",
        Fault::Cut => "#c6f7e2",
        Fault::Alarm => "#ffd8a8",
        Fault::Scale => "#d9e2ec",
        Fault::Stall => "#fff3c4",
        Fault::Slow => "#e6d9ff",
        Fault::Outage => "#ffe0d1",
        Fault::Together => "#f4a6a4",
        Fault::Roll => "#e4edc9",
        Fault::Leader => "#d7e3f4",
        Fault::Follower => "#e6e0f3",
        Fault::Partition => "#f3dcdc",
    }
}

pub(super) fn draw(samples: &Samples, windows: &[Window]) -> String {
    let accepted: Vec<_> =
        samples.tries.iter().filter(|sample| sample.accepted).map(|sample| sample.ended).collect();
    let series = [&accepted, &samples.processed, &samples.delivered].map(|times| by_second(times));
    let seconds = series.iter().map(Vec::len).max().unwrap_or_default().max(2);
    let top = f64::from(series.iter().flatten().copied().max().unwrap_or_default().max(1));
    let scale = Scale { seconds: whole(seconds), top };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n"
    );
    for window in windows {
        let (from, to) = (scale.x(window.began.as_secs_f64()), scale.x(window.ended.as_secs_f64()));
        let (colour, name) = (colour(window.fault), window.fault.name());
        let _ = writeln!(
            svg,
            "<g><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" \
             fill=\"{colour}\"/><text transform=\"translate({:.1},{}) rotate(-50)\">{name}</text></g>",
            (to - from).max(1.5),
            HEIGHT - TOP - BOTTOM,
            from + 3.0,
            TOP - 4.0,
        );
    }
    axes(&mut svg, &scale);
    for (values, (name, colour)) in series.iter().zip(LINES) {
        let points: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(n, many)| {
                format!("{:.1},{:.1}", scale.x(whole(n) + 0.5), scale.y(f64::from(*many)))
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\">\
             <title>{name}</title></polyline>",
            points.join(" ")
        );
    }
    legend(&mut svg);
    svg.push_str("</svg>");
    svg
}

struct Scale {
    seconds: f64,
    top: f64,
}

impl Scale {
    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - 10.0) * (second / self.seconds).min(1.0)
    }

    fn y(&self, many: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * many / self.top
    }
}

fn whole(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn by_second(times: &[Duration]) -> Vec<u32> {
    let mut seconds = Vec::new();
    for time in times {
        let second = usize::try_from(time.as_secs()).unwrap_or_default();
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        seconds[second] += 1;
    }
    seconds
}

fn axes(svg: &mut String, scale: &Scale) {
    for n in 0..=4 {
        let many = scale.top * f64::from(n) / 4.0;
        let y = scale.y(many);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#cbd2d9\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{many:.0}/s</text>",
            WIDTH - 10.0,
            LEFT - 4.0,
            y + 4.0
        );
    }
    for n in 0..=8 {
        let second = scale.seconds * f64::from(n) / 8.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{second:.0} s</text>",
            scale.x(second),
            HEIGHT - BOTTOM + 14.0
        );
    }
}

fn legend(svg: &mut String) {
    for (n, (name, colour)) in (0u32..).zip(LINES) {
        let x = LEFT + 110.0 * f64::from(n);
        let y = HEIGHT - 8.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{y}\">{name}</text>",
            y - 5.0,
            x + 20.0
        );
    }
}
