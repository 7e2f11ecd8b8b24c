//! Signing in with the forge: who gets in, and what is turned away.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use hallpass::sandbox::ClientSpec;
use url::Url;

use super::{Answer, ORIGIN, Site};
use crate::world::CLIENT_SECRET;

const APP: u64 = 4242;
const CALLBACK: &str = "https://hallpass.test/sign-in/callback";

async fn open() -> Site {
    let site = Site::open().await;
    let spec = ClientSpec {
        id: "Iv1.c11e47".to_owned(),
        secret: CLIENT_SECRET.to_owned(),
        callbacks: vec![CALLBACK.to_owned()],
    };
    site.world.sandbox.client(APP, spec);
    site
}

/// What an answer makes a browser keep under `name`, as it sends it back.
fn kept(answer: &Answer, name: &str) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let mut texts = cookies.map(|c| c.to_str().unwrap().to_owned());
    let ours = |c: &String| c.starts_with(&format!("{name}="));
    let cookie = texts.rfind(ours)?;
    let gone = cookie.contains("Max-Age=0");
    let pair = cookie.split(';').next().unwrap().to_owned();
    (!gone).then_some(pair)
}

/// A sign-in that has begun: the browser's cookie, and where it is sent.
async fn begun(site: &Site, to: &str) -> (String, Url) {
    let answer = site.get(&format!("/sign-in{to}"), "").await;
    assert_eq!(answer.status, 303);
    let cookie = kept(&answer, "__Host-hallpass-sign-in").unwrap();
    (cookie, Url::parse(answer.location()).unwrap())
}

/// Somebody says yes at the forge; where that sends the browser, as a path of ours.
async fn agreed(site: &Site, there: &Url, login: &str) -> String {
    let mut fields: Vec<(String, String)> = there.query_pairs().into_owned().collect();
    fields.push(("as".to_owned(), login.to_owned()));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let web = site.world.sandbox.url();
    let mut address = there.clone();
    address.set_query(None);
    let sent = site.client.post(address).header("origin", web);
    let sent = sent.header("content-type", "application/x-www-form-urlencoded");
    let answer = Site::answer(sent.body(body)).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let back = answer.location().strip_prefix(ORIGIN).unwrap();
    back.to_owned()
}

