//! What every kind of target system keeps to. Each fact prepares names of its own, so that facts do not meet.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::ledger::Granted;
use hallpass::domain::model::Access;
use hallpass::domain::target::Change;
use hallpass::providers::{Provider, ProviderError};
use serde_json::json;

use super::approved::approved;
use super::proxy::{Proxy, Weather};
use super::{Target, access, may_be_tried_again, order};

/// How a fact went: held, or why it does not apply.
pub type Outcome = Result<(), &'static str>;

/// Every fact in the order of the page, under the heading of its column.
pub async fn all(target: &dyn Target) -> Vec<(&'static str, Outcome)> {
    macro_rules! run {
        ($($column:literal: $fact:ident,)*) => {
            vec![$({
                eprintln!("fact: {}", stringify!($fact));
                ($column, $fact(target).await)
            }),*]
        };
    }
    run! {
        "twice": what_is_given_twice_is_held_once_and_what_is_taken_twice_is_gone,
        "by hand": what_somebody_gave_by_hand_is_listed_and_taken_like_any,
        "unknown account": an_account_that_is_unknown_gets_nothing_and_counts_as_taken_from,
        "unknown entitlement": what_the_target_does_not_have_is_refused,
        "shape": an_entitlement_of_another_shape_is_refused,
        "account gone": an_account_that_is_gone_counts_as_taken_from,
        "re-created": an_account_that_was_created_anew_is_another,
        "renamed account": an_account_that_was_renamed_is_the_same,
        "renamed entitlement": what_was_renamed_is_not_gone,
        "hostile names": hostile_names_reach_exactly_the_account_of_that_name,
        "credentials": wrong_credentials_are_for_a_person,
        "gone before": a_server_that_is_gone_is_tried_again,
        "cut at each answer": a_call_that_lost_its_answer_can_be_made_again,
        "hanging": a_server_that_hangs_is_given_up,
        "at once": calls_at_the_same_time_end_as_one,
        "200 without effect": a_yes_without_effect_is_no_yes,
        "rate limit": a_rate_limit_says_when_to_come_back,
        "preview": what_would_be_called_can_be_read_before,
    }
}

/// Why something does not apply to a target that asks at each use.
const ASKED: &str = "nothing is kept there: the ledger is asked at each use";

struct Scene<'a> {
    target: &'a dyn Target,
    provider: Arc<dyn Provider>,
    account: String,
    entitlement: serde_json::Value,
}

impl<'a> Scene<'a> {
    /// A new account and a new thing to give it.
    async fn new(target: &'a dyn Target, name: &str) -> Self {
        // Not to meet the accounts of other tests of the same server.
        let name = format!("kept_{name}");
        let account = format!("{name}_ada");
        assert!(target.add_account(&account).await, "{account}");
        Self {
            target,
            provider: target.provider(target.address()),
            account,
            entitlement: target.add_entitlement(&format!("{name}_ro")).await,
        }
    }

    fn access(&self) -> Access {
        access(self.target, &self.account, &self.entitlement)
    }

    async fn grant(&self) -> Result<Granted, ProviderError> {
        self.give(&self.access()).await
    }

    async fn give(&self, access: &Access) -> Result<Granted, ProviderError> {
        self.provider.grant(&approved(access), &order()).await
    }

    /// Gives it, and tells it with the ids that the target told.
    async fn known(&self) -> Access {
        let granted = self.grant().await.unwrap();
        let mut access = self.access();
        access.account.id = granted.account_id;
        access.entitlement_id = granted.entitlement_id;
        access
    }

    /// Takes it; whether it is said that nothing of it is left. Trying again must not be what is answered to it.
    async fn takes(&self, access: &Access) -> bool {
        match self.provider.revoke(access, &order()).await {
            Ok(revoked) => revoked.still_effective_through.is_empty(),
            Err(error) => {
                assert!(!may_be_tried_again(&error), "{error}");
                false
            }
        }
    }

    async fn revoke(&self) -> Result<hallpass::domain::ledger::Revoked, ProviderError> {
        self.provider.revoke(&self.access(), &order()).await
    }

    async fn held(&self) -> bool {
        self.target.holds(&self.account, &self.entitlement).await
    }

    /// Whether the target keeps what is given. One that asks at each use keeps nothing, and never shows anything: the ledger answers.
    fn keeps(&self) -> bool {
        self.provider.gate().is_none()
    }

    /// These accounts, where the target keeps anything.
    fn kept<'b>(&self, accounts: &[&'b str]) -> Vec<&'b str> {
        match self.keeps() {
            true => accounts.to_vec(),
            false => Vec::new(),
        }
    }

    /// The accounts that the provider lists.
    async fn listed(&self) -> Vec<String> {
        let holders = self.provider.holders(&self.entitlement).await.unwrap();
        holders.into_iter().map(|h| h.name).collect()
    }
}

