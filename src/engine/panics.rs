//! A panic is a failure that is told like any other: not printed by the runtime, but kept for whoever catches it.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics print nothing by themselves; their place is kept.
pub fn catch() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place, "panic");
        PLACE.with(|kept| *kept.borrow_mut() = place);
    }));
}

/// What a caught panic said, and where.
#[must_use]
pub fn describe(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    match PLACE.with(|kept| kept.borrow_mut().take()) {
        Some(place) => format!("{said} (at {place})"),
        None => said,
    }
}
