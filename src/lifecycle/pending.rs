//! A verdict that could not be said is said by the next run of any kind.

use std::time::Duration;

use super::{Line, StoredVerdict, Told, report};
use crate::error::Result;
use crate::host::aws::Verdict;

/// A timer's run has other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says the verdict that waits on disk, if one does. For runs that decide none; a boot run decides anew and replaces it.
///
/// # Errors
/// When the state cannot be read or written.
pub fn send_pending(line: &Line) -> Result<Option<(Verdict, Told)>> {
    let Some(mut stored) = StoredVerdict::read(line)?.filter(|stored| !stored.settled && stored.is_due()) else {
        return Ok(None);
    };
    // The hook was never found: nobody knows whom to tell, and only a boot run looks.
    let Some(hook) = stored.addressee() else { return Ok(None) };
    let told = report(line, &hook, stored.verdict, line.now() + PATIENCE);
    stored.settled = told.is_settled();
    stored.write(line)?;
    Ok(Some((stored.verdict, told)))
}
