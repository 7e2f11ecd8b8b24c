//! One pattern, compiled: which paths it means.
//!
//! A pattern becomes a list of elements, each of which takes one segment of the path or, for `**`, any number. Where the
//! pattern ends decides what lies below it:
//!
//! | written | means |
//! |---|---|
//! | `/docs`, `docs/a` | that path, and everything under it |
//! | `/docs/`, `docs/**` | everything under it, not a file of that name |
//! | `/docs/*` | what lies directly in it |
//!
//! A pattern without a slash before its end matches at any depth.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// The literal segments it begins with: a path that does not begin with this text cannot match.
    prefix: String,
    elements: Vec<Element>,
}

#[derive(Debug, Clone)]
enum Element {
    /// `**`: any number of segments, also none.
    Depth,
    /// `*`: one segment, whatever it is.
    Any,
    /// One segment, exactly.
    Literal(String),
    /// One segment with wildcards in it.
    Glob(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

impl Pattern {
    /// Compiles a pattern as CODEOWNERS writes it. What is ambiguous is read as GitHub's documentation suggests.
    ///
    /// # Errors
    /// Why GitHub does not accept the pattern, as the end of the sentence "the pattern ...".
    pub(super) fn compile(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('!') {
            return Err("begins with `!`, but CODEOWNERS cannot exclude paths");
        }
        if text.starts_with("\\#") {
            return Err("begins with `\\#`, but CODEOWNERS cannot escape `#`");
        }
        if text.contains("***") {
            return Err("has three or more `*` in a row");
        }
        if text.ends_with('\\') && !text.ends_with("\\\\") {
            return Err("ends with a backslash that escapes nothing");
        }
        let elements = elements(text);
        let literals = elements.iter().map_while(|e| match e {
            Element::Literal(text) => Some(text.as_str()),
            _ => None,
        });
        let prefix = literals.collect::<Vec<_>>().join("/");
        Ok(Self { prefix, elements })
    }

    /// Whether the pattern means `path`, whose segments are `segments`.
    ///
    /// `**` is tried with as few segments as possible and takes one more whenever the rest fails. Only the last `**` has to
    /// be tried again, because what an earlier one could still take, the last one can take too; so there is no blow-up.
    pub(super) fn matches(&self, path: &str, segments: &[&str]) -> bool {
        if !path.starts_with(&self.prefix) {
            return false;
        }
        let (mut element, mut segment) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while segment < segments.len() {
            match self.elements.get(element) {
                Some(Element::Depth) => {
                    element += 1;
                    if element == self.elements.len() {
                        return true;
                    }
                    retry = Some((element, segment));
                }
                Some(one) if one.takes(segments[segment]) => {
                    element += 1;
                    segment += 1;
                }
                _ => {
                    let Some((after, taken)) = &mut retry else {
                        return false;
                    };
                    *taken += 1;
                    (element, segment) = (*after, *taken);
                }
            }
        }
        let rest = &self.elements[element..];
        rest.iter().all(|e| matches!(e, Element::Depth))
    }
}

impl Element {
    fn takes(&self, segment: &str) -> bool {
        match self {
            Self::Depth => false,
            Self::Any => true,
            Self::Literal(text) => text == segment,
            Self::Glob(tokens) => glob(tokens, segment),
        }
    }
}

fn elements(text: &str) -> Vec<Element> {
    let body = text.strip_prefix('/').unwrap_or(text);
    let contents = body.ends_with('/');
    let body = body.strip_suffix('/').unwrap_or(body);
    let anchored = text.starts_with('/') || body.contains('/');

    let mut elements = Vec::new();
    if !anchored {
        elements.push(Element::Depth);
    }
    let mut written = body.split('/').peekable();
    while let Some(segment) = written.next() {
        let last = written.peek().is_none();
        match segment {
            // `a/**` is what lies below `a`, so at least one segment.
            "**" if last && !contents => elements.extend([Element::Any, Element::Depth]),
            "**" => elements.push(Element::Depth),
            "*" => elements.push(Element::Any),
            _ => {
                elements.push(one_segment(segment));
                if last && !contents {
                    elements.push(Element::Depth);
                }
            }
        }
    }
    if contents {
        elements.extend([Element::Any, Element::Depth]);
    }
    elements
}

fn one_segment(text: &str) -> Element {
    let mut tokens = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' => Token::Many,
            '?' => Token::One,
            '\\' => chars.next().map_or(Token::Char('\\'), Token::Char),
            _ => Token::Char(c),
        };
        if token != Token::Many || tokens.last() != Some(&Token::Many) {
            tokens.push(token);
        }
    }
    let literal: Option<String> = tokens
        .iter()
        .map(|token| match token {
            Token::Char(c) => Some(*c),
            Token::One | Token::Many => None,
        })
        .collect();
    literal.map_or(Element::Glob(tokens), Element::Literal)
}

/// Whether the tokens mean `text`, by the same walk as [`Pattern::matches`], a character instead of a segment at a time.
fn glob(tokens: &[Token], text: &str) -> bool {
    let (mut token, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let mut chars = rest.chars();
        let next = chars.next();
        match (tokens.get(token), next) {
            (Some(Token::Many), _) => {
                token += 1;
                retry = Some((token, rest));
            }
            (None, None) => return true,
            (Some(Token::One), Some(_)) => {
                token += 1;
                rest = chars.as_str();
            }
            (Some(Token::Char(wanted)), Some(found)) if *wanted == found => {
                token += 1;
                rest = chars.as_str();
            }
            (_, None) => return false,
            (_, Some(_)) => {
                let Some((after, taken)) = &mut retry else {
                    return false;
                };
                let mut longer = taken.chars();
                longer.next();
                *taken = longer.as_str();
                (token, rest) = (*after, longer.as_str());
            }
        }
    }
}
