//! Questions to whoever sits at the terminal.
//!
//! A terminal that can move its cursor gets lists to search in; a dumb one gets numbered lines. Nothing is asked where there is none.

use std::io::{self, BufRead as _, Write as _};

use inquire::error::InquireError;
use inquire::{Select, Text};

use crate::app::offline;
use crate::cli::visible::visible;

/// How questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Prompt {
    /// With lists that are searched while typing.
    Screen,
    /// Line by line.
    Lines,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NoAnswer {
    /// They left: Escape, Ctrl-C, or the end of the input.
    #[error("nothing more was answered")]
    Left,
    /// The terminal does not work.
    #[error("the terminal does not work")]
    Broken(#[source] io::Error),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<InquireError> for NoAnswer {
    fn from(error: InquireError) -> Self {
        match error {
            InquireError::OperationCanceled | InquireError::OperationInterrupted => Self::Left,
            InquireError::IO(error) => Self::Broken(error),
            other => Self::Broken(io::Error::other(other)),
        }
    }
}

/// A question that is answered with a text.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Question<'a> {
    /// The question.
    pub(in crate::cli) asks: &'a str,
    /// What helps to answer.
    pub(in crate::cli) help: &'a str,
    /// What stands there already, to be corrected or kept.
    pub(in crate::cli) kept: Option<&'a str>,
}

/// What is wrong with an answer; `Ok` where nothing is.
pub(in crate::cli) type Verdict = Result<(), String>;

/// How many entries of a list are shown at once.
const PAGE: usize = 12;

impl Prompt {
    /// What the terminal can do.
    pub(in crate::cli) fn here() -> Self {
        match offline::terminal_is_dumb() {
            true => Self::Lines,
            false => Self::Screen,
        }
    }

    /// Which of `options`, by its place.
    pub(in crate::cli) fn choose(self, asks: &str, options: &[String]) -> Result<usize, NoAnswer> {
        let options: Vec<String> = options.iter().map(|option| visible(option)).collect();
        match self {
            Self::Screen => Ok(Select::new(asks, options)
                .with_page_size(PAGE)
                .with_formatter(&|chosen| name_of(chosen.value).to_owned())
                .with_scorer(&|typed, _, option, place| score(typed, option, place))
                .with_help_message(
                    "arrows to move, letters to search, Enter to choose, Escape to leave",
                )
                .raw_prompt()?
                .index),
            Self::Lines => choose_by_lines(asks, &options),
        }
    }

    /// A text that `judge` finds nothing wrong with.
    pub(in crate::cli) fn text(
        self,
        question: &Question<'_>,
        judge: impl Fn(&str) -> Verdict,
    ) -> Result<String, NoAnswer> {
        let mut kept = question.kept.map(visible);
        loop {
            let answer = self.line(question, kept.as_deref())?;
            match judge(answer.trim()) {
                Ok(()) => return Ok(answer.trim().to_owned()),
                Err(why) => say(&format!("  {}", visible(&why)))?,
            }
            kept = Some(answer);
        }
    }

    fn line(self, question: &Question<'_>, kept: Option<&str>) -> Result<String, NoAnswer> {
        let help = visible(question.help);
        match self {
            Self::Screen => {
                let text = Text::new(question.asks).with_help_message(&help);
                let text = match kept {
                    Some(kept) => text.with_initial_value(kept),
                    None => text,
                };
                Ok(text.prompt()?)
            }
            Self::Lines => {
                let kept_in = kept.map(|kept| format!(" [{kept}]")).unwrap_or_default();
                say(&format!("  {help}"))?;
                let typed = read_line(&format!("{}{kept_in} ", question.asks))?;
                match (typed.is_empty(), kept) {
                    (true, Some(kept)) => Ok(kept.to_owned()),
                    _ => Ok(typed),
                }
            }
        }
    }
}

/// Every word that was typed must stand in the entry. Those that have them all in their name come first; else the order stays.
fn score(typed: &str, option: &str, place: usize) -> Option<i64> {
    let option = option.to_lowercase();
    let typed = typed.to_lowercase();
    let fits = typed.split_whitespace().all(|word| option.contains(word));
    let name = name_of(&option);
    let named = typed.split_whitespace().all(|word| name.contains(word));
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    fits.then_some(if named { i64::MAX - place } else { -place })
}

/// What stands before the first gap of an entry: the rest explains it.
fn name_of(option: &str) -> &str {
    option.split("  ").next().unwrap_or_default()
}

/// A numbered list; words instead of a number show what fits them.
fn choose_by_lines(asks: &str, options: &[String]) -> Result<usize, NoAnswer> {
    let mut shown: Vec<usize> = (0..options.len()).collect();
    loop {
        for (n, place) in shown.iter().take(2 * PAGE).enumerate() {
            say(&format!("  {:3}  {}", n + 1, options[*place]))?;
        }
        if shown.len() > 2 * PAGE {
            say(&format!("       and {} more", shown.len() - 2 * PAGE))?;
        }
        let typed = read_line(&format!("{asks} (a number, or words to search for) "))?;
        if let Ok(n) = typed.parse::<usize>() {
            if let Some(place) = n.checked_sub(1).and_then(|n| shown.get(n)) {
                return Ok(*place);
            }
            say("  there is no such number")?;
            continue;
        }
        let all = 0..options.len();
        let scored = all.filter_map(|i| Some((score(&typed, &options[i], i)?, i)));
        let mut found: Vec<(i64, usize)> = scored.collect();
        found.sort_by(|a, b| b.cmp(a));
        let found: Vec<usize> = found.into_iter().map(|(_, i)| i).collect();
        match found.is_empty() {
            true => say("  nothing fits that")?,
            false => shown = found,
        }
    }
}

/// A line on the terminal, beside what is answered on standard output.
pub(in crate::cli) fn say(text: &str) -> io::Result<()> {
    let mut out = anstream::stderr().lock();
    writeln!(out, "{text}")
}

fn read_line(asks: &str) -> Result<String, NoAnswer> {
    let mut out = anstream::stderr().lock();
    write!(out, "{asks}")?;
    out.flush()?;
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line)? {
        0 => Err(NoAnswer::Left),
        _ => Ok(line.trim().to_owned()),
    }
}
