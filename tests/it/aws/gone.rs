//! What is gone at AWS and what only seems so: other servers, other AWS accounts, other names.

use std::sync::{Arc, Mutex};

use hallpass::domain::model::Access;
use hallpass::providers::{Provider, ProviderError};
use serde_json::{Value, json};

use super::contract::{center, iam};
use super::odd::{access, in_json, in_xml, ro, scripted, usual};
use super::server::ACCOUNT;
use crate::contract::approved::approved;
use crate::contract::order;

fn member() -> Access {
    access("ada", json!({ "group": "ro" }))
}

fn is_again(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unavailable { .. })
}

#[tokio::test]
async fn only_aws_itself_says_that_something_is_gone() {
    for (status, said) in [
        (404, String::new()),
        (410, "<html>404 Not Found</html>".to_owned()),
        (404, json!({ "message": "no Route matched" }).to_string()),
        (404, in_xml("")),
    ] {
        let whole = said.clone();
        let (iam_at, _) = scripted(move |_, _| (status, whole.clone())).await;
        let error = iam(iam_at).revoke(&member(), &order()).await.unwrap_err();
        assert!(is_again(&error), "{said}: {error}");
        // Whoever is asked about the instance answers, and nobody else does.
        let (center_at, _) = scripted(move |operation, _| match operation {
            "ListInstances" => (200, usual(operation).to_string()),
            _ => (status, said.clone()),
        })
        .await;
        let mut known = ro();
        known.account.id = Some("u1".to_owned());
        for given in [ro().entitlement, json!({ "group": "ro" })] {
            known.entitlement = given;
            let error = center(center_at).revoke(&known, &order()).await;
            let error = error.unwrap_err();
            assert!(is_again(&error), "{error}");
        }
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_asked_for_is_not_gone() {
    for code in ["ValidationException", "SomethingNew"] {
        let (at, _) = scripted(move |operation, _| match operation {
            "ListUsers" => (400, in_json(code)),
            other => (200, usual(other).to_string()),
        })
        .await;
        center(at).revoke(&ro(), &order()).await.unwrap_err();
        let error = center(at).grant(&approved(&ro()), &order()).await;
        let unknown = matches!(error, Err(ProviderError::UnknownSubject { .. }));
        assert_eq!(unknown, code == "ValidationException", "{error:?}");
    }
    for code in ["ValidationError", "SomethingNew"] {
        let (at, _) = scripted(move |_, body| match body.contains("GetUser") {
            true => (400, in_xml(code)),
            false => (200, caller(ACCOUNT)),
        })
        .await;
        let error = iam(at).grant(&approved(&member()), &order()).await;
        let unknown = matches!(error, Err(ProviderError::UnknownSubject { .. }));
        assert_eq!(unknown, code == "ValidationError", "{error:?}");
    }
}

fn caller(account: &str) -> String {
    format!(
        "<R><GetCallerIdentityResult><UserId>AIDAOWN</UserId><Account>{account}</Account></GetCallerIdentityResult></R>"
    )
}

#[tokio::test]
async fn what_could_not_be_taken_is_not_given() {
    for refused in ["GetCallerIdentity", "ListGroups"] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let (at, _) = scripted(move |_, body| {
            kept.lock().unwrap().push(body.to_owned());
            match body {
                body if body.contains(refused) => (403, in_xml("AccessDenied")),
                body if body.contains("GetCallerIdentity") => (200, caller(ACCOUNT)),
                body if body.contains("GetUser") => {
                    let user = "<UserName>ada</UserName><UserId>AIDA1</UserId><Arn>arn:aws:iam::123456789012:user/ada</Arn>";
                    (200, format!("<R><GetUserResult><User>{user}</User></GetUserResult></R>"))
                }
                _ => (200, "<R/>".to_owned()),
            }
        })
        .await;
        let error = iam(at).grant(&approved(&member()), &order()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("check the rights"), "{refused}: {error}");
        let asked = asked.lock().unwrap();
        assert!(!asked.iter().any(|body| body.contains("AddUserToGroup")));
    }
}

#[tokio::test]
async fn the_user_of_our_own_keys_is_given_nothing() {
    let (at, _) = scripted(|_, body| match body.contains("GetUser") {
        true => {
            let user = "<UserName>ada</UserName><UserId>AIDAOWN</UserId><Arn>arn:aws:iam::123456789012:user/ada</Arn>";
            (200, format!("<R><GetUserResult><User>{user}</User></GetUserResult></R>"))
        }
        false => (200, caller(ACCOUNT)),
    })
    .await;
    let error = iam(at).grant(&approved(&member()), &order()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("own keys"), "{error}");
}

#[tokio::test]
async fn the_keys_of_another_aws_account_take_nothing_away() {
    for account in [ACCOUNT, "999999999999"] {
        let (at, _) = scripted(move |_, body| match body {
            body if body.contains("GetCallerIdentity") => (200, caller(account)),
            body if body.contains("ListGroups") => (
                200,
                "<R><ListGroupsResult><Groups/><IsTruncated>false</IsTruncated></ListGroupsResult></R>".to_owned(),
            ),
            _ => (404, in_xml("NoSuchEntity")),
        })
        .await;
        let mut known = member();
        known.account.id = Some("AIDA1".to_owned());
        known.entitlement_id = Some(format!("{ACCOUNT}/AGPA1"));
        let outcome = iam(at).revoke(&known, &order()).await;
        match account {
            ACCOUNT => assert!(outcome.unwrap().read_back.contains("no group")),
            _ => {
                let error = outcome.unwrap_err();
                assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
                assert!(error.to_string().contains("999999999999"), "{error}");
            }
        }
    }
}

/// One account, which has a new name, in one group, which has too.
fn renamed(operation: &str, left: &Mutex<bool>) -> (u16, String) {
    let missing = (400, in_json("ResourceNotFoundException"));
    let said = match operation {
        "ListUsers" => json!({ "Users": [{ "UserId": "u2", "UserName": "ada" }] }),
        "GetGroupId" => json!({ "GroupId": "g2" }),
        "ListGroupMembershipsForMember" if *left.lock().unwrap() => {
            json!({ "GroupMemberships": [] })
        }
        "ListGroupMembershipsForMember" => json!({ "GroupMemberships": [
            { "MembershipId": "m1", "GroupId": "g1", "MemberId": { "UserId": "u1" } },
            { "MembershipId": "m2", "GroupId": "g2", "MemberId": { "UserId": "u1" } },
        ] }),
        "DeleteGroupMembership" => {
            *left.lock().unwrap() = true;
            json!({})
        }
        "ListInstances" => usual(operation),
        _ => return missing,
    };
    (200, said.to_string())
}

#[tokio::test]
async fn renamed_accounts_and_groups_of_the_identity_store_are_the_same() {
    let left = Arc::new(Mutex::new(false));
    let deleted = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&deleted);
    let (at, asked) = scripted(move |operation, body| {
        if operation == "DeleteGroupMembership" {
            let body: Value = serde_json::from_str(body).unwrap();
            kept.lock().unwrap().push(body["MembershipId"].clone());
        }
        renamed(operation, &left)
    })
    .await;
    let mut known = member();
    known.account.id = Some("u1".to_owned());
    let error = center(at).grant(&approved(&known), &order()).await;
    assert!(
        matches!(error, Err(ProviderError::UnknownSubject { .. })),
        "{error:?}"
    );
    known.account.id = Some("u2".to_owned());
    known.entitlement_id = Some("d-1/g1".to_owned());
    let error = center(at).grant(&approved(&known), &order()).await;
    assert!(
        matches!(error, Err(ProviderError::Refused { .. })),
        "{error:?}"
    );
    let given = asked
        .lock()
        .unwrap()
        .iter()
        .any(|o| o.starts_with("Create"));
    assert!(!given);
    known.account.id = Some("u1".to_owned());
    center(at).revoke(&known, &order()).await.unwrap();
    assert_eq!(*deleted.lock().unwrap(), ["m1"]);
    // Of another identity store nothing can be said here.
    known.entitlement_id = Some("d-2/g1".to_owned());
    let error = center(at).revoke(&known, &order()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
}

const SET: &str = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";

#[tokio::test]
async fn a_permission_set_that_was_created_anew_is_another() {
    for (set, there, ends) in [
        // AWS deletes no permission set that anybody is assigned.
        (SET, "neither", "gone"),
        // The AWS account is not there, or hidden.
        (SET, "set", "a person"),
        (
            "arn:aws:sso:::permissionSet/ssoins-2/ps-1",
            "neither",
            "a person",
        ),
    ] {
        let (at, asked) = scripted(move |operation, _| {
            let missing = (400, in_json("ResourceNotFoundException"));
            let said = match operation {
                "ListInstances" => json!({ "Instances": [{ "InstanceArn": "arn:aws:sso:::instance/ssoins-1", "IdentityStoreId": "d-1" }] }),
                "ListPermissionSets" => json!({ "PermissionSets": ["arn:aws:sso:::permissionSet/ssoins-1/ps-2"] }),
                "ListAccountAssignments" => return missing,
                "DescribePermissionSet" if there == "neither" => return missing,
                other => usual(other),
            };
            (200, said.to_string())
        })
        .await;
        let mut known = ro();
        known.account.id = Some("u1".to_owned());
        known.entitlement_id = Some(set.to_owned());
        let outcome = center(at).revoke(&known, &order()).await;
        match ends {
            "gone" => drop(outcome.unwrap()),
            _ => {
                let error = outcome.unwrap_err();
                assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
            }
        }
        let asked = asked.lock().unwrap();
        assert!(!asked.iter().any(|o| o == "DeleteAccountAssignment"));
    }
}

#[tokio::test]
async fn a_permission_set_is_given_as_the_one_that_is_held() {
    let (at, asked) = scripted(|operation, _| (200, usual(operation).to_string())).await;
    let mut known = ro();
    known.entitlement_id = Some(SET.to_owned());
    let error = center(at).grant(&approved(&known), &order()).await;
    assert!(
        matches!(error, Err(ProviderError::Refused { .. })),
        "{error:?}"
    );
    let asked = asked.lock().unwrap();
    assert!(!asked.iter().any(|o| o == "CreateAccountAssignment"));
}

#[tokio::test]
async fn a_page_that_is_longer_than_any_is_no_answer() {
    let (at, _) = scripted(|operation, _| match operation {
        "ListUsers" => (200, " ".repeat(3 << 20)),
        other => (200, usual(other).to_string()),
    })
    .await;
    let error = center(at).grant(&approved(&ro()), &order()).await;
    let Err(ProviderError::Unavailable { source, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(source.to_string().contains("2048 KiB"), "{source}");
}
