//! Places and kinds of files: what a tree of git can hold and a request must not.

use std::collections::BTreeSet;

use hallpass::domain::decision::Outcome;
use hallpass::domain::model::{GrantPath, RepoPath, SheetPath};
use hallpass::domain::parse::read_tree;
use hallpass::domain::rules::{check_tree, is_control_path};
use hallpass::sandbox::{Change, MergeMethod};
use proptest::prelude::*;

use super::gives;
use crate::approval::scene::FILE;
use crate::decision::office::{WANTED, office, request, rules, verdict};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::text::{GRANT, file as plain, findings, now, places, world_with};
use crate::world::{REPO, file, grant};

#[tokio::test(flavor = "multi_thread")]
async fn ac_30_attributes_that_fold_the_diff_away_do_not_fold_what_the_check_says() {
    hearing_and_deaf(async |world| {
        let fold = "access/** linguist-generated -diff binary eol=crlf\n*.yaml filter=lfs working-tree-encoding=UTF-16 ident\n";
        let attributes = [Change::write(".gitattributes", fold)];
        let pull = world.propose("mallory", &attributes).await;
        world.approve(pull, "linus").await;
        assert_eq!(world.conclusion(pull), "in_progress", "security owns it");
        world
            .sandbox
            .push_to_main("root", REPO, &attributes, "All the same")
            .unwrap();
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        let check = world.check(pull);
        let told = format!("{} {}", check.summary, check.text);
        for fact in ["`ada`", "`db/readonly`", "**2h**"] {
            assert!(told.contains(fact), "{fact}: {told}");
        }
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[test]
fn ac_30_attributes_anywhere_decide_how_a_diff_looks() {
    for path in [
        ".gitattributes",
        "access/.gitattributes",
        "a/b/.gitattributes",
    ] {
        assert!(is_control_path(path), "{path}");
        let mut scene = request();
        scene
            .adds(path, "* -diff\n")
            .approves("grace")
            .approves("judy");
        assert!(
            rules(&verdict(&scene)).contains(&"control-and-grants"),
            "{path}"
        );
        assert!(!gives(&scene));
    }
}

#[test]
fn ac_39_a_path_that_climbs_hides_or_overflows_is_no_grant() {
    let long = format!("access/grants/orders/{}.yaml", "x".repeat(101));
    for path in [
        "access/grants/../grants/orders/x.yaml",
        "access/grants/orders/../ledger/x.yaml",
        "access/grants/orders/./x.yaml",
        "access/grants/orders//x.yaml",
        "/access/grants/orders/x.yaml",
        "access\\grants\\orders\\x.yaml",
        "access/grants/orders/x.yaml\0",
        "access/grants/orders/x.yaml ",
        "access/grants/orders/x.yaml.",
        "access/grants/orders/x .yaml",
        "access/grants/orders/.x.yaml",
        "access/grants/orders/x.y.yaml",
        "access/grants/orders/x_y.yaml",
        "access/grants/orders/\u{445}.yaml",
        "access/grants/orders/x.yml",
        "access/grants/orders/x.yaml\n",
        "Access/grants/orders/x.yaml",
        "access/grants/x.yaml/y.yaml",
        "access/grants/orders/a/x.yaml",
        long.as_str(),
    ] {
        assert!(GrantPath::new(path).is_err(), "{path:?}");
        let tree = read_tree(&[plain(path, GRANT)]);
        assert!(tree.grants.is_empty(), "{path:?}");
        if path.starts_with("access/") {
            assert!(!tree.findings.is_empty(), "{path:?}");
        }
        let mut scene = office();
        if RepoPath::new(path).is_ok() {
            scene.adds(path, WANTED).approves("grace").approves("judy");
            assert_ne!(verdict(&scene).outcome, Outcome::Approved, "{path:?}");
        }
    }
}

#[test]
fn ac_39_a_day_in_a_path_has_one_form() {
    let sheet = |day: &str| format!("access/reviews/{day}/dba-0123456789ab.yaml");
    assert!(SheetPath::new(sheet("2027-01-04")).is_ok());
    for day in [
        "2027- 1- 4",
        "2027 -1-04",
        "+2027-1-04",
        "-027-01-04",
        " 2027-1-04",
        "2027-1-04 ",
        "2027-02-29",
        "2027-1-4",
    ] {
        let path = sheet(day);
        assert!(SheetPath::new(&path).is_err(), "{path:?}");
        let tree = read_tree(&[plain(&path, GRANT)]);
        assert_eq!(places(&tree.findings), [format!("{path}:1:1 bad-path")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn ac_39_grant_paths_are_those_of_one_expression(path in "(access|/access|Access)/(grants|\\.\\.)/([a-z0-9-]{1,4}|\\.\\.|x\\.yml|[A-Z.]{1,2})(/[a-z.-]{1,4}){0,2}(\\.yaml|\\.yml|)( |\\.|\n|)") {
        let form = regex::Regex::new(r"\Aaccess/grants/[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\.yaml\z").unwrap();
        prop_assert_eq!(GrantPath::new(&path).is_ok(), form.is_match(&path), "{:?}", path);
    }
}

#[test]
fn ac_40_names_that_one_disk_takes_for_the_same_are_refused() {
    let upper = "access/grants/orders/REQUEST.yaml";
    let lower = "access/grants/orders/request.yaml";
    let tree = read_tree(&world_with(&[(upper, GRANT), (lower, GRANT)]));
    let found = places(&check_tree(&tree, now()));
    assert!(
        found.contains(&format!("{upper}:1:1 bad-path")),
        "{found:?}"
    );
    assert!(
        found.contains(&format!("{lower}:1:1 case-twin")),
        "{found:?}"
    );
    let mut scene = request();
    scene.adds(&FILE.replace("octocat", "OCTOCAT"), WANTED);
    scene.approves("grace").approves("judy");
    let found: BTreeSet<_> = rules(&verdict(&scene)).into_iter().collect();
    assert!(
        found.contains("case-twin") && found.contains("bad-path"),
        "{found:?}"
    );
    assert!(!gives(&scene));
    // The owners' file in another case is none, and stands in its place on some disks.
    let tree = read_tree(&[plain(".github/codeowners", "* @mallory\n")]);
    assert_eq!(tree.codeowners.path, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_41_only_regular_files_give_or_decide_anything() {
    let odd = [
        (0o120_000, b"../../people/ada.yaml".to_vec()),
        (0o120_000, grant("ada", "readonly", "2h").into_bytes()),
        (0o100_755, grant("ada", "readonly", "2h").into_bytes()),
    ];
    for (mode, content) in odd {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let change = Change::WriteMode {
                path: file("db/ada-incident"),
                content: content.clone(),
                mode,
            };
            let pull = world.propose("ada", &[change]).await;
            let check = world.check(pull);
            assert_eq!(check.conclusion.as_deref(), Some("failure"), "{mode:o}");
            assert_eq!(check.annotations[0]["title"], "file-mode");
            world.approve(pull, "grace").await;
            assert_eq!(world.conclusion(pull), "failure");
            world.merge_as_admin(pull, MergeMethod::Merge).await;
            assert_eq!(world.vault.calls(), 0);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_41_a_link_in_the_place_of_codeowners_names_no_owner() {
    hearing_and_deaf(async |world| {
        let link = Change::WriteMode {
            path: ".github/CODEOWNERS".to_owned(),
            content: b"../README.md".to_vec(),
            mode: 0o120_000,
        };
        let lax = Change::write("README.md", "* @mallory\n");
        world
            .sandbox
            .push_to_main("root", REPO, &[link, lax], "Link")
            .unwrap();
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "mallory").await;
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "failure");
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[test]
fn ac_41_a_submodule_and_a_folder_in_the_place_of_a_file_are_refused() {
    let path = "access/grants/orders/request.yaml";
    for mode in [0o160_000, 0o040_000, 0o100_664, 0] {
        let mut entry = plain(path, GRANT);
        entry.mode = mode;
        let tree = read_tree(&[entry]);
        assert!(tree.grants.is_empty(), "{mode:o}");
        assert_eq!(
            places(&tree.findings),
            [format!("{path}:1:1 file-mode")],
            "{mode:o}"
        );
    }
}

#[test]
fn ac_42_a_folder_that_looks_like_a_file_holds_no_grant() {
    for path in [
        "access/grants/x.yml/y.yaml",
        "access/grants/x.yaml/y.yaml",
        "access/people/ada.yaml/y.yaml",
        "access/resources/orders.yaml/x.yaml",
    ] {
        let found = findings(&[(path, GRANT)]);
        assert_eq!(found[0].path, path, "{found:?}");
        let mut scene = office();
        scene.adds(path, WANTED).approves("grace").approves("judy");
        assert_eq!(verdict(&scene).outcome, Outcome::Denied, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_43_content_is_what_git_stores_and_nothing_smudges_it() {
    hearing_and_deaf(async |world| {
        let attributes = "*.yaml filter=lfs diff=lfs merge=lfs ident working-tree-encoding=UTF-16\n";
        world
            .sandbox
            .push_to_main(
                "root",
                REPO,
                &[Change::write(".gitattributes", attributes)],
                "Filters",
            )
            .unwrap();
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
        let pull = world.request("ada", "db/ada-pointer", pointer).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "failure");
        let utf16: Vec<u8> = grant("ada", "readonly", "2h")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let pull = world
            .propose("ada", &[Change::write(file("db/ada-wide"), utf16)])
            .await;
        assert_eq!(world.conclusion(pull), "failure");
        let text = format!("# $Id$\n{}", grant("ada", "readonly", "2h"));
        let pull = world.request("ada", "db/ada-plain", &text).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}
