//! The check as people read it: whole pages, compared with golden ones, and what hostile text does to them.

use hallpass::domain::history::{Ending, Past};
use hallpass::domain::model::{BlobId, Gives, GrantPath, PullNumber, RepoPath, RoleRef, Subject};
use hallpass::domain::pull::ReviewState;
use hallpass::domain::report::{Check, CheckStatus, check};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::office::{
    FOR_SERVICE, OWNERS, WANTED, failed, holds, merged, office, request, standing, verdict,
};
use super::poison::poisoned;
use crate::approval::scene::{FILE, Scene, actor, at, blob, commit, login};

fn checked(scene: &Scene) -> Check {
    let verdict = verdict(scene);
    let check = check(&scene.case(), &verdict);
    assert_eq!(check.head, commit("head"));
    assert!(!check.title.contains('\n'));
    check
}

/// Compares title and page with `tests/golden/<name>.snap`.
fn golden(name: &str, scene: &Scene) {
    let check = checked(scene);
    let page = format!("{:?}: {}\n\n{}", check.status, check.title, check.summary);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, page));
}

#[test]
fn a_waiting_request_shows_the_whole_context() {
    let mut scene = request();
    holds(&mut scene, "octocat", "ledger", "readonly", 90);
    holds(&mut scene, "octocat", "orders", "admin", 30);
    holds(&mut scene, "grace", "orders", "admin", 30);
    scene.approves("mallory");
    scene.shows("old", FILE, Some("other"));
    scene.approves("ivan").last().commit = Some(commit("old"));
    golden("waiting", &scene);
}

#[test]
fn an_approved_request_names_who_approved() {
    let mut scene = office();
    scene.adds(FILE, &WANTED.replace("readonly", "admin"));
    for who in ["grace", "heidi"] {
        scene.approves(who).last().body = "Agreed in the incident call".to_owned();
    }
    golden("approved", &scene);
}

#[test]
fn a_denied_request_begins_with_the_way_out() {
    let mut scene = office();
    scene.adds(
        FILE,
        &WANTED.replace("2h", "9d").replace("octocat", "octocta"),
    );
    golden("denied", &scene);
    let check = checked(&scene);
    assert_eq!(check.annotations.len(), 2);
    assert!(
        check
            .annotations
            .iter()
            .all(|a| a.path == FILE && a.line > 0 && !a.warning)
    );
}

#[test]
fn a_file_that_cannot_be_read_is_denied_without_a_guess() {
    let mut scene = office();
    scene.adds(FILE, "person: octocat\nperson: grace\n");
    golden("unreadable", &scene);
}

#[test]
fn a_request_that_nobody_can_approve_names_owners_and_fallback() {
    let mut scene = request();
    scene.staff("dba", &["octocat"]);
    golden("nobody", &scene);
}

#[test]
fn an_amendment_shows_what_differs_from_today() {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    let other = WANTED
        .replace("duration: 2h", "duration: 4h\nstarts: 2026-11-24T22:00:00Z")
        .replace("since 11:05; need", "since 11:05;\n  still need")
        .replace("INC-4211", "INC-4212");
    scene.changes(FILE, Some(WANTED), Some(&other));
    holds(&mut scene, "octocat", "orders", "readonly", 90);
    golden("amended", &scene);
}

#[test]
fn a_second_grant_of_the_same_role_is_told() {
    let mut scene = request();
    holds(&mut scene, "octocat", "orders", "readonly", 90);
    let page = checked(&scene).summary;
    assert!(
        page.contains("`octocat` holds `orders/readonly` already, until 2026-11-24 13:30 UTC.")
    );
}

#[test]
fn a_request_for_a_service_says_who_answers_for_it() {
    let mut scene = office();
    scene.adds(FILE, FOR_SERVICE);
    golden("service", &scene);
}

#[test]
fn a_blocked_request_names_who_asked_for_changes() {
    let mut scene = request();
    scene
        .reviews("heidi", ReviewState::ChangesRequested)
        .approves("grace");
    golden("blocked", &scene);
}

#[test]
fn an_uncertain_verdict_says_what_is_tried_again() {
    let mut scene = request();
    failed(&mut scene, "dba");
    golden("uncertain", &scene);
}

