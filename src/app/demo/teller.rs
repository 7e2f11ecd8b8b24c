//! Tells what happens: numbered steps, aligned details, colours where the terminal has them.

use std::io::Write;
use std::time::Duration;

use super::Audience;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// How long a watching person is given to read a step.
const TO_READ: Duration = Duration::from_secs(3);

/// How a line comes out.
#[derive(Debug, Clone, Copy)]
pub enum Mark {
    /// As wanted.
    Done,
    /// Refused or gone.
    No,
    /// Not yet.
    Waits,
}

/// Writes lines. A reader that has gone away does not stop the play: what counts is in the folder.
pub struct Teller<'a> {
    out: &'a mut dyn Write,
    audience: Audience,
    step: usize,
}

impl<'a> Teller<'a> {
    /// A teller before its first step. Colours are written as escapes: `out` drops them where they do not belong.
    pub fn new(out: &'a mut dyn Write, audience: Audience) -> Self {
        Self {
            out,
            audience,
            step: 0,
        }
    }

    /// The step that is being told.
    pub fn step_number(&self) -> usize {
        self.step
    }

    fn write(&mut self, text: &str) {
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }

    /// A line without a step: the beginning and the end.
    pub fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// A line that stands out.
    pub fn heading(&mut self, text: &str) {
        self.write(&format!("{BOLD}{text}{PLAIN}\n"));
    }

    /// Begins the next step.
    pub fn step(&mut self, what: &str) {
        self.step += 1;
        self.write(&format!("\n{BOLD}{:>2}  {what}{PLAIN}\n", self.step));
    }

    /// What came of it.
    pub fn tell(&mut self, mark: Mark, what: &str) {
        let (colour, sign) = match mark {
            Mark::Done => (GREEN, "✓"),
            Mark::No => (RED, "✗"),
            Mark::Waits => (YELLOW, "…"),
        };
        self.write(&format!("    {colour}{sign}{PLAIN} {what}\n"));
    }

    /// A detail below it.
    pub fn detail(&mut self, what: &str) {
        self.write(&format!("      {what}\n"));
    }

    /// Where to look.
    pub fn look(&mut self, at: &str) {
        self.write(&format!("      {DIM}look at {at}{PLAIN}\n"));
    }

    /// Names and values below each other.
    pub fn table(&mut self, rows: &[(String, String)]) {
        let width = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in rows {
            self.write(&format!("      {DIM}{name:<width$}{PLAIN}  {value}\n"));
        }
    }

    /// Shows what is being waited for on a line that goes away; only to a person.
    pub fn passing(&mut self, what: &str) {
        if self.audience == Audience::Watching {
            self.write(&format!("\r\x1b[2K    {YELLOW}…{PLAIN} {what}"));
        }
    }

    /// Ends [`Teller::passing`].
    pub fn passed(&mut self) {
        if self.audience == Audience::Watching {
            self.write("\r\x1b[2K");
        }
    }

    /// Gives a person time to read.
    pub async fn breathe(&self) {
        if self.audience == Audience::Watching {
            tokio::time::sleep(TO_READ).await;
        }
    }
}
