//! `hallpass return`, run as a program in a clone, against the stand-in and the service.

use std::path::Path;

use hallpass::app::propose::{NoPlace, Place};
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::Change;
use serde_json::Value;

use crate::asking::{self, Said};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, file, grant};

/// Somebody's clone of the access repository, made before anything was asked for, from which access is given back.
pub struct Desk(asking::Desk);

impl std::ops::Deref for Desk {
    type Target = asking::Desk;
    fn deref(&self) -> &asking::Desk {
        &self.0
    }
}

impl Desk {
    pub fn new(world: &World) -> Self {
        Self(asking::Desk::of(&world.sandbox))
    }

    /// Runs `hallpass return` with these arguments and this environment alone.
    async fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        self.0
            .run(environment, &[&["return"], arguments].concat())
            .await
    }

    /// As somebody with a token for the stand-in.
    async fn as_person(&self, world: &World, login: &str, arguments: &[&str]) -> Said {
        let words = [&["return"], arguments].concat();
        self.0.as_person(&world.sandbox, login, &words).await
    }
}

/// ada's grant of two hours, given.
async fn given(world: &World) -> PullNumber {
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    if !world.is_merged(pull) {
        world
            .merge_as_admin(pull, hallpass::sandbox::MergeMethod::Merge)
            .await;
    }
    assert_eq!(world.holders("reader"), ["ada"]);
    pull
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_gives_access_back_and_nobody_has_to_approve() {
    hearing_and_deaf(async |world| {
        let desk = Desk::new(world);
        given(world).await;
        let before = desk.state();
        let said = desk
            .as_person(world, "ada", &["db/ada-incident", "--json"])
            .await;
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        let answer = said.json();
        assert_eq!(answer["approval"], "none");
        assert_eq!(answer["branch"], "return/db-ada-incident");
        assert_eq!(answer["subject"], "ada");
        assert_eq!(answer["role"], "db/readonly");
        assert_eq!(answer["pull"]["number"], 2);
        assert_eq!(desk.state(), before, "the work tree is not touched");

        world.settle().await;
        assert!(world.is_merged(PullNumber(2)));
        assert!(world.holders("reader").is_empty());
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("db/ada-incident"))
                .is_none()
        );
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        assert_eq!(
            world.told("revoked"),
            ["Revoked: ada on db/readonly (withdrawn)"]
        );
        let pull = world.sandbox.pull(REPO, PullNumber(2));
        assert_eq!(pull.title, "Return access: db/ada-incident");
        assert_eq!(pull.author, "ada");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_may_take_it_back_and_anybody_else_needs_one() {
    hearing_and_deaf(async |world| {
        let desk = Desk::new(world);
        given(world).await;
        let said = desk.as_person(world, "mallory", &["db/ada-incident"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.out.contains(
                "@ada, @acme/dba need nobody's approval; anybody else needs one of an owner"
            ),
            "{}",
            said.out
        );
        world.settle().await;
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "mallory alone ends nothing"
        );
        // An owner who does not wait for that.
        let own = ["db/ada-incident", "--branch", "take-it-back"];
        let said = desk.as_person(world, "grace", &own).await;
        assert_eq!(said.code, 0, "{said:?}");
        world.settle().await;
        assert!(world.is_merged(PullNumber(3)));
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_finds_the_pull_request_that_is_open() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let desk = Desk::new(world);
        given(world).await;
        let first = desk
            .as_person(world, "ada", &["db/ada-incident", "--json"])
            .await
            .json();
        world.settle().await;
        let again = desk
            .as_person(world, "ada", &["db/ada-incident", "--json"])
            .await;
        assert_eq!(again.code, 0);
        let again = again.json();
        assert_eq!(
            (&first["already"], &again["already"]),
            (&Value::Bool(false), &Value::Bool(true))
        );
        assert_eq!(first["pull"], again["pull"]);
        assert_eq!(world.sandbox.pulls(REPO).len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_an_earlier_return_is_used_again() {
    let world = World::hearing().await;
    let desk = Desk::new(&world);
    for round in [2, 4] {
        given(&world).await;
        let said = desk.as_person(&world, "ada", &["db/ada-incident"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        world.settle().await;
        assert!(world.is_merged(PullNumber(round)), "{said:?}");
        assert!(world.holders("reader").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_commit_waits_and_what_is_left_is_told() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let before = desk.state();
    let said = desk.run(&[], &["db/ada-incident"]).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    let compare = format!(
        "{}/acme/access/compare/main...return/db-ada-incident?expand=1",
        world.sandbox.url()
    );
    for part in [
        "db/ada-incident: db/readonly of ada",
        "there is no token for 127.0.0.1",
        &format!(
            "set GH_HOST={} and GH_ENTERPRISE_TOKEN, or run `gh auth login`",
            desk.host()
        ),
        "then git push origin return/db-ada-incident",
        &format!("and open {compare}"),
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    assert_eq!(desk.state(), before);

    let repo = desk.repo();
    let branch = repo
        .find_branch("return/db-ada-incident", git2::BranchType::Local)
        .unwrap();
    let commit = branch.get().peel_to_commit().unwrap();
    let main = repo.revparse_single("origin/main").unwrap().id();
    assert_eq!(commit.parent_id(0).unwrap(), main);
    assert_eq!(commit.author().email().unwrap(), "somebody@example.org");
    // It was the only file there: a folder without files is nothing to git.
    let tree = commit.tree().unwrap();
    assert!(tree.get_path(Path::new("access/grants")).is_err());
    let parent = commit.parent(0).unwrap().tree().unwrap();
    let diff = repo
        .diff_tree_to_tree(Some(&parent), Some(&tree), None)
        .unwrap();
    assert_eq!(diff.deltas().len(), 1);

    // The same again is no other branch's work.
    let again = desk
        .run(
            &[],
            &["access/grants/db/ada-incident.yaml", "--local", "--json"],
        )
        .await;
    assert_eq!(again.code, 1, "{again:?}");
    assert_eq!(again.json()["why"], "GitHub was not to be asked");
    assert_eq!(world.sandbox.pulls(REPO).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pushed_or_opened_is_left_to_be_finished() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let host = desk.host().to_owned();
    let wrong = [("GH_ENTERPRISE_TOKEN", "ghp_wrong"), ("GH_HOST", &host)];
    let said = desk.run(&wrong, &["db/ada-incident"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("the token is not accepted")
            && said.out.contains("git push origin return/db-ada-incident"),
        "{}",
        said.out
    );
    // Pushed, and no pull request: the page to open it on is all that is left.
    let operation = "POST /repos/{owner}/{repo}/pulls";
    let before = hallpass::sandbox::When::Before;
    world.sandbox.fail_next(Some(operation), 1, 403, before);
    let said = desk
        .as_person(&world, "ada", &["db/ada-incident", "--json"])
        .await;
    assert_eq!(said.code, 1, "{said:?}");
    let next = said.json()["next"].clone();
    assert_eq!(next.as_array().unwrap().len(), 1, "{next}");
    assert!(
        next[0]
            .as_str()
            .unwrap()
            .contains("/compare/main...return/")
    );
    assert!(
        world
            .sandbox
            .branch_tip(REPO, "return/db-ada-incident")
            .is_some()
    );
    let said = desk.as_person(&world, "ada", &["db/ada-incident"]).await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pushed_to_the_branch_that_counts() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let repo = desk.repo();
    repo.set_head_detached(repo.head().unwrap().target().unwrap())
        .unwrap();
    repo.find_branch("main", git2::BranchType::Local)
        .unwrap()
        .delete()
        .unwrap();
    let before = world.sandbox.branch_tip(REPO, "main");
    let arguments = ["db/ada-incident", "--branch", "main"];
    let said = desk.as_person(&world, "ada", &arguments).await;
    assert_eq!(world.sandbox.branch_tip(REPO, "main"), before, "{said:?}");
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("is the branch that counts"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_branch_and_those_of_the_service_are_refused_whatever_branch_counts() {
    let world = World::hearing().await;
    given(&world).await;
    let notes = [Change::write("notes.md", "Another line of work.\n")];
    let pushed = world.sandbox.push("mei", REPO, "develop", &notes, "Begin");
    pushed.unwrap();
    let desk = Desk::new(&world);
    for (branch, says) in [
        ("develop", "is the branch that counts"),
        ("main", "is the default branch of the remote"),
        ("hallpass/evidence", "is for Hallpass itself"),
        ("hallpass/of-nobody-yet", "is for Hallpass itself"),
        ("hallpass", "is for Hallpass itself"),
    ] {
        let before = world.sandbox.branch_tip(REPO, branch);
        let arguments = ["db/ada-incident", "--base", "develop", "--branch", branch];
        let said = desk.as_person(&world, "ada", &arguments).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(says), "{said:?}");
        assert_eq!(world.sandbox.branch_tip(REPO, branch), before, "{said:?}");
    }
    assert!(desk.branches().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_only_the_remote_has_is_left_to_whoever_works_there() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let push = |branch, changes: &[Change], message| {
        let pushed = world.sandbox.push("mei", REPO, branch, changes, message);
        pushed.unwrap();
    };
    let notes = [Change::write("notes.md", "Not finished yet.\n")];
    push("wip", &notes, "Notes");
    // Ours by its last commit alone.
    push("mixed", &notes, "Notes");
    let removal = [Change::delete(file("db/ada-incident"))];
    push("mixed", &removal, "Return access: db/ada-incident");
    // Nor is a pull request of another change the one that is asked for.
    world
        .sandbox
        .open_pull("mei", REPO, "wip", "main", "Notes", "")
        .unwrap();
    for branch in ["wip", "mixed"] {
        let before = world.sandbox.branch_tip(REPO, branch);
        let arguments = ["db/ada-incident", "--branch", branch];
        let said = desk.as_person(&world, "ada", &arguments).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("holds something else"), "{said:?}");
        assert_eq!(world.sandbox.branch_tip(REPO, branch), before, "{said:?}");
    }
    assert!(desk.branches().is_empty());
    assert_eq!(world.sandbox.pulls(REPO).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_attempt_from_another_clone_is_taken_up() {
    let world = World::new(Ears::Hearing, "merge = \"off\"").await;
    given(&world).await;
    let desks = [Desk::new(&world), Desk::new(&world), Desk::new(&world)];
    let operation = "POST /repos/{owner}/{repo}/pulls";
    let before = hallpass::sandbox::When::Before;
    world.sandbox.fail_next(Some(operation), 1, 403, before);
    let mut said = Vec::new();
    for desk in &desks {
        let arguments = ["db/ada-incident", "--json"];
        said.push(desk.as_person(&world, "ada", &arguments).await);
    }
    let codes: Vec<i32> = said.iter().map(|said| said.code).collect();
    assert_eq!(codes, [1, 0, 0], "{said:?}");
    let already = |n: usize| said[n].json()["already"].clone();
    assert_eq!(already(1), Value::Bool(false));
    assert_eq!(already(2), Value::Bool(true));
    assert_eq!(world.sandbox.pulls(REPO).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_to_no_host_that_it_is_not_for() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let token = world.sandbox.personal_token("ada");
    world.sandbox.reset_calls();
    for name in ["GH_TOKEN", "GITHUB_TOKEN"] {
        let said = desk.run(&[(name, &token)], &["db/ada-incident"]).await;
        assert_eq!(said.code, 1, "{said:?}");
    }
    // The clone of somebody else's host does not get what is for the organisation's own.
    for host in [None, Some(("GH_HOST", "github.acme.example"))] {
        for name in ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"] {
            let environment: Vec<_> = host.into_iter().chain([(name, token.as_str())]).collect();
            let said = desk.run(&environment, &["db/ada-incident"]).await;
            assert_eq!(said.code, 1, "{said:?}");
        }
    }
    assert_eq!(world.sandbox.calls().len(), 0, "nobody was asked");
    // Whoever says that the host is GitHub's means it.
    let host = desk.host().to_owned();
    let named = [("GH_TOKEN", token.as_str()), ("GH_HOST", &host)];
    let said = desk.run(&named, &["db/ada-incident"]).await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_githubs_own_command_line_is_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let token = world.sandbox.personal_token("ada");
    let program = desk.home().join("gh");
    let host = desk.host().to_owned();
    let text =
        format!("#!/bin/sh\n[ \"$*\" = \"auth token --hostname {host}\" ] && echo {token}\n");
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = desk.home().to_str().unwrap().to_owned();
    let said = desk.run(&[("PATH", &path)], &["db/ada-incident"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("you hold it"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_there_is_answered_with_those_that_are_like_it() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let said = desk.run(&[], &["db/ada-incidnet"]).await;
    assert_eq!(said.code, 1);
    assert!(
        said.out
            .contains("there is no grant db/ada-incidnet on main")
            && said.out.contains("did you mean db/ada-incident?"),
        "{}",
        said.out
    );
    let said = desk
        .as_person(&world, "ada", &["db/ada-incidnet", "--json"])
        .await;
    let answer = said.json();
    assert_eq!((said.code, &answer["found"]), (1, &Value::Bool(false)));
    assert_eq!(answer["near"], serde_json::json!(["db/ada-incident"]));
    assert_eq!(world.sandbox.pulls(REPO).len(), 1);

    for wrong in ["ada-incident", "db/Ada", "../x/y", "db/a/b"] {
        let said = desk.run(&[], &[wrong]).await;
        assert_eq!(said.code, 2, "{wrong}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_other_work_on_a_branch_of_that_name_is_left_alone() {
    let world = World::hearing().await;
    given(&world).await;
    let desk = Desk::new(&world);
    let repo = desk.repo();
    let tip = repo.head().unwrap().peel_to_commit().unwrap();
    repo.branch("return/db-ada-incident", &tip, false).unwrap();
    let said = desk.as_person(&world, "ada", &["db/ada-incident"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("holds something else"), "{}", said.err);
    let after = repo.revparse_single("return/db-ada-incident").unwrap();
    assert_eq!(after.id(), tip.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_clone_of_a_repository_on_github_is_refused_without_its_secrets() {
    let world = World::new(Ears::Hearing, "").await;
    given(&world).await;
    let desk = Desk::new(&world);
    let nowhere = tempfile::tempdir().unwrap();
    let said = desk
        .run_in(nowhere.path(), &[], &["return", "db/ada-incident"])
        .await;
    assert_eq!(said.code, 2);
    assert!(said.err.contains("run this in a clone"), "{}", said.err);

    let repo = desk.repo();
    for address in [
        "http://me:hunter2@example.org/acme/access",
        "/srv/hunter2.git",
    ] {
        repo.remote_set_url("origin", address).unwrap();
        let said = desk.run(&[], &["db/ada-incident"]).await;
        assert_eq!(said.code, 2, "{address}");
        assert!(
            said.err.contains("`origin` leads to no repository") && !said.err.contains("hunter2"),
            "{}",
            said.err
        );
    }
    let said = desk
        .run(&[], &["db/ada-incident", "--remote", "upstream"])
        .await;
    assert!(
        said.err
            .contains("no remote `upstream`; name one of origin"),
        "{}",
        said.err
    );
    repo.remote_set_url("origin", &desk.origin()).unwrap();
    let said = desk.run(&[], &["db/ada-incident", "--base", "trunk"]).await;
    assert_eq!(said.code, 2);
    assert!(said.err.contains("knows no branch `trunk`"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_can_be_removed_all_the_same() {
    let world = World::new(Ears::Hearing, "").await;
    let broken = [Change::write(
        file("db/broken"),
        "person: ada\nperson: mei\n",
    )];
    world
        .sandbox
        .push_to_main("root", REPO, &broken, "By hand")
        .unwrap();
    let desk = Desk::new(&world);
    let said = desk.as_person(&world, "grace", &["db/broken"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("db/broken\n"), "{}", said.out);
}

#[test]
fn the_address_of_a_remote_tells_the_repository() {
    let github = ("https://api.github.com", "https://github.com/acme/access");
    let ghes = (
        "https://ghe.example.org/api/v3",
        "https://ghe.example.org/acme/access",
    );
    let tables = [
        ("https://github.com/acme/access.git", github),
        ("https://github.com/acme/access", github),
        ("https://github.com/acme/access/", github),
        ("https://me:token@GitHub.com/Acme/access.git", github),
        ("https://www.github.com/acme/access", github),
        ("git@github.com:acme/access.git", github),
        ("github.com:acme/access", github),
        ("ssh://git@github.com/acme/access.git", github),
        ("ssh://git@github.com:22/acme/access.git", github),
        ("ssh://git@ssh.github.com:443/acme/access.git", github),
        ("org-12@github.com:acme/access.git", github),
        ("git@octo.ghe.com@ghe.example.org:acme/access.git", ghes),
        ("git@ghe.example.org:acme/access.git", ghes),
        ("ssh://git@ghe.example.org:7999/acme/access.git", ghes),
        ("https://ghe.example.org/acme/access.git", ghes),
        (
            "https://ghe.example.org:8443/acme/access.git",
            (
                "https://ghe.example.org:8443/api/v3",
                "https://ghe.example.org:8443/acme/access",
            ),
        ),
        (
            "git@octo.ghe.com:acme/access.git",
            (
                "https://api.octo.ghe.com",
                "https://octo.ghe.com/acme/access",
            ),
        ),
        (
            "http://127.0.0.1:3000/acme/access.git",
            (
                "http://127.0.0.1:3000/api/v3",
                "http://127.0.0.1:3000/acme/access",
            ),
        ),
    ];
    for (address, (api, page)) in tables {
        let place = Place::of_remote(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        assert_eq!(
            (place.api.as_str(), place.page.as_str()),
            (api, page),
            "{address}"
        );
        assert_eq!(place.git_url(), format!("{page}.git"));
    }
    for (address, why) in [
        ("http://github.com/acme/access", NoPlace::Plain),
        ("git://github.com/acme/access", NoPlace::Form),
        ("file:///srv/access.git", NoPlace::Form),
        ("/srv/access.git", NoPlace::Form),
        ("../access", NoPlace::Form),
        ("./odd:name/access", NoPlace::Form),
        ("C:/acme/access", NoPlace::Form),
        ("https://github.com/acme", NoPlace::Form),
        ("https://github.com/acme/access/tree/main", NoPlace::Form),
        ("https://github.com/acme/..", NoPlace::Form),
        ("ssh://github.com", NoPlace::Form),
        // Each ends like a host of GitHub's, and would lead a token to another.
        ("git@evil.example#.ghe.com:acme/access", NoPlace::Form),
        ("git@evil.example?.ghe.com:acme/access", NoPlace::Form),
        ("git@evil.example/.ghe.com:acme/access", NoPlace::Form),
        ("git@evil.example\\.ghe.com:acme/access", NoPlace::Form),
        ("git@evil.example%23.ghe.com:acme/access", NoPlace::Form),
        ("git@evil.example\t.ghe.com:acme/access", NoPlace::Form),
        (
            "git@evil.example\u{ff0f}.ghe.com:acme/access",
            NoPlace::Form,
        ),
        ("git@\u{ff47}ithub.com:acme/access", NoPlace::Form),
        (
            "ssh://git@evil.example%23.ghe.com/acme/access",
            NoPlace::Form,
        ),
        (
            "ssh://git@evil.example%40.ghe.com/acme/access",
            NoPlace::Form,
        ),
        ("", NoPlace::Form),
    ] {
        assert_eq!(Place::of_remote(address), Err(why), "{address}");
    }
}
