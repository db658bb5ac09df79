//! What Ansible has found out about a machine, in the names of ours.

/// The fact in our words; `None` where we do not know it.
#[must_use]
pub fn named(root: &str, path: &[String]) -> Option<String> {
    let (fact, rest) = if root == "ansible_facts" {
        let (first, rest) = path.split_first()?;
        (format!("ansible_{}", first.trim_start_matches("ansible_")), rest)
    } else {
        (root.to_owned(), path)
    };
    let ours = match (fact.as_str(), rest) {
        ("ansible_distribution_release" | "ansible_lsb", []) => "os.codename",
        ("ansible_lsb", [field]) if field == "codename" => "os.codename",
        ("ansible_distribution_version", []) => "os.version",
        ("ansible_distribution_major_version", []) => "(os.version | split(\".\") | first)",
        ("ansible_distribution", []) => "(os.id | capitalize)",
        ("ansible_os_family", []) => "(\"Debian\" if os.id in [\"debian\", \"ubuntu\"] else \"RedHat\")",
        ("ansible_architecture", []) => "os.arch",
        ("ansible_hostname" | "inventory_hostname" | "inventory_hostname_short" | "ansible_nodename" | "ansible_fqdn", []) => {
            "os.hostname"
        }
        ("ansible_ec2_instance_id", []) => "instance.id",
        ("ansible_ec2_instance_type", []) => "instance.type",
        ("ansible_ec2_placement_region", []) => "instance.region",
        ("ansible_ec2_placement_availability_zone", []) => "instance.az",
        ("ansible_ec2_local_ipv4", []) => "instance.local_ip",
        ("ansible_default_ipv4", [field]) if field == "address" => "instance.local_ip",
        _ => return None,
    };
    Some(ours.to_owned())
}

/// A fact compared with one of the values Ansible gives it.
#[must_use]
pub fn compared(root: &str, path: &[String], value: &str) -> Option<String> {
    let fact = match (root, path) {
        ("ansible_facts", [fact]) => fact.trim_start_matches("ansible_"),
        (root, []) => root.strip_prefix("ansible_")?,
        _ => return None,
    };
    let value = value.to_ascii_lowercase();
    Some(match (fact, value.as_str()) {
        ("os_family", "debian") | ("pkg_mgr", "apt") => "os.id in [\"debian\", \"ubuntu\"]".to_owned(),
        ("os_family", "redhat") | ("pkg_mgr", "dnf" | "yum") => {
            "os.id in [\"amzn\", \"fedora\", \"rhel\", \"centos\", \"rocky\", \"almalinux\"]".to_owned()
        }
        ("os_family", _) => "false".to_owned(),
        ("distribution", "amazon") => "os.id == \"amzn\"".to_owned(),
        ("distribution", "redhat") => "os.id == \"rhel\"".to_owned(),
        ("distribution", other) => format!("os.id == \"{other}\""),
        ("service_mgr", "systemd") | ("system", "linux") => "true".to_owned(),
        _ => return None,
    })
}
