//! Where homes are, as far as it can be told before the run: some steps touch files in the home of a user whom they know by name only,
//! and order follows from paths.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::step::{Thing, Touches};

/// Home directories by user.
#[derive(Debug, Default)]
pub struct Homes(HashMap<String, PathBuf>);

impl Homes {
    /// What the steps of the playbook say, and for everybody else the accounts of this machine.
    #[must_use]
    pub fn gather(touches: &[Option<Touches>], accounts: HashMap<String, PathBuf>) -> Self {
        let told = touches.iter().flatten().flat_map(|touches| touches.homes.iter().cloned());
        Self(accounts.into_iter().chain(told).collect())
    }

    /// The same with paths in place of what is only known to be in somebody's home.
    #[must_use]
    pub fn locate(&self, mut touches: Touches) -> Touches {
        for thing in touches.reads.iter_mut().chain(&mut touches.writes) {
            if let Thing::InHome(user, below) = thing {
                *thing = Thing::Path(self.of(user).join(below).components().collect());
            }
        }
        touches
    }

    fn of(&self, user: &str) -> PathBuf {
        // Where homes are by custom: the account is still to be made, by something that does not say where.
        let custom = || if user == "root" { "/root".into() } else { Path::new("/home").join(user) };
        self.0.get(user).cloned().unwrap_or_else(custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_playbook_comes_before_the_machine_and_the_machine_before_custom() {
        let accounts = [("deploy", "/home/old"), ("root", "/root"), ("worker", "/srv/worker")];
        let accounts = accounts.map(|(user, home)| (user.to_owned(), home.into())).into_iter().collect();
        let homes = Homes::gather(&[None, Some(Touches::nothing().home("deploy", "/srv/deploy"))], accounts);
        let keys = |user: &str| match &homes.locate(Touches::nothing().write_in_home(user, ".ssh/authorized_keys")).writes[..] {
            [Thing::Path(path)] => path.display().to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(keys("deploy"), "/srv/deploy/.ssh/authorized_keys");
        assert_eq!(keys("worker"), "/srv/worker/.ssh/authorized_keys");
        assert_eq!(keys("root"), "/root/.ssh/authorized_keys");
        assert_eq!(keys("new"), "/home/new/.ssh/authorized_keys");
    }
}
