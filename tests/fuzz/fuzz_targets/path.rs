//! A path is one of the forms that the program knows, or it is none: never another spelling of one, and never a way out of its folder.
#![no_main]

use hallpass::domain::model::{
    CommitId, GrantPath, RecordPath, ReleasePath, RepoPath, RoleRef, SheetPath,
};
use hallpass::domain::parse::{MAX_PATH, read_tree};
use hallpass::domain::rules::is_control_path;
use hallpass_fuzz::{alone, file};
use libfuzzer_sys::fuzz_target;

const GRANT: &[u8] =
    b"person: ada\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\n";

fn is_name(text: &str) -> bool {
    let first = text.chars().next();
    let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    first.is_some_and(|c| c != '-') && text.chars().all(plain) && text.len() <= 100
}

fn is_digits(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// Whether `text` is a day of the calendar, as `2027-01-04`.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |t: &str, n: usize| t.len() == n && t.chars().all(|c| c.is_ascii_digit());
    let [year, month, day] = parts[..] else {
        return false;
    };
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return false;
    }
    let number = |t: &str| t.parse::<u32>().expect("digits");
    let (year, month, day) = (number(year), number(month), number(day));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `<folder>/<name>.yaml` below `access/<kind>/`.
fn below<'p>(path: &'p str, kind: &str) -> Option<(&'p str, &'p str)> {
    let rest = path
        .strip_prefix("access/")?
        .strip_prefix(kind)?
        .strip_prefix('/')?;
    let (folder, name) = rest.split_once('/')?;
    Some((folder, name.strip_suffix(".yaml")?))
}

fn is_grant(path: &str) -> bool {
    let named = |(folder, name)| is_name(folder) && is_name(name);
    path.len() <= MAX_PATH && below(path, "grants").is_some_and(named)
}

fn is_record(path: &str) -> bool {
    let named = |(folder, name): (&str, &str)| {
        let parts = name.rsplit_once('-');
        is_name(folder) && parts.is_some_and(|(grant, digits)| is_name(grant) && is_digits(digits))
    };
    path.len() <= MAX_PATH && below(path, "emergencies").is_some_and(named)
}

fn is_release(path: &str) -> bool {
    below(path, "releases").is_some_and(|(scope, name)| is_name(scope) && is_digits(name))
}

fn is_sheet(path: &str) -> bool {
    let named = |(day, name): (&str, &str)| {
        let parts = name.rsplit_once('-');
        is_day(day) && parts.is_some_and(|(owners, digits)| is_name(owners) && is_digits(digits))
    };
    below(path, "reviews").is_some_and(named)
}

fn is_path(path: &str) -> bool {
    let segment = |s: &str| !matches!(s, "" | "." | "..");
    path.split('/').all(segment) && !path.contains('\\') && !path.contains('\0')
}

fn forms(path: &str) {
    assert_eq!(GrantPath::new(path).is_ok(), is_grant(path), "{path:?}");
    assert_eq!(RecordPath::new(path).is_ok(), is_record(path), "{path:?}");
    assert_eq!(ReleasePath::new(path).is_ok(), is_release(path), "{path:?}");
    assert_eq!(SheetPath::new(path).is_ok(), is_sheet(path), "{path:?}");
    assert_eq!(RepoPath::new(path).is_ok(), is_path(path), "{path:?}");
}

/// A grant is known by its path, and leads back to it.
fn leads_back(path: &GrantPath) {
    let merge = CommitId::new("0123456789abcdef0123456789abcdef01234567").expect("a commit");
    assert_eq!(path.id(&merge).path().as_ref(), Some(path));
    let part = RoleRef::try_from("ledger/approver".to_owned()).expect("a role");
    assert_eq!(path.part_id(&merge, &part).path().as_ref(), Some(path));
    assert_eq!(&RecordPath::of(path, &merge).grant(), path);
    assert_eq!(&path.within(&path.resource()), path);
    assert!(is_path(path.as_repo_path().as_str()));
    assert!(!is_control_path(path.as_str()));
}

fuzz_target!(init: alone(), |data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else {
        return;
    };
    forms(path);
    if let Ok(grant) = GrantPath::new(path) {
        leads_back(&grant);
    }
    // What stands under `access` is a grant, something else that is known, or a finding; what stands elsewhere is nobody's.
    let tree = read_tree(&[file(path, GRANT)]);
    let mut granted = tree.grants.keys().map(GrantPath::as_str);
    assert_eq!(granted.next(), is_grant(path).then_some(path));
    assert_eq!(granted.next(), None);
    let ours = path == "access" || path.starts_with("access/");
    let odd = ours && !is_grant(path) && !path.ends_with("/.gitattributes");
    assert_eq!(!tree.findings.is_empty(), odd, "{path:?}: {:?}", tree.findings);
    // Of what is at its place, the content has findings of its own.
    let own = |rule: &str| !["bad-path", "unknown-file", "path-too-long"].contains(&rule);
    for finding in tree.findings.iter().filter(|f| !own(f.rule)) {
        assert_eq!((finding.path.as_str(), finding.line, finding.column), (path, 1, 1));
        assert!(!finding.message.chars().any(char::is_control), "{finding:?}");
    }
});
