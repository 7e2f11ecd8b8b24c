//! The tables of places outside at which anchors of the evidence are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::endpoints::{aws, receiver};
use super::table::{Table, suggestion};
use super::{AnchorPlace, Bucket, PlaceKind};
use crate::domain::model::{ConnectionName, TermLength};

const KINDS: [&str; 3] = ["file", "http", "s3"];

const DAILY: Duration = Duration::from_secs(86_400);

/// Every table under `[evidence.anchor]`.
pub(super) fn read(mut table: Table<'_>) -> BTreeMap<String, AnchorPlace> {
    let mut places = BTreeMap::new();
    for (name, child) in table.children() {
        if ConnectionName::new(&name).is_err() {
            let remedy = "Write [evidence.anchor.vault]: lower-case letters, digits and hyphens.";
            table.report(child.line(), &name, "is no name of a place", remedy);
        }
        places.extend(place(child).map(|place| (name, place)));
    }
    places
}

fn place(mut table: Table<'_>) -> Option<AnchorPlace> {
    let every = table.parsed("every", every).unwrap_or(DAILY);
    let line = table.line();
    let Some(kind) = table.text("kind") else {
        table.missing("kind", "Write kind = \"file\", \"http\" or \"s3\".");
        return None;
    };
    let kind = match kind.value.as_str() {
        "file" => file(&mut table),
        "http" => receiver(&mut table),
        "s3" => bucket(&mut table),
        other => {
            let what = format!("is {other:?}, which is no kind of place");
            table.report(line, "kind", &what, suggestion(other, &KINDS));
            return None;
        }
    };
    table.finish();
    Some(AnchorPlace { every, kind: kind? })
}

fn file(table: &mut Table<'_>) -> Option<PlaceKind> {
    if !table.has("folder") {
        table.missing(
            "folder",
            "Write folder = \"/mnt/anchors\"; it must be there already.",
        );
    }
    let folder = table.path("folder")?.value;
    Some(PlaceKind::File { folder })
}

fn bucket(table: &mut Table<'_>) -> Option<PlaceKind> {
    const BUCKET: &str = "Write bucket = \"acme-anchors\".";
    const PREFIX: &str = "Write folders such as \"hallpass/access\": letters, digits, '-', '_' and '.', without a slash at either end";
    let name = table.required("bucket", BUCKET, |text| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let fine = (3..=63).contains(&bytes.len()) && bytes.iter().copied().all(plain);
        let fine = fine && ends(bytes.first()) && ends(bytes.last()) && !text.contains("..");
        fine.then(|| text.to_owned())
            .ok_or("Write the name of a bucket, as it is called there")
    });
    let prefix = table.parsed("prefix", |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let folder = |part: &str| {
            !part.is_empty() && part.bytes().all(plain) && part.bytes().any(|b| b != b'.')
        };
        let fine = text.len() <= 200 && text.split('/').all(folder);
        fine.then(|| text.to_owned()).ok_or(PREFIX)
    });
    let aws = aws(table);
    let (name, aws) = (name?, aws?);
    let prefix = prefix.unwrap_or_default();
    Some(PlaceKind::S3(Box::new(Bucket {
        name,
        prefix,
        aws: *aws,
    })))
}

/// `1d`, `12h`: as terms are written in grants.
fn every(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "Write how often, such as \"1d\" or \"12h\": from 10m to 31d";
    let length = TermLength::parse(text).map_err(|_| FORM)?;
    let length = length.delta().to_std().map_err(|_| FORM)?;
    let bounds = Duration::from_secs(600)..=Duration::from_secs(31 * 86_400);
    bounds.contains(&length).then_some(length).ok_or(FORM)
}
