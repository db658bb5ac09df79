//! The run's own events on their way to the log service: a listener like any other, flushed before the last word.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::event::{Event, Listener, Stamped, Teller};
use crate::host::aws::Aws;
use crate::host::state::StateFolder;
use crate::lifecycle::LogFlush;
use crate::logs::settings::LogSettings;
use crate::logs::{Plan, Shipper};
use crate::secret::Redactor;

/// Ships until it is closed; nothing it does fails a run.
pub struct Shipping(Mutex<Option<Arc<Shipper>>>);

impl Shipping {
    /// Nobody ships anything.
    #[must_use]
    pub fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Begins to ship the playbook's sources, and what the run says from now on.
    #[must_use]
    pub fn start(
        settings: LogSettings,
        instance: &str,
        aws: &Aws,
        state: &StateFolder,
        redactor: &Redactor,
        teller: &Teller,
    ) -> Arc<Self> {
        let telling = teller.clone();
        let plan = Plan {
            settings,
            stream: instance.to_owned(),
            service: Arc::new(aws.clone()),
            retry: aws.retry().clone(),
            state: state.clone(),
            redactor: redactor.clone(),
            say: Arc::new(move |text| telling.notice(text)),
        };
        let shipping = Arc::new(Self(Mutex::new(Some(Arc::new(Shipper::start(plan))))));
        teller.add(shipping.clone());
        shipping
    }

    /// Ships what there is for at most this long, then no more.
    pub fn close(&self, limit: Duration) {
        self.flush(limit);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The shipper itself, so that nobody who has a line waits for one who flushes.
    fn shipper(&self) -> Option<Arc<Shipper>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Listener for Shipping {
    fn hear(&self, stamped: &Stamped) {
        let event = match &stamped.event {
            // Contents of files belong to the files.
            Event::Change { step, text, applying, .. } => {
                Event::Change { step: *step, text: text.clone(), diff: None, applying: *applying }
            }
            other => other.clone(),
        };
        if let Ok(line) = serde_json::to_string(&Stamped { at: stamped.at, event }) {
            self.line(stamped.at, line);
        }
    }
}

impl LogFlush for Shipping {
    fn line(&self, at: i64, text: String) {
        if let Some(shipper) = self.shipper() {
            shipper.line(at, &text);
        }
    }

    fn flush(&self, limit: Duration) {
        if let Some(shipper) = self.shipper() {
            shipper.flush(limit);
        }
    }
}
