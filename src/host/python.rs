//! Python environments: what is in one, and how one is made.
