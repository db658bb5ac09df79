//! The SSH host keys that GitHub, GitLab and Bitbucket publish, so that nobody has to accept one blindly.
//!
//! Each stands beside the fingerprint its owner publishes; a test computes the fingerprint of every key and compares.

/// A key a server may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256` or `ssh-rsa`.
    pub algorithm: &'static str,
    /// The public key as in `known_hosts`, in base64.
    pub key: &'static str,
    /// Its published fingerprint, without `SHA256:`.
    pub fingerprint: &'static str,
}

/// A server and all keys it may show.
#[derive(Debug, Clone, Copy)]
pub struct KnownHost {
    /// Its name.
    pub host: &'static str,
    /// Its keys, the best first.
    pub keys: &'static [HostKey],
}

/// Every server whose keys are built in.
pub const KNOWN_HOSTS: &[KnownHost] = &[
    KnownHost {
        host: "github.com",
        keys: &[
            HostKey {
                algorithm: "ssh-ed25519",
                key: "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
                fingerprint: "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            },
            HostKey {
                algorithm: "ecdsa-sha2-nistp256",
                key: "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=",
                fingerprint: "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            },
            HostKey {
                algorithm: "ssh-rsa",
                key: "AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=",
                fingerprint: "uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
            },
        ],
    },
    KnownHost {
        host: "gitlab.com",
        keys: &[
            HostKey {
                algorithm: "ssh-ed25519",
                key: "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
                fingerprint: "eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
            },
            HostKey {
                algorithm: "ecdsa-sha2-nistp256",
                key: "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFSMqzJeV9rUzU4kWitGjeR4PWSa29SPqJ1fVkhtj3Hw9xjLVXVYrU9QlYWrOLXBpQ6KWjbjTDTdDkoohFzgbEY=",
                fingerprint: "HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
            },
            HostKey {
                algorithm: "ssh-rsa",
                key: "AAAAB3NzaC1yc2EAAAADAQABAAABAQCsj2bNKTBSpIYDEGk9KxsGh3mySTRgMtXL583qmBpzeQ+jqCMRgBqB98u3z++J1sKlXHWfM9dyhSevkMwSbhoR8XIq/U0tCNyokEi/ueaBMCvbcTHhO7FcwzY92WK4Yt0aGROY5qX2UKSeOvuP4D6TPqKF1onrSzH9bx9XUf2lEdWT/ia1NEKjunUqu1xOB/StKDHMoX4/OKyIzuS0q/T1zOATthvasJFoPrAjkohTyaDUz2LN5JoH839hViyEG82yB+MjcFV5MU3N1l1QL3cVUCh93xSaua1N85qivl+siMkPGbO5xR/En4iEY6K2XPASUEMaieWVNTRCtJ4S8H+9",
                fingerprint: "ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ",
            },
        ],
    },
    KnownHost {
        host: "bitbucket.org",
        keys: &[
            HostKey {
                algorithm: "ssh-ed25519",
                key: "AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO",
                fingerprint: "ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
            },
            HostKey {
                algorithm: "ecdsa-sha2-nistp256",
                key: "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPIQmuzMBuKdWeF4+a2sjSSpBK0iqitSQ+5BM9KhpexuGt20JpTVM7u5BDZngncgrqDMbWdxMWWOGtZ9UgbqgZE=",
                fingerprint: "FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
            },
            HostKey {
                algorithm: "ssh-rsa",
                key: "AAAAB3NzaC1yc2EAAAADAQABAAABgQDQeJzhupRu0u0cdegZIa8e86EG2qOCsIsD1Xw0xSeiPDlCr7kq97NLmMbpKTX6Esc30NuoqEEHCuc7yWtwp8dI76EEEB1VqY9QJq6vk+aySyboD5QF61I/1WeTwu+deCbgKMGbUijeXhtfbxSxm6JwGrXrhBdofTsbKRUsrN1WoNgUa8uqN1Vx6WAJw1JHPhglEGGHea6QICwJOAr/6mrui/oB7pkaWKHj3z7d1IC4KWLtY47elvjbaTlkN04Kc/5LFEirorGYVbt15kAUlqGM65pk6ZBxtaO3+30LVlORZkxOh+LKL/BvbZ/iRNhItLqNyieoQj/uh/7Iv4uyH/cV/0b4WDSd3DptigWq84lJubb9t/DnZlrJazxyDCulTmKdOR7vs9gMTo+uoIrPSb8ScTtvw65+odKAlBj59dhnVp9zd7QUojOpXlL62Aw56U4oO+FALuevvMjiWeavKhJqlR7i5n9srYcrNV7ttmDw7kf/97P5zauIhxcjX+xHv4M=",
                fingerprint: "46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E",
            },
        ],
    },
];

/// The built-in keys of this server.
#[must_use]
pub fn of(host: &str) -> Option<&'static [HostKey]> {
    KNOWN_HOSTS.iter().find(|known| known.host.eq_ignore_ascii_case(host)).map(|known| known.keys)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn every_key_has_the_fingerprint_its_owner_publishes() {
        let mut seen = 0;
        for known in KNOWN_HOSTS {
            for key in known.keys {
                let blob = STANDARD.decode(key.key).unwrap();
                assert_eq!(
                    STANDARD_NO_PAD.encode(sha2::Sha256::digest(&blob)),
                    key.fingerprint,
                    "{} {}",
                    known.host,
                    key.algorithm
                );
                let name = blob.get(4..4 + key.algorithm.len()).unwrap();
                assert_eq!(name, key.algorithm.as_bytes());
                seen += 1;
            }
        }
        assert_eq!(seen, 9);
        assert!(of("GitHub.com").is_some() && of("github.org").is_none());
    }
}
