//! Strict YAML: text to one `serde_json::Value`, or the place of the first thing that we do not read.
//!
//! What is read is the part of YAML that means the same to every reader: one document of mappings with distinct plain-text keys,
//! sequences, text, `true`, `false` and whole numbers. Anchors, aliases, tags, directives, merge keys, explicit keys and
//! further documents are refused where they stand.
//!
//! The events come from one parser, and [`Places`] asks the same one, so a finding cannot point anywhere but where its
//! value was read.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Value};

use super::prefilter::number;
use super::{Fault, scalar};
use crate::domain::finding::Place;
use crate::domain::schema;

/// How deep mappings and sequences may nest.
pub const MAX_DEPTH: u8 = 8;

/// How many mappings, sequences and scalars (keys too) a document may have.
pub const MAX_NODES: u32 = 4_000;

/// Reads one document. `field` is told the place of each value of the outermost mapping.
pub(super) fn read(text: &str, field: &mut dyn FnMut(&str, Place)) -> Result<Value, Fault> {
    if let Some(line) = text.split('\n').position(|line| line.starts_with('%')) {
        let place = Place {
            line: number(line + 1),
            column: 1,
        };
        return Err(fault(
            "yaml-directive",
            place,
            "here is a YAML directive",
            "Remove the line.",
        ));
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        source: Source::new(text),
        nodes: MAX_NODES,
        field,
    };
    reader
        .document()
        .map_err(|fault| reader.source.within(fault))
}

struct Reader<'t, 'f> {
    parser: Parser<'t, StrInput<'t>>,
    source: Source<'t>,
    nodes: u32,
    field: &'f mut dyn FnMut(&str, Place),
}

type Spanned<'t> = (Event<'t>, Span);

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<Spanned<'t>, Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.source.syntax(at(*error.marker()), error.info())),
            // The parser ends with `StreamEnd`, which is never asked beyond.
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Value, Fault> {
        let mut value = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::DocumentStart(_), span) if value.is_some() => {
                    return Err(fault(
                        "yaml-documents",
                        at(span.start),
                        "here begins a second YAML document",
                        "Keep one document to a file: remove the `---` or make another file.",
                    ));
                }
                (Event::DocumentStart(_), _) => {
                    let first = self.next()?;
                    value = Some(self.node(first, 0)?);
                }
                _ => {}
            }
        }
        value.ok_or_else(|| {
            fault(
                "empty-value",
                Place::START,
                "the file is empty",
                "Fill it in, or remove it.",
            )
        })
    }

    fn node(&mut self, (event, span): Spanned<'t>, depth: u8) -> Result<Value, Fault> {
        self.count(span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                bare(span, anchor, tag.is_some())?;
                if style == ScalarStyle::Plain {
                    return plain(text.into_owned(), span);
                }
                Ok(Value::String(text.into_owned()))
            }
            Event::MappingStart(anchor, tag) => {
                bare(span, anchor, tag.is_some())?;
                self.mapping(deeper(depth, span)?)
            }
            Event::SequenceStart(anchor, tag) => {
                bare(span, anchor, tag.is_some())?;
                self.sequence(deeper(depth, span)?)
            }
            Event::Alias(_) => Err(anchor_fault(span)),
            _ => Err(fault(
                "yaml-syntax",
                at(span.start),
                "here a value is expected",
                "Fill it in.",
            )),
        }
    }

    fn sequence(&mut self, depth: u8) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.0 == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            items.push(self.node(event, depth)?);
        }
    }

    fn mapping(&mut self, depth: u8) -> Result<Value, Fault> {
        let mut fields = Map::new();
        loop {
            let event = self.next()?;
            if event.0 == Event::MappingEnd {
                return Ok(Value::Object(fields));
            }
            let span = event.1;
            let key = self.key(event)?;
            if fields.contains_key(&key) {
                return Err(fault(
                    "duplicate-key",
                    at(span.start),
                    &format!("`{key}` stands here a second time"),
                    "Keep one of them.",
                ));
            }
            let value = self.next()?;
            if depth == 1 {
                (self.field)(&key, at(value.1.start));
            }
            let value = self.node(value, depth)?;
            fields.insert(key, value);
        }
    }

    fn key(&mut self, (event, span): Spanned<'t>) -> Result<String, Fault> {
        self.count(span)?;
        let (text, style) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                bare(span, anchor, tag.is_some())?;
                (text, style)
            }
            Event::Alias(_) => return Err(anchor_fault(span)),
            _ => {
                return Err(key_fault(
                    span,
                    "a key is plain text, not a list or a mapping",
                ));
            }
        };
        if text == "<<" {
            return Err(fault(
                "yaml-merge-key",
                at(span.start),
                "here is a merge key (`<<`)",
                "Write the fields out.",
            ));
        }
        if self.source.is_explicit_key(span) {
            return Err(key_fault(span, "here is an explicit key (`?`)"));
        }
        let text = text.into_owned();
        if style == ScalarStyle::Plain
            && !matches!(scalar::plain(text.clone()), Ok(Value::String(_)))
        {
            let what = format!("the key `{text}` is not text for every YAML reader");
            return Err(key_fault(span, &what));
        }
        Ok(text)
    }

    fn count(&mut self, span: Span) -> Result<(), Fault> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(|| {
            let what = format!("the file has more than {MAX_NODES} keys and values");
            fault(
                "too-complex",
                at(span.start),
                &what,
                "Split it into several files.",
            )
        })?;
        Ok(())
    }
}

