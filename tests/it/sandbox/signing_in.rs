//! How people sign in to an App at the stand-in, as GitHub documents it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::sandbox::ClientSpec;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{APP, INSTALLATION, World, acme};

const CLIENT: &str = "Iv23liHallpass";
const SECRET: &str = "client-secret-of-the-tests";
const CALLBACK: &str = "http://localhost:8080/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

async fn world() -> World {
    let world = acme().await;
    let spec = ClientSpec {
        id: CLIENT.to_owned(),
        secret: SECRET.to_owned(),
        callbacks: vec![
            CALLBACK.to_owned(),
            "http://localhost:8080/other".to_owned(),
        ],
    };
    world.client(APP, spec);
    world
}

fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

type Pairs<'a> = Vec<(&'a str, String)>;

fn asking() -> Pairs<'static> {
    vec![
        ("client_id", CLIENT.to_owned()),
        ("redirect_uri", CALLBACK.to_owned()),
        ("state", "s t/a&te".to_owned()),
        ("code_challenge", challenge(VERIFIER)),
        ("code_challenge_method", "S256".to_owned()),
    ]
}

fn exchanging(code: &str) -> Pairs<'static> {
    vec![
        ("client_id", CLIENT.to_owned()),
        ("client_secret", SECRET.to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", CALLBACK.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
    ]
}

fn with<'a>(mut pairs: Pairs<'a>, name: &'a str, value: &str) -> Pairs<'a> {
    pairs.retain(|(known, _)| *known != name);
    pairs.push((name, value.to_owned()));
    pairs
}

fn without<'a>(mut pairs: Pairs<'a>, name: &str) -> Pairs<'a> {
    pairs.retain(|(known, _)| *known != name);
    pairs
}

/// The query of an address that a browser is sent to, and the address without it.
fn sent_to(answer: &reqwest::Response) -> (String, BTreeMap<String, String>) {
    let location = answer.headers()["location"].to_str().unwrap();
    let url = url::Url::parse(location).unwrap();
    let query = url.query_pairs().into_owned().collect();
    (location.split('?').next().unwrap().to_owned(), query)
}

impl World {
    async fn authorize(&self, pairs: &Pairs<'_>) -> reqwest::Response {
        let address = format!("{}/login/oauth/authorize", self.url());
        browser().get(address).query(pairs).send().await.unwrap()
    }

    /// Presses the button of a person, from the stand-in's own page.
    async fn press(&self, pairs: &Pairs<'_>, login: &str) -> reqwest::Response {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(with(pairs.clone(), "as", login))
            .finish();
        let request = browser().post(format!("{}/login/oauth/authorize", self.url()));
        let request = request.header("origin", self.url());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap()
    }

    async fn code_for(&self, login: &str) -> String {
        let answer = self.press(&asking(), login).await;
        assert_eq!(answer.status(), 303);
        sent_to(&answer).1["code"].clone()
    }

