//! Charts: drawn on the server, with the same figures as a table for whoever does not see them.

use askama::Template;

use super::Cell;

/// Charts side by side.
#[derive(Template)]
#[template(path = "charts.html")]
pub(crate) struct Charts(pub(crate) Vec<Chart>);

/// One chart over time: columns from the bottom, or lines.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What it shows, in a sentence.
    pub(crate) words: String,
    pub(crate) series: Vec<Series>,
    /// Where the time begins and ends.
    pub(crate) first: String,
    pub(crate) last: String,
    /// The value at the top.
    pub(crate) top: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) lines: Vec<Line>,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A name in the legend, with the class that draws it.
#[derive(Clone, Copy)]
pub(crate) struct Series {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
}

/// A part of a column, in units of the drawing: 1000 wide, 100 high.
pub(crate) struct Column {
    pub(crate) kind: &'static str,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
    /// Shown by a pointer that rests on it.
    pub(crate) words: String,
}

/// A line, or its dots where nothing is beside them.
pub(crate) struct Line {
    pub(crate) kind: &'static str,
    pub(crate) points: String,
}

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;

/// Values of a chart: a time's words, and one value for each series.
pub(crate) type Values = [(String, Vec<u64>)];

#[expect(clippy::cast_precision_loss, reason = "a drawing needs no more than its pixels")]
fn share(value: u64, most: u64) -> f64 {
    value as f64 / most.max(1) as f64
}

fn place(n: usize, all: usize) -> f64 {
    WIDTH * share(n as u64, all as u64)
}

/// Columns of parts on top of each other; and the highest sum.
pub(crate) fn stacked(series: &[Series], values: &Values) -> (Vec<Column>, u64) {
    let most = values.iter().map(|(_, parts)| parts.iter().sum()).max().unwrap_or(0);
    let step = place(1, values.len());
    let mut columns = Vec::new();
    for (n, (when, parts)) in values.iter().enumerate() {
        let mut bottom = HEIGHT;
        for (series, value) in series.iter().zip(parts) {
            let height = HEIGHT * share(*value, most);
            bottom -= height;
            if *value > 0 {
                columns.push(Column {
                    kind: series.kind,
                    x: format!("{:.2}", step.mul_add(0.1, place(n, values.len()))),
                    y: format!("{bottom:.2}"),
                    width: format!("{:.2}", step * 0.8),
                    height: format!("{height:.2}"),
                    words: format!("{when}: {value} {}", series.name),
                });
            }
        }
    }
    (columns, most)
}

/// A line for each series, broken where there is nothing; and the highest value.
pub(crate) fn lines(series: &[Series], values: &Values) -> (Vec<Line>, u64) {
    let most = values.iter().flat_map(|(_, parts)| parts).copied().max().unwrap_or(0);
    let step = place(1, values.len());
    let mut lines = Vec::new();
    for (which, series) in series.iter().enumerate() {
        let mut points = Vec::new();
        let mut finish = |points: &mut Vec<(f64, f64)>| {
            // A lonely value is drawn as wide as a column.
            if let [(x, y)] = points[..] {
                *points = vec![(step.mul_add(-0.4, x), y), (step.mul_add(0.4, x), y)];
            }
            if !points.is_empty() {
                let text: Vec<_> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
                lines.push(Line { kind: series.kind, points: text.join(" ") });
            }
            points.clear();
        };
        for (n, (_, parts)) in values.iter().enumerate() {
            match parts.get(which) {
                Some(value) if *value > 0 => {
                    let x = step.mul_add(0.5, place(n, values.len()));
                    points.push((x, HEIGHT * (1.0 - share(*value, most))));
                }
                _ => finish(&mut points),
            }
        }
        finish(&mut points);
    }
    (lines, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [Series; 2] =
        [Series { kind: "a", name: "one" }, Series { kind: "b", name: "other" }];

    #[test]
    fn columns_stand_on_the_bottom_and_the_highest_touches_the_top() {
        let values = [("x".to_owned(), vec![1, 1]), ("y".to_owned(), vec![4, 0])];
        let (columns, most) = stacked(&TWO, &values);
        assert_eq!(most, 4);
        let drawn: Vec<_> =
            columns.iter().map(|one| (one.kind, &*one.x, &*one.y, &*one.height)).collect();
        assert_eq!(
            drawn,
            [
                ("a", "50.00", "75.00", "25.00"),
                ("b", "50.00", "50.00", "25.00"),
                ("a", "550.00", "0.00", "100.00")
            ]
        );
        assert_eq!(columns[2].words, "y: 4 one");
        assert_eq!(stacked(&TWO, &[]).1, 0);
    }

    #[test]
    fn lines_break_where_there_is_nothing() {
        let value = |one| (String::new(), vec![one]);
        let values = [value(2), value(4), value(0), value(1)];
        let (lines, most) = lines(&TWO[..1], &values);
        assert_eq!(most, 4);
        let points: Vec<_> = lines.iter().map(|line| line.points.as_str()).collect();
        assert_eq!(points, ["125.00,50.00 375.00,0.00", "775.00,75.00 975.00,75.00"]);
    }
}
