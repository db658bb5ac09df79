//! Metrics as log lines: `CloudWatch`'s embedded metric format, which needs no call and no permission of its own.

use serde_json::{Map, Value, json};

/// What the agent's metrics are filed under.
pub const NAMESPACE: &str = "BootstrapAgent";

/// What a metric is told apart by. A fleet shares it: a dimension per instance would make, and cost, a metric per instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Such as `AutoScalingGroupName`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name in `CloudWatch`.
    pub name: &'static str,
    /// One of `CloudWatch`'s units: `Count`, `Bytes`, `Seconds`, `Milliseconds`.
    pub unit: &'static str,
    /// The number.
    pub value: u64,
}

/// The line. `properties` can be searched for, and are no metrics; where a name occurs twice, the metric counts.
#[must_use]
pub fn line(at: i64, dimension: &Dimension, metrics: &[Metric], properties: Map<String, Value>) -> String {
    let mut fields = properties;
    let named: Vec<Value> = metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [[dimension.name]], "Metrics": named});
    fields.insert("_aws".to_owned(), json!({"Timestamp": at, "CloudWatchMetrics": [directive]}));
    fields.insert(dimension.name.clone(), json!(dimension.value));
    for metric in metrics {
        fields.insert(metric.name.to_owned(), json!(metric.value));
    }
    Value::Object(fields).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_directive_is_a_field_of_the_line() {
        let dimension = Dimension { name: "AutoScalingGroupName".to_owned(), value: "web".to_owned() };
        let metrics = [Metric { name: "StepFailures", unit: "Count", value: 2 }];
        let line = line(1_700_000_000_000, &dimension, &metrics, Map::from_iter([("instance".to_owned(), json!("i-1"))]));
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], NAMESPACE);
        for name in directive["Dimensions"][0].as_array().unwrap() {
            assert_eq!(line[name.as_str().unwrap()], "web");
        }
        assert_eq!(line[directive["Metrics"][0]["Name"].as_str().unwrap()], 2);
        assert_eq!((&line["instance"], &line["_aws"]["Timestamp"]), (&json!("i-1"), &json!(1_700_000_000_000_i64)));
    }
}
