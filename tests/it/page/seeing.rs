//! Who sees what, and what stands there.

use chrono::TimeDelta;
use hallpass::sandbox::{Down, Membership};

use super::{ORIGIN, Site, given};
use crate::world::{World, grant};

const PLACES: [&str; 9] = [
    "/",
    "/live",
    "/waiting",
    "/ended",
    "/ask",
    "/search?q=ada",
    "/person/ada",
    "/resource/db",
    "/no-such-place",
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_signed_in_is_offered_that_and_told_nothing() {
    let site = Site::open().await;
    let grant = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let mut places = PLACES.to_vec();
    let end = format!("{grant}/end");
    places.extend([grant.as_str(), end.as_str()]);
    for cookies in [
        "",
        "__Host-hallpass=nobody",
        "__Host-hallpass=a; __Host-hallpass=b",
    ] {
        for place in &places {
            let answer = site.get(place, cookies).await;
            assert_eq!(answer.status, 401, "{place}");
            assert!(answer.text.contains("Sign in with GitHub"), "{place}");
            for word in ["ada", "acme", "db/", "readonly", "incident", "access/"] {
                let told = answer.words();
                assert!(!told.contains(word), "{place} tells {word}: {told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_page_where_none_is_configured() {
    let world = World::hearing().await;
    let site = Site::of(world).await;
    for place in ["/", "/sign-in", "/assets/page.css"] {
        assert_eq!(site.get(place, "").await.status, 404, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_what_a_page_does_not_need() {
    let site = Site::open().await;
    let ada = site.signed_in("ada").await;
    for (place, cookies) in [
        ("/", ""),
        ("/", ada.as_str()),
        ("/none", &ada),
        ("/assets/page.css", ""),
        ("/sign-in", ""),
    ] {
        let answer = site.get(place, cookies).await;
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        for inline in [
            "<style",
            " style=",
            "javascript:",
            " onclick",
            " onload",
            "<script>",
        ] {
            assert!(!answer.text.contains(inline), "{place}: {inline}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_is_not_counted_as_held() {
    let site = Site::open().await;
    let ada = site.signed_in("ada").await;
    given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let now = site.get("/", &ada).await.words();
    assert!(now.contains("Live 1 "), "{now}");
    assert!(!now.contains("to begin"), "{now}");
    let later = grant("mei", "readonly", "2h") + "starts: 2026-11-23T12:00:00Z\n";
    given(&site, "db/mei-night", &later).await;
    let now = site.get("/", &ada).await.words();
    assert!(now.contains("Live 1 and 1 to begin"), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_what_waits_and_what_ended_stand_on_the_first_page() {
    let site = Site::open().await;
    let ada = site.signed_in("ada").await;
    let empty = site.get("/", &ada).await;
    assert_eq!(empty.status, 200);
    assert!(
        empty.text.contains("Nobody holds anything"),
        "{}",
        empty.text
    );
    assert!(empty.text.contains("href=\"/ask\""));

    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    site.world
        .request("mei", "db/mei-schema", &grant("mei", "admin", "1h"))
        .await;
    let now = site.get("/", &ada).await.words();
    assert!(
        now.contains("db/ada-incident ada on db/readonly live ends in 2 h"),
        "{now}"
    );
    assert!(
        now.contains("Waiting for @acme/dba (0 of 2 approvals)"),
        "{now}"
    );
    assert!(now.contains("mei on db/admin"), "{now}");

    let story = site.get(&page, &ada).await;
    assert_eq!(story.status, 200);
    let told = story.words();
    for words in [
        "Requested: ada asks for db/readonly for 2h (#1)",
        "Approved: grace approves db/ada-incident#1",
        "Granted: ada on db/readonly until",
        "The orders of some customers look wrong today.",
        "grace (as @acme/dba)",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let web = site.world.sandbox.url();
    assert!(
        story.text.contains(&format!("{web}/acme/access/pull/1")),
        "{}",
        story.text
    );
    let commits = story
        .text
        .matches(&format!("{web}/acme/access/commit/"))
        .count();
    assert!(
        commits >= 4,
        "each step and the merge are linked: {}",
        story.text
    );
    assert!(!told.contains("evidence is being written"), "{told}");

    site.world.advance(TimeDelta::hours(3)).await;
    let now = site.get("/", &ada).await.words();
    assert!(now.contains("Nobody holds anything"), "{now}");
    assert!(
        now.contains("db/ada-incident ada on db/readonly expired"),
        "{now}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_resources_and_search_lead_to_grants() {
    let site = Site::open().await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let mei = site.signed_in("mei").await;
    for place in [
        "/person/ada",
        "/resource/db",
        "/search?q=INCIDENT",
        "/search?q=%40ada",
        "/search?q=%231",
        "/live",
    ] {
        let answer = site.get(place, &mei).await;
        assert_eq!(answer.status, 200, "{place}");
        assert!(
            answer.text.contains(&format!("href=\"{page}\"")),
            "{place}: {}",
            answer.text
        );
    }
    let resource = site.get("/resource/db", &mei).await;
    let words = resource.words();
    assert!(words.contains("The orders database, production"), "{words}");
    assert!(words.contains("SELECT on every table"), "{words}");
    let ask = "/acme/access/new/main?filename=access/grants/db/mei-readonly.yaml&#38;value=person%3A%20mei%0Arole%3A%20readonly";
    assert!(resource.text.contains(ask), "{}", resource.text);
    let all = site.get("/ask", &mei).await;
    assert!(all.text.contains(ask), "{}", all.text);
    for nobody in [
        "/person/nobody",
        "/resource/nothing",
        "/search?q=zzz",
        "/search?q=%25",
    ] {
        let words = site.get(nobody, &mei).await.words();
        assert!(!words.contains("db/ada-incident"), "{nobody}: {words}");
    }
    for odd in [
        "/person/a%20b",
        "/grant/db/none",
        "/grant/db/ada-incident@0000",
        "/nowhere",
    ] {
        assert_eq!(site.get(odd, &mei).await.status, 404, "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_comes_first_and_in_red() {
    let site = Site::open().await;
    let ada = site.signed_in("ada").await;
    given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    site.world.vault.down(true);
    site.world.advance(TimeDelta::hours(3)).await;
    let now = site.get("/", &ada).await;
    let words = now.words();
    let at = |what: &str| {
        words
            .find(what)
            .unwrap_or_else(|| panic!("{what}: {words}"))
    };
    assert!(at("Needs somebody to act") < at("Live 1"), "{words}");
    assert!(words.contains("overdue for 1 h"), "{words}");
    assert!(now.text.contains("<section class=\"trouble\""));
    site.world.vault.down(false);
    site.world.advance(TimeDelta::minutes(10)).await;
    let now = site.get("/", &ada).await.words();
    assert!(!now.contains("Needs somebody to act"), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_only_while_the_forge_says_so() {
    let site = Site::open().await;
    let (world, ada) = (&site.world, site.signed_in("ada").await);
    assert_eq!(site.get("/", &ada).await.status, 200);
    // Asked again a few minutes later, and not at every page.
    world.sandbox.belongs("ada", Membership::Pending);
    world.clock.advance(TimeDelta::minutes(2));
    assert_eq!(site.get("/", &ada).await.status, 200);
    world.clock.advance(TimeDelta::minutes(2));
    let gone = site.get("/", &ada).await;
    assert_eq!(gone.status, 404);
    assert!(!gone.words().contains("acme"), "{}", gone.words());

    // What cannot be asked is no.
    let mei = site.signed_in("mei").await;
    assert_eq!(site.get("/", &mei).await.status, 200);
    world.clock.advance(TimeDelta::minutes(4));
    world.sandbox.down(Down::Unavailable);
    assert_eq!(site.get("/", &mei).await.status, 404);
    world.sandbox.down(Down::No);
    assert_eq!(site.get("/", &mei).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_belongs_to_somebody_else_now_opens_nothing() {
    let site = Site::open().await;
    let other = hallpass::domain::model::UserId(site.number("ada").0 + 1000);
    let session = site.session("ada", other).await;
    site.world.clock.advance(TimeDelta::minutes(4));
    assert_eq!(site.get("/", &session).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_see_all_without_access_to_the_repository_and_strangers_see_nothing() {
    let site = Site::open().await;
    let sandbox = &site.world.sandbox;
    sandbox.base_permission(None);
    let (nina, olga, guest) = (
        sandbox.member("nina"),
        sandbox.user("olga"),
        sandbox.user("guest"),
    );
    sandbox.team("auditors", &["nina"]);
    for (login, id, status) in [
        ("nina", nina, 200),
        ("olga", olga, 200),
        ("guest", guest, 404),
    ] {
        let session = site.session(login, id).await;
        site.world.clock.advance(TimeDelta::minutes(4));
        assert_eq!(site.get("/", &session).await.status, status, "{login}");
        let css = site.get("/assets/page.css", &session).await;
        assert_eq!(css.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_after_eight_hours_and_when_its_owner_signs_out() {
    let site = Site::open().await;
    let ada = site.signed_in("ada").await;
    for _ in 0..16 {
        assert_eq!(site.get("/", &ada).await.status, 200);
        site.world.clock.advance(TimeDelta::minutes(30));
    }
    assert_eq!(site.get("/", &ada).await.status, 401);

    let (one, two) = (site.signed_in("ada").await, site.signed_in("ada").await);
    let token = site.get("/", &one).await.token();
    let other = site.get("/", &two).await.token();
    assert_ne!(token, other);
    // Of another site, with another session's token, with none: refused, and still signed in.
    for (origin, body) in [
        ("https://evil.example", format!("token={token}")),
        ("null", format!("token={token}")),
        (ORIGIN, format!("token={other}")),
        (ORIGIN, "token=".to_owned()),
        (ORIGIN, String::new()),
    ] {
        let refused = site.post("/sign-out", (&one, origin), &body).await;
        assert_eq!(refused.status, 403, "{origin} {body}");
    }
    assert_eq!(site.get("/", &one).await.status, 200);
    assert_eq!(site.get("/sign-out", &one).await.status, 405);
    let out = site
        .post("/sign-out", (&one, ORIGIN), &format!("token={token}"))
        .await;
    assert!(
        out.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(site.get("/", &one).await.status, 401);
    assert_eq!(site.get("/", &two).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_three_forms_are_taken_anywhere() {
    let site = Site::open().await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let ada = site.signed_in("ada").await;
    let token = site.get("/", &ada).await.token();
    for place in PLACES
        .into_iter()
        .chain([page.as_str(), "/sign-in", "/sign-in/callback"])
    {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let url = format!("http://{}{place}", site.address);
            let sent = site.client.request(method.parse().unwrap(), url);
            let sent = sent.header("cookie", &ada).header("origin", ORIGIN);
            let answer = Site::answer(sent.body(format!("token={token}"))).await;
            let status = answer.status;
            let refused = status == 405 || (status == 404 && place == "/no-such-place");
            assert!(refused, "{method} {place}: {status}");
        }
    }
    assert_eq!(site.world.holders("reader"), ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_keeps_the_page_busy_does_not_keep_the_webhook_from_answering() {
    use tokio::io::AsyncWriteExt as _;
    let site = Site::open().await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let ada = site.signed_in("ada").await;
    let head = format!(
        "POST {page}/end HTTP/1.1\r\nhost: hallpass.test\r\ncookie: {ada}\r\norigin: {ORIGIN}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ntoken="
    );
    let mut slow = Vec::new();
    for _ in 0..80 {
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut busy = 0;
    for _ in 0..200 {
        let answer = site.get("/", &ada).await;
        if answer.status == 503 {
            assert_eq!(answer.headers["retry-after"], "5");
            busy += 1;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(busy, 1, "80 slow forms take every place of the page");
    assert_eq!(site.get("/health/live", "").await.status, 200);
    let unsigned = site.post("/webhook", ("", ORIGIN), "{}").await;
    assert_eq!(unsigned.status, 401);
    drop(slow);
    for _ in 0..200 {
        if site.get("/", &ada).await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the page does not answer again");
}
