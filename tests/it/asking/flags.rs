//! `hallpass request` and `hallpass renew` where nobody can be asked.

use serde_json::{Value, json};

use super::{Example, REPO, Said};
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::Change;

const REQUEST: [&str; 10] = [
    "request",
    "orders/readonly",
    "--for",
    "2h",
    "--reason",
    "Checkout fails for some customers since 13:05.",
    "--ticket",
    "INC-4299",
    "--risk",
    "Reads personal data; writes nothing.",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&REQUEST[..], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_written_checked_and_opened_without_touching_the_work_tree() {
    let example = Example::new().await;
    let desk = example.desk();
    let before = desk.state();
    let said = desk.as_person(&example.sandbox, "octocat", &REQUEST).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said.has(&[
        "orders/readonly for octocat (Mona Lisa Octocat), who is you by your token\n",
        "SELECT on every table",
        "for 2h, at most 8h",
        "access/grants/orders/octocat-inc-4299.yaml",
        "approval   1 of @acme/orders-owners",
        "opened #1: ",
    ]);
    assert_eq!(desk.state(), before);
    let pull = example.sandbox.pull(REPO, PullNumber(1));
    assert_eq!(pull.title, "Request access: orders/readonly for octocat");
    assert_eq!(pull.author, "octocat");
    assert_eq!(
        example.asked(1, "access/grants/orders/octocat-inc-4299.yaml"),
        "# yaml-language-server: $schema=../../../schemas/grant.schema.json\n\
         person: octocat\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers since 13:05.\n\
         ticket: INC-4299\nrisk: Reads personal data; writes nothing.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_missing_is_told_at_once() {
    let example = Example::new().await;
    let desk = example.desk();
    let said = desk.run(&[], &["request", "orders/readonly"]).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    said.has(&[
        "--person",
        "it is not known who you are",
        "--for",
        "at most 8h",
        "--reason",
        "--ticket",
        "^(INC|CHG)-[0-9]+$",
        "--risk",
    ]);
    let said = desk
        .as_person(&example.sandbox, "octocat", &["request", "--json"])
        .await;
    let answer = said.json();
    let flags: Vec<&str> = answer["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["flag"].as_str().unwrap())
        .collect();
    assert_eq!(
        (said.code, flags),
        (1, vec!["RESOURCE/ROLE", "--for", "--reason"])
    );
    assert_eq!(answer["subject"], "octocat");
    assert!(desk.branches().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_check_would_refuse_is_refused_before_anything_is_made() {
    let example = Example::new().await;
    let desk = example.desk();
    let refused = async |more: &[&str], rule: &str| {
        let words: Vec<&str> = ["request"].iter().chain(more).copied().collect();
        let said = desk.as_person(&example.sandbox, "octocat", &words).await;
        assert_eq!(said.code, 1, "{said:?}");
        said.has(&[rule, "nothing was made"]);
        assert!(desk.branches().is_empty(), "{said:?}");
    };
    let rest = [
        "--reason",
        "Checkout fails for some.",
        "--ticket",
        "INC-1",
        "--risk",
        "Reads.",
    ];
    let readonly = [&["orders/readonly", "--for"][..], &["9h"], &rest].concat();
    refused(&readonly, "error[term-too-long]").await;
    let readonly = [&["orders/readonly", "--for"][..], &["2h"], &rest].concat();
    let ticket: Vec<&str> = readonly
        .iter()
        .map(|w| if *w == "INC-1" { "X" } else { w })
        .collect();
    refused(&ticket, "error[ticket-pattern]").await;
    let unknown = [&["orders/readnly", "--for"][..], &["2h"], &rest].concat();
    refused(&unknown, "Did you mean `readonly`?").await;
    // The organisation's policy, and not only the rules of files: ada has had no training.
    let admin = [
        &["orders/admin", "--person", "ada", "--for", "1h"][..],
        &rest,
    ]
    .concat();
    refused(
        &admin,
        "Whoever changes production has done the production training",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_approved_by_the_owners_of_each_part_and_a_policy_may_approve_by_itself() {
    let example = Example::new().await;
    let desk = example.desk();
    let bundle = [
        "request",
        "incident-kit/responder",
        "--for",
        "4h",
        "--reason",
        "Orders arrive twice since noon.",
        "--ticket",
        "INC-4230",
        "--risk",
        "May restart services.",
        "--json",
    ];
    let said = desk.as_person(&example.sandbox, "octocat", &bundle).await;
    let answer = said.json();
    assert_eq!(said.code, 0, "{said:?}");
    let approvals = answer["approvals"].as_array().unwrap();
    let of = |i: usize| (approvals[i]["role"].clone(), approvals[i]["owners"].clone());
    assert_eq!(
        [of(0), of(1), of(2)],
        [
            (json!("dashboards/viewer"), json!([])),
            (json!("on-call/member"), json!(["@acme/sre-leads"])),
            (json!("orders/readonly"), json!(["@acme/orders-owners"])),
        ]
    );
    // A policy looks at each part by itself, as the check does.
    assert_eq!(approvals[0]["policy"], "low-risk-for-a-day");
    let viewer = [
        "request",
        "dashboards/viewer",
        "--for",
        "4h",
        "--reason",
        "Watches the launch.",
        "--json",
    ];
    let answer = desk
        .as_person(&example.sandbox, "octocat", &viewer)
        .await
        .json();
    assert_eq!(answer["approvals"][0]["policy"], "low-risk-for-a-day");
    // For somebody else, the policy does not.
    let other = [&viewer[..], &["--person", "mei"]].concat();
    let answer = desk
        .as_person(&example.sandbox, "octocat", &other)
        .await
        .json();
    assert_eq!(answer["approvals"][0]["policy"], Value::Null);
    assert_eq!(answer["approvals"][0]["needed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_gets_another_name_and_the_same_one_is_found_again() {
    let example = Example::new().await;
    let desk = example.desk();
    let ask = async |more: &[&str]| -> Said {
        desk.as_person(&example.sandbox, "octocat", &with(more))
            .await
    };
    let first = ask(&["--json"]).await.json();
    let same = ask(&["--json"]).await.json();
    assert_eq!(
        (&same["pull"], &same["already"]),
        (&first["pull"], &json!(true))
    );
    // Another request, although it would have had the same name: nothing of it is lost.
    let other = ask(&["--starts", "2126-11-24T22:00:00Z", "--json"]).await;
    assert_eq!(other.code, 1, "too far ahead: {other:?}");
    let longer: Vec<&str> = with(&["--json"])
        .iter()
        .map(|w| if *w == "2h" { "3h" } else { w })
        .collect();
    let other = desk
        .as_person(&example.sandbox, "octocat", &longer)
        .await
        .json();
    assert_eq!(
        other["path"],
        "access/grants/orders/octocat-inc-4299-2.yaml"
    );
    assert_eq!(other["already"], false);
    assert_eq!(example.sandbox.pulls(REPO).len(), 2);
    // From another clone, which knows nothing of these branches.
    let elsewhere = example.desk();
    let shorter: Vec<&str> = with(&["--json"])
        .iter()
        .map(|w| if *w == "2h" { "1h" } else { w })
        .collect();
    let third = elsewhere
        .as_person(&example.sandbox, "octocat", &shorter)
        .await
        .json();
    assert_eq!(
        third["path"], "access/grants/orders/octocat-inc-4299-3.yaml",
        "{third}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_only_the_remote_has_is_left_alone_and_then_another_is_taken() {
    let example = Example::new().await;
    let desk = example.desk();
    let branch = "request/orders-octocat-inc-4299";
    let work = [Change::write("notes.md", "Not finished yet.\n")];
    let pushed = example.sandbox.push("grace", REPO, branch, &work, "Notes");
    let tip = pushed.unwrap();
    let said = desk.as_person(&example.sandbox, "octocat", &REQUEST).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("holds something else"), "{said:?}");
    // From now on the clone knows of it.
    let words = with(&["--json"]);
    let said = desk.as_person(&example.sandbox, "octocat", &words).await;
    assert_eq!(
        said.json()["path"],
        "access/grants/orders/octocat-inc-4299-2.yaml",
        "{said:?}"
    );
    assert_eq!(example.sandbox.branch_tip(REPO, branch), Some(tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_on_the_branch_that_counts_is_not_taken_again() {
    let example = Example::granted().await;
    let desk = example.desk();
    let viewer = [
        "request",
        "orders/support",
        "--for",
        "2h",
        "--reason",
        "Answers customers.",
        "--ticket",
        "INC-4211",
        "--json",
    ];
    let said = desk.as_person(&example.sandbox, "octocat", &viewer).await;
    assert_eq!(
        said.json()["path"],
        "access/grants/orders/octocat-inc-4211-2.yaml",
        "{said:?}"
    );
    // Nor is it when it is asked for: that file would be renewed, as something else.
    let named = [&viewer[..], &["--name", "octocat-inc-4211"]].concat();
    let said = desk.as_person(&example.sandbox, "octocat", &named).await;
    assert_eq!(
        (said.code, &said.json()["path"]),
        (1, &Value::Null),
        "{said:?}"
    );
    // What the subject has already is renewed, and not asked for twice.
    let said = desk.as_person(&example.sandbox, "octocat", &REQUEST).await;
    assert_eq!(said.code, 1);
    said.has(&[
        "error[duplicate-grant]",
        "Change access/grants/orders/octocat-inc-4211.yaml to renew",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_known_by_the_token_or_by_git_and_is_shown() {
    let example = Example::new().await;
    let desk = example.desk();
    let said = desk.as_person(&example.sandbox, "stranger", &REQUEST).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.has(&["you are stranger, who has no file under access/people/"]);
    for (key, value) in [
        ("github.user", "Octocat"),
        ("user.email", "583231+octocat@users.noreply.github.com"),
        ("user.email", "octocat@acme.example"),
        ("user.name", "Mona Lisa Octocat"),
    ] {
        let desk = example.desk();
        desk.repo().config().unwrap().set_str(key, value).unwrap();
        let said = desk.run(&[], &with(&["--local"])).await;
        assert_eq!(said.code, 1, "{said:?}");
        said.has(&[
            "for octocat (Mona Lisa Octocat), who is you by the configuration of git",
            "prepared on branch request/orders-octocat-inc-4299 of this clone, and no further: GitHub was not to be asked",
            "then git push origin request/orders-octocat-inc-4299",
        ]);
        assert_eq!(desk.branches(), ["request/orders-octocat-inc-4299"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_asked_for_by_its_name() {
    let example = Example::new().await;
    let desk = example.desk();
    let words = [
        "request",
        "orders/migrator",
        "--service",
        "deploy-bot",
        "--for",
        "90m",
        "--reason",
        "Adds the column promised_at.",
        "--ticket",
        "CHG-2099",
        "--json",
    ];
    let said = desk.as_person(&example.sandbox, "octocat", &words).await;
    let answer = said.json();
    assert_eq!(
        (said.code, &answer["subject"]),
        (0, &json!("service deploy-bot")),
        "{said:?}"
    );
    let text = example.asked(1, "access/grants/orders/deploy-bot-chg-2099.yaml");
    assert!(text.contains("\nservice: deploy-bot\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_changes_the_term_of_the_same_file_and_says_anew_why() {
    let example = Example::granted().await;
    let desk = example.desk();
    let renew = ["renew", "orders/octocat-inc-4211", "--for", "3h"];
    let said = desk.as_person(&example.sandbox, "octocat", &renew).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.has(&["a renewal lasts at most 8h, 90d in all", "--reason"]);
    let same = [
        &renew[..],
        &["--reason", "Checkout fails for some customers since 13:05"],
    ]
    .concat();
    let said = desk.as_person(&example.sandbox, "octocat", &same).await;
    assert_eq!(said.code, 1);
    said.has(&["error[renewal-needs-reason]", "nothing was made"]);
    let new = [
        &renew[..],
        &["--reason", "The fix is out; checks that no order is lost."],
    ]
    .concat();
    let said = desk.as_person(&example.sandbox, "octocat", &new).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.has(&["opened #1: ", "approval   1 of @acme/orders-owners"]);
    let text = example.asked(1, "access/grants/orders/octocat-inc-4211.yaml");
    assert!(
        text.contains("duration: 3h\nreason: The fix is out; checks that no order is lost.\nticket: INC-4211\nrisk: Reads personal data.\n"),
        "{text}"
    );
    let pull = example.sandbox.pull(REPO, PullNumber(1));
    assert_eq!(pull.title, "Renew access: orders/octocat-inc-4211");
    // Another renewal, while that one is open, is another pull request and replaces nothing.
    let other = [
        &new[..3],
        &[
            "2h",
            "--reason",
            "Looks at the numbers of the night.",
            "--json",
        ],
    ]
    .concat();
    let other = desk
        .as_person(&example.sandbox, "octocat", &other)
        .await
        .json();
    assert_eq!(other["branch"], "renew/orders-octocat-inc-4211-2");

    let said = desk
        .as_person(
            &example.sandbox,
            "octocat",
            &["renew", "orders/octocat-inc-4212", "--for", "1h"],
        )
        .await;
    assert_eq!(said.code, 1);
    said.has(&[
        "there is no grant orders/octocat-inc-4212 on main",
        "did you mean orders/octocat-inc-4211",
    ]);
}
