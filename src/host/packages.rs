//! Installed packages and how to change them: apt.
