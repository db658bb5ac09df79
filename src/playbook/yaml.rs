//! YAML to nodes, strictly: one document, no key twice, no tags, bounded size, nesting and aliases.
//!
//! The parser's events are used rather than its deserialiser, because only they tell how a scalar was written and where.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle};

use super::node::{Key, Node, NodeKind};
use super::source::{Mark, Source};
use super::{Problem, Problems};

/// A playbook is a text a person writes; what is larger is no playbook.
pub const LARGEST: usize = 1 << 20;

/// No sensible playbook comes near; it keeps the walkers' recursion within any stack.
const DEEPEST: usize = 64;

/// Aliases count with everything they stand for, so a few lines cannot become gigabytes.
const MOST_NODES: usize = 100_000;

/// Reads the one document of a text. All problems that leave the text readable are reported together.
pub fn read(source: &Source, text: &str) -> Result<Node, Problems> {
    if text.len() > LARGEST {
        let problem = Problem::nowhere(format!("`{}` is larger than {LARGEST} bytes", source.label));
        return Err(problem.hint("large files belong beside the playbook or in S3").into());
    }
    match document(source, text, false)? {
        (node, problems) if problems.is_empty() => Ok(node),
        (_, problems) => Err(Problems(problems)),
    }
}

/// Where a value with a YAML tag stands in a foreign document: below this key.
pub const TAGGED: &str = "!";

/// Reads the document of another program, whose language allows more: what is not strict is reported beside it, and a value with a
/// tag becomes a map whose only key is [`TAGGED`].
pub fn read_foreign(source: &Source, text: &str) -> Result<(Node, Vec<Problem>), Problems> {
    if text.len() > LARGEST {
        return Err(Problem::nowhere(format!("`{}` is larger than {LARGEST} bytes", source.label)).into());
    }
    document(source, text, true)
}

fn document(source: &Source, text: &str, foreign: bool) -> Result<(Node, Vec<Problem>), Problems> {
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { source, foreign, parser, anchors: HashMap::new(), nodes: 0, problems: Vec::new() };
    match reader.document() {
        Ok(node) => Ok((node, reader.problems)),
        Err(problem) => {
            // What was noticed at its start may be what breaks the rest.
            if !reader.problems.contains(&problem) {
                reader.problems.push(problem);
            }
            Err(Problems(reader.problems))
        }
    }
}