async fn what_is_given_twice_is_held_once_and_what_is_taken_twice_is_gone(
    target: &dyn Target,
) -> Outcome {
    let scene = Scene::new(target, "twice").await;
    assert_eq!(scene.listed().await, [""; 0]);
    for _ in 0..2 {
        let granted = scene.grant().await.unwrap();
        assert!(granted.read_back.contains("twice"), "{granted:?}");
        assert_eq!(scene.held().await, scene.keeps());
        let name = target.account(&scene.account).name;
        assert_eq!(scene.listed().await, scene.kept(&[&name]));
    }
    for _ in 0..2 {
        let revoked = scene.revoke().await.unwrap();
        assert_ne!(revoked.read_back, "");
        assert_eq!(revoked.still_effective_through, [""; 0]);
        assert!(!scene.held().await);
        assert_eq!(scene.listed().await, [""; 0]);
    }
    Ok(())
}

async fn what_somebody_gave_by_hand_is_listed_and_taken_like_any(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "hand").await;
    if !scene.keeps() {
        return Err(ASKED);
    }
    target.give(&scene.account, &scene.entitlement).await;
    assert_eq!(scene.listed().await, [target.account(&scene.account).name]);
    // Whatever is left of it is named.
    match scene.revoke().await {
        Ok(revoked) => assert_eq!(
            scene.held().await,
            !revoked.still_effective_through.is_empty()
        ),
        Err(error) => assert!(!may_be_tried_again(&error), "{error}"),
    }
    Ok(())
}

async fn an_account_that_is_unknown_gets_nothing_and_counts_as_taken_from(
    target: &dyn Target,
) -> Outcome {
    let mut scene = Scene::new(target, "unknown").await;
    scene.account = "unknown_nobody".to_owned();
    let error = scene.grant().await.unwrap_err();
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error}"
    );
    assert_eq!(scene.listed().await, [""; 0]);
    assert_eq!(
        scene.revoke().await.unwrap().still_effective_through,
        [""; 0]
    );
    Ok(())
}

async fn what_the_target_does_not_have_is_refused(target: &dyn Target) -> Outcome {
    let mut scene = Scene::new(target, "nothing").await;
    scene.entitlement = target.unknown_entitlement();
    let error = scene.grant().await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    let error = scene
        .provider
        .holders(&scene.entitlement)
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    // Gone with all that it gave.
    assert_eq!(
        scene.revoke().await.unwrap().still_effective_through,
        [""; 0]
    );
    Ok(())
}

async fn an_entitlement_of_another_shape_is_refused(target: &dyn Target) -> Outcome {
    let mut scene = Scene::new(target, "shape").await;
    let schema = serde_json::from_str(scene.provider.kind().entitlement).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    assert!(schema.is_valid(&scene.entitlement), "{}", scene.entitlement);
    assert!(schema.is_valid(&target.unknown_entitlement()));
    let mut more = scene.entitlement.clone();
    more["surprise"] = json!(true);
    for odd in [json!({}), json!(null), json!("all"), json!([]), more] {
        assert!(!schema.is_valid(&odd), "{odd}");
        scene.entitlement = odd;
        let error = scene.grant().await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
        let error = scene
            .provider
            .holders(&scene.entitlement)
            .await
            .unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
    Ok(())
}

async fn an_account_that_is_gone_counts_as_taken_from(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "gone").await;
    scene.grant().await.unwrap();
    // Where the target can tell at all.
    let account = scene.access().account;
    let there = scene.provider.has_account(&account).await.unwrap();
    assert_ne!(there, Some(false));
    target.remove_account(&scene.account).await;
    let found = scene.provider.has_account(&account).await.unwrap();
    assert_eq!(found, there.map(|_| false));
    assert_eq!(
        scene.revoke().await.unwrap().still_effective_through,
        [""; 0]
    );
    assert_eq!(scene.listed().await, [""; 0]);
    Ok(())
}

async fn an_account_that_was_created_anew_is_another(target: &dyn Target) -> Outcome {
    target.has_ids()?;
    let scene = Scene::new(target, "anew").await;
    let id = scene.grant().await.unwrap().account_id.expect("an id");
    let holder = scene
        .provider
        .holders(&scene.entitlement)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(holder.id.as_ref(), Some(&id));
    target.remove_account(&scene.account).await;
    assert!(target.add_account(&scene.account).await);
    // What somebody holds does not go on with whoever has the name by now.
    let mut known = scene.access();
    known.account.id = Some(id.clone());
    let error = scene.give(&known).await.unwrap_err();
    assert!(!may_be_tried_again(&error), "{error}");
    assert!(!scene.held().await);
    target.give(&scene.account, &scene.entitlement).await;
    let holder = scene
        .provider
        .holders(&scene.entitlement)
        .await
        .unwrap()
        .remove(0);
    assert_ne!(holder.id.expect("an id"), id);
    // What the new one has is not ours to take.
    let revoked = scene.provider.revoke(&known, &order()).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    assert!(scene.held().await);
    Ok(())
}

