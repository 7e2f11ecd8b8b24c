//! Any bytes as a tree of git: what is read is what stands there for every reader, or one file that no rule accepts; only regular files at
//! their places are ever grants.
#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use git2::{ObjectType, Oid, Repository};
use hallpass::domain::catalogue::{File, REGULAR_FILE};
use hallpass::domain::model::{CommitId, GrantPath};
use hallpass::domain::parse::read_tree;
use hallpass::repo::read;
use hallpass_fuzz::alone;
use libfuzzer_sys::fuzz_target;

const GRANT: &[u8] =
    b"person: ada\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\n";

/// The objects that trees of the input can name.
static REPO: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = tempfile::tempdir().expect("a folder").keep();
    Repository::init_bare(&path).expect("a repository");
    path
});

/// An entry, as git's documentation says that it is written: mode, blank, name, NUL, 20 bytes of the id.
struct Entry<'t> {
    mode: u32,
    name: &'t [u8],
    id: Oid,
}

/// What a tree says, if it says the same to everybody.
fn entries(mut tree: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::<Entry<'_>>::new();
    let key = |e: &Entry<'_>| {
        let mut key = e.name.to_vec();
        if e.mode == 0o040_000 {
            key.push(b'/');
        }
        key
    };
    while !tree.is_empty() {
        let end = tree.iter().position(|b| *b == 0)?;
        let (head, rest) = (&tree[..end], &tree[end + 1..]);
        let blank = head.iter().position(|b| *b == b' ')?;
        let (mode, name) = (&head[..blank], &head[blank + 1..]);
        let octal = !mode.is_empty() && mode.iter().all(|b| matches!(b, b'0'..=b'7'));
        if !octal || name.is_empty() || name.contains(&b'/') || rest.len() < 20 {
            return None;
        }
        let mode = u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()?;
        let id = Oid::from_bytes(&rest[..20]).ok()?;
        let entry = Entry { mode, name, id };
        if entries.last().is_some_and(|last| key(last) >= key(&entry)) {
            return None;
        }
        entries.push(entry);
        tree = &rest[20..];
    }
    Some(entries)
}

/// Every governed file below a tree, by path, and whether anything was malformed.
fn walk(
    repo: &Repository,
    tree: Oid,
    folder: &str,
    found: &mut BTreeMap<String, (u32, Oid)>,
) -> bool {
    let odb = repo.odb().expect("objects");
    let Ok(object) = odb.read(tree) else {
        return false;
    };
    // Deeper than anybody nests folders.
    if folder.matches('/').count() > 64 {
        return false;
    }
    let entries = (object.kind() == ObjectType::Tree)
        .then(|| entries(object.data()))
        .flatten();
    let Some(entries) = entries else {
        return false;
    };
    let mut sound = true;
    for entry in entries {
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name));
        if entry.mode == 0o040_000 {
            sound &= walk(repo, entry.id, &format!("{path}/"), found);
        } else {
            sound &= found.insert(path, (entry.mode, entry.id)).is_none();
        }
    }
    sound
}

/// Trees within trees: `\xfe` stands before the bytes of a tree, `\xff` before those of a blob; in an entry, an id of all the same byte means
/// the object of that number.
fn objects(repo: &Repository, data: &[u8]) -> Option<(Oid, Vec<Oid>)> {
    let odb = repo.odb().expect("objects");
    let mut made = vec![odb.write(ObjectType::Blob, GRANT).ok()?];
    let mut left = data;
    let mut root = None;
    while let Some((kind, rest)) = left.split_first() {
        let end = rest.iter().position(|b| *b >= 0xfe).unwrap_or(rest.len());
        let (body, next) = rest.split_at(end);
        left = next;
        let id = if *kind == 0xff {
            odb.write(ObjectType::Blob, body).ok()?
        } else {
            let id = odb.write(ObjectType::Tree, &named(body, &made)).ok()?;
            root = Some(id);
            id
        };
        made.push(id);
    }
    Some((root?, made))
}

/// The tree with ids for the numbers of objects: `^` and a digit.
fn named(tree: &[u8], made: &[Oid]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = tree.iter().peekable();
    while let Some(b) = bytes.next() {
        let number = (*b == b'^').then(|| bytes.next()).flatten();
        match number {
            Some(number) => {
                out.extend(made[usize::from(number.wrapping_sub(b'0')) % made.len()].as_bytes())
            }
            None => out.push(*b),
        }
    }
    out
}

fn commit(repo: &Repository, tree: Oid) -> CommitId {
    let who = "Ada <ada@example.org> 1800000000 +0000";
    let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nA change\n");
    let odb = repo.odb().expect("objects");
    let id = odb
        .write(ObjectType::Commit, text.as_bytes())
        .expect("a commit");
    CommitId::new(id.to_string()).expect("hexadecimal")
}

fn is_governed(path: &str) -> bool {
    let attributes = path == ".gitattributes" || path.ends_with("/.gitattributes");
    let owners = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"].contains(&path);
    attributes || owners || path == "access" || path.starts_with("access/")
}

fn judge(files: &[File], standing: &BTreeMap<String, (u32, Oid)>) {
    let tree = read_tree(files);
    for path in tree.grants.keys().map(GrantPath::as_str) {
        let (mode, id) = standing[path];
        assert_eq!(mode, REGULAR_FILE, "{path}");
        assert_eq!(
            tree.grants[&GrantPath::new(path).expect("a path")]
                .blob
                .as_str(),
            id.to_string()
        );
    }
    for file in files
        .iter()
        .filter(|f| (f.path == "access" || f.path.starts_with("access/")) && f.mode != REGULAR_FILE)
    {
        assert!(
            tree.findings.iter().any(|f| f.path == file.path),
            "{} {:o}",
            file.path,
            file.mode
        );
    }
}

fuzz_target!(init: alone(), |data: &[u8]| {
    let repo = Repository::open_bare(&*REPO).expect("a repository");
    // What one input makes, the next does not find.
    let odb = repo.odb().expect("objects");
    let memory = odb.add_new_mempack_backend(1_000).expect("memory");
    let Some((root, _)) = objects(&repo, data) else {
        memory.reset().expect("memory");
        return;
    };
    let head = commit(&repo, root);
    let mut standing = BTreeMap::new();
    let sound = walk(&repo, root, "", &mut standing);
    match read::files(&repo, &head) {
        Ok(files) => {
            judge(&files, &standing);
            let ours: BTreeMap<&str, (u32, String)> =
                files.iter().map(|f| (f.path.as_str(), (f.mode, f.blob.to_string()))).collect();
            if sound {
                assert_eq!(ours.len(), files.len(), "a path twice: {ours:?}");
                for (path, (mode, id)) in standing.iter().filter(|(path, _)| is_governed(path)) {
                    let (found, blob) = &ours[path.as_str()];
                    assert!((found == mode || *found == 0) && *blob == id.to_string(), "{path}");
                }
                assert_eq!(ours.len(), standing.keys().filter(|p| is_governed(p)).count());
            }
        }
        // An object that is not here.
        Err(_) => assert!(!sound || standing.values().any(|(_, id)| odb.read_header(*id).is_err())),
    }
    let empty = odb.write(ObjectType::Tree, b"").expect("a tree");
    let base = commit(&repo, empty);
    if let Ok(changes) = read::changes(&repo, &base, &head) {
        let after: Vec<File> = changes.into_iter().filter_map(|c| c.after).collect();
        judge(&after, &standing);
        let back = read::changes(&repo, &head, &base).expect("it was read the other way round");
        assert_eq!(back.len(), after.len());
    }
    memory.reset().expect("memory");
});