fn deeper(depth: u8, span: Span) -> Result<u8, Fault> {
    if depth >= MAX_DEPTH {
        let what = format!("this nests deeper than {MAX_DEPTH} levels");
        return Err(fault("too-complex", at(span.start), &what, "Flatten it."));
    }
    Ok(depth + 1)
}

fn plain(text: String, span: Span) -> Result<Value, Fault> {
    let shown = super::shown(&text);
    scalar::plain(text).map_err(|scalar::Ambiguous(other)| {
        if other == "nothing" {
            return fault(
                "empty-value",
                at(span.start),
                "here is no value",
                "Fill it in, or remove the line.",
            );
        }
        let what = format!("{shown} is {other} for some YAML readers and text for others");
        fault(
            "ambiguous-value",
            at(span.start),
            &what,
            "Put it in quotes to make it text.",
        )
    })
}

fn bare(span: Span, anchor: usize, tagged: bool) -> Result<(), Fault> {
    if tagged {
        return Err(fault(
            "yaml-tag",
            at(span.start),
            "here is a YAML tag (`!`), which changes what the value means",
            "Remove the tag, or quote the text if it was meant to begin with `!`.",
        ));
    }
    if anchor > 0 {
        Err(anchor_fault(span))
    } else {
        Ok(())
    }
}

fn anchor_fault(span: Span) -> Fault {
    fault(
        "yaml-anchor",
        at(span.start),
        "here is a YAML anchor or alias (`&` or `*`)",
        "Write the value out, or quote the text if it was meant to begin with `&` or `*`.",
    )
}

fn key_fault(span: Span, what: &str) -> Fault {
    fault(
        "yaml-key",
        at(span.start),
        what,
        "Write `key: value` with a key of plain text.",
    )
}

fn fault(rule: &'static str, place: Place, message: &str, help: &str) -> Fault {
    Fault {
        rule,
        place,
        message: message.into(),
        help: help.into(),
    }
}

fn at(mark: Marker) -> Place {
    Place {
        line: number(mark.line().max(1)),
        column: number(mark.col() + 1),
    }
}

/// The text by character, as the parser counts it.
struct Source<'t> {
    text: &'t str,
    /// The byte of each character; empty for ASCII, where they are the same.
    bytes: Vec<usize>,
}