struct Reader<'s> {
    source: &'s Source,
    foreign: bool,
    parser: Parser<'s, StrInput<'s>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'s> Reader<'s> {
    fn document(&mut self) -> Result<Node, Problem> {
        let start = Mark { line: 1, column: 1 };
        let empty = self.source.problem(start, "the file is empty").hint("a playbook begins with `version: 1`");
        loop {
            match self.next()? {
                Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
                Some((Event::StreamEnd, _)) | None => return Err(empty),
                Some((event, span)) => {
                    let node = self.node(event, span, 0)?;
                    self.nothing_more()?;
                    return if node.is_empty() { Err(empty) } else { Ok(node) };
                }
            }
        }
    }

    fn nothing_more(&mut self) -> Result<(), Problem> {
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::DocumentStart(..)) {
                let problem = self.source.problem(mark(&span), "a second document begins here");
                return Err(problem.hint("one file holds one playbook; remove the `---`"));
            }
        }
        Ok(())
    }

    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Option<(Event<'s>, Span)>, Problem> {
        loop {
            return match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok(event)) => Ok(Some(event)),
                Some(Err(error)) => Err(self.syntax(&error)),
                None => Ok(None),
            };
        }
    }

    fn inside(&mut self) -> Result<(Event<'s>, Span), Problem> {
        self.next()?.ok_or_else(|| Problem::nowhere(format!("`{}` ends in the middle", self.source.label)))
    }

    fn node(&mut self, event: Event<'s>, span: Span, depth: usize) -> Result<Node, Problem> {
        let mark = mark(&span);
        if depth > DEEPEST {
            return Err(self.source.problem(mark, format!("this is nested more than {DEEPEST} levels deep")));
        }
        self.count(1, mark)?;
        let (kind, anchor, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                // The parser says `~` for what is not there at all.
                let absent = plain && span.start.index() == span.end.index();
                let text = if absent { String::new() } else { text.into_owned() };
                (NodeKind::Scalar { text, plain }, anchor, tag.is_some())
            }
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, anchor, tag.is_some()),
            Event::MappingStart(style, anchor, tag) => {
                if style == StructureStyle::Flow && self.source.rest(mark).starts_with("{{") {
                    self.problems.push(unquoted(self.source, mark));
                    self.skip_map()?;
                    return Ok(Node { mark, kind: NodeKind::Scalar { text: String::new(), plain: true } });
                }
                (self.map(depth)?, anchor, tag.is_some())
            }
            Event::Alias(id) => {
                let target = self.anchors.get(&id).cloned();
                let target = target.ok_or_else(|| self.source.problem(mark, "this alias stands inside its own anchor"))?;
                self.count(target.size(), mark)?;
                return Ok(Node { mark, kind: target.kind });
            }
            _ => return Err(self.source.problem(mark, "a value is missing here")),
        };
        if tagged && self.foreign {
            let key = Key { text: TAGGED.to_owned(), mark };
            return Ok(Node { mark, kind: NodeKind::Map(vec![(key, Node { mark, kind })]) });
        }
        if tagged {
            let problem = self.source.problem(mark, "YAML tags have no meaning here");
            self.problems.push(problem.hint("remove the `!…`; quotes make text of anything"));
        }
        let node = Node { mark, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<NodeKind, Problem> {
        let mut items = Vec::new();
        loop {
            match self.inside()? {
                (Event::SequenceEnd, _) => return Ok(NodeKind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<NodeKind, Problem> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, Mark> = HashMap::new();
        loop {
            let (event, span) = self.inside()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(NodeKind::Map(members));
            }
            let node = self.node(event, span, depth + 1)?;
            let NodeKind::Scalar { text, plain } = node.kind else {
                return Err(self.source.problem(node.mark, "a key must be text"));
            };
            let key = Key { text, mark: node.mark };
            let (event, span) = self.inside()?;
            let value = self.node(event, span, depth + 1)?;
            if plain && key.text == "<<" {
                let problem = self.source.problem(key.mark, "merge keys (`<<`) are not part of YAML 1.2");
                self.problems.push(problem.hint("write the keys out, or use vars"));
            } else if let Some(first) = seen.insert(key.text.clone(), key.mark) {
                let message =
                    format!("the key `{}` is here twice; first in line {}, column {}", key.text, first.line, first.column);
                self.problems.push(self.source.problem(key.mark, message).hint("only one of them could win; remove the other"));
            } else {
                members.push((key, value));
            }
        }
    }

    fn skip_map(&mut self) -> Result<(), Problem> {
        let mut open = 1;
        while open > 0 {
            match self.inside()?.0 {
                Event::MappingStart(..) | Event::SequenceStart(..) => open += 1,
                Event::MappingEnd | Event::SequenceEnd => open -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, more: usize, mark: Mark) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let problem =
            self.source.problem(mark, format!("the document has more than {MOST_NODES} values, aliases counted in full"));
        Err(problem.hint("aliases of aliases multiply; write vars instead"))
    }

    /// The parser's complaint, in our words where the usual mistake is known.
    fn syntax(&self, error: &ScanError) -> Problem {
        let at = Mark { line: error.marker().line(), column: error.marker().col() + 1 };
        // The parser notices an unquoted expression only after its end, often in the next line.
        for line in [at.line, at.line.saturating_sub(1)] {
            if let Some(column) = unquoted_column(self.source.line(line)) {
                return unquoted(self.source, Mark { line, column });
            }
            let indent = self.source.line(line).chars().take_while(|c| c.is_whitespace());
            if let Some(tab) = indent.enumerate().find_map(|(index, c)| (c == '\t').then_some(index + 1)) {
                let problem = self.source.problem(Mark { line, column: tab }, "a tab cannot indent");
                return problem.hint("YAML is indented with spaces");
            }
        }
        let info = error.info();
        let problem = self.source.problem(at, format!("this is not YAML: {}", info.trim_end_matches('.')));
        if self.source.line(at.line).matches(": ").count() > 1 {
            return problem.hint("a text with `: ` in it needs quotes");
        }
        problem
    }
}

fn mark(span: &Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

fn unquoted(source: &Source, mark: Mark) -> Problem {
    let expression = source.rest(mark).split_inclusive("}}").next().unwrap_or("{{ … }}").trim_end();
    let problem = source.problem(mark, "quote the expression: YAML takes `{` for the start of a map");
    problem.hint(format!("write `\"{expression}\"`, with quotes around the whole value"))
}

/// The column of a `{{` at the start of a value.
fn unquoted_column(line: &str) -> Option<usize> {
    let at = [": {{", "- {{", "[{{", ", {{"].iter().filter_map(|start| line.find(start).map(|at| at + start.len() - 2)).min()?;
    Some(line.get(..at)?.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let source = Source::new("p", text);
        match read(&source, text) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .0
                .iter()
                .map(|p| {
                    p.position.as_ref().map_or_else(|| p.message.clone(), |at| format!("{}:{} {}", at.line, at.column, p.message))
                })
                .collect(),
        }
    }

    #[test]
    fn scalars_are_kept_as_written() {
        let text = "a: no\nb: 012\nc: 1e3\nd: '1.10'\ne: |\n  x\nf:\n";
        let source = Source::new("p", text);
        let node = read(&source, text).unwrap();
        let seen: Vec<_> = node
            .members()
            .iter()
            .map(|(key, node)| match &node.kind {
                NodeKind::Scalar { text, plain } => (key.text.as_str(), text.as_str(), *plain, node.mark.line, node.mark.column),
                _ => panic!("scalars only"),
            })
            .collect();
        assert_eq!(
            seen.get(..4).unwrap(),
            [("a", "no", true, 1, 4), ("b", "012", true, 2, 4), ("c", "1e3", true, 3, 4), ("d", "1.10", false, 4, 4)]
        );
        assert_eq!(node.member("e").and_then(Node::text), Some("x\n"));
        assert!(node.member("f").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_strict_is_refused_with_its_place() {
        for (text, expected) in [
            (
                "a: 1\nb: 2\na: 3\nb: 4\n",
                &[
                    "3:1 the key `a` is here twice; first in line 1, column 1",
                    "4:1 the key `b` is here twice; first in line 2, column 1",
                ][..],
            ),
            ("a: 1\n---\nb: 2\n", &["2:1 a second document begins here"]),
            ("", &["1:1 the file is empty"]),
            ("# only a comment\n", &["1:1 the file is empty"]),
            ("a:\n\tb: 1\n", &["2:1 a tab cannot indent"]),
            ("a: !!str 1\n", &["1:10 YAML tags have no meaning here"]),
            ("a: &x {b: 1}\nc:\n  <<: *x\n", &["3:3 merge keys (`<<`) are not part of YAML 1.2"]),
            ("? [a]\n: b\n", &["1:3 a key must be text"]),
            ("a: &x [*x]\n", &["1:8 this alias stands inside its own anchor"]),
        ] {
            assert_eq!(problems(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unquoted_expression_is_told_so_wherever_it_stands() {
        for (text, place) in
            [("a: {{ b }}\n", "1:4"), ("a:\n  - {{ b }}\n", "2:5"), ("a: {{ b }}/c\nd: 1\n", "1:4"), ("a: [x, {{ b }}]\n", "1:8")]
        {
            assert_eq!(
                problems(text),
                [format!("{place} quote the expression: YAML takes `{{` for the start of a map")],
                "{text}"
            );
        }
        assert_eq!(problems("a: {{ b }}\nc: {{ d }}\n").len(), 2);
        assert!(problems("a: \"{{ b }}\"\nc: x {{ d }}\n").is_empty());
    }

    #[test]
    fn aliases_and_nesting_are_bounded() {
        let mut laughs = String::from("l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*l{}", level - 1);
            laughs = format!("{laughs}l{level}: &l{level} [{}]\n", [alias.as_str(); 10].join(", "));
        }
        let found = problems(&laughs);
        assert!(found.first().is_some_and(|p| p.contains("more than 100000 values")), "{found:?}");
        assert!(problems("a: &x {b: 1}\nc: *x\nd: *x\n").is_empty());
        let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
        assert!(problems(&deep).first().is_some_and(|p| p.contains("nested more than 64")));
        assert!(problems(&"x".repeat(LARGEST + 1)).first().is_some_and(|p| p.contains("larger than")));
    }
}
