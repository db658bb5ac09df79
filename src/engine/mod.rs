//! Carries out a playbook: order, check, apply, check again; what happens is told as [`event::Event`]s.

pub mod event;