impl<'t> Source<'t> {
    fn new(text: &'t str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(i, _)| i).collect()
        };
        Self { text, bytes }
    }

    fn byte(&self, mark: Marker) -> usize {
        if self.bytes.is_empty() {
            return mark.index().min(self.text.len());
        }
        self.bytes
            .get(mark.index())
            .copied()
            .unwrap_or(self.text.len())
    }

    /// What the parser cannot read, in words that need no knowledge of parsers where people often make the mistake.
    fn syntax(&self, place: Place, said: &str) -> Fault {
        let conflict = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
        if let Some(line) = self.text.split('\n').position(conflict) {
            let column = 1;
            let line = number(line + 1);
            return fault(
                "yaml-syntax",
                Place { line, column },
                "here is a conflict marker of git",
                "Keep one of the two sides, and remove the lines with `<<<<<<<`, `=======` and `>>>>>>>`.",
            );
        }
        match said {
            "simple key expect ':'" | "simple key expected" => fault(
                "yaml-syntax",
                self.text_before(place),
                "this is not `name: value`",
                "Write a name, a colon, a space and the value. Text that goes on from the line before is indented.",
            ),
            "invalid indentation in quoted scalar"
            | "while scanning a quoted scalar, found unexpected end of stream" => fault(
                "yaml-syntax",
                place,
                "the quotes that open here are not closed",
                "Close them on the same line.",
            ),
            _ => fault(
                "yaml-syntax",
                place,
                &format!("this is not valid YAML: {said}"),
                "Compare with the examples in access/. Indent with spaces, and quote text that holds `: ` or ` #`.",
            ),
        }
    }

    /// Where the last line begins that says something and stands above `place`. The parser misses a colon only when it has
    /// begun to read what follows.
    fn text_before(&self, place: Place) -> Place {
        let says = |line: &str| !line.is_empty() && !line.starts_with('#');
        let above = self.text.split('\n').zip(1..place.line);
        let found = above.filter(|(line, _)| says(line.trim())).last();
        found.map_or(place, |(line, at)| Place {
            line: at,
            column: number(line.chars().take_while(|c| c.is_whitespace()).count() + 1),
        })
    }

    /// The fault, not beyond the end of the text: an empty value at the end stands nowhere else.
    fn within(&self, fault: Fault) -> Fault {
        let end = super::prefilter::place(self.text, self.text.trim_end().len());
        Fault {
            place: fault.place.min(end),
            ..fault
        }
    }

    /// Whether the key at `span` was written with `?`, which the parser does not tell: it stands right after one, or is not
    /// followed by its colon.
    fn is_explicit_key(&self, span: Span) -> bool {
        let blank = [' ', '\t'];
        let (before, after) = (
            &self.text[..self.byte(span.start)],
            &self.text[self.byte(span.end)..],
        );
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim_end_matches(blank).ends_with('?')
            || !after.trim_start_matches(blank).starts_with(':')
    }
}

/// Where every value of a document stands, and its key, by JSON pointer. Made only for files that have findings.
pub(super) struct Places(BTreeMap<String, (Place, Place)>);

/// Which side of `key: value` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Key,
    Value,
}

impl Places {
    /// The places in a text that [`read`] accepted: the same parser tells the same events again.
    pub(super) fn of(text: &str) -> Self {
        let mut places = Self(BTreeMap::new());
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = next(&mut parser) {
            if !matches!(event.0, Event::StreamStart | Event::DocumentStart(_)) {
                places.node(&mut parser, event.1, event, &mut String::new());
                break;
            }
        }
        places
    }

    /// The place of what `pointer` names, or of the whole file.
    pub(super) fn at(&self, pointer: &str, side: Side) -> Place {
        let found = self
            .0
            .get(pointer)
            .map(|(key, value)| if side == Side::Key { key } else { value });
        found.copied().unwrap_or_default()
    }

    fn node<'t>(
        &mut self,
        parser: &mut Events<'t>,
        key: Span,
        (event, span): Spanned<'t>,
        pointer: &mut String,
    ) {
        self.0
            .insert(pointer.clone(), (at(key.start), at(span.start)));
        let here = pointer.len();
        match event {
            Event::MappingStart(..) => {
                while let Some((Event::Scalar(name, ..), key)) = next(parser) {
                    let Some(value) = next(parser) else { return };
                    pointer.push('/');
                    pointer.push_str(&schema::escape(&name));
                    self.node(parser, key, value, pointer);
                    pointer.truncate(here);
                }
            }
            Event::SequenceStart(..) => {
                for index in 0.. {
                    let Some(item) = next(parser).filter(|item| item.0 != Event::SequenceEnd)
                    else {
                        return;
                    };
                    pointer.push_str(&format!("/{index}"));
                    self.node(parser, item.1, item, pointer);
                    pointer.truncate(here);
                }
            }
            _ => {}
        }
    }
}

type Events<'t> = Parser<'t, StrInput<'t>>;

fn next<'t>(parser: &mut Events<'t>) -> Option<Spanned<'t>> {
    parser.next_event()?.ok()
}
