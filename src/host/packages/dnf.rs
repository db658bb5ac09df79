//! Changing what is installed with dnf.

use crate::error::Result;
use crate::host::Host;
use crate::host::programs::Invocation;

use super::failure;

impl Host {
    /// Fetches what this one repository has.
    pub(super) fn make_cache(&self, repository: &str) -> Result<()> {
        let asked = Invocation::new("dnf", &["--assumeyes", "--quiet", "makecache", "--refresh", "--repo", repository]);
        let output = self.ask(&asked)?;
        if output.success() {
            return Ok(());
        }
        Err(failure::of("fetching the package lists", &output, &self.world.options.redactor))
    }
}
