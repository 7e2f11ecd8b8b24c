//! Clones, catalogues and forges that are not as they should be.

use super::{Example, REPO};
use hallpass::sandbox::{Down, When};

const VIEWER: [&str; 6] = [
    "request",
    "dashboards/viewer",
    "--for",
    "2h",
    "--reason",
    "Watches the launch.",
];

#[tokio::test(flavor = "multi_thread")]
async fn text_of_the_catalogue_and_of_people_moves_no_cursor() {
    let dashboards = include_str!("../../../access/resources/dashboards.yaml").replace(
        "description: Membership of the team",
        "description: \"Mem\\u001b[2Jbership \\u202e of\\u009b it\"",
    );
    let mei = include_str!("../../../access/people/octocat.yaml").replace(
        "name: Mona Lisa Octocat",
        "name: \"Mona \\u001b]0;x\\u0007 \\u200bLisa\"",
    );
    let example = Example::with(&[
        ("access/resources/dashboards.yaml", &dashboards),
        ("access/people/octocat.yaml", &mei),
    ])
    .await;
    let desk = example.desk();
    let commands: [&[&str]; 6] = [
        &VIEWER,
        &["request", "dashboards/viewer", "--person", "octocat"],
        &["list", "--all"],
        &["show", "orders/octocat-inc-4211"],
        &["who", "orders"],
        &["access", "octocat"],
    ];
    for words in commands {
        let said = desk.as_person(&example.sandbox, "octocat", words).await;
        let all = said.out.clone() + &said.err;
        assert!(
            !all.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}', '\u{200b}']),
            "{words:?} {all:?}"
        );
        assert_ne!(said.code, 2, "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_codeowners_it_is_said_that_nobody_can_approve() {
    let mut files = super::bare_files();
    files.retain(|(path, _)| path != ".github/CODEOWNERS");
    let example = Example::of(&files).await;
    let desk = example.desk();
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.has(&[
        "error[owner-missing]",
        "Add .github/CODEOWNERS",
        "nothing was made",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_head_and_changes_in_the_work_tree_are_in_nobodys_way() {
    let example = Example::new().await;
    let desk = example.desk();
    let repo = desk.repo();
    repo.set_head_detached(repo.head().unwrap().target().unwrap())
        .unwrap();
    std::fs::write(
        desk.clone().join("access/resources/orders.yaml"),
        "broken: [",
    )
    .unwrap();
    let before = desk.state();
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(desk.state(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_leaves_the_branch_and_says_what_is_left() {
    let example = Example::new().await;
    let desk = example.desk();
    desk.repo()
        .config()
        .unwrap()
        .set_str("github.user", "octocat")
        .unwrap();
    let environment = desk.environment("ghp_expired");
    let said = desk.run(&environment, &VIEWER).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.has(&[
        "prepared on branch request/dashboards-octocat-viewer",
        "the token is not accepted",
        "git push origin request/dashboards-octocat-viewer",
    ]);
    assert_eq!(desk.branches(), ["request/dashboards-octocat-viewer"]);
    // With a new one, the same request goes on from there.
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(example.sandbox.pulls(REPO).len(), 1);
    let said = desk.run(&environment, &["list"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.has(&[
        "note: what is open, and what waits for you, is not known",
        "401",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_the_branch_waits() {
    let example = Example::new().await;
    let desk = example.desk();
    desk.repo()
        .config()
        .unwrap()
        .set_str("github.user", "octocat")
        .unwrap();
    let token = example.sandbox.personal_token("octocat");
    example.sandbox.down(Down::Refused);
    for words in [&VIEWER[..], &["list"], &["who", "orders"]] {
        let said = desk.run(&desk.environment(&token), words).await;
        assert_ne!(said.code, 2, "{said:?}");
        assert!(!said.out.contains(&token));
    }
    assert_eq!(desk.branches(), ["request/dashboards-octocat-viewer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_cannot_be_opened_leaves_a_pushed_branch() {
    let example = Example::new().await;
    let desk = example.desk();
    let operation = "POST /repos/{owner}/{repo}/pulls";
    example
        .sandbox
        .fail_next(Some(operation), 1, 403, When::Before);
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.has(&[
        "then open ",
        "/compare/main...request/dashboards-octocat-viewer?expand=1",
    ]);
    assert!(
        example
            .sandbox
            .branch_tip(REPO, "request/dashboards-octocat-viewer")
            .is_some()
    );
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_for_commits_nothing_is_asked() {
    let example = Example::new().await;
    let desk = example.desk();
    let repo = desk.repo();
    repo.config().unwrap().remove("user.name").unwrap();
    let said = desk.as_person(&example.sandbox, "octocat", &VIEWER).await;
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(
        said.err.contains("set user.name and user.email"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_clone_of_a_repository_on_github_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let example = Example::new().await;
    let desk = example.desk();
    let elsewhere = folder.path().to_str().unwrap();
    for command in [
        &["list"][..],
        &["request"],
        &["renew", "a/b"],
        &["show", "a/b"],
        &["who", "a"],
        &["access", "a"],
    ] {
        let words = [command, &["--dir", elsewhere]].concat();
        let said = desk.run(&[], &words).await;
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(
            said.err.contains("there is no git repository at"),
            "{said:?}"
        );
    }
}
