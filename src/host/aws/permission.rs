//! What a role must be allowed: actions on resources, as policies name them. Whoever makes a call says here what it takes.

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// As in a policy: `s3:GetObject`.
    pub action: &'static str,
    /// On what.
    pub resource: Resource,
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A parameter, or a path of them.
    Parameter(String),
    /// A secret of Secrets Manager.
    Secret(String),
    /// An object in S3; a `*` in the key stands for anything.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The names of objects in a bucket that begin like this.
    Listing {
        /// The bucket.
        bucket: String,
        /// How the names begin.
        prefix: String,
    },
    /// A log group with its streams.
    LogGroup(String),
    /// An Auto Scaling group; any of them where its name is not known.
    Group(Option<String>),
    /// What the service does not divide.
    Any,
}

/// Whose resources they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Permission {
    /// This action on this resource.
    #[must_use]
    pub fn new(action: &'static str, resource: Resource) -> Self {
        Self { action, resource }
    }

    /// Reading one object.
    #[must_use]
    pub fn to_read(bucket: &str, key: &str) -> Self {
        Self::new("s3:GetObject", Resource::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl Resource {
    /// Its name in a policy.
    #[must_use]
    pub fn arn(&self, place: &Place) -> String {
        let Place { partition, region, account } = place;
        let of = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
        match self {
            // One of another account is named as a whole already.
            Self::Parameter(name) => match name.split_once(":parameter/").filter(|_| name.starts_with("arn:")) {
                Some((whose, name)) => format!("{whose}:parameter/{}", without_selector(name)),
                None => of("ssm", &format!("parameter/{}", without_selector(name).trim_start_matches('/'))),
            },
            // Six characters of its own choice end a secret's name.
            Self::Secret(name) if name.starts_with("arn:") => name.clone(),
            Self::Secret(name) => of("secretsmanager", &format!("secret:{name}-??????")),
            Self::Object { bucket, key } => format!("arn:{partition}:s3:::{bucket}/{key}"),
            Self::Listing { bucket, .. } => format!("arn:{partition}:s3:::{bucket}"),
            Self::LogGroup(name) => of("logs", &format!("log-group:{name}:*")),
            Self::Group(name) => {
                let name = name.as_deref().unwrap_or("*");
                of("autoscaling", &format!("autoScalingGroup:*:autoScalingGroupName/{name}"))
            }
            Self::Any => "*".to_owned(),
        }
    }
}

/// A parameter's name without version or label.
fn without_selector(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_the_services_name_them() {
        let place = Place { partition: "aws".into(), region: "eu-west-1".into(), account: "123456789012".into() };
        let named = |resource: Resource| resource.arn(&place);
        for (name, arn) in [
            ("/a/b:3", "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b"),
            ("plain", "arn:aws:ssm:eu-west-1:123456789012:parameter/plain"),
            ("arn:aws:ssm:us-east-1:1:parameter/a/b:3", "arn:aws:ssm:us-east-1:1:parameter/a/b"),
        ] {
            assert_eq!(named(Resource::Parameter(name.into())), arn);
        }
        assert_eq!(named(Resource::Secret("db".into())), "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????");
        assert_eq!(named(Resource::LogGroup("/a".into())), "arn:aws:logs:eu-west-1:123456789012:log-group:/a:*");
        assert_eq!(Permission::to_read("b", "k/*").resource.arn(&place), "arn:aws:s3:::b/k/*");
        let group = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/";
        assert_eq!(named(Resource::Group(Some("g".into()))), format!("{group}g"));
        assert_eq!(named(Resource::Group(None)), format!("{group}*"));
    }
}
