//! Which step waits for which, and why: the one place where order is decided, for the engine, the plan and `agent check --order`.
//!
//! A step waits for everything above it. With `needs` it waits for exactly those, and always for every earlier step that writes
//! what it reads or writes, that reads what it writes, that it names, or whose outputs it uses. A step that cannot say before
//! the run what it touches keeps its place: it waits for everything above it, and everything below waits for it.

use std::collections::HashMap;
use std::fmt;

use super::homes::Homes;
use super::job::About;
use crate::error::{Error, Kind, Result};
use crate::host::users;
use crate::playbook::{Entry, Scope};
use crate::step::{Thing, Touches};

/// Why one step waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It stands above, and there is no `needs:`.
    Above,
    /// `needs:` names it.
    Needs,
    /// A field names it: `restart_on`, `on_change`.
    Names,
    /// An expression uses its outputs.
    Uses,
    /// It writes what this one reads.
    Reads(Thing),
    /// Both write this.
    Writes(Thing),
    /// It reads what this one writes.
    Overwrites(Thing),
    /// One of the two stands alone.
    Alone,
    /// One of the two cannot say before the run what it touches.
    Unclear,
}

impl Reason {
    /// Whether somebody wrote it into the playbook, and looks for it.
    fn is_written(&self) -> bool {
        matches!(self, Self::Needs | Self::Names | Self::Uses)
    }

    /// Whether the later step wants what the earlier one makes, and not only an order between them.
    fn is_demand(&self) -> bool {
        match self {
            Self::Needs | Self::Names | Self::Uses | Self::Reads(_) | Self::Unclear => true,
            // A line goes into the file that an earlier step writes; packages do not build on packages.
            Self::Writes(thing) => !matches!(thing, Thing::Programs | Thing::PackageLists),
            Self::Above | Self::Overwrites(_) | Self::Alone => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above => f.write_str("stands above"),
            Self::Needs => f.write_str("`needs`"),
            Self::Names => f.write_str("is named by it"),
            Self::Uses => f.write_str("gives an output it uses"),
            Self::Reads(thing) => write!(f, "writes {thing}, which it reads"),
            Self::Writes(thing) => write!(f, "writes {thing}, which it writes too"),
            Self::Overwrites(thing) => write!(f, "reads {thing}, which it writes"),
            Self::Alone => f.write_str("one of them ends the run when it has something to do"),
            Self::Unclear => f.write_str("what one of them touches is only known during the run"),
        }
    }
}

/// One step that another waits for. Steps are counted from 0 here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The step waited for.
    pub from: usize,
    /// All reasons, never none.
    pub reasons: Vec<Reason>,
}

/// The order of a playbook.
#[derive(Debug, Default)]
pub struct Graph {
    incoming: Vec<Vec<Edge>>,
}

impl Graph {
    /// The order of these entries.
    ///
    /// # Errors
    /// When the fields of an entry do not evaluate, or it names a step that is not above it.
    pub fn of_entries(entries: &[Entry], scope: &Scope) -> Result<Self> {
        let abouts: Vec<About> = entries.iter().map(About::from).collect();
        let touches = entries.iter().map(|entry| entry.touches(scope)).collect::<Result<Vec<_>>>()?;
        let homes = Homes::gather(&touches, users::homes());
        let located: Vec<_> = touches.into_iter().map(|touches| touches.map(|touches| homes.locate(touches))).collect();
        Self::build(&abouts.iter().collect::<Vec<_>>(), &located)
    }

    /// The order of steps that say this of themselves, homes found.
    ///
    /// # Errors
    /// When one names a step that is not above it.
    pub fn build(abouts: &[&About], touches: &[Option<Touches>]) -> Result<Self> {
        let mut above: HashMap<&str, usize> = HashMap::new();
        let mut incoming = Vec::with_capacity(abouts.len());
        for (index, about) in abouts.iter().enumerate() {
            let own = touches.get(index).and_then(Option::as_ref);
            let named = named_by(about, own, &above)?;
            let mut edges = Vec::new();
            for from in 0..index {
                let mut reasons: Vec<Reason> =
                    named.iter().filter(|(step, _)| *step == from).map(|(_, reason)| reason.clone()).collect();
                match (touches.get(from).and_then(Option::as_ref), own) {
                    (Some(earlier), Some(own)) => reasons.extend(conflict(own, earlier)),
                    _ => reasons.push(Reason::Unclear),
                }
                if about.needs.is_none() {
                    reasons.push(Reason::Above);
                }
                if !reasons.is_empty() {
                    edges.push(Edge { from, reasons });
                }
            }
            incoming.push(edges);
            if let Some(id) = &about.id {
                above.insert(id, index);
            }
        }
        Ok(Self { incoming })
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.incoming.len()
    }

