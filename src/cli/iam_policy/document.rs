//! A policy as IAM reads it, made of permissions.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::host::aws::{Permission, Place, Resource};

/// A policy document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    statement: Vec<Statement>,
    #[serde(skip)]
    place: Place,
    /// What some statement allows already: a second one would be a statement that nobody misses.
    #[serde(skip)]
    allowed: BTreeSet<Permission>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: BTreeSet<&'static str>,
    resource: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<serde_json::Value>,
}

impl Document {
    /// One that allows nothing yet.
    pub fn new(place: Place) -> Self {
        Self { version: "2012-10-17", statement: Vec::new(), place, allowed: BTreeSet::new() }
    }

    /// Allows these, for this purpose, as far as they are not allowed yet.
    pub fn allow(&mut self, purpose: &str, permissions: impl IntoIterator<Item = Permission>) {
        for permission in permissions {
            if !self.allowed.insert(permission.clone()) {
                continue;
            }
            let condition = match &permission.resource {
                Resource::Listing { prefix, .. } => {
                    Some(serde_json::json!({ "StringLike": { "s3:prefix": [format!("{prefix}*")] } }))
                }
                _ => None,
            };
            self.add(purpose, permission.action, permission.resource.arn(&self.place), condition);
        }
    }

    /// Allows using these keys, through these services only.
    pub fn allow_decryption(&mut self, keys: &[String], services: &[&str]) {
        let domain = if self.place.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let via: Vec<String> = services.iter().map(|service| format!("{service}.{}.{domain}", self.place.region)).collect();
        let condition = serde_json::json!({ "StringEquals": { "kms:ViaService": via } });
        for key in keys {
            let key = if key.starts_with("arn:") {
                key.clone()
            } else {
                let Place { partition, region, account } = &self.place;
                format!("arn:{partition}:kms:{region}:{account}:key/{key}")
            };
            self.add("UseKeys", "kms:Decrypt", key, Some(condition.clone()));
        }
    }

    /// Whether it allows something of this sort.
    pub fn allows(&self, sort: impl Fn(&Permission) -> bool) -> bool {
        self.allowed.iter().any(sort)
    }

    /// Within one purpose, what concerns the same resources is one statement, and so is one action on several.
    fn add(&mut self, purpose: &str, action: &'static str, resource: String, condition: Option<serde_json::Value>) {
        let serves = |statement: &Statement| statement.sid.trim_end_matches(char::is_numeric) == purpose;
        let count = self.statement.iter().filter(|statement| serves(statement)).count();
        let fits = |statement: &&mut Statement| {
            let is_same = serves(statement) && statement.condition == condition;
            is_same && (statement.action.iter().eq([&action]) || statement.resource.iter().eq([&resource]))
        };
        if let Some(statement) = self.statement.iter_mut().find(fits) {
            statement.action.insert(action);
            statement.resource.insert(resource);
            return;
        }
        let sid = if count == 0 { purpose.to_owned() } else { format!("{purpose}{}", count + 1) };
        self.statement.push(Statement { sid, effect: "Allow", action: [action].into(), resource: [resource].into(), condition });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_twice_and_nothing_more_than_was_asked_for() {
        let place = Place { partition: "aws".into(), region: "r".into(), account: "1".into() };
        let mut document = Document::new(place);
        let group = |name: &str| Resource::LogGroup(name.into());
        document.allow("Playbook", [Permission::to_read("b", "p")]);
        document.allow("Objects", [Permission::to_read("b", "p"), Permission::to_read("b", "q"), Permission::to_read("b", "r")]);
        document.allow("Logs", [Permission::new("logs:A", group("/x")), Permission::new("logs:B", group("/x"))]);
        document.allow("Logs", [Permission::new("logs:A", group("/y"))]);
        let text = serde_json::to_value(&document).unwrap();
        let of = |at: usize| (text["Statement"][at]["Sid"].as_str().unwrap(), text["Statement"][at]["Action"].to_string());
        let sids: Vec<&str> = (0..4).map(|at| of(at).0).collect();
        assert_eq!(sids, ["Playbook", "Objects", "Logs", "Logs2"], "{text:#}");
        assert_eq!(text["Statement"][1]["Resource"], serde_json::json!(["arn:aws:s3:::b/q", "arn:aws:s3:::b/r"]));
        // One statement with both actions on both groups would allow `B` on `/y`.
        assert_eq!((of(2).1.as_str(), of(3).1.as_str()), ("[\"logs:A\",\"logs:B\"]", "[\"logs:A\"]"));
    }

    #[test]
    fn keys_are_for_those_services_and_lists_for_those_names() {
        let place = Place { partition: "aws-cn".into(), region: "r".into(), account: "1".into() };
        let mut document = Document::new(place);
        document.allow_decryption(&["arn:aws-cn:kms:r:1:key/a".into(), "b".into()], &["ssm", "s3"]);
        document
            .allow("Steps", [Permission::new("s3:ListBucket", Resource::Listing { bucket: "b".into(), prefix: "s/".into() })]);
        let text = serde_json::to_value(&document).unwrap();
        let keys = serde_json::json!(["arn:aws-cn:kms:r:1:key/a", "arn:aws-cn:kms:r:1:key/b"]);
        assert_eq!(text["Statement"][0]["Resource"], keys);
        let via = serde_json::json!(["ssm.r.amazonaws.com.cn", "s3.r.amazonaws.com.cn"]);
        assert_eq!(text["Statement"][0]["Condition"]["StringEquals"]["kms:ViaService"], via);
        assert_eq!(text["Statement"][1]["Condition"]["StringLike"]["s3:prefix"], serde_json::json!(["s/*"]));
    }
}
