//! Reading trees, hostile ones included.

use hallpass::domain::catalogue::{ChangedFile, File};
use hallpass::domain::model::{CommitId, RepoPath};
use hallpass::repo::{Mirror, RepoError, read};

use super::fixture::{Origin, path};

const GRANT: &str = "access/grants/orders/ada.yaml";
const ABSENT: &str = "00000000000000000000000000000000000000aa";

fn listing(files: &[File]) -> Vec<(&str, u32, usize)> {
    files
        .iter()
        .map(|file| (file.path.as_str(), file.mode, file.bytes.len()))
        .collect()
}

/// `+` added, `-` deleted, `~` changed, with the number of bytes that were read.
fn summary(changes: &[ChangedFile]) -> Vec<String> {
    let one = |change: &ChangedFile| {
        let sign = match (&change.before, &change.after) {
            (None, Some(_)) => '+',
            (Some(_), None) => '-',
            _ => '~',
        };
        format!(
            "{sign} {} {}",
            change.path,
            change.after.as_ref().map_or(0, |file| file.bytes.len())
        )
    };
    changes.iter().map(one).collect()
}

async fn both(
    mirror: &Mirror,
    origin: &Origin,
    before: &CommitId,
    after: &CommitId,
) -> Vec<ChangedFile> {
    let changes = mirror.changes(before, after).await.unwrap();
    let git = origin.git(&[
        "diff-tree",
        "-r",
        "--no-renames",
        "--raw",
        "--no-abbrev",
        before.as_str(),
        after.as_str(),
    ]);
    let ours: Vec<String> = changes.iter().map(as_git_shows).collect();
    assert_eq!(ours, git.lines().collect::<Vec<_>>());
    changes
}

fn as_git_shows(change: &ChangedFile) -> String {
    let zero = ("0".repeat(40), 0);
    let before = change
        .before
        .as_ref()
        .map_or(zero.clone(), |(blob, mode)| (blob.to_string(), *mode));
    let after = change
        .after
        .as_ref()
        .map_or(zero, |file| (file.blob.to_string(), file.mode));
    let letter = match (before.1 & 0o170_000, after.1 & 0o170_000) {
        (0, _) => "A",
        (_, 0) => "D",
        (a, b) if a == b => "M",
        _ => "T",
    };
    format!(
        ":{:06o} {:06o} {} {} {letter}\t{}",
        before.1, after.1, before.0, after.0, change.path
    )
}

#[tokio::test]
async fn governed_files_come_with_their_bytes_and_nothing_else_comes() {
    let origin = Origin::new();
    let commit = origin.commit(
        &[],
        &[
            (GRANT, Some("person: ada\n")),
            ("access/people/ada.yaml", Some("x")),
            (".github/CODEOWNERS", Some("* @acme/dba")),
            ("docs/CODEOWNERS", Some("")),
            ("docs/README.md", Some("not ours")),
            ("src/deep/.gitattributes", Some("* -diff")),
            (
                "src/deep/CODEOWNERS",
                Some("not a place that GitHub looks at"),
            ),
            ("accessory/grants/x.yaml", Some("not ours")),
        ],
    );
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    let files = mirror.files(&commit).await.unwrap();
    assert_eq!(
        listing(&files),
        [
            (".github/CODEOWNERS", 0o100_644, 11),
            (GRANT, 0o100_644, 12),
            ("access/people/ada.yaml", 0o100_644, 1),
            ("docs/CODEOWNERS", 0o100_644, 0),
            ("src/deep/.gitattributes", 0o100_644, 7),
        ]
    );
    assert_eq!(&*files[1].bytes, b"person: ada\n");
    assert_eq!(files[1].blob, origin.blob("person: ada\n"));
    assert_eq!(
        mirror
            .grants(&commit)
            .await
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>(),
        [(path("orders/ada"), origin.blob("person: ada\n"))]
    );
}