#[test]
fn a_draft_says_so_first() {
    let mut scene = request();
    scene.pull.draft = true;
    golden("draft", &scene);
    scene.approves("grace");
    assert_eq!(
        checked(&scene).title,
        "Draft: approved, but not granted until it is marked as ready"
    );
}

#[test]
fn a_removal_says_what_ends() {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    scene.pull.author = Some(actor("mallory"));
    golden("removal", &scene);
}

#[test]
fn tidying_up_needs_one_row_a_file() {
    let mut scene = office();
    for number in 0..100 {
        let path = format!("access/grants/orders/ended-{number:03}.yaml");
        scene.changes(&path, Some(WANTED), None);
        scene
            .ended
            .insert(GrantPath::new(path).expect("a path"), blob(WANTED));
    }
    let check = checked(&scene);
    assert_eq!(check.status, CheckStatus::Success);
    assert_eq!(
        check.title,
        "Nothing to approve: removes the files of 100 grants that ended"
    );
    assert!(check.summary.contains("... and 40 more files."));
    assert!(check.summary.len() < 10_000);
}

#[test]
fn several_requests_begin_with_an_overview() {
    let mut scene = request();
    let second = WANTED
        .replace("octocat", "ivan")
        .replace("readonly", "admin");
    scene.adds("access/grants/orders/ivan.yaml", &second);
    scene.approves("grace");
    golden("several", &scene);
}

#[test]
fn control_files_list_their_owners() {
    let mut scene = office();
    scene.changes(
        ".github/CODEOWNERS",
        Some(OWNERS),
        Some("* @acme/security\n"),
    );
    scene.adds("access/people/eve.yaml", "github_id: 77\n");
    golden("control", &scene);
}

#[test]
fn nothing_governed_is_one_sentence() {
    let mut scene = office();
    scene.changes("README.md", Some("a"), Some("b"));
    golden("not-concerned", &scene);
}

#[test]
fn a_merged_request_shows_the_term_that_it_got() {
    let mut scene = request();
    scene.approves("grace");
    merged(&mut scene);
    scene.now = at(600);
    let page = checked(&scene).summary;
    assert!(
        page.contains("until 2026-11-24 14:00 UTC (merged 2026-11-24 12:00 UTC)"),
        "{page}"
    );
}

#[test]
fn a_check_changes_with_the_facts_and_not_with_the_clock() {
    let mut scene = request();
    let before = checked(&scene);
    scene.now = at(7);
    assert_eq!(checked(&scene), before);
    scene.approves("grace");
    assert_ne!(checked(&scene), before);
}

#[test]
fn a_page_stays_within_what_github_takes() {
    let mut scene = office();
    for number in 0..50 {
        let content = WANTED.replace("Checkout", &format!("{number} {}", "x".repeat(1_500)));
        scene.adds(&format!("access/grants/orders/r{number:02}.yaml"), &content);
    }
    let page = checked(&scene).summary;
    assert!(page.len() < 60_000, "{}", page.len());
    assert!(page.contains("not shown here, because the page would become too long"));
    assert!(page.contains("`orders/r49`"));
}

fn parser(page: &str) -> Parser<'_> {
    let mut options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    options |= Options::ENABLE_GFM | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
    Parser::new_ext(page, options)
}

/// The build of a page: everything but the words, which may differ.
fn skeleton(page: &str) -> Vec<String> {
    let mut bones = Vec::new();
    for event in parser(page) {
        match event {
            Event::Text(_) | Event::Code(_) | Event::SoftBreak => {}
            other => bones.push(format!("{other:?}")),
        }
    }
    bones
}

/// The words of the fenced blocks of a page, and all others but code, which GitHub leaves alone.
fn words(page: &str) -> (String, String) {
    let (mut fenced, mut others, mut inside) = (String::new(), String::new(), false);
    for event in parser(page) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => inside = true,
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => fenced.push_str(&text),
            Event::Text(text) => others.push_str(&text),
            _ => {}
        }
    }
    (fenced, others)
}

/// The only HTML that a page may hold: our own, to fold away what is long.
const OUR_HTML: &str =
    "<details><summary>Other access that ended: the latest 1 of 1</summary>\n</details>\n";