    /// Whether there are no steps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.incoming.is_empty()
    }

    /// What this step waits for.
    #[must_use]
    pub fn edges(&self, step: usize) -> &[Edge] {
        self.incoming.get(step).map_or(&[], Vec::as_slice)
    }

    /// Everything this step waits for, directly or through others, in order.
    #[must_use]
    pub fn ancestors(&self, step: usize) -> Vec<usize> {
        self.reached(&[step], |_| true)
    }

    /// These steps and everything that they demand, directly or through others, in order.
    #[must_use]
    pub fn demanded_by(&self, steps: &[usize]) -> Vec<usize> {
        let mut demanded = self.reached(steps, |edge| edge.reasons.iter().any(Reason::is_demand));
        demanded.extend(steps);
        demanded.sort_unstable();
        demanded.dedup();
        demanded
    }

    /// What is reached from these steps against the order, over such edges.
    fn reached(&self, steps: &[usize], over: impl Fn(&Edge) -> bool) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut open = steps.to_vec();
        while let Some(next) = open.pop() {
            for edge in self.edges(next).iter().filter(|edge| over(edge)) {
                if let Some(mark) = seen.get_mut(edge.from)
                    && !*mark
                {
                    *mark = true;
                    open.push(edge.from);
                }
            }
        }
        seen.iter().enumerate().filter(|(_, seen)| **seen).map(|(index, _)| index).collect()
    }

    /// What this step waits for, without what follows from the rest: a step that another edge waits for already is left out,
    /// unless the playbook names it.
    #[must_use]
    pub fn essential_edges(&self, step: usize) -> Vec<&Edge> {
        let edges = self.edges(step);
        let implied: Vec<usize> = edges.iter().flat_map(|edge| self.ancestors(edge.from)).collect();
        let is_named = |edge: &Edge| edge.reasons.iter().any(Reason::is_written);
        edges.iter().filter(|edge| is_named(edge) || !implied.contains(&edge.from)).collect()
    }
}

/// The steps that this one names, and how.
fn named_by(about: &About, touches: Option<&Touches>, above: &HashMap<&str, usize>) -> Result<Vec<(usize, Reason)>> {
    let needs = about.needs.iter().flatten().map(|id| (id, Reason::Needs));
    let uses = about.uses.iter().map(|id| (id, Reason::Uses));
    let names = touches.into_iter().flat_map(|touches| &touches.after).map(|id| (id, Reason::Names));
    needs
        .chain(uses)
        .chain(names)
        .map(|(id, reason)| match above.get(id.as_str()) {
            Some(step) => Ok((*step, reason)),
            None => Err(Error::new(Kind::Playbook, format!("{} names `{id}`, and no step above it has this id", about.name()))
                .doing(format!("putting the steps in order ({})", about.place))),
        })
        .collect()
}