#[tokio::test]
async fn a_users_own_clone_reads_the_same_without_a_mirror() {
    let origin = Origin::new();
    let first = origin.commit(&[], &[(GRANT, Some("one"))]);
    let second = origin.commit(&[&first], &[(GRANT, Some("two"))]);
    origin.set("refs/heads/main", &second);
    let repo = read::open(&origin.path().join("objects")).unwrap();
    assert_eq!(read::resolve(&repo, "main^").unwrap(), first);
    assert!(
        matches!(read::resolve(&repo, "nowhere"), Err(RepoError::NoRevision(rev)) if rev == "nowhere")
    );
    assert_eq!(
        read::merge_base(&repo, &first, &second).unwrap(),
        Some(first.clone())
    );
    assert_eq!(read::files(&repo, &first).unwrap().len(), 1);
    assert_eq!(
        summary(&read::changes(&repo, &first, &second).unwrap()),
        [format!("~ {GRANT} 3")]
    );
    let nowhere = read::open(std::path::Path::new("/nowhere"));
    assert!(matches!(nowhere, Err(RepoError::Broken { .. })));
}

#[tokio::test]
async fn changes_are_what_git_says_they_are() {
    let origin = Origin::new();
    let first = origin.commit(
        &[],
        &[
            (GRANT, Some("one")),
            ("access/grants/orders/moved.yaml", Some("same")),
            ("access/grants/ledger/stays.yaml", Some("stays")),
            ("becomes", Some("a folder")),
            ("lib.rs", Some("code")),
            ("lib/mod.rs", Some("code")),
        ],
    );
    let second = origin.commit(
        &[&first],
        &[
            (GRANT, Some("one and a half")),
            ("access/grants/orders/moved.yaml", None),
            ("access/grants/ledger/moved.yaml", Some("same")),
            ("becomes", None),
            ("becomes/a", Some("folder")),
            ("lib.rs", Some("other code")),
        ],
    );
    origin.set("refs/heads/main", &second);
    let mirror = origin.mirror().await;
    let changes = both(&mirror, &origin, &first, &second).await;
    assert_eq!(
        summary(&changes),
        [
            "+ access/grants/ledger/moved.yaml 4",
            "~ access/grants/orders/ada.yaml 14",
            "- access/grants/orders/moved.yaml 0",
            "- becomes 0",
            "+ becomes/a 0",
            "~ lib.rs 0",
        ]
    );
    both(&mirror, &origin, &second, &first).await;
    assert!(mirror.changes(&second, &second).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_change_of_mode_alone_is_a_change() {
    let origin = Origin::new();
    let blob = origin.blob("person: ada\n");
    let commit = |mode| {
        origin.commit_tree(
            &origin.tree(&[(mode, b".gitattributes", blob.as_str())]),
            &[],
        )
    };
    let (plain, tool, link) = (commit("100644"), commit("100755"), commit("120000"));
    for (branch, commit) in [("a", &plain), ("b", &tool), ("c", &link)] {
        origin.set(&format!("refs/heads/{branch}"), commit);
    }
    let mirror = origin.mirror().await;
    for (before, after) in [(&plain, &tool), (&tool, &link), (&link, &plain)] {
        assert_eq!(both(&mirror, &origin, before, after).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_regular_file_keeps_its_mode_and_is_no_grant() {
    let origin = Origin::new();
    let (blob, commit) = (
        origin.blob("../../etc"),
        origin.commit(&[], &[("x", Some("x"))]),
    );
    let modes = ["100644", "100664", "100755", "120000", "160000"];
    let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"];
    let entries: Vec<(&str, &[u8], &str)> = modes
        .iter()
        .zip(names)
        .map(|(mode, name)| {
            (
                *mode,
                name.as_bytes(),
                if *mode == "160000" {
                    commit.as_str()
                } else {
                    blob.as_str()
                },
            )
        })
        .collect();
    let orders = origin.tree(&entries);
    let commit = grants_of(&origin, &orders);
    let mirror = origin.mirror().await;

    let files = mirror.files(&commit).await.unwrap();
    let modes: Vec<u32> = files.iter().map(|file| file.mode).collect();
    assert_eq!(
        modes,
        [0o100_644, 0o100_664, 0o100_755, 0o120_000, 0o160_000]
    );
    assert_eq!(files[4].bytes.len(), 0);
    assert_eq!(
        mirror
            .grants(&commit)
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [path("orders/a")]
    );
    let paths: Vec<RepoPath> = files
        .iter()
        .map(|file| RepoPath::new(&file.path).unwrap())
        .collect();
    let blobs: Vec<bool> = mirror
        .blobs_at(&commit, &paths)
        .await
        .unwrap()
        .into_values()
        .map(|b| b.is_some())
        .collect();
    assert_eq!(blobs, [true, false, false, false, false]);
}

/// Commits a tree whose `access/grants/orders` is this tree, to main.
fn grants_of(origin: &Origin, orders: &str) -> CommitId {
    let grants = origin.tree(&[("40000", b"orders", orders)]);
    let access = origin.tree(&[("40000", b"grants", &grants)]);
    let commit = origin.commit_tree(&origin.tree(&[("40000", b"access", &access)]), &[]);
    origin.set("refs/heads/main", &commit);
    commit
}

#[tokio::test]
async fn evil_names_reach_the_rules_as_paths_that_no_grant_can_have() {
    let origin = Origin::new();
    let blob = origin.blob("x");
    let names: [&[u8]; 6] = [
        b"..",
        b".git",
        b"A.yaml",
        b"a.yaml",
        b"b\\..\\c.yaml",
        b"caf\xe9.yaml",
    ];
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("100644", *name, blob.as_str()))
        .collect();
    let commit = grants_of(&origin, &origin.tree(&entries));
    let mirror = origin.mirror().await;
    let files = mirror.files(&commit).await.unwrap();
    let found: Vec<&str> = files
        .iter()
        .map(|file| file.path.trim_start_matches("access/grants/orders/"))
        .collect();
    assert_eq!(
        found,
        [
            "..",
            ".git",
            "A.yaml",
            "a.yaml",
            "b\\..\\c.yaml",
            "caf\u{fffd}.yaml"
        ]
    );
    assert_eq!(
        mirror
            .grants(&commit)
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [path("orders/a")]
    );
}

#[tokio::test]
async fn a_tree_that_means_different_things_to_different_readers_is_one_refused_file() {
    let origin = Origin::new();
    let (one, two) = (origin.blob("one"), origin.blob("two"));
    let (one, two) = (one.as_str(), two.as_str());
    let folder = origin.tree(&[("100644", b"x", one)]);
    let twice: &[(&str, &[u8], &str)] =
        &[("100644", b"ada.yaml", one), ("100644", b"ada.yaml", two)];
    let unsorted: &[(&str, &[u8], &str)] =
        &[("100644", b"b.yaml", one), ("100644", b"ada.yaml", two)];
    let slash: &[(&str, &[u8], &str)] = &[("100644", b"orders/ada.yaml", one)];
    let empty: &[(&str, &[u8], &str)] = &[("100644", b"", one)];
    let mode: &[(&str, &[u8], &str)] = &[("9", b"ada.yaml", one)];
    for entries in [twice, unsorted, slash, empty, mode] {
        let commit = grants_of(&origin, &origin.tree(entries));
        let mirror = origin.mirror().await;
        let files = mirror.files(&commit).await.unwrap();
        assert_eq!(
            listing(&files),
            [("access/grants/orders/\u{fffd}", 0, 0)],
            "{entries:?}"
        );
        assert!(mirror.grants(&commit).await.unwrap().is_empty());
        let at = RepoPath::new(GRANT).unwrap();
        assert_eq!(
            mirror
                .blobs_at(&commit, std::slice::from_ref(&at))
                .await
                .unwrap()[&at],
            None
        );
    }
    let beside = origin.tree(&[
        ("100644", b"ada.yaml", one),
        ("40000", b"ada.yaml", &folder),
    ]);
    let commit = grants_of(&origin, &beside);
    let mirror = origin.mirror().await;
    let found: Vec<_> = mirror
        .files(&commit)
        .await
        .unwrap()
        .into_iter()
        .map(|file| file.path)
        .collect();
    assert_eq!(
        found,
        [GRANT.to_owned(), format!("{GRANT}/x")],
        "the rules see both"
    );
}

#[tokio::test]
async fn a_blob_that_poses_as_a_tree_is_not_read_as_one() {
    let origin = Origin::new();
    let one = origin.blob("one");
    let orders = origin.tree(&[("100644", b"ada.yaml", one.as_str())]);
    let posing = origin.git_with(&["cat-file", "tree", &orders], b"").stdout;
    let commit = grants_of(&origin, &origin.write("blob", &posing));
    let mirror = origin.mirror().await;
    assert_eq!(
        listing(&mirror.files(&commit).await.unwrap()),
        [("access/grants/orders/\u{fffd}", 0, 0)]
    );
    let at = RepoPath::new(GRANT).unwrap();
    assert_eq!(
        mirror
            .blobs_at(&commit, std::slice::from_ref(&at))
            .await
            .unwrap()[&at],
        None
    );
    assert!(mirror.grants(&commit).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_a_file_that_the_rules_see() {
    let origin = Origin::new();
    let target = origin.blob("elsewhere");
    let commit = origin.commit_tree(&origin.tree(&[("120000", b"access", target.as_str())]), &[]);
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    assert_eq!(
        listing(&mirror.files(&commit).await.unwrap()),
        [("access", 0o120_000, 9)]
    );
    assert!(mirror.grants(&commit).await.unwrap().is_empty());
}

#[tokio::test]
async fn people_and_services_are_read_without_the_grants() {
    let origin = Origin::new();
    let one = origin.blob("one");
    let file = |name: &'static [u8]| origin.tree(&[("100644", name, one.as_str())]);
    let (ada, bot, grant) = (file(b"ada.yaml"), file(b"bot.yaml"), file(b"x.yaml"));
    let access = origin.tree(&[
        ("40000", b"grants", &grant),
        ("40000", b"people", &ada),
        ("40000", b"services", &bot),
    ]);
    let commit = origin.commit_tree(&origin.tree(&[("40000", b"access", &access)]), &[]);
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    let files = mirror.subjects(&commit).await.unwrap().unwrap();
    assert_eq!(
        listing(&files),
        [
            ("access/people/ada.yaml", 0o100_644, 3),
            ("access/services/bot.yaml", 0o100_644, 3)
        ]
    );
    assert!(matches!(
        mirror.subjects(&CommitId::new(ABSENT).unwrap()).await,
        Err(RepoError::NoCommit(_))
    ));
}

#[tokio::test]
async fn nobody_is_missing_from_a_folder_that_cannot_be_read() {
    let origin = Origin::new();
    let (one, two) = (origin.blob("one"), origin.blob("two"));
    let (one, two) = (one.as_str(), two.as_str());
    let twice = origin.tree(&[("100644", b"ada.yaml", one), ("100644", b"ada.yaml", two)]);
    let below = origin.tree(&[("40000", b"more", &twice)]);
    let people = |mode, id: &str| origin.tree(&[(mode, b"people", id)]);
    let beside = origin.tree(&[("100644", b"people", one), ("40000", b"people", &below)]);
    for access in [
        ("40000", people("40000", &twice)),
        ("40000", people("40000", &below)),
        ("40000", people("120000", one)),
        ("40000", people("100644", one)),
        ("40000", beside),
        ("40000", twice.clone()),
        ("120000", one.to_owned()),
    ] {
        let root = origin.tree(&[(access.0, b"access", &access.1)]);
        let commit = origin.commit_tree(&root, &[]);
        origin.set("refs/heads/main", &commit);
        let mirror = origin.mirror().await;
        assert_eq!(mirror.subjects(&commit).await.unwrap(), None, "{access:?}");
    }
    // Where there is no folder there is nobody.
    for root in [
        origin.tree(&[]),
        origin.tree(&[("100644", b"README.md", one)]),
    ] {
        let commit = origin.commit_tree(&root, &[]);
        origin.set("refs/heads/main", &commit);
        let mirror = origin.mirror().await;
        assert_eq!(mirror.subjects(&commit).await.unwrap(), Some(Vec::new()));
    }
}

/// A few bytes of nested trees can name one blob at very many paths.
#[tokio::test]
async fn content_that_stands_at_many_paths_is_kept_once() {
    let origin = Origin::new();
    let text = "a".repeat(1_000);
    let names: Vec<String> = (0..50).map(|n| format!("access/{n}")).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(text.as_str())))
        .collect();
    let before = origin.commit(&[], &[("README.md", Some("nothing\n"))]);
    let after = origin.commit(&[&before], &files);
    origin.set("refs/heads/main", &after);
    let changes = origin.mirror().await.changes(&before, &after).await;
    let changes = changes.unwrap();
    let bytes: Vec<_> = changes.iter().filter_map(|c| c.after.as_ref()).collect();
    assert_eq!(bytes.len(), 50);
    for file in &bytes {
        assert!(std::sync::Arc::ptr_eq(&file.bytes, &bytes[0].bytes));
    }
}

/// The last line decides: a file cut at 64 KiB would hand the path to an earlier one.
#[tokio::test]
async fn a_long_codeowners_is_read_to_its_last_line() {
    let origin = Origin::new();
    let mut text = "/access/ @acme/anybody\n".to_owned();
    text.push_str(&"# one of many teams, which own many things\n".repeat(4_000));
    text.push_str("/access/ @acme/security\n");
    assert!(text.len() > 128 * 1024);
    let commit = origin.commit(&[], &[(".github/CODEOWNERS", Some(&text))]);
    origin.set("refs/heads/main", &commit);
    let files = origin.mirror().await.files(&commit).await.unwrap();
    assert_eq!(files[0].bytes.len(), text.len());
}

#[tokio::test]
async fn a_large_file_is_cut_where_it_is_certain_to_be_refused() {
    let origin = Origin::new();
    let sizes = [65_535, 65_536, 65_537, 3_000_000];
    let content: Vec<String> = sizes.iter().map(|size| "a".repeat(*size)).collect();
    let names = ["access/a", "access/b", "access/c", "access/d"];
    let files: Vec<_> = names
        .iter()
        .zip(&content)
        .map(|(name, text)| (*name, Some(text.as_str())))
        .collect();
    let commit = origin.commit(&[], &files);
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    let lengths: Vec<usize> = mirror
        .files(&commit)
        .await
        .unwrap()
        .iter()
        .map(|file| file.bytes.len())
        .collect();
    assert_eq!(lengths, [65_535, 65_536, 65_537, 65_537]);
}

#[tokio::test]
async fn trees_that_are_too_deep_or_too_many_end_as_refused_files() {
    let origin = Origin::new();
    let mut deep = origin.tree(&[("100644", b"x", origin.blob("x").as_str())]);
    for _ in 0..200 {
        deep = origin.tree(&[("40000", b"d", &deep)]);
    }
    let mut bomb = origin.tree(&[("100644", b"x", origin.blob("x").as_str())]);
    let names: Vec<[u8; 1]> = (b'a'..=b'z').map(|letter| [letter]).collect();
    for _ in 0..8 {
        let entries: Vec<(&str, &[u8], &str)> = names
            .iter()
            .map(|name| ("40000", &name[..], &*bomb))
            .collect();
        bomb = origin.tree(&entries);
    }
    let deep = grants_of(&origin, &deep);
    let mirror = origin.mirror().await;
    let files = mirror.files(&deep).await.unwrap();
    assert_eq!((files.len(), files[0].mode), (1, 0));

    let bomb = grants_of(&origin, &bomb);
    let mirror = origin.mirror().await;
    let changes = mirror.changes(&bomb, &bomb).await.unwrap();
    assert!(changes.is_empty());
    let files = mirror.files(&bomb).await.unwrap();
    assert!(files.iter().any(|file| file.mode == 0));
}

#[tokio::test]
async fn blobs_are_found_where_they_stand_and_nowhere_else() {
    let origin = Origin::new();
    let commit = origin.commit(&[], &[(GRANT, Some("one")), ("README", Some("x"))]);
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    let paths = [
        GRANT,
        "README",
        "access",
        "access/grants/orders",
        "README/x",
        "access/grants/orders/eve.yaml",
    ];
    let paths = paths.map(|path| RepoPath::new(path).unwrap());
    let found = mirror.blobs_at(&commit, &paths).await.unwrap();
    let blobs: Vec<_> = paths.iter().map(|path| found[path].clone()).collect();
    assert_eq!(
        blobs,
        [
            Some(origin.blob("one")),
            Some(origin.blob("x")),
            None,
            None,
            None,
            None
        ]
    );

    let absent = CommitId::new(ABSENT).unwrap();
    assert!(
        matches!(mirror.blobs_at(&absent, &paths).await, Err(RepoError::NoCommit(id)) if id == absent)
    );
    let long = CommitId::new("a".repeat(64)).unwrap();
    assert!(matches!(mirror.files(&long).await, Err(RepoError::NoCommit(id)) if id == long));
}
