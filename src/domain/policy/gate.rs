//! Refuses policy text that a parser could choke on, before any parser sees it, and finds where each policy begins.
//!
//! Cedar's parser recurses for each bracket: some hundred of them end the process. Reading, validating and judging recurse for each
//! step of an expression, so that the length of a single policy is bounded too.

use crate::domain::finding::Place;
use crate::domain::parse::place;

/// How deep brackets may nest.
pub const MAX_DEPTH: usize = 24;

/// How many words, signs and literals one policy may have.
pub const MAX_TOKENS: usize = 2_000;

/// How many policies one file may hold: Cedar validates each for every kind of principal and action.
pub const MAX_POLICIES: usize = 200;

/// Why a text is refused.
pub(super) struct Refused {
    pub place: Place,
    pub message: String,
    pub help: &'static str,
}

/// Where each policy of `text` begins: at its first character that is no space and no comment.
pub(super) fn policies(text: &str) -> Result<Vec<Place>, Refused> {
    let mut scan = Scan::default();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' if text[at..].starts_with("//") => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            '"' => {
                scan.token(text, at)?;
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            c if c.is_whitespace() => {}
            c if c.is_alphanumeric() || c == '_' => {
                scan.token(text, at)?;
                let word = |(_, c): &(usize, char)| c.is_alphanumeric() || *c == '_';
                while chars.next_if(word).is_some() {}
            }
            sign => {
                scan.token(text, at)?;
                scan.sign(text, at, sign)?;
            }
        }
    }
    Ok(scan.begins.iter().map(|at| place(text, *at)).collect())
}

#[derive(Default)]
struct Scan {
    begins: Vec<usize>,
    within: bool,
    depth: usize,
    tokens: usize,
}

impl Scan {
    fn token(&mut self, text: &str, at: usize) -> Result<(), Refused> {
        if !self.within {
            self.within = true;
            self.tokens = 0;
            self.begins.push(at);
            if self.begins.len() > MAX_POLICIES {
                return Err(Refused {
                    place: place(text, at),
                    message: format!("this file has more than {MAX_POLICIES} policies"),
                    help: "Split it into several files.",
                });
            }
        }
        self.tokens += 1;
        if self.tokens <= MAX_TOKENS {
            return Ok(());
        }
        let begin = self.begins.last().copied().unwrap_or_default();
        Err(Refused {
            place: place(text, begin),
            message: format!("this policy has more than {MAX_TOKENS} words and signs"),
            help: "Split it into several policies.",
        })
    }

    fn sign(&mut self, text: &str, at: usize, sign: char) -> Result<(), Refused> {
        match sign {
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            ';' if self.depth == 0 => self.within = false,
            _ => {}
        }
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(Refused {
            place: place(text, at),
            message: format!("brackets nest deeper than {MAX_DEPTH} levels here"),
            help: "Flatten the condition, or split the policy.",
        })
    }
}
