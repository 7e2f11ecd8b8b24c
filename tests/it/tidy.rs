//! The house rules that a compiler does not know: who may import whom, where tests live, how large a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// DESIGN, "Who may import whom": each part, and the parts of ours that it may name.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("secrets", &[]),
    ("http_client", &["domain", "secrets"]),
    ("notify", &["domain", "http_client", "secrets"]),
    ("metrics", &["domain"]),
    ("github_app", &["domain", "clock", "metrics", "secrets"]),
    ("forge", &["domain", "clock", "github_app", "metrics"]),
    ("repo", &["domain"]),
    ("store", &["domain", "clock"]),
    (
        "providers",
        &[
            "domain",
            "clock",
            "github_app",
            "http_client",
            "metrics",
            "secrets",
        ],
    ),
    // What is put at places outside goes by the HTTP client and the signing of the target systems.
    ("places", &["domain", "providers"]),
    (
        "reconcile",
        &[
            "domain",
            "forge",
            "places",
            "repo",
            "store",
            "providers",
            "notify",
            "clock",
            "metrics",
        ],
    ),
    (
        "worker",
        &["domain", "reconcile", "notify", "store", "clock"],
    ),
    ("http", &["domain", "worker", "store", "clock", "metrics"]),
    ("config", &["domain"]),
    ("sandbox", &["domain", "clock"]),
    (
        "app",
        &[
            "domain",
            "clock",
            "config",
            "github_app",
            "forge",
            "repo",
            "store",
            "providers",
            "reconcile",
            "worker",
            "http",
            "places",
            "sandbox",
            "metrics",
            "notify",
            "http_client",
            "secrets",
        ],
    ),
    ("cli", &["app", "domain"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// The only part that may name concrete adapters besides the adapters' own folders.
const CONCRETE: &[&str] = &[
    "forge::github",
    "places::file",
    "places::http",
    "places::s3",
    "notify::mail",
    "notify::receiver",
    "notify::slack",
    "providers::asked",
    "providers::aws",
    "providers::command",
    "providers::github_deployment",
    "providers::github_organization_role",
    "providers::github_repository",
    "providers::github_team",
    "providers::ldap",
    "providers::mysql",
    "providers::okta",
    "providers::postgres",
    "providers::scim",
    "providers::webhook",
];

/// Files at which `unsafe` may stand, with the reason in the code.
const UNSAFE_ALLOWED: &[&str] = &["src/repo/transport.rs"];

/// The Rust files below a folder of this repository, each by its path there.
pub fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found
        .into_iter()
        .map(|(path, text)| (path.strip_prefix(root).unwrap().to_owned(), text))
        .collect()
}

/// The part of the house that a file belongs to: the folder or file directly under `src`.
fn part(path: &Path) -> String {
    let first = path.iter().nth(1).unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments, so that prose may mention what code may not.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every `crate::a::b` that the code names, also inside `use crate::{...}` groups one level deep.
fn named(code: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new(r"crate::(\{[^}]*\}|[a-z_]+(?:::[a-z_]+)?)").unwrap();
    let mut found = BTreeSet::new();
    for capture in pattern.captures_iter(code) {
        let target = &capture[1];
        for item in target.trim_matches(['{', '}']).split(',') {
            found.insert(item.trim().to_owned());
        }
    }
    found.remove("");
    found
}

#[test]
fn every_part_imports_only_what_the_design_allows() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let part = part(&path);
        let may = allowed
            .get(part.as_str())
            .unwrap_or_else(|| panic!("{} belongs to no part of the design", path.display()));
        for name in named(&code(&text)) {
            let other = name.split("::").next().unwrap_or_default();
            if other != part && !may.contains(&other) {
                wrong.push(format!(
                    "{}: `{part}` may not import `{name}`",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_composition_root_names_concrete_adapters() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let part = part(&path);
        if ["app", "forge", "providers", "places", "notify"].contains(&part.as_str()) {
            continue;
        }
        let code = code(&text);
        for name in CONCRETE.iter().filter(|name| code.contains(**name)) {
            wrong.push(format!("{}: names `{name}`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let banned = [
        "async ",
        ".await",
        "tokio",
        "std::fs",
        "std::net",
        "std::env",
        "tracing",
        "Utc::now",
        "SystemTime",
    ];
    for (path, text) in sources("src/domain") {
        let code = code(&text);
        for word in banned {
            assert!(
                !code.contains(word),
                "{}: `{word}` does not belong into the domain",
                path.display()
            );
        }
    }
}

#[test]
fn production_code_holds_no_tests_and_no_unfinished_work() {
    for (path, text) in sources("src") {
        let code = code(&text);
        for word in [
            "cfg(test)",
            "#[test]",
            "todo!(",
            "unimplemented!(",
            ["#[", "ignore"].concat().as_str(),
        ] {
            assert!(!code.contains(word), "{}: `{word}`", path.display());
        }
        let may_unsafe = UNSAFE_ALLOWED
            .iter()
            .any(|allowed| path == Path::new(allowed));
        assert!(
            may_unsafe || !code.contains("unsafe "),
            "{}: unsafe code",
            path.display()
        );
    }
}

#[test]
fn no_test_is_ignored() {
    // In two parts, so that this file does not find itself.
    let word = ["#[", "ignore"].concat();
    for (path, text) in sources("tests") {
        assert!(
            !text.contains(&word),
            "{}: a test is ignored",
            path.display()
        );
    }
}

#[test]
fn a_file_is_one_room() {
    for (path, text) in sources("src") {
        let lines = text.lines().count();
        assert!(
            lines <= 640,
            "{}: {lines} lines; split it by noun",
            path.display()
        );
    }
}

/// The fuzz targets are a package of their own, which this run does not build.
#[test]
fn every_fuzz_target_is_built_and_has_something_to_begin_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let files = fs::read_dir(root.join("fuzz_targets")).unwrap();
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files: BTreeSet<String> = files.map(|f| name(f.unwrap().path())).collect();
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let bins = manifest["bin"].as_array().unwrap().iter();
    let built: BTreeSet<String> = bins
        .map(|bin| {
            let (name, path) = (bin["name"].as_str().unwrap(), bin["path"].as_str().unwrap());
            assert_eq!(path, format!("fuzz_targets/{name}.rs"));
            name.to_owned()
        })
        .collect();
    assert_eq!(files, built);
    let run = fs::read_to_string(root.join("run")).unwrap();
    let without: Vec<&String> = files
        .iter()
        .filter(|name| !run.contains(&format!("\n    {name})\n")))
        .collect();
    assert!(
        without.is_empty(),
        "tests/fuzz/run has no seeds for {without:?}"
    );
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let locked = |path: &str| -> BTreeSet<(String, String)> {
        let lock = fs::read_to_string(root.join(path)).unwrap();
        let lock: toml::Table = lock.parse().unwrap();
        let packages = lock["package"].as_array().unwrap().iter();
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        packages
            .map(|package| (text(package, "name"), text(package, "version")))
            .collect()
    };
    let (ours, fuzzed) = (locked("Cargo.lock"), locked("tests/fuzz/Cargo.lock"));
    let known: BTreeSet<&String> = ours.iter().map(|(name, _)| name).collect();
    let others: Vec<_> = fuzzed
        .difference(&ours)
        .filter(|(name, _)| known.contains(name))
        .collect();
    assert!(
        others.is_empty(),
        "tests/fuzz/Cargo.lock has other versions: {others:?}; \
         cp Cargo.lock tests/fuzz/ && cargo metadata --manifest-path tests/fuzz/Cargo.toml >/dev/null"
    );
}
