//! Names and texts that are markup: they are shown, and they do nothing.

use chrono::TimeDelta;
use hallpass::domain::drift::{Changes, Difference, Drift};
use hallpass::domain::evidence::{Event, Kind};
use hallpass::domain::ledger::CalledOff;
use hallpass::domain::ledger::Cause;
use hallpass::domain::model::{Login, PullNumber};
use hallpass::sandbox::Change;
use hallpass::store::Judged;

use super::{Site, given};
use crate::world::{DB, grant};

const CANARY: &str =
    "\"><img src=x onerror=alert(1)><script>alert(2)</script>'</title></textarea>&amp;";

/// No page has an element that we did not write: of these there are none at all, or only ours.
fn assert_tame(place: &str, text: &str) {
    for tag in [
        "<img",
        "<script>alert",
        "onerror=alert(1)>",
        "</textarea>&amp;",
        "'</title>",
    ] {
        assert!(!text.contains(tag), "{place}: {tag} in {text}");
    }
    let scripts = text.matches("<script").count();
    assert!(scripts <= 1, "{place}: {scripts} scripts");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_people_are_shown_and_do_nothing() {
    let site = Site::open().await;
    let world = &site.world;
    let described = DB
        .replace("The orders database, production", &quoted("The database"))
        .replace("SELECT on every table", &quoted("SELECT"));
    world
        .decree(&[Change::write("access/resources/db.yaml", described)])
        .await;
    let asked = grant("ada", "readonly", "2h").replace(
        "reason: The orders of some customers look wrong today.",
        &format!(
            "reason: {}\nticket: {}",
            quoted("The orders look wrong today"),
            quoted("INC")
        ),
    );
    let page = given(&site, "db/ada-incident", &asked).await;

    // What no file can say, a target or a broken forge may.
    let store = world.service().store();
    let mut entry = world.entries().await.remove(0);
    let terms = entry.terms.as_mut().unwrap();
    terms.access.account.name = CANARY.to_owned();
    terms.access.entitlement = serde_json::json!({ "role": CANARY });
    entry.last_error = Some(CANARY.to_owned());
    entry.attempts = 3;
    entry.called_off = Some(CalledOff {
        cause: Cause::OwnerEmergency,
        at: hallpass::clock::Clock::now(&*world.clock),
        by: Some(hallpass::domain::model::Actor {
            id: hallpass::domain::model::UserId(1),
            login: Login::new("grace").unwrap(),
            kind: hallpass::domain::model::ActorKind::User,
        }),
        reason: Some(CANARY.to_owned()),
    });
    let told = Event {
        key: "test".to_owned(),
        kind: Kind::Blocked,
        at: hallpass::clock::Clock::now(&*world.clock),
        message: format!("{CANARY}\n\nEvent: blocked\n"),
        record: serde_json::from_value(serde_json::json!({
            "path": entry.path.as_str(), "grant": entry.id.as_str(), "pull": 1
        }))
        .unwrap(),
    };
    let drift = Drift {
        connection: entry.connection().unwrap().clone(),
        entitlement: CANARY.to_owned(),
        account: CANARY.to_owned(),
        account_id: None,
        difference: Difference::GivenOutside,
        roles: [].into(),
        grants: [entry.id.clone()].into(),
    };
    store.commit(&[entry], &[told]).await.unwrap();
    let new = Changes {
        new: vec![drift],
        over: Vec::new(),
    };
    store
        .change_drift(&new, "2026-11-23T09:00:00Z".parse().unwrap(), &[])
        .await
        .unwrap();
    store
        .remember_judged(&Judged {
            pull: PullNumber(9),
            author: Some(Login::new("ada").unwrap()),
            outcome: CANARY.to_owned(),
            says: CANARY.to_owned(),
            since: "2026-11-23T09:00:00Z".parse().unwrap(),
        })
        .await
        .unwrap();
    store.set_note("safe-mode", CANARY).await.unwrap();

    let mei = site.signed_in("mei").await;
    let canary = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect::<String>();
    let places = [
        "/".to_owned(),
        "/live".to_owned(),
        "/waiting".to_owned(),
        "/ended".to_owned(),
        "/ask".to_owned(),
        format!("/ask?after={canary}"),
        format!("/live?after={canary}"),
        format!("/search?q={canary}"),
        "/search?q=ada".to_owned(),
        "/person/ada".to_owned(),
        "/resource/db".to_owned(),
        page.clone(),
        format!("{page}/end"),
        format!("/person/{canary}"),
        format!("/{canary}"),
    ];
    let mut shown = 0;
    for place in &places {
        for cookies in [mei.as_str(), ""] {
            let answer = site.get(place, cookies).await;
            assert_tame(place, &answer.text);
            shown += answer
                .text
                .matches("&#60;img src=x onerror=alert(1)&#62;")
                .count();
        }
    }
    assert!(
        shown >= 8,
        "the canary was shown {shown} times, so it was looked for in vain"
    );
    world.clock.advance(TimeDelta::minutes(1));
}

/// A text with markup in it, as YAML.
fn quoted(before: &str) -> String {
    let text = format!("{before} {CANARY}");
    serde_json::to_string(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_into_a_form_that_was_refused_comes_back_as_text() {
    let site = Site::open().await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "2h")).await;
    let grace = site.signed_in("grace").await;
    let place = format!("{page}/end");
    let token = site.get(&place, &grace).await.token();
    let said = CANARY.repeat(20);
    let reason: String = url::form_urlencoded::byte_serialize(said.as_bytes()).collect();
    let body = format!("token={token}&reason={reason}");
    let refused = site.post(&place, (&grace, super::ORIGIN), &body).await;
    assert_eq!(refused.status, 422);
    assert_tame(&place, &refused.text.replacen("</textarea>", "", 1));
    assert!(refused.text.contains("&#60;img src=x"), "{}", refused.text);
}
