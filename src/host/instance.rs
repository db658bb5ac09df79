//! Which instance this is, from the metadata service (IMDSv2 only).
