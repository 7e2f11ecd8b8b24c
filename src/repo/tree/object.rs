//! One tree object: its entries, read strictly.

use git2::{ObjectType, OdbObject, Oid};

pub(super) const TREE: u32 = 0o040_000;
pub(super) const LINK: u32 = 0o160_000;
/// Stands for a tree that has no single meaning.
pub(super) const MALFORMED: Entry<'static> = Entry {
    name: "\u{fffd}".as_bytes(),
    mode: 0,
    id: Oid::ZERO_SHA1,
};

/// One entry of a tree.
#[derive(Debug, Clone, Copy)]
pub(in crate::repo) struct Entry<'t> {
    pub(super) name: &'t [u8],
    pub(super) mode: u32,
    pub(super) id: Oid,
}

impl Entry<'_> {
    pub(super) fn is_tree(&self) -> bool {
        self.mode == TREE
    }

    /// The order of git: a folder sorts as if its name ended in a slash.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let common = self.name.len().min(other.name.len());
        let end = |e: &Self| {
            e.name
                .get(common)
                .copied()
                .unwrap_or(if e.is_tree() { b'/' } else { 0 })
        };
        self.name[..common]
            .cmp(&other.name[..common])
            .then_with(|| {
                end(self)
                    .cmp(&end(other))
                    .then_with(|| self.name.len().cmp(&other.name.len()))
            })
    }
}

/// The entries of a tree object; `None` for one that is no tree, or does not mean the same to everybody.
pub(super) fn parse<'t>(object: &'t OdbObject<'_>) -> Option<Vec<Entry<'t>>> {
    let mut data = Some(object.data()).filter(|_| object.kind() == ObjectType::Tree)?;
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(data.len() / 40);
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ')?;
        let end = data
            .iter()
            .position(|b| *b == 0)
            .filter(|end| *end > space + 1)?;
        let mode = std::str::from_utf8(&data[..space])
            .ok()
            .filter(|mode| !mode.starts_with('+'))?;
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let (name, id) = (&data[space + 1..end], data.get(end + 1..end + 21)?);
        let entry = Entry {
            name,
            mode,
            id: Oid::from_bytes(id).ok()?,
        };
        let follows = entries.last().is_none_or(|last| last.order(&entry).is_lt());
        if name.contains(&b'/') || !follows {
            return None;
        }
        entries.push(entry);
        data = &data[end + 21..];
    }
    Some(entries)
}
