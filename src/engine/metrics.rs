//! What a run tells `CloudWatch` in numbers: how long the bootstrap took, how many steps failed, how far the machine had drifted.
//! As a log line in the embedded metric format, so that it needs no call of its own.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::event::{Event, Stamped};
use crate::logs::emf::{Dimension, Metric, line};

/// Hears the first word of a run, and makes the line of the last one.
#[derive(Debug, Default)]
pub struct RunMetrics {
    playbook: String,
    trigger: String,
    /// The steps that found something changed.
    differing: BTreeSet<usize>,
}

impl RunMetrics {
    /// The line, when this was the last word.
    pub fn hear(&mut self, stamped: &Stamped) -> Option<String> {
        match &stamped.event {
            Event::RunStarted { playbook, trigger, .. } => {
                self.playbook.clone_from(playbook);
                self.trigger.clone_from(trigger);
                self.differing.clear();
                None
            }
            Event::Change { step, routine: false, .. } => {
                self.differing.insert(*step);
                None
            }
            Event::RunFinished { run, failed, milliseconds, .. } => {
                let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
                let mut metrics = vec![Metric { name: "StepFailures", unit: "Count", value: count(*failed) }];
                match self.trigger.as_str() {
                    "boot" => metrics.push(Metric { name: "BootstrapDuration", unit: "Milliseconds", value: *milliseconds }),
                    // What a timer run repairs, or would if it might, had drifted since the run before it.
                    "timer" => metrics.push(Metric { name: "Drift", unit: "Count", value: count(self.differing.len()) }),
                    _ => {}
                }
                let dimension = Dimension { name: "Playbook".to_owned(), value: self.playbook.clone() };
                let properties = Map::from_iter([("run".to_owned(), json!(run)), ("trigger".to_owned(), json!(self.trigger))]);
                Some(line(stamped.at, &dimension, &metrics, properties))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn of(trigger: &str) -> Value {
        let mut metrics = RunMetrics::default();
        let started = Event::RunStarted {
            run: "r".into(),
            playbook: "shop".into(),
            playbook_digest: String::new(),
            version: String::new(),
            trigger: trigger.into(),
            dry_run: false,
            steps: 3,
        };
        assert_eq!(metrics.hear(&Stamped { at: 1, event: started }), None);
        for (step, applying, routine) in [(1, true, false), (1, true, false), (2, true, true), (3, false, false)] {
            let event = Event::Change { step, text: "change it".into(), diff: None, applying, routine };
            assert_eq!(metrics.hear(&Stamped { at: 2, event }), None);
        }
        let finished = Event::RunFinished {
            run: "r".into(),
            converged: false,
            changed: 2,
            failed: 1,
            unknown: 0,
            interrupted: None,
            milliseconds: 1234,
        };
        serde_json::from_str(&metrics.hear(&Stamped { at: 7, event: finished }).unwrap()).unwrap()
    }

    #[test]
    fn each_trigger_has_its_metrics() {
        let boot = of("boot");
        assert_eq!((&boot["BootstrapDuration"], &boot["StepFailures"], &boot["Drift"]), (&json!(1234), &json!(1), &Value::Null));
        assert_eq!((&boot["Playbook"], &boot["_aws"]["Timestamp"]), (&json!("shop"), &json!(7)));
        let timer = of("timer");
        assert_eq!((&timer["BootstrapDuration"], &timer["Drift"]), (&Value::Null, &json!(2)));
        assert_eq!(of("manual")["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 1);
    }
}