/// What two steps may not touch at the same time; one reason, the strongest, is enough.
fn conflict(own: &Touches, earlier: &Touches) -> Option<Reason> {
    let shared =
        |left: &[Thing], right: &[Thing]| left.iter().find(|thing| right.iter().any(|other| thing.overlaps(other))).cloned();
    let reads = || shared(&own.reads, &earlier.writes).map(Reason::Reads);
    let writes = || shared(&own.writes, &earlier.writes).map(Reason::Writes);
    let overwrites = || shared(&own.writes, &earlier.reads).map(Reason::Overwrites);
    let alone = || (own.alone || earlier.alone).then_some(Reason::Alone);
    reads().or_else(writes).or_else(overwrites).or_else(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(number: usize, id: &str, needs: Option<&[&str]>) -> About {
        About {
            number,
            id: Some(id.to_owned()),
            label: id.to_owned(),
            needs: needs.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
            ..About::default()
        }
    }

    fn build(abouts: &[About], touches: &[Option<Touches>]) -> Graph {
        Graph::build(&abouts.iter().collect::<Vec<_>>(), touches).unwrap()
    }

    fn from(graph: &Graph, step: usize) -> Vec<usize> {
        graph.edges(step).iter().map(|edge| edge.from).collect()
    }

    #[test]
    fn without_needs_a_step_waits_for_everything_above() {
        let abouts = [about(1, "a", None), about(2, "b", None), about(3, "c", None)];
        let graph = build(&abouts, &vec![Some(Touches::nothing()); 3]);
        assert_eq!(from(&graph, 2), [0, 1]);
        assert_eq!(graph.essential_edges(2).len(), 1, "0 follows from 1");
        assert_eq!(graph.ancestors(2), [0, 1]);
    }

    #[test]
    fn with_needs_it_waits_for_those_and_for_what_it_must_not_race_with() {
        let nothing: &[&str] = &[];
        let abouts = [
            about(1, "packages", None),
            about(2, "code", Some(nothing)),
            about(3, "env", Some(nothing)),
            about(4, "unit", Some(&["packages"])),
            about(5, "parent", Some(nothing)),
        ];
        let touches = [
            Some(Touches::nothing().write(Thing::Programs)),
            Some(Touches::nothing().write_path("/srv/app")),
            Some(Touches::nothing().write_path("/srv/app/.env")),
            Some(Touches::nothing().read(Thing::User("ubuntu".into()))),
            Some(Touches::nothing().read_path("/srv/other").write_path("/srv")),
        ];
        let graph = build(&abouts, &touches);
        assert_eq!(from(&graph, 1), [0; 0], "starts at once");
        assert_eq!(graph.edges(2), [Edge { from: 1, reasons: vec![Reason::Writes(Thing::Path("/srv/app/.env".into()))] }]);
        assert_eq!(graph.edges(3), [Edge { from: 0, reasons: vec![Reason::Needs] }]);
        assert_eq!(from(&graph, 4), [1, 2]);
        let essential: Vec<usize> = graph.essential_edges(4).iter().map(|edge| edge.from).collect();
        assert_eq!(essential, [2], "1 follows from 2");
    }

    #[test]
    fn a_step_does_not_overwrite_what_an_earlier_one_still_reads() {
        let abouts = [about(1, "reader", None), about(2, "writer", Some(&[]))];
        let touches = [Some(Touches::nothing().read_path("/etc/app.conf")), Some(Touches::nothing().write_path("/etc/app.conf"))];
        let reasons = vec![Reason::Overwrites(Thing::Path("/etc/app.conf".into()))];
        assert_eq!(build(&abouts, &touches).edges(1), [Edge { from: 0, reasons }]);
    }

    #[test]
    fn who_cannot_say_what_it_touches_keeps_its_place() {
        let abouts = [about(1, "a", None), about(2, "unclear", Some(&[])), about(3, "c", Some(&[]))];
        let graph = build(&abouts, &[Some(Touches::nothing()), None, Some(Touches::nothing())]);
        assert_eq!(from(&graph, 1), [0]);
        assert_eq!(graph.edges(2), [Edge { from: 1, reasons: vec![Reason::Unclear] }]);
    }

    #[test]
    fn named_steps_and_used_outputs_come_first() {
        let mut user = about(3, "user", Some(&[]));
        user.uses = vec!["a".into()];
        let abouts = [about(1, "a", None), about(2, "b", Some(&[])), user];
        let touches = [Some(Touches::nothing()), Some(Touches::nothing()), Some(Touches::nothing().after(&["b".to_owned()]))];
        let graph = build(&abouts, &touches);
        assert_eq!(
            graph.edges(2).iter().map(|edge| edge.reasons.clone()).collect::<Vec<_>>(),
            [vec![Reason::Uses], vec![Reason::Names]]
        );
    }

    #[test]
    fn a_step_below_cannot_be_waited_for() {
        let abouts = [about(1, "a", Some(&["b"])), about(2, "b", None)];
        let error = Graph::build(&abouts.iter().collect::<Vec<_>>(), &[None, None]).unwrap_err();
        assert!(error.to_string().contains("step 1 `a` names `b`"), "{error}");
    }
}
