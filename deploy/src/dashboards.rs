//! Grafana dashboards, from short tables: one of the whole, one of each room, one of the broker, and one of
//! single channels, which are chosen in it.

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

/// Every expression of every dashboard, as Prometheus reads it: Grafana's interval stands for five minutes,
/// and every channel is chosen.
pub fn expressions() -> Vec<String> {
    let panels = DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels);
    let queries = panels.flat_map(|panel| panel.queries).map(|(query, _)| *query);
    let read = |query: &str| query.replace("$__rate_interval", "5m").replace("$channel", ".*");
    queries.chain([CHANNELS]).map(read).collect()
}

/// The channels that there are to choose from, with what they are called.
const CHANNELS: &str = "max by (channel, name) (switchhook_channel_info)";

fn variables(dashboard: &Dashboard) -> Vec<Value> {
    let mut variables = vec![json!({
        "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus",
    })];
    if dashboard.by_channel {
        variables.push(json!({
            "name": "channel",
            "type": "query",
            "label": "Channel",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": {"query": format!("query_result({CHANNELS})"), "refId": "channel"},
            "regex": r#"/channel="(?<value>[^"]+)",\s*name="(?<text>[^"]+)"/"#,
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
        }));
    }
    variables
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
        "templating": {"list": variables(dashboard)},
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
