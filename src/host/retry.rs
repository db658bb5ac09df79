//! Trying again with full jitter behind one process-wide throttle gate.
