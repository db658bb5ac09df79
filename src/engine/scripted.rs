//! Steps that do what a test tells them: the scheduler's rules are tested on these.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::event::{Event, Listener, Stamped, Teller};
use super::horizon::Horizon;
use super::job::{About, Job};
use super::locks::Locks;
use super::scheduler::{Report, Scheduler, Setting};
use super::stop::Stop;
use crate::error::{Error, Result};
use crate::host::aws::Aws;
use crate::host::documents::Beside;
use crate::host::{Facts, Host, World, WorldOptions};
use crate::playbook::{Rendered, Scope, Wanted};
use crate::secret::Redactor;
use crate::step::{Finding, Patience, Step, Touches};

type Check = Arc<dyn Fn(&Facts, u32) -> Result<Finding<String>> + Send + Sync>;
type Apply = Arc<dyn Fn(&Host, u32) -> Result<()> + Send + Sync>;

/// A step and what it does.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct Script {
    #[serde(skip)]
    #[schemars(skip)]
    about: About,
    #[serde(skip)]
    #[schemars(skip)]
    inner: Inner,
}

#[derive(Clone)]
struct Inner {
    touches: Option<Touches>,
    rendered_touches: Touches,
    wanted: Wanted,
    unknown: Option<String>,
    check: Check,
    apply: Apply,
    patience: Patience,
    rechecked: bool,
    looks: Arc<AtomicU32>,
    applied: Arc<AtomicU32>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            touches: Some(Touches::nothing()),
            rendered_touches: Touches::nothing(),
            wanted: Wanted::Yes,
            unknown: None,
            check: Arc::new(|_, _| Ok(Finding::done())),
            apply: Arc::new(|_, _| Ok(())),
            patience: Patience::default(),
            rechecked: true,
            looks: Arc::default(),
            applied: Arc::default(),
        }
    }
}

/// One change of this name.
pub fn differs(text: &str) -> Finding<String> {
    let mut finding = Finding::done();
    finding.change(text.to_owned());
    finding
}

impl Script {
    /// Has nothing to do and waits for nobody.
    pub fn new(id: &str) -> Self {
        let about = About {
            id: Some(id.to_owned()),
            label: id.to_owned(),
            kind: "scripted",
            needs: Some(Vec::new()),
            place: "playbook.yaml:1:1".into(),
            ..About::default()
        };
        Self { about, inner: Inner::default() }
    }

    /// What its common keys say.
    pub fn about(mut self, tell: impl FnOnce(&mut About)) -> Self {
        tell(&mut self.about);
        self
    }

    /// Waits for these.
    pub fn needs(self, ids: &[&str]) -> Self {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.about(|about| about.needs = Some(ids))
    }

    /// Differs until it is applied.
    pub fn pending(self) -> Self {
        let applied = self.inner.applied.clone();
        self.check(move |_, _| if applied.load(Ordering::SeqCst) == 0 { Ok(differs("make it so")) } else { Ok(Finding::done()) })
    }

    /// The nth look (from 1) answers this.
    pub fn check(mut self, check: impl Fn(&Facts, u32) -> Result<Finding<String>> + Send + Sync + 'static) -> Self {
        self.inner.check = Arc::new(check);
        self
    }

    /// The nth apply (from 1) does this.
    pub fn apply(mut self, apply: impl Fn(&Host, u32) -> Result<()> + Send + Sync + 'static) -> Self {
        self.inner.apply = Arc::new(apply);
        self
    }

    pub fn touches(mut self, touches: Touches) -> Self {
        self.inner.rendered_touches = touches.clone();
        self.inner.touches = Some(touches);
        self
    }

    /// Cannot say before the run what it touches.
    pub fn unclear(mut self) -> Self {
        self.inner.touches = None;
        self
    }

    pub fn wanted(mut self, wanted: Wanted) -> Self {
        self.inner.wanted = wanted;
        self
    }

    /// Uses the output of this step, which is not known.
    pub fn uses_unknown(mut self, id: &str) -> Self {
        self.about.uses.push(id.to_owned());
        self.inner.unknown = Some(format!("`steps.{id}.commit` is not known"));
        self
    }

    pub fn patience(mut self, within: u64, every: u64) -> Self {
        let span = Duration::from_millis;
        self.inner.patience = Patience { within: span(within), every: span(every), hold: Duration::ZERO };
        self
    }

    /// Must stay so for as many milliseconds.
    pub fn holds(mut self, hold: u64) -> Self {
        self.inner.patience =
            Patience { every: Duration::from_millis(5), hold: Duration::from_millis(hold), ..Patience::default() };
        self
    }

