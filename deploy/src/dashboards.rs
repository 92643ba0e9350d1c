//! Grafana dashboards, from short tables: one of the whole, one of each room and one of the broker.
//!
//! There is none of a single channel: no metric has a channel's id for a label. What belongs to one channel
//! is in the ledger.

mod panels;

use serde_json::{Value, json};

use crate::File;
use panels::{DASHBOARDS, Dashboard, Panel};

const COLUMNS: usize = 2;
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// Every dashboard as a file.
pub fn files() -> Vec<File> {
    let file = |dashboard: &Dashboard| File {
        path: format!("deploy/grafana/{}.json", dashboard.name),
        text: format!("{:#}\n", of(dashboard)),
    };
    DASHBOARDS.iter().map(file).collect()
}

/// Every expression of every dashboard, as Prometheus reads it: Grafana's interval stands for five minutes.
pub fn expressions() -> Vec<String> {
    let panels = DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels);
    let queries = panels.flat_map(|panel| panel.queries);
    queries.map(|(query, _)| query.replace("$__rate_interval", "5m")).collect()
}

fn of(dashboard: &Dashboard) -> Value {
    let panels: Vec<_> = dashboard.panels.iter().enumerate().map(panel).collect();
    json!({
        "uid": format!("switchhook-{}", dashboard.name),
        "title": format!("Switchhook: {}", dashboard.title),
        "tags": ["switchhook"],
        "editable": true,
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{
            "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus",
        }]},
        "links": [{
            "title": "Switchhook", "type": "dashboards", "tags": ["switchhook"], "asDropdown": true,
        }],
        "panels": panels,
    })
}

fn panel((index, panel): (usize, &Panel)) -> Value {
    let datasource = json!({"type": "prometheus", "uid": "${datasource}"});
    let target = |(number, (query, legend)): (usize, &(&str, &str))| {
        json!({
            "refId": char::from(b'A' + u8::try_from(number).unwrap_or(0)).to_string(),
            "datasource": datasource,
            "expr": query,
            "legendFormat": legend,
        })
    };
    let targets: Vec<_> = panel.queries.iter().enumerate().map(target).collect();
    json!({
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": datasource,
        "gridPos": {
            "x": index % COLUMNS * WIDTH, "y": index / COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": targets,
    })
}
