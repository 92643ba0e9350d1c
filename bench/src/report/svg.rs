//! A plot of latency by quantile, both axes logarithmic, so that tails can be read.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 6] = ["#9aa5b1", "#52606d", "#0b69a3", "#c3b08b", "#8d6c2f", "#c52707"];

pub(super) struct Line {
    pub name: String,
    /// Quantile and milliseconds.
    pub points: Vec<(f64, f64)>,
}

/// The horizontal place of a quantile: each "nine" has the same width.
fn x(quantile: f64) -> f64 {
    let nines = -(1.0 - quantile).max(0.000_1).log10();
    LEFT + (WIDTH - LEFT - RIGHT) * nines / 4.0
}

fn y(ms: f64, low: f64, high: f64) -> f64 {
    let share = (ms.max(low).log10() - low.log10()) / (high.log10() - low.log10());
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
}

pub(super) fn draw(lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let low = 10f64.powf(all().fold(f64::MAX, f64::min).max(0.01).log10().floor());
    let high = 10f64.powf(all().fold(0.1, f64::max).log10().ceil()).max(low * 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    axes(&mut svg, low, high);
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<_> = line
            .points
            .iter()
            .map(|(quantile, ms)| format!("{:.1},{:.1}", x(*quantile), y(*ms, low, high)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    legend(&mut svg, lines);
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, low: f64, high: f64) {
    let mut ms = low;
    while ms <= high * 1.01 {
        let at = y(ms, low, high);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{0}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e4e7eb\"/>\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{ms} ms</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
        ms *= 10.0;
    }
    for (quantile, label) in [
        (0.0, "min"),
        (0.5, "50 %"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.9999, "99.99 %"),
    ] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            x(quantile),
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">share of turns that took no longer</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0
    );
}

fn legend(svg: &mut String, lines: &[Line]) {
    for (n, (line, colour)) in (0u32..).zip(lines.iter().zip(COLOURS.iter().cycle())) {
        let at = TOP + 16.0 + 20.0 * f64::from(n);
        let _ = writeln!(
            svg,
            "<rect x=\"{0}\" y=\"{1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
             <text x=\"{2}\" y=\"{at}\">{3}</text>",
            WIDTH - RIGHT + 16.0,
            at - 6.0,
            WIDTH - RIGHT + 36.0,
            line.name
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_holds_a_line_and_a_name_for_each_subject() {
        let line =
            |name: &str| Line { name: name.to_owned(), points: vec![(0.5, 2.0), (0.99, 9.0)] };
        let svg = draw(&[line("sync bare"), line("sync switchhook")]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains(">sync switchhook</text>"));
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
