//! The Prometheus rules as an object of the Prometheus operator. The rules themselves are written by hand.

pub const PATH: &str = "deploy/kubernetes/components/operator-monitors/rules.yaml";
pub const RULES: &str = include_str!("../prometheus/rules.yaml");
/// The example of routes.
pub const ALERTMANAGER: &str = include_str!("../prometheus/alertmanager.yaml");

const HEAD: &str =
    "# Generated from deploy/prometheus/rules.yaml by `cargo run -p deploy`; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: switchhook
spec:
";

/// The object's text: the groups, two steps further in.
pub fn text() -> String {
    let groups = RULES.split_once("groups:\n").map_or("", |(_, groups)| groups);
    let lines = groups.lines().map(|line| format!("  {line}"));
    let lines = lines.map(|line| line.trim_end().to_owned() + "\n");
    format!("{HEAD}  groups:\n{}", lines.collect::<String>())
}