    async fn exchange(&self, pairs: &Pairs<'_>) -> Value {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let request = browser().post(format!("{}/login/oauth/access_token", self.url()));
        let request = request.header("accept", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "errors too are answered 200");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn signed_in(&self, login: &str) -> String {
        let code = self.code_for(login).await;
        let answer = self.exchange(&exchanging(&code)).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_person_signs_in_and_the_token_speaks_for_them() {
    let world = world().await;
    let page = world.authorize(&asking()).await;
    assert_eq!(page.status(), 200);
    let text = page.text().await.unwrap();
    assert!(
        text.contains("Sign in as ada") && !text.contains("hallpass[bot]"),
        "{text}"
    );

    let answer = world.press(&asking(), "ada").await;
    let (address, query) = sent_to(&answer);
    assert_eq!(
        (address.as_str(), query["state"].as_str()),
        (CALLBACK, "s t/a&te")
    );
    let token = world.exchange(&exchanging(&query["code"])).await;
    assert_eq!(
        (&token["token_type"], &token["scope"]),
        (&"bearer".into(), &"".into())
    );
    assert_eq!(token["expires_in"], 28_800);
    let token = token["access_token"].as_str().unwrap();
    assert!(token.starts_with("ghu_"));

    let reply = world.call(token, "GET", "/user", None).await;
    assert_eq!((reply.status, &reply.body["login"]), (200, &"ada".into()));
    let reply = world.call(token, "GET", "/repos/acme/access", None).await;
    let may = &reply.body["permissions"];
    assert_eq!((&may["push"], &may["admin"]), (&true.into(), &false.into()));
    world.assert_contract_held();
}

#[tokio::test]
async fn who_cannot_see_the_repository_is_told_that_there_is_none() {
    let world = world().await;
    let outsider = world.signed_in("eve").await;
    let reply = world.call(&outsider, "GET", "/user", None).await;
    assert_eq!((reply.status, &reply.body["login"]), (200, &"eve".into()));
    let reply = world
        .call(&outsider, "GET", "/repos/acme/access", None)
        .await;
    assert_eq!(reply.status, 404);

    // Nor does anybody see what the App does not.
    let token = world.signed_in("ada").await;
    world.installation_sees(INSTALLATION, Some(&[]));
    let reply = world.call(&token, "GET", "/repos/acme/access", None).await;
    assert_eq!(reply.status, 404);
    world.installation_sees(INSTALLATION, None);
    world.app_permission(APP, "metadata", None);
    let reply = world.call(&token, "GET", "/repos/acme/access", None).await;
    assert_eq!(reply.status, 403);
    world.assert_contract_held();
}

#[tokio::test]
async fn a_code_works_once_for_ten_minutes_and_only_with_its_verifier() {
    let world = world().await;
    let error = async |pairs: Pairs<'_>| world.exchange(&pairs).await["error"].clone();
    let code = world.code_for("ada").await;
    let first = world.exchange(&exchanging(&code)).await;
    assert!(first.get("error").is_none(), "{first}");
    assert_eq!(error(exchanging(&code)).await, "bad_verification_code");

    let code = world.code_for("ada").await;
    let other = with(
        exchanging(&code),
        "code_verifier",
        "another-verifier-of-a-thief-and-long-enough",
    );
    assert_eq!(error(other).await, "bad_verification_code");
    // The failed attempt used it up.
    assert_eq!(error(exchanging(&code)).await, "bad_verification_code");

    let code = world.code_for("ada").await;
    assert_eq!(
        error(without(exchanging(&code), "code_verifier")).await,
        "bad_verification_code"
    );
    let code = world.code_for("ada").await;
    let elsewhere = with(
        exchanging(&code),
        "redirect_uri",
        "http://localhost:8080/other",
    );
    assert_eq!(error(elsewhere).await, "redirect_uri_mismatch");
    let code = world.code_for("ada").await;
    let stranger = with(exchanging(&code), "client_secret", "guessed");
    assert_eq!(error(stranger).await, "incorrect_client_credentials");
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(error(exchanging(&code)).await, "bad_verification_code");
}

#[tokio::test]
async fn a_token_ends_after_eight_hours() {
    let world = world().await;
    let token = world.signed_in("ada").await;
    world
        .clock
        .advance(TimeDelta::hours(8) - TimeDelta::seconds(1));
    assert_eq!(world.call(&token, "GET", "/user", None).await.status, 200);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(world.call(&token, "GET", "/user", None).await.status, 401);
}

#[tokio::test]
async fn people_are_sent_back_only_where_the_app_said() {
    let world = world().await;
    for wrong in [
        "https://evil.example/",
        "http://localhost:8080/signed-in/",
        "http://localhost:8080/signed-in?x=1",
    ] {
        let answer = world
            .authorize(&with(asking(), "redirect_uri", wrong))
            .await;
        let (address, query) = sent_to(&answer);
        assert_eq!(
            (address.as_str(), query["error"].as_str()),
            (CALLBACK, "redirect_uri_mismatch")
        );
        assert_eq!(query["state"], "s t/a&te");
    }
    let unknown = world
        .authorize(&with(asking(), "client_id", "Iv23liSomebody"))
        .await;
    assert_eq!(unknown.status(), 404);
    let plain = world
        .authorize(&with(asking(), "code_challenge_method", "plain"))
        .await;
    assert_eq!(sent_to(&plain).1["error"], "invalid_request");
    let denied = world.press(&asking(), "").await;
    assert_eq!(sent_to(&denied).1["error"], "access_denied");
}

#[tokio::test]
async fn who_has_let_the_app_know_them_is_not_asked_again_unless_they_are_to_choose() {
    let world = world().await;
    let answer = world.press(&asking(), "ada").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    let again = async |pairs: Pairs<'_>| {
        let address = format!("{}/login/oauth/authorize", world.url());
        let request = browser()
            .get(address)
            .query(&pairs)
            .header("cookie", cookie);
        request.send().await.unwrap()
    };
    let answer = again(asking()).await;
    assert!(sent_to(&answer).1.contains_key("code"));
    let answer = again(with(asking(), "prompt", "select_account")).await;
    assert_eq!(answer.status(), 200);
    // Grace has not, although the browser says it is she.
    let grace = cookie.replace("ada", "grace");
    let address = format!("{}/login/oauth/authorize", world.url());
    let request = browser()
        .get(address)
        .query(&asking())
        .header("cookie", grace);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_program_that_does_not_ask_for_json_is_answered_with_a_form() {
    let world = world().await;
    let code = world.code_for("ada").await;
    let address = format!("{}/login/oauth/access_token", world.url());
    // GitHub's documentation gives the parameters as a query.
    let request = browser().post(address).query(&exchanging(&code));
    let text = request.send().await.unwrap().text().await.unwrap();
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    assert!(fields["access_token"].starts_with("ghu_"), "{text}");
    assert_eq!(fields["token_type"], "bearer");
}

#[tokio::test]
async fn no_other_site_presses_a_button_or_lends_its_name() {
    let world = world().await;
    let address = format!("{}/login", world.url());
    for origin in [None, Some("http://evil.example"), Some("null")] {
        let mut request = browser().post(&address).query(&[("as", "ada")]);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin:?}");
        assert!(!answer.headers().contains_key("set-cookie"));
    }
    let lent = browser().get(&address).header("host", "evil.example");
    assert_eq!(lent.send().await.unwrap().status(), 403);
    for elsewhere in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
    ] {
        let link = browser()
            .get(&address)
            .query(&[("as", "ada"), ("return_to", elsewhere)]);
        let answer = link.send().await.unwrap();
        assert_eq!(answer.headers()["location"], "/", "{elsewhere}");
    }
}
