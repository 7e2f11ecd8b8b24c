//! Answers as lines of cells: for people and for spreadsheets.

use anyhow::Context as _;
use serde::Serialize;

use super::super::table;
use super::super::visible::visible;
use super::Form;
use crate::domain::evidence;
use crate::domain::model::Instant;

/// An answer: what the columns are called, and the cells of each line.
pub(super) struct Table {
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// Prints an answer in the form that is asked for; `before` are lines for people only.
pub(super) fn print(
    form: &Form,
    data: &impl Serialize,
    before: &str,
    table: &Table,
) -> anyhow::Result<()> {
    let text = match (form.json, form.csv) {
        (true, _) => serde_json::to_string(data)? + "\n",
        (_, true) => table.csv()?,
        _ => format!("{before}{}", table.text()),
    };
    super::super::print(&text)
}

/// An instant in a cell; empty where there is none.
pub(super) fn cell(at: Option<Instant>) -> String {
    at.map(evidence::instant).unwrap_or_default()
}

impl Table {
    fn text(&self) -> String {
        table::text(self.columns, &self.rows, table::width())
    }

    fn csv(&self) -> anyhow::Result<String> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(self.columns)?;
        for row in &self.rows {
            out.write_record(row.iter().map(|cell| harmless(&visible(cell))))?;
        }
        let bytes = out.into_inner().context("cannot write the lines")?;
        Ok(String::from_utf8(bytes)?)
    }
}

/// A cell that no spreadsheet reads as a formula: what could begin one has an apostrophe before it, which is shown nowhere (OWASP, "CSV
/// Injection").
fn harmless(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}