/// The whole way of `login`; the answer at its end, and the address that it came back by with its cookie.
async fn signed_in(site: &Site, login: &str) -> (Answer, String, String) {
    let (cookie, there) = begun(site, "").await;
    let back = agreed(site, &there, login).await;
    (site.get(&back, &cookie).await, back, cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_in_and_comes_back_to_where_they_were_going() {
    let site = open().await;
    let door = site.get("/search?q=a%20b", "").await;
    assert!(
        door.text.contains("/sign-in?to=%2Fsearch%3Fq%3Da%2520b"),
        "{}",
        door.text
    );
    let (cookie, there) = begun(&site, "?to=%2Fsearch%3Fq%3Da%2520b").await;
    let query: std::collections::BTreeMap<_, _> = there.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], CALLBACK);
    assert_eq!(query["code_challenge_method"], "S256");
    let back = agreed(&site, &there, "ada").await;
    // The cookie of somebody else's session does not become hers.
    let planted = site.signed_in("mei").await;
    let done = site.get(&back, &format!("{cookie}; {planted}")).await;
    assert_eq!((done.status, done.location()), (303, "/search?q=a%20b"));
    let all = done.headers.get_all("set-cookie").iter();
    let all: Vec<&str> = all.map(|c| c.to_str().unwrap()).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    for cookie in &all {
        for word in [
            "__Host-",
            "; Path=/;",
            "; Secure;",
            "; HttpOnly;",
            "; SameSite=Lax;",
        ] {
            assert!(cookie.contains(word), "{word}: {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    assert!(all[0].ends_with("Max-Age=28800"), "{all:?}");
    let session = kept(&done, "__Host-hallpass").unwrap();
    assert_ne!(session, planted);
    assert!(
        site.get("/", &session)
            .await
            .words()
            .contains("ada Sign out")
    );
    assert_eq!(
        site.get("/", &planted).await.status,
        401,
        "the session before is over"
    );
    site.world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_read_the_repository_is_told_that_there_is_nothing() {
    let site = open().await;
    let (answer, ..) = signed_in(&site, "stranger").await;
    assert_eq!(answer.status, 404);
    assert_eq!(kept(&answer, "__Host-hallpass"), None);
    assert!(!answer.words().contains("acme"), "{}", answer.words());
    site.world.sandbox.user("olga");
    let (auditor, ..) = signed_in(&site, "olga").await;
    assert_eq!(auditor.status, 303, "{}", auditor.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_this_browser_did_not_begin_is_none() {
    let site = open().await;
    let (cookie, there) = begun(&site, "").await;
    let back = agreed(&site, &there, "ada").await;
    let (others, _) = begun(&site, "").await;
    let (state, verifier) = {
        let mut parts = cookie
            .trim_start_matches("__Host-hallpass-sign-in=")
            .split('.');
        (
            parts.next().unwrap().to_owned(),
            parts.next().unwrap().to_owned(),
        )
    };
    let wrong_verifier = cookie.replace(&verifier, &"A".repeat(43));
    let other_state = back.replace(&state, &"B".repeat(43));
    let without = back.split("&state=").next().unwrap().to_owned();
    for (what, back, cookie) in [
        // The code is still good for whoever comes back first.
        ("a forged state", other_state.as_str(), cookie.as_str()),
        ("no state", &without, &cookie),
        ("no cookie", &back, ""),
        ("another browser's", &back, &others),
        ("no code", "/sign-in/callback?state=x", &cookie),
        ("said no", "/sign-in/callback?error=access_denied", &cookie),
        ("nothing", "/sign-in/callback", &cookie),
        (
            "an invented code",
            &format!("/sign-in/callback?code=0123&state={state}"),
            &cookie,
        ),
    ] {
        let answer = site.get(back, cookie).await;
        assert_eq!(answer.status, 401, "{what}");
        assert_eq!(kept(&answer, "__Host-hallpass"), None, "{what}");
        assert_eq!(kept(&answer, "__Host-hallpass-sign-in"), None, "{what}");
    }
    // With another verifier the forge does not take the code, and it is gone then.
    assert_eq!(site.get(&back, &wrong_verifier).await.status, 401);
    assert_eq!(site.get(&back, &cookie).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_and_a_state_are_good_once() {
    let site = open().await;
    let (first, back, cookie) = signed_in(&site, "ada").await;
    assert_eq!(first.status, 303);
    let again = site.get(&back, &cookie).await;
    assert_eq!(again.status, 401, "the code was used");
    // A new code with the old state makes no second session either.
    let (_, there) = begun(&site, "").await;
    let state = cookie
        .trim_start_matches("__Host-hallpass-sign-in=")
        .split('.')
        .next()
        .unwrap();
    let mut parts = cookie.split('.');
    let verifier = parts.nth(1).unwrap();
    let challenge = {
        use base64::Engine as _;
        use sha2::Digest as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier))
    };
    let mut forged = there.clone();
    forged
        .query_pairs_mut()
        .clear()
        .append_pair("client_id", "Iv1.c11e47")
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("state", state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    let back = agreed(&site, &forged, "ada").await;
    let third = site.get(&back, &cookie).await;
    assert_eq!(third.status, 401);
    assert_eq!(kept(&third, "__Host-hallpass"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_came_late_is_not_taken() {
    let site = open().await;
    let (cookie, there) = begun(&site, "").await;
    let back = agreed(&site, &there, "ada").await;
    site.world.clock.advance(TimeDelta::minutes(11));
    assert_eq!(site.get(&back, &cookie).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_elsewhere_after_signing_in() {
    let site = open().await;
    for to in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\tx",
        "javascript:alert(1)",
        "/sign-out",
        "/sign-in",
        "",
    ] {
        let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let (cookie, there) = begun(&site, &format!("?to={to}")).await;
        let back = agreed(&site, &there, "ada").await;
        let done = site.get(&back, &cookie).await;
        assert_eq!((done.status, done.location()), (303, "/"), "{to}");
    }
    // Nor by a cookie that somebody wrote.
    let (cookie, there) = begun(&site, "").await;
    let back = agreed(&site, &there, "ada").await;
    let evil = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("//evil.example")
    };
    let (front, _) = cookie.rsplit_once('.').unwrap();
    let done = site.get(&back, &format!("{front}.{evil}")).await;
    assert_eq!((done.status, done.location()), (303, "/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_sign_in_stands_in_the_database() {
    let site = open().await;
    let (done, back, cookie) = signed_in(&site, "ada").await;
    let session = kept(&done, "__Host-hallpass").unwrap();
    let secrets = [
        session.trim_start_matches("__Host-hallpass="),
        cookie.split('.').nth(1).unwrap(),
        back.split("code=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap(),
        "ghu_",
        CLIENT_SECRET,
    ];
    let files = site.world.database();
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} holds {secret}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_strangers_at_once_few_are_asked_about_and_none_waits() {
    let site = open().await;
    let (cookie, there) = begun(&site, "").await;
    let state = there.query_pairs().find(|(key, _)| key == "state");
    let back = format!("/sign-in/callback?code=0123&state={}", state.unwrap().1);
    site.world.sandbox.latency(Duration::from_secs(3));
    let strangers = (0..20).map(|_| site.get(&back, &cookie));
    let answers = join_all(strangers).await;
    site.world.sandbox.latency(Duration::ZERO);
    let turned_away = answers.iter().filter(|a| a.status == 503).count();
    assert_eq!(turned_away, 16);
}
