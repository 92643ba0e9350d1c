//! Reads the text format of Prometheus: names, labels, values. PURE.

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    /// A label's value; empty when there is none.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// What can be read; a line that cannot is left out.
pub(super) fn parse(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    let end = line.find(['{', ' ', '\t'])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    // A timestamp may follow.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then(|| Sample { name: name.to_owned(), labels, value })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        rest = loop {
            match chars.next()? {
                (at, '"') => break &quoted[at + 1..],
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((name.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Sample { name: name.to_owned(), labels, value }
    }

    #[test]
    fn names_labels_and_values_are_read_and_the_rest_is_left_out() {
        let text = "# HELP a what\n# TYPE a counter\na 1\na_total{x=\"1\",y=\"a \\\"b\\\" {c} \\\\ d\\n\"} 2.5e3\n\
                    b{} +Inf 1700000000\nc{x=\"unfinished} 1\nnonsense\nd notanumber\n{x=\"1\"} 1\n\n";
        assert_eq!(
            parse(text),
            [
                one("a", &[], 1.0),
                one("a_total", &[("x", "1"), ("y", "a \"b\" {c} \\ d\n")], 2_500.0),
                one("b", &[], f64::INFINITY),
            ]
        );
        assert_eq!(parse(text)[1].label("x"), "1");
        assert_eq!(parse(text)[1].label("z"), "");
    }
}
