//! Keeps the mirror small: every fetch leaves a pack and every event a file, and a mirror lives for years.
//!
//! What git calls `gc`, with one difference: nothing is ever dropped. A commit that no ref leads to may be the one that somebody
//! reviewed. Readers hold no lock and need none: libgit2 that misses a pack looks again, and the new pack is there before the old
//! ones go.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use super::{RepoError, broken, broken_file};

/// How many packs may lie side by side.
const PACKS: usize = 50;
/// How many loose objects may, in one of the 256 folders that git spreads them over evenly.
const LOOSE: usize = 20;

struct Pack {
    stem: PathBuf,
    size: u64,
}

/// Merges small packs and loose objects into one pack, when there are many. Whether there were.
pub(super) fn tidy(repo: &Repository) -> Result<bool, RepoError> {
    let objects = repo.path().join("objects");
    let packs = packs(&objects.join("pack")).map_err(broken_file("list the packs"))?;
    let loose = loose_in(&objects, 0x17)
        .map_err(broken_file("list the objects"))?
        .len()
        > LOOSE;
    if packs.len() <= PACKS && !loose {
        return Ok(false);
    }
    let mut files = Vec::new();
    let mut builder = repo.packbuilder().map_err(broken("merge packs"))?;
    builder.set_threads(1);
    for pack in small(packs) {
        for id in ids(&pack.stem.with_extension("idx"))
            .map_err(broken_file("read the index of a pack"))?
        {
            builder
                .insert_object(id, None)
                .map_err(broken("merge packs"))?;
        }
        files.extend(["idx", "pack"].map(|extension| pack.stem.with_extension(extension)));
    }
    for folder in 0..=255 {
        for (id, path) in loose_in(&objects, folder).map_err(broken_file("list the objects"))? {
            builder
                .insert_object(id, None)
                .map_err(broken("pack an object"))?;
            files.push(path);
        }
    }
    // On disk for certain before anything goes: libgit2 syncs a pack that it writes this way.
    builder
        .write(&objects.join("pack"), 0o444)
        .map_err(broken("write a pack"))?;
    let made = builder
        .name()
        .map_err(broken("write a pack"))?
        .map(|name| format!("pack-{name}"));
    let is_made = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()) == made.as_deref();
    for path in files.iter().filter(|path| !is_made(path)) {
        fs::remove_file(path).map_err(broken_file("remove what was merged"))?;
    }
    Ok(true)
}

/// The smaller packs, up to the first that is larger than all before it together: so an object is moved seldom.
fn small(mut packs: Vec<Pack>) -> impl Iterator<Item = Pack> {
    packs.sort_by_key(|pack| pack.size);
    let mut sum = 0;
    packs.into_iter().take_while(move |pack| {
        let fits = sum == 0 || pack.size <= sum;
        sum += pack.size;
        fits
    })
}

fn packs(folder: &Path) -> Result<Vec<Pack>, std::io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A pack without its index is on its way in or out.
        if path.extension().is_some_and(|e| e == "pack") && path.with_extension("idx").exists() {
            found.push(Pack {
                size: fs::metadata(&path)?.len(),
                stem: path.with_extension(""),
            });
        }
    }
    Ok(found)
}

/// The ids in an index of version 2: a header of 8 bytes, 256 running totals of 4 bytes, then the ids.
fn ids(index: &Path) -> Result<Vec<Oid>, std::io::Error> {
    let data = fs::read(index)?;
    let known = data.starts_with(b"\xfftOc\0\0\0\x02").then_some(());
    let total = known
        .and_then(|()| data.get(1028..1032))
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes);
    let ids = total.and_then(|total| data.get(1032..1032 + 20 * usize::try_from(total).ok()?));
    let ids = ids.ok_or_else(|| std::io::Error::other("not an index of version 2"))?;
    ids.chunks_exact(20)
        .map(|id| Oid::from_bytes(id).map_err(std::io::Error::other))
        .collect()
}

fn loose_in(objects: &Path, folder: u8) -> Result<Vec<(Oid, PathBuf)>, std::io::Error> {
    let prefix = format!("{folder:02x}");
    let entries = match fs::read_dir(objects.join(&prefix)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Others are files that a crash left half written.
        let name = entry
            .file_name()
            .to_str()
            .filter(|name| name.len() == 38)
            .map(|name| format!("{prefix}{name}"));
        if let Some(id) = name.and_then(|name| Oid::from_str(&name).ok()) {
            found.push((id, entry.path()));
        }
    }
    Ok(found)
}