fn html(page: &str) -> String {
    parser(page)
        .filter_map(|event| match event {
            Event::Html(html) | Event::InlineHtml(html) => Some(html.into_string()),
            _ => None,
        })
        .collect()
}

/// An earlier request for the role, and other access that ended.
fn past() -> Vec<Past> {
    let past = |role: &str, ending| Past {
        subject: Subject::Person(login("octocat")),
        role: RoleRef::try_from(role.to_owned()).expect("a role"),
        pull: Some(PullNumber(7)),
        held_from: Some(at(-90)),
        at: at(-60),
        ending,
    };
    vec![
        past("orders/readonly", Ending::Expired),
        past("ledger/readonly", Ending::Returned),
    ]
}

const HOSTILE: [&str; 22] = [
    "```",
    "````\n# Approved by @acme/all",
    "~~~~\n",
    "\n```\n\n**x**\n",
    "@acme/all",
    "Fixes #1",
    "<img src=x onerror=y>",
    "</details>",
    "[a](http://b)",
    "![a](http://b)",
    "<!-- ",
    "| a | b |\n|---|---|",
    "\n\n# ✅ Approved\n",
    "\r# x",
    "\u{2028}",
    "\u{202e}",
    "https://evil.example",
    "- [x] done",
    "    ",
    "\t",
    "`",
    "$$x$$",
];

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        2 => "`{1,12}",
        1 => "[ -~\n]{0,20}",
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 1..12).prop_map(|parts| parts.join(""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn untrusted_text_stays_in_its_fences(texts in prop::array::uniform6(hostile())) {
        let mut scene = request();
        scene.around.past = past();
        holds(&mut scene, "octocat", "ledger", "readonly", 90);
        let tame = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let expected = check(&scene.case(), &poisoned(verdict(&scene), &tame));
        let found = check(&scene.case(), &poisoned(verdict(&scene), &texts));
        prop_assert_eq!(skeleton(&found.summary), skeleton(&expected.summary), "{}", found.summary);
        prop_assert_eq!(words(&found.summary).1, words(&expected.summary).1);
        prop_assert_eq!(&found.title, &expected.title);
        prop_assert_eq!(html(&found.summary), OUR_HTML);
        // What can be seen of it is there, whole.
        let fenced: String = words(&found.summary).0.split_whitespace().collect();
        let seen = texts[0].lines().next().unwrap_or_default();
        if seen.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            let seen: String = seen.split_whitespace().collect();
            prop_assert!(fenced.contains(&seen));
        }
    }

    #[test]
    fn what_owners_describe_is_prose(text in hostile()) {
        let mut scene = request();
        for resource in scene.base.resources.values_mut() {
            resource.description.clone_from(&text);
            for role in resource.roles.values_mut() {
                role.description.clone_from(&text);
                if let Gives::Entitlement { value, .. } = &mut role.gives {
                    *value = serde_json::json!({ "role": text });
                }
            }
        }
        for person in scene.base.people.values_mut() {
            person.name = Some(text.clone());
        }
        let expected = skeleton(&checked(&request()).summary);
        let page = checked(&scene).summary;
        prop_assert_eq!(skeleton(&page), expected, "{}", page);
        let (_, others) = words(&page);
        prop_assert!(!others.contains("@acme/all") && !others.contains("https://"), "{}", others);
    }

    #[test]
    fn a_hostile_path_of_a_control_file_stays_one_word(text in hostile()) {
        let mut scene = office();
        let path = |text: &str| format!("access/{}", text.replace('\0', ""));
        scene.changes.push(hallpass::domain::catalogue::ChangedFile {
            // Who can complete it is told only of a path that can have an owner.
            path: match RepoPath::new(path(&text)) {
                Ok(_) => path("tame"),
                Err(_) => path("/tame"),
            },
            before: Some((BlobId::new("a".repeat(40)).expect("an id"), 0o100_644)),
            after: None,
        });
        let skeleton_of = |scene: &Scene| skeleton(&checked(scene).summary);
        let expected = skeleton_of(&scene);
        scene.changes[0].path = path(&text);
        prop_assert_eq!(skeleton_of(&scene).len(), expected.len(), "{}", checked(&scene).summary);
    }
}
