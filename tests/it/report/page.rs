use std::collections::BTreeSet;

use base64::Engine as _;
use hallpass::domain::audit::{Problem, Rule, Verified};
use hallpass::domain::render::{ForgeAddress, audit_report};
use regex::Regex;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Story, Told, at, commit, everything, november, vote};

fn page(story: &Story, problems: Vec<Problem>, forge: Option<&str>) -> String {
    let check = story.verified(problems);
    let forge = forge.map(|forge| ForgeAddress::of_remote(forge).unwrap());
    audit_report(&story.report(&check, &november()), forge.as_ref()).unwrap()
}

fn found(page: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let all = pattern.captures_iter(page);
    all.map(|capture| capture[1].to_owned()).collect()
}

fn problems() -> Vec<Problem> {
    vec![
        Problem {
            rule: Rule::NotIndependent,
            commit: Some(commit(3)),
            message: "grace approved her own access".to_owned(),
        },
        Problem {
            rule: Rule::Empty,
            commit: None,
            message: "nothing".to_owned(),
        },
    ]
}

const FORGE: &str = "https://github.com/acme/access";

#[test]
fn every_id_is_there_once_and_every_link_within_the_page_leads_somewhere() {
    for forge in [None, Some(FORGE)] {
        let page = page(&everything(), problems(), forge);
        let ids = found(&page, r#" id="([^"]+)""#);
        let distinct: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "an id is there twice");
        assert!(!page.contains("href=\"\""), "a link to nowhere");
        let named = found(&page, r#"(?:href="|url\()#([^")]+)"#);
        let labels = found(&page, r#"aria-labelledby="([^"]+)""#);
        let labels = labels
            .iter()
            .flat_map(|both| both.split(' ').map(str::to_owned));
        let mut checked = 0;
        for id in named.into_iter().chain(labels) {
            assert!(distinct.contains(&id), "{id} is nowhere");
            checked += 1;
        }
        assert!(checked > 30, "{checked}");
    }
}

#[test]
fn each_commit_is_a_link_to_the_forge_where_that_is_known_and_to_the_list_at_the_end_otherwise() {
    let story = everything();
    let offline = page(&story, problems(), None);
    let listed = found(&offline, r#"<tr id="c-([0-9a-f]{40})">"#);
    assert!(listed.len() > 20);
    assert!(
        listed.contains(&commit(3).to_string()),
        "that of a problem too"
    );
    let linked: BTreeSet<String> = found(&offline, r##"href="#c-([^"]+)""##)
        .into_iter()
        .collect();
    assert_eq!(linked, listed.iter().cloned().collect());
    let online = page(&story, problems(), Some(FORGE));
    let linked: BTreeSet<String> = found(
        &online,
        r#"href="https://github.com/acme/access/commit/([0-9a-f]{40})""#,
    )
    .into_iter()
    .collect();
    assert_eq!(linked, listed.into_iter().collect());
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = page(&everything(), problems(), Some(FORGE));
    for word in [
        "<script",
        "<link",
        "<iframe",
        "<object",
        "<embed",
        "<img",
        "<image",
        "<use",
        "<base",
        "<form",
        " src=",
        "srcset",
        "@import",
        "javascript:",
        " style=",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(
        found(&page, r"(?i)[\s<](on[a-z]+)\s*="),
        Vec::<String>::new(),
        "handlers of events"
    );
    let loaded: BTreeSet<String> = found(&page, r"url\(([^)]*)\)").into_iter().collect();
    assert_eq!(loaded, BTreeSet::from(["#hatch".to_owned()]));
    let addresses = page.matches("http://").count() + page.matches("https://").count();
    let links = found(
        &page,
        r#"<a (?:class="c" )?href="(https://github\.com/[^"]*)"[^>]* rel="noreferrer""#,
    )
    .len();
    assert_eq!(addresses, links, "an address that is no link");
    let style = &page[page.find("<style>").unwrap() + 7..page.find("</style>").unwrap()];
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = found(
        &page,
        r#"http-equiv="Content-Security-Policy" content="([^"]*)""#,
    );
    assert_eq!(
        policy,
        [format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )]
    );
}

/// Everything that somebody else may have written, with `said` in it.
fn said(said: &str) -> (Story, Vec<Problem>) {
    let mut story = everything();
    let mut told = Told::of("ada", "db/readonly", "2026-11-17T00:00:00Z", 400);
    told.subject = format!("person {said}");
    told.role = format!("{said}/{said}");
    let judge = vote(said, 8, at("2026-11-16T23:59:00Z"), 9);
    let back = json!({"approvals": [judge], "ticket": said, "subject_id": 7, "sentence": said, "account": said, "connection": said});
    story.grant(&told.by(back));
    let mut told = Told::of("grace", "db/readonly", "2026-11-17T00:00:00Z", 4);
    told.role = format!("db/{said}");
    let judge = vote("grace", 7, at("2026-11-16T23:59:00Z"), 10);
    story.grant(
        &told.by(json!({"approvals": [judge], "subject_id": 8, "grant": format!("db/{said}@1")})),
    );
    let now = at("2026-11-18T00:00:00Z");
    story.tell(
        "drift",
        now,
        &json!({"sentence": said, "connection": said, "key": "drift:2"}),
    );
    story.tell(
        "merged-without-proof",
        now,
        &json!({"sentence": said, "grant": format!("{said}@2"), "path": said, "role": said}),
    );
    let ended = json!({"grant": format!("{said}@2"), "cause": said, "due": now, "sentence": said});
    story.tell("revoked", now, &ended);
    story.tell(
        "landed",
        now,
        &json!({"changes": [format!("access/people/{said}")], "sentence": said}),
    );
    story.tell(
        "denied",
        now,
        &json!({"request": said, "sentence": said, "rules": [said]}),
    );
    let problem = Problem {
        rule: Rule::NoRecord,
        commit: Some(commit(4)),
        message: said.to_owned(),
    };
    (story, vec![problem])
}

/// The page without what is written in it: its tags, with their attributes.
fn tags(page: &str) -> Vec<String> {
    // Names may be ordered otherwise, and drawn elsewhere: numbers are left out.
    found(page, "(<[^>]*>)")
        .iter()
        .map(|tag| tag.replace(|c: char| c.is_ascii_digit(), ""))
        .collect()
}

#[test]
fn hostile_text_is_text() {
    let (story, problems) = said("plain");
    let plain = tags(&page(&story, problems, None));
    for hostile in [
        "</td></tr></table><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' autofocus onfocus='alert(1)",
        "</style><style>*{display:none}",
        "</title></svg><svg/onload=alert(1)>",
        "<!--",
        "]]>{{ 7*7 }}{% if %}",
        "&lt;script&gt;",
    ] {
        let (story, problems) = said(hostile);
        let page = page(&story, problems, None);
        let sorted = |mut tags: Vec<String>| {
            tags.sort();
            tags
        };
        assert_eq!(sorted(tags(&page)), sorted(plain.clone()), "{hostile}");
        assert!(!page.contains(hostile), "{hostile}");
    }
}

#[test]
fn what_does_not_show_is_written_out() {
    for (hidden, shown) in [
        ('\u{202e}', r"\u{202e}"),
        ('\u{200b}', r"\u{200b}"),
        ('\u{7}', r"\u{7}"),
        ('\u{2066}', r"\u{2066}"),
        ('\n', r"\u{a}"),
    ] {
        let (story, problems) = said(&format!("a{hidden}b"));
        let page = page(&story, problems, None);
        assert!(!page.contains(&format!("a{hidden}b")), "{shown}");
        assert!(page.matches(&format!("a{shown}b")).count() > 15, "{shown}");
    }
}

#[test]
fn each_drawing_says_what_it_shows_and_each_table_what_it_tells() {
    let page = page(&everything(), problems(), None);
    let drawings = found(&page, r#"(<svg class="chart"[^>]*>\s*<title)"#);
    assert!(drawings.len() >= 8, "{}", drawings.len());
    assert_eq!(page.matches("<svg class=\"chart\"").count(), drawings.len());
    for drawing in drawings {
        assert!(
            drawing.contains("role=\"img\"") && drawing.contains("aria-labelledby"),
            "{drawing}"
        );
    }
    assert_eq!(
        page.matches("<table").count(),
        page.matches("<caption>").count()
    );
    let headers = found(&page, r"(<th[ >][^>]*>?)");
    assert!(
        headers.iter().all(|header| header.contains("scope=\"")),
        "a header of nothing"
    );
    assert!(page.contains("<html lang=\"en\">"));
    let ranks: Vec<u32> = found(&page, r"<h([1-6])[ >]")
        .iter()
        .map(|rank| rank.parse().unwrap())
        .collect();
    assert_eq!(ranks[0], 1);
    assert!(
        ranks.windows(2).all(|two| two[1] <= two[0] + 1),
        "a rank is left out: {ranks:?}"
    );
}

#[test]
fn the_page_begins_with_what_was_checked_and_what_was_not() {
    let story = everything();
    let mut check = story.verified(vec![]);
    let of = |check: &Verified| audit_report(&story.report(check, &november()), None).unwrap();
    assert!(of(&check).contains("Whole and right."));
    check.keys = 0;
    let page = of(&check);
    assert!(page.contains("Nothing wrong was found, but not everything was checked."));
    assert!(page.contains("Signatures: no public key was given"));
    check.problems = problems();
    let page = of(&check);
    assert!(page.contains("2 problems found.") && page.contains("grace approved her own access"));
    let place = |word: &str| page.find(word).unwrap_or_else(|| panic!("{word}"));
    assert!(place("id=\"verified\"") < place("id=\"exceptions\""));
    assert!(place("id=\"exceptions\"") < place("id=\"numbers\""));
    assert!(place("id=\"timeline\"") < place("id=\"controls\""));
}

#[test]
fn many_problems_are_counted_where_they_are_not_listed() {
    let many = (0..50).map(|n| Problem {
        rule: Rule::RemovedLate,
        commit: Some(commit(n)),
        message: format!("late number {n}"),
    });
    let page = page(&everything(), many.collect(), None);
    assert!(page.contains("50 problems; 30 of them are not listed here"));
    assert!(page.contains("late number 19<") && !page.contains("late number 20<"));
}

#[test]
fn an_empty_period_is_a_page_too() {
    let story = Story::new();
    let page = page(&story, vec![], None);
    assert!(page.contains("Nothing was held in the period."));
    assert!(page.contains("None is open."));
    assert!(
        !page.contains("NaN") && !page.contains("inf"),
        "a number that is none"
    );
}