async fn an_account_that_was_renamed_is_the_same(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "renamed").await;
    let known = scene.known().await;
    let new = format!("{}_byron", scene.account);
    target.rename_account(&scene.account, &new).await?;
    assert!(target.holds(&new, &scene.entitlement).await);
    // Whoever comes to the old name is somebody else.
    assert!(target.add_account(&scene.account).await);
    target.give(&scene.account, &scene.entitlement).await;
    let complete = scene.takes(&known).await;
    assert!(!complete || !target.holds(&new, &scene.entitlement).await);
    assert!(scene.held().await, "it was not given by us");
    Ok(())
}

async fn what_was_renamed_is_not_gone(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "moved").await;
    let known = scene.known().await;
    let new = target
        .rename_entitlement(&scene.entitlement, "kept_moved_on")
        .await?;
    assert!(target.holds(&scene.account, &new).await);
    let complete = scene.takes(&known).await;
    assert!(!complete || !target.holds(&scene.account, &new).await);
    // What has its name since is another.
    let scene = Scene::new(target, "swapped").await;
    let known = scene.known().await;
    let new = target
        .rename_entitlement(&scene.entitlement, "kept_swapped_on")
        .await?;
    let other = target.add_entitlement("kept_swapped_ro").await;
    assert_eq!(other, scene.entitlement);
    target.give(&scene.account, &other).await;
    let complete = scene.takes(&known).await;
    assert!(!complete || !target.holds(&scene.account, &new).await);
    assert!(
        target.holds(&scene.account, &other).await,
        "not given by us"
    );
    Ok(())
}

async fn hostile_names_reach_exactly_the_account_of_that_name(target: &dyn Target) -> Outcome {
    let mut scene = Scene::new(target, "hostile").await;
    scene.grant().await.unwrap();
    let witness = target.account(&scene.account).name;
    for name in target.hostile_names() {
        scene.account = name.to_owned();
        let named = target.account(name).name;
        if !target.add_account(name).await {
            scene.grant().await.expect_err(name);
            assert_eq!(scene.listed().await, scene.kept(&[&witness]), "{name}");
            let _ = scene.revoke().await;
            assert_eq!(scene.listed().await, scene.kept(&[&witness]), "{name}");
            continue;
        }
        scene
            .grant()
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut both = [witness.clone(), named];
        both.sort();
        let mut listed = scene.listed().await;
        listed.sort();
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        assert_eq!(listed, scene.kept(&both), "{name}");
        assert_eq!(scene.held().await, scene.keeps(), "{name}");
        scene
            .revoke()
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(scene.listed().await, scene.kept(&[&witness]), "{name}");
    }
    Ok(())
}

async fn wrong_credentials_are_for_a_person(target: &dyn Target) -> Outcome {
    let stranger = target.stranger(target.address())?;
    let scene = Scene {
        provider: stranger,
        ..Scene::new(target, "stranger").await
    };
    let granted = scene.grant().await.map(drop);
    let revoked = scene.revoke().await.map(drop);
    let listed = scene.provider.holders(&scene.entitlement).await.map(drop);
    let mut outcomes = vec![granted, listed];
    match scene.keeps() {
        true => outcomes.push(revoked),
        // What is not there is gone without asking.
        false => revoked.unwrap(),
    }
    for outcome in outcomes {
        let error = outcome.expect_err("wrong credentials");
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
    assert!(!scene.held().await);
    Ok(())
}

/// A scene behind a proxy of its own.
async fn weathered<'a>(target: &'a dyn Target, name: &str) -> (Scene<'a>, Proxy) {
    let proxy = Proxy::before(target.address()).await;
    let mut scene = Scene::new(target, name).await;
    scene.provider = target.provider(proxy.address());
    (scene, proxy)
}

async fn a_server_that_is_gone_is_tried_again(target: &dyn Target) -> Outcome {
    let (scene, proxy) = weathered(target, "absent").await;
    proxy.set(Weather::Refused);
    let error = scene.grant().await.unwrap_err();
    assert!(may_be_tried_again(&error), "{error}");
    let error = scene
        .provider
        .holders(&scene.entitlement)
        .await
        .unwrap_err();
    assert!(may_be_tried_again(&error), "{error}");
    proxy.set(Weather::Fair);
    scene.grant().await.unwrap();
    proxy.set(Weather::Refused);
    match scene.revoke().await {
        Err(error) => assert!(may_be_tried_again(&error), "{error}"),
        // What is not there is gone without asking.
        Ok(_) => assert!(!scene.keeps()),
    }
    proxy.set(Weather::Fair);
    scene.revoke().await.unwrap();
    assert!(!scene.held().await);
    Ok(())
}

