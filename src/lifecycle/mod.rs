//! The Auto Scaling lifecycle hook: decide, write it down, flush the logs, report it, retry the report.
