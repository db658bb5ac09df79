//! A policy as IAM reads it, made of permissions.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

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
    condition: Option<Value>,
}

impl Document {
    /// One that allows nothing yet.
    pub fn new(place: Place) -> Self {
        Self { version: "2012-10-17", statement: Vec::new(), place, allowed: BTreeSet::new() }
    }

    /// Allows these, for this purpose, as far as they are not allowed yet.
    pub fn allow(&mut self, purpose: &str, permissions: impl IntoIterator<Item = Permission>) {
        let mut asked: Vec<Asked> = Vec::new();
        for permission in permissions {
            if !self.allowed.insert(permission.clone()) {
                continue;
            }
            let condition = match &permission.resource {
                Resource::Listing { prefix, .. } => Some(json!({ "StringLike": { "s3:prefix": [format!("{prefix}*")] } })),
                _ => None,
            };
            let resource = permission.resource.arn(&self.place);
            match asked.iter_mut().find(|one| one.actions.contains(permission.action) && one.condition == condition) {
                Some(one) => _ = one.resources.insert(resource),
                None => asked.push(Asked { actions: [permission.action].into(), resources: [resource].into(), condition }),
            }
        }
        self.add(purpose, asked);
    }

    /// Allows using these keys, through these services only.
    pub fn allow_decryption(&mut self, keys: &[String], services: &[&str]) {
        let domain = if self.place.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let via: Vec<String> = services.iter().map(|service| format!("{service}.{}.{domain}", self.place.region)).collect();
        let condition = Some(json!({ "StringEquals": { "kms:ViaService": via } }));
        let Place { partition, region, account } = &self.place;
        let arn = |key: &String| {
            if key.starts_with("arn:") { key.clone() } else { format!("arn:{partition}:kms:{region}:{account}:key/{key}") }
        };
        let resources = keys.iter().map(arn).collect();
        self.add("UseKeys", vec![Asked { actions: ["kms:Decrypt"].into(), resources, condition }]);
    }

    /// Whether it allows something of this sort.
    pub fn allows(&self, sort: impl Fn(&Permission) -> bool) -> bool {
        self.allowed.iter().any(sort)
    }

    /// What concerns the same resources is one statement; nothing else is, because it would allow more than was asked for.
    fn add(&mut self, purpose: &str, asked: Vec<Asked>) {
        let mut merged: Vec<Asked> = Vec::new();
        for one in asked {
            match merged.iter_mut().find(|other| other.resources == one.resources && other.condition == one.condition) {
                Some(other) => other.actions.extend(one.actions),
                None => merged.push(one),
            }
        }
        for (number, Asked { actions, resources, condition }) in merged.into_iter().enumerate() {
            let sid = if number == 0 { purpose.to_owned() } else { format!("{purpose}{}", number + 1) };
            self.statement.push(Statement { sid, effect: "Allow", action: actions, resource: resources, condition });
        }
    }
}

/// Actions on resources, on the way into a statement.
struct Asked {
    actions: BTreeSet<&'static str>,
    resources: BTreeSet<String>,
    condition: Option<Value>,
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
        let logs = [("logs:A", "/x"), ("logs:B", "/x"), ("logs:A", "/y"), ("logs:C", "/x")];
        document.allow("Logs", logs.map(|(action, name)| Permission::new(action, group(name))));
        let text = serde_json::to_value(&document).unwrap();
        let of = |at: usize| (text["Statement"][at]["Sid"].as_str().unwrap(), text["Statement"][at]["Action"].to_string());
        let sids: Vec<&str> = (0..4).map(|at| of(at).0).collect();
        assert_eq!(sids, ["Playbook", "Objects", "Logs", "Logs2"], "{text:#}");
        assert_eq!(text["Statement"][1]["Resource"], json!(["arn:aws:s3:::b/q", "arn:aws:s3:::b/r"]));
        // One statement with all actions on both groups would allow `B` on `/y`.
        assert_eq!((of(2).1.as_str(), of(3).1.as_str()), ("[\"logs:A\"]", "[\"logs:B\",\"logs:C\"]"));
    }

    #[test]
    fn keys_are_for_those_services_and_lists_for_those_names() {
        let place = Place { partition: "aws-cn".into(), region: "r".into(), account: "1".into() };
        let mut document = Document::new(place);
        document.allow_decryption(&["arn:aws-cn:kms:r:1:key/a".into(), "b".into()], &["ssm", "s3"]);
        document
            .allow("Steps", [Permission::new("s3:ListBucket", Resource::Listing { bucket: "b".into(), prefix: "s/".into() })]);
        let text = serde_json::to_value(&document).unwrap();
        let keys = json!(["arn:aws-cn:kms:r:1:key/a", "arn:aws-cn:kms:r:1:key/b"]);
        assert_eq!(text["Statement"][0]["Resource"], keys);
        let via = json!(["ssm.r.amazonaws.com.cn", "s3.r.amazonaws.com.cn"]);
        assert_eq!(text["Statement"][0]["Condition"]["StringEquals"]["kms:ViaService"], via);
        assert_eq!(text["Statement"][1]["Condition"]["StringLike"]["s3:prefix"], json!(["s/*"]));
    }
}