async fn a_call_that_lost_its_answer_can_be_made_again(target: &dyn Target) -> Outcome {
    for change in [Change::Grant, Change::Revoke] {
        let mut cut = 0;
        loop {
            let (scene, proxy) =
                weathered(target, &format!("cut{change:?}{cut}").to_lowercase()).await;
            if change == Change::Revoke {
                scene.grant().await.unwrap();
            }
            let keeps = scene.keeps();
            // A new connection, so that each answer of the whole conversation is lost once.
            let through = Scene {
                provider: target.provider(proxy.address()),
                entitlement: scene.entitlement.clone(),
                account: scene.account.clone(),
                ..scene
            };
            proxy.set(Weather::CutAfter(cut));
            let outcome = match change {
                Change::Grant => through.grant().await.map(drop),
                Change::Revoke => through.revoke().await.map(drop),
            };
            proxy.set(Weather::Fair);
            let done = outcome.is_ok();
            if let Err(error) = outcome {
                assert!(may_be_tried_again(&error), "answer {cut}: {error}");
                match change {
                    Change::Grant => through.grant().await.map(drop).unwrap(),
                    Change::Revoke => through.revoke().await.map(drop).unwrap(),
                }
            }
            assert_eq!(
                through.held().await,
                keeps && change == Change::Grant,
                "answer {cut}"
            );
            if done {
                let asks = keeps || change == Change::Grant;
                assert_eq!(cut > 0, asks, "whether the proxy was asked");
                break;
            }
            cut += 1;
            assert!(cut < 60, "a call of more than 60 answers");
        }
    }
    Ok(())
}

async fn a_server_that_hangs_is_given_up(target: &dyn Target) -> Outcome {
    let (scene, proxy) = weathered(target, "hanging").await;
    proxy.set(Weather::Hanging);
    let call = scene.grant();
    tokio::pin!(call);
    tokio::select! {
        _ = &mut call => panic!("nobody answered"),
        () = proxy.stuck() => {}
    }
    // From here on nothing but time can pass.
    tokio::time::pause();
    let error = tokio::time::timeout(Duration::from_secs(60), call)
        .await
        .expect("an end")
        .unwrap_err();
    tokio::time::resume();
    assert!(may_be_tried_again(&error), "{error}");
    proxy.set(Weather::Fair);
    scene.grant().await.unwrap();
    assert_eq!(scene.held().await, scene.keeps());
    Ok(())
}

async fn calls_at_the_same_time_end_as_one(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "once").await;
    for change in [Change::Grant, Change::Revoke] {
        let call = || async {
            match change {
                Change::Grant => scene.grant().await.map(drop),
                Change::Revoke => scene.revoke().await.map(drop),
            }
        };
        let calls = futures_util::future::join_all((0..4).map(|_| call())).await;
        for error in calls.into_iter().filter_map(Result::err) {
            assert!(may_be_tried_again(&error), "{error}");
        }
        call().await.unwrap();
        let held = scene.keeps() && change == Change::Grant;
        assert_eq!(scene.held().await, held);
    }
    Ok(())
}

async fn a_yes_without_effect_is_no_yes(target: &dyn Target) -> Outcome {
    let (status, body) = target.empty_promise()?;
    let (scene, proxy) = weathered(target, "promise").await;
    if !scene.keeps() {
        return Err(ASKED);
    }
    proxy.set(Weather::Promising(status, body));
    scene.grant().await.unwrap_err();
    assert!(!scene.held().await);
    proxy.set(Weather::Fair);
    scene.grant().await.unwrap();
    proxy.set(Weather::Promising(status, body));
    scene.revoke().await.unwrap_err();
    assert!(scene.held().await);
    Ok(())
}

async fn a_rate_limit_says_when_to_come_back(target: &dyn Target) -> Outcome {
    target.empty_promise()?;
    let (scene, proxy) = weathered(target, "limited").await;
    proxy.set(Weather::Limited);
    let error = scene.grant().await.unwrap_err();
    let ProviderError::Unavailable { retry_at, .. } = &error else {
        panic!("{error}");
    };
    assert!(retry_at.is_some(), "{error}");
    Ok(())
}

async fn what_would_be_called_can_be_read_before(target: &dyn Target) -> Outcome {
    let scene = Scene::new(target, "preview").await;
    for change in [Change::Grant, Change::Revoke] {
        let calls = scene.provider.preview(change, &scene.access());
        let name = target.account(&scene.account).name;
        assert!(calls.iter().any(|call| call.contains(&name)), "{calls:?}");
    }
    assert!(!scene.held().await);
    Ok(())
}