    /// Is not checked after the apply.
    pub fn always(mut self) -> Self {
        self.inner.rechecked = false;
        self.check(|_, _| Ok(differs("run it")))
    }

    pub fn may_fail(self) -> Self {
        self.about(|about| about.may_fail = true)
    }

    /// How often it was looked at, and applied.
    pub fn counts(&self) -> impl Fn() -> (u32, u32) + use<> {
        let (looks, applied) = (self.inner.looks.clone(), self.inner.applied.clone());
        move || (looks.load(Ordering::SeqCst), applied.load(Ordering::SeqCst))
    }
}

impl Step for Script {
    const KIND: &'static str = "scripted";
    const EXAMPLE: &'static str = "";
    type Change = String;

    fn touches(&self) -> Touches {
        self.inner.rendered_touches.clone()
    }

    fn check(&self, facts: &Facts) -> Result<Finding<String>> {
        (self.inner.check)(facts, self.inner.looks.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn apply(&self, _: &String, host: &Host) -> Result<()> {
        let nth = self.inner.applied.load(Ordering::SeqCst) + 1;
        let answer = (self.inner.apply)(host, nth);
        self.inner.applied.store(nth, Ordering::SeqCst);
        answer
    }

    fn evidence(&self, _: &Facts) -> Vec<String> {
        vec![format!("the last words of {}", self.about.label)]
    }

    fn patience(&self) -> Patience {
        self.inner.patience
    }

    fn is_rechecked(&self) -> bool {
        self.inner.rechecked
    }
}

impl Job for Script {
    fn about(&self) -> &About {
        &self.about
    }

    fn touches(&self, _: &Scope) -> Result<Option<Touches>> {
        Ok(self.inner.touches.clone())
    }

    fn is_wanted(&self, _: &Scope) -> Result<Wanted> {
        Ok(self.inner.wanted.clone())
    }

    fn render(&self, _: &Scope) -> Result<Rendered> {
        Ok(match &self.inner.unknown {
            Some(why) => Rendered::Unknown { why: why.clone() },
            None => Rendered::Ready(Box::new(self.clone())),
        })
    }
}

/// Remembers every event.
#[derive(Default)]
pub struct Memory(Mutex<Vec<Event>>);

impl Memory {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl Listener for Memory {
    fn hear(&self, event: &Stamped) {
        self.0.lock().unwrap().push(event.event.clone());
    }
}

/// A run of scripted steps.
pub struct Walk {
    pub dry_run: bool,
    pub is_root: bool,
    pub width: usize,
    pub deadline: Duration,
    /// When the hook must have its answer.
    pub answer_by: Option<Duration>,
    pub grace: Duration,
    pub stop: Stop,
    pub events: Arc<Memory>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            dry_run: false,
            is_root: true,
            width: 8,
            deadline: Duration::from_secs(20),
            answer_by: None,
            grace: Duration::from_millis(50),
            stop: Stop::default(),
            events: Arc::default(),
        }
    }
}

impl Walk {
    pub fn dry() -> Self {
        Self { dry_run: true, ..Self::default() }
    }

    pub fn of(&self, scripts: impl IntoIterator<Item = Script>) -> Vec<Report> {
        self.try_of(scripts).unwrap()
    }

    pub fn try_of(&self, scripts: impl IntoIterator<Item = Script>) -> Result<Vec<Report>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let teller = Teller::new(Redactor::new());
        teller.add(self.events.clone());
        let options = WorldOptions {
            online: false,
            guards: true,
            stay_on_revision: false,
            retry_revision: false,
            by_timer: false,
            environment: indexmap::IndexMap::new(),
            state: "/nonexistent".into(),
            redactor: Redactor::new(),
            runtime: runtime.handle().clone(),
        };
        let setting = Setting {
            world: World::new(options, Aws::new(runtime.handle().clone())),
            teller,
            locks: Locks::new(self.width),
            stop: self.stop.clone(),
            beside: Beside::Nothing,
            horizon: match self.answer_by {
                Some(by) => {
                    let by = Instant::now() + by;
                    Horizon::new(Instant::now(), self.deadline).with_hook(move || Some(by))
                }
                None => Horizon::new(Instant::now(), self.deadline),
            },
            dry_run: self.dry_run,
            is_root: self.is_root,
            grace: self.grace,
        };
        let jobs = scripts
            .into_iter()
            .zip(1..)
            .map(|(script, number)| Arc::new(script.about(|about| about.number = number)) as Arc<dyn Job>);
        Ok(Scheduler::new(setting, jobs.collect(), Scope::default())?.walk())
    }
}
