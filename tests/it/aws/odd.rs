//! What AWS does and moto does not: changes that take a while, keys that are refused, limits; and what moto keeps twice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use hallpass::domain::ledger::Revoked;
use hallpass::domain::model::{Access, Account, UserId};
use hallpass::providers::{Provider, ProviderError};
use serde_json::{Value, json};

use super::contract::{center, iam};
use super::server::{ACCOUNT, Server};
use crate::contract::approved::approved;
use crate::contract::{connection, order};

pub fn access(name: &str, entitlement: Value) -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: name.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement,
        entitlement_id: None,
    }
}

/// An account of the shared server, with its id.
async fn user(name: &str) -> String {
    let server = Server::shared();
    let user = json!({ "UserName": name, "DisplayName": name, "Name": { "GivenName": "A", "FamilyName": "B" } });
    let made = server.store("CreateUser", user).await.unwrap();
    made["UserId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_kept_twice_is_removed_until_none_is_left() {
    let server = Server::shared();
    let ada = user("odd-twice").await;
    let (set, group) = (
        server.permission_set("odd-twice").await,
        server.group("odd-twice").await,
    );
    for _ in 0..3 {
        server.assign(&set, "USER", &ada).await;
        server.join(&group, &ada).await;
    }
    let aws = center(server.address());
    for entitlement in [
        json!({ "account": ACCOUNT, "permission_set": "odd-twice" }),
        json!({ "group": "odd-twice" }),
    ] {
        let held = aws.holders(&entitlement).await.unwrap();
        assert_eq!(held.len(), 1, "{held:?}");
        aws.revoke(&access("odd-twice", entitlement), &order())
            .await
            .unwrap();
    }
    assert_eq!(server.assigned(&set).await, [""; 0]);
    assert_eq!(server.members(&group).await, [""; 0]);
}

#[tokio::test]
async fn a_group_that_has_the_same_permission_set_there_is_named() {
    let server = Server::shared();
    let ada = user("odd-through").await;
    let (set, group) = (
        server.permission_set("odd-through").await,
        server.group("odd-through").await,
    );
    server.join(&group, &ada).await;
    server.assign(&set, "GROUP", &group).await;
    let wanted = access(
        "odd-through",
        json!({ "account": ACCOUNT, "permission_set": "odd-through" }),
    );
    let aws = center(server.address());
    assert_eq!(aws.holders(&wanted.entitlement).await.unwrap(), []);
    aws.grant(&approved(&wanted), &order()).await.unwrap();
    let revoked = aws.revoke(&wanted, &order()).await.unwrap();
    let through = &revoked.still_effective_through;
    assert!(
        through.len() == 1 && through[0].contains(&group),
        "{through:?}"
    );
    assert_eq!(server.assigned(&set).await, [group]);
}

#[tokio::test]
async fn a_renamed_iam_user_loses_what_it_was_given() {
    let server = Server::shared();
    server
        .iam("CreateUser", &[("UserName", "odd-before")])
        .await
        .unwrap();
    server
        .iam("CreateGroup", &[("GroupName", "odd-renamed")])
        .await
        .unwrap();
    let aws = iam(server.address());
    let mut wanted = access("odd-before", json!({ "group": "odd-renamed" }));
    wanted.account.id = aws
        .grant(&approved(&wanted), &order())
        .await
        .unwrap()
        .account_id;
    let fields = [("UserName", "odd-before"), ("NewUserName", "odd-after")];
    server.iam("UpdateUser", &fields).await.unwrap();
    aws.revoke(&wanted, &order()).await.unwrap();
    assert_eq!(aws.holders(&wanted.entitlement).await.unwrap(), []);
}

/// A server that answers each operation as it is told, and what it was asked.
pub async fn scripted(
    answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (answer, asked) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&asked);
    let router = Router::new().fallback(move |request: Request| {
        let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let signed = parts.headers["authorization"].to_str().unwrap();
            assert!(
                signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/"),
                "{signed}"
            );
            let target = parts
                .headers
                .get("x-amz-target")
                .map(|t| t.to_str().unwrap());
            let operation = target
                .and_then(|t| t.split('.').nth(1))
                .unwrap_or("form")
                .to_owned();
            kept.lock().unwrap().push(operation.clone());
            let (status, said) = answer(&operation, &body);
            (StatusCode::from_u16(status).unwrap(), said).into_response()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

/// What Identity Center answers to everything but assignments, for one account and one permission set.
pub fn usual(operation: &str) -> Value {
    match operation {
        "ListInstances" => {
            json!({ "Instances": [{ "InstanceArn": "arn:i", "IdentityStoreId": "d-1" }] })
        }
        "ListUsers" => json!({ "Users": [{ "UserId": "u1", "UserName": "ada" }] }),
        "ListPermissionSets" => json!({ "PermissionSets": ["arn:ps"] }),
        "DescribePermissionSet" => json!({ "PermissionSet": { "Name": "ro" } }),
        "ListGroupMembershipsForMember" => json!({ "GroupMemberships": [] }),
        "ListAccountAssignmentCreationStatus" => json!({ "AccountAssignmentsCreationStatus": [] }),
        _ => json!({}),
    }
}

pub fn ro() -> Access {
    access("ada", json!({ "account": ACCOUNT, "permission_set": "ro" }))
}

#[tokio::test]
async fn an_assignment_is_there_when_aws_has_finished_it() {
    let looks = Mutex::new(0);
    let (at, asked) = scripted(move |operation, _| {
        let status = |status: &str| json!({ "AccountAssignmentCreationStatus": { "Status": status, "RequestId": "r1" } });
        let mut looks = looks.lock().unwrap();
        let said = match operation {
            "CreateAccountAssignment" => status("IN_PROGRESS"),
            "DescribeAccountAssignmentCreationStatus" => {
                *looks += 1;
                status(if *looks == 3 { "SUCCEEDED" } else { "IN_PROGRESS" })
            }
            "ListAccountAssignments" if *looks == 3 => {
                json!({ "AccountAssignments": [{ "PrincipalType": "USER", "PrincipalId": "u1" }] })
            }
            "ListAccountAssignments" => json!({ "AccountAssignments": [] }),
            other => usual(other),
        };
        (200, said.to_string())
    })
    .await;
    let granted = center(at).grant(&approved(&ro()), &order()).await.unwrap();
    assert_eq!(granted.account_id.as_deref(), Some("u1"));
    let asked = asked.lock().unwrap();
    let looks = asked
        .iter()
        .filter(|o| *o == "DescribeAccountAssignmentCreationStatus");
    assert_eq!(looks.count(), 3);
}

#[tokio::test]
async fn an_assignment_that_fails_is_for_a_person_and_one_that_never_ends_is_tried_again() {
    for (status, says) in [
        ("FAILED", "the account is suspended"),
        ("IN_PROGRESS", "a call"),
    ] {
        let (at, _) = scripted(move |operation, _| {
            let said = match operation {
                "ListAccountAssignments" => json!({ "AccountAssignments": [] }),
                o if o.contains("AccountAssignment") => json!({ "AccountAssignmentCreationStatus": {
                    "Status": status, "RequestId": "r1", "FailureReason": "the account is suspended" } }),
                other => usual(other),
            };
            (200, said.to_string())
        })
        .await;
        let aws = center(at);
        let wanted = approved(&ro());
        let order = order();
        // Everything but the waiting is quick: time may jump to its end.
        let call = aws.grant(&wanted, &order);
        let error = quickly(call).await.unwrap_err();
        assert!(error.to_string().contains(says), "{status}: {error}");
        let again = matches!(error, ProviderError::Unavailable { .. });
        assert_eq!(again, status == "IN_PROGRESS", "{error}");
    }
}

/// The revocation of [`ro`] while AWS assigns something in the background: `r1` to `r3`, of which it is `r3` to `principal`.
async fn revoked_while_under_way(
    principal: &'static str,
    status: &'static str,
) -> Result<Revoked, ProviderError> {
    let (at, _) = scripted(move |operation, body| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let next = body["NextToken"].as_str();
        let said = match operation {
            "ListAccountAssignments" => json!({ "AccountAssignments": [] }),
            "ListAccountAssignmentCreationStatus" if body["Filter"]["Status"] != "IN_PROGRESS" => {
                return (400, in_json("ValidationException"));
            }
            "ListAccountAssignmentCreationStatus" if next.is_none() => json!({
                "AccountAssignmentsCreationStatus": [
                    { "RequestId": "r1", "Status": "IN_PROGRESS" },
                    { "RequestId": "r2", "Status": "IN_PROGRESS" },
                ],
                "NextToken": "more",
            }),
            "ListAccountAssignmentCreationStatus" => json!({
                "AccountAssignmentsCreationStatus": [{ "RequestId": "r3", "Status": "IN_PROGRESS" }],
            }),
            "DescribeAccountAssignmentCreationStatus" => {
                let (set, who) = match body["AccountAssignmentCreationRequestId"].as_str() {
                    Some("r1") => return (400, in_json("ResourceNotFoundException")),
                    Some("r2") => ("arn:other", principal),
                    _ => ("arn:ps", principal),
                };
                json!({ "AccountAssignmentCreationStatus": {
                    "Status": status, "TargetId": ACCOUNT, "PermissionSetArn": set, "PrincipalId": who } })
            }
            other => usual(other),
        };
        (200, said.to_string())
    })
    .await;
    center(at).revoke(&ro(), &order()).await
}

#[tokio::test]
async fn an_assignment_that_aws_is_still_creating_is_not_gone() {
    let coming = revoked_while_under_way("u1", "IN_PROGRESS").await;
    let Err(ProviderError::Unavailable { source, .. }) = coming else {
        panic!("{coming:?}");
    };
    assert!(source.to_string().contains("still creating"), "{source}");
    for (principal, status) in [("u2", "IN_PROGRESS"), ("u1", "FAILED")] {
        let revoked = revoked_while_under_way(principal, status).await;
        revoked.unwrap();
    }
}

#[tokio::test]
async fn an_assignment_that_aws_finishes_while_it_is_looked_for_is_taken_away() {
    let looked = Mutex::new((false, false));
    let (at, asked) = scripted(move |operation, _| {
        let mut looked = looked.lock().unwrap();
        let (finished, deleted) = &mut *looked;
        let said = match operation {
            "ListAccountAssignmentCreationStatus" => {
                *finished = true;
                usual(operation)
            }
            "DeleteAccountAssignment" => {
                *deleted = true;
                json!({ "AccountAssignmentDeletionStatus": { "Status": "SUCCEEDED" } })
            }
            "ListAccountAssignments" if *finished && !*deleted => {
                json!({ "AccountAssignments": [{ "PrincipalType": "USER", "PrincipalId": "u1" }] })
            }
            "ListAccountAssignments" => json!({ "AccountAssignments": [] }),
            other => usual(other),
        };
        (200, said.to_string())
    })
    .await;
    center(at).revoke(&ro(), &order()).await.unwrap();
    let asked = asked.lock().unwrap();
    let deleted = asked.iter().filter(|o| *o == "DeleteAccountAssignment");
    assert_eq!(deleted.count(), 1);
}

#[tokio::test]
async fn a_permission_set_that_was_looked_at_is_not_looked_at_again() {
    let looks = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&looks);
    let (at, _) = scripted(move |operation, body| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let said = match operation {
            "ListPermissionSets" => json!({ "PermissionSets": ["arn:a", "arn:b", "arn:ps"] }),
            "DescribePermissionSet" => {
                let set = body["PermissionSetArn"].as_str().unwrap().to_owned();
                let mut looks = kept.lock().unwrap();
                looks.push(set.clone());
                if looks.len() == 2 {
                    return (400, in_json("ThrottlingException"));
                }
                let name = if set == "arn:ps" { "ro" } else { set.as_str() };
                json!({ "PermissionSet": { "Name": name } })
            }
            "ListAccountAssignments" => {
                json!({ "AccountAssignments": [{ "PrincipalType": "USER", "PrincipalId": "u1" }] })
            }
            other => usual(other),
        };
        (200, said.to_string())
    })
    .await;
    let aws = center(at);
    aws.grant(&approved(&ro()), &order()).await.unwrap_err();
    aws.grant(&approved(&ro()), &order()).await.unwrap();
    assert_eq!(
        *looks.lock().unwrap(),
        ["arn:a", "arn:b", "arn:b", "arn:ps"]
    );
}

/// Lets time pass while somebody waits.
async fn quickly<T>(call: impl Future<Output = T>) -> T {
    tokio::pin!(call);
    for _ in 0..20_000 {
        if let Ok(done) = tokio::time::timeout(std::time::Duration::from_millis(5), &mut call).await
        {
            return done;
        }
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_millis(500)).await;
        tokio::time::resume();
    }
    panic!("it does not end");
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let (at, _) = scripted(|operation, body| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let said = match (operation, body["NextToken"].as_str()) {
            ("ListUsers", None) => json!({ "Users": [], "NextToken": "more" }),
            ("ListPermissionSets", None) => json!({ "PermissionSets": [], "NextToken": "more" }),
            ("ListAccountAssignments", None) => {
                json!({ "AccountAssignments": [], "NextToken": "more" })
            }
            ("ListAccountAssignments", Some(_)) => {
                json!({ "AccountAssignments": [{ "PrincipalType": "USER", "PrincipalId": "u1" }] })
            }
            ("DescribeUser", _) => json!({ "UserId": "u1", "UserName": "ada" }),
            (other, _) => usual(other),
        };
        (200, said.to_string())
    })
    .await;
    center(at).grant(&approved(&ro()), &order()).await.unwrap();
    let held = center(at).holders(&ro().entitlement).await.unwrap();
    assert_eq!(held[0].name, "ada");
}

/// An error, as the services say it that speak JSON.
pub fn in_json(code: &str) -> String {
    format!(r#"{{"__type": "com.amazon#{code}", "Message": "no {code}"}}"#)
}

/// An error, as the others say it.
pub fn in_xml(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no {code}</Message></Error></ErrorResponse>"
    )
}

#[tokio::test]
async fn what_aws_says_no_with_says_what_to_do_next() {
    for (status, code, expected) in [
        (400, "ThrottlingException", "later"),
        (400, "Throttling", "later"),
        (409, "ConflictException", "again"),
        (500, "InternalFailure", "again"),
        (400, "AccessDeniedException", "a person"),
        (403, "InvalidClientTokenId", "a person"),
        (400, "UnrecognizedClientException", "a person"),
        (403, "SignatureDoesNotMatch", "a person"),
    ] {
        let (said_json, said_xml) = (in_json(code), in_xml(code));
        let (center_at, _) = scripted(move |_, _| (status, said_json.clone())).await;
        let (iam_at, _) = scripted(move |_, _| (status, said_xml.clone())).await;
        let in_center = center(center_at).revoke(&ro(), &order()).await;
        let in_iam = iam(iam_at)
            .revoke(&access("ada", json!({ "group": "ro" })), &order())
            .await;
        for error in [in_center.unwrap_err(), in_iam.unwrap_err()] {
            let found = match &error {
                ProviderError::Unavailable {
                    retry_at: Some(_), ..
                } => "later",
                ProviderError::Unavailable { .. } => "again",
                ProviderError::Refused { .. } => "a person",
                ProviderError::UnknownSubject { .. } => "another account",
            };
            assert_eq!(found, expected, "{code}: {error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn the_user_of_our_own_keys_stays_in_its_groups() {
    let (at, asked) = scripted(|_, body| {
        let user = "<UserName>hallpass</UserName><UserId>AIDAOWN</UserId><Arn>arn:aws:iam::1:user/hallpass</Arn>";
        let said = match body.contains("GetCallerIdentity") {
            true => "<R><GetCallerIdentityResult><UserId>AIDAOWN</UserId><Account>1</Account></GetCallerIdentityResult></R>".to_owned(),
            false => format!("<R><GetGroupResult><Group><GroupName>admins</GroupName><GroupId>AGPA1</GroupId></Group><Users><member>{user}</member></Users><IsTruncated>false</IsTruncated></GetGroupResult></R>"),
        };
        (200, said)
    })
    .await;
    let error = iam(at)
        .revoke(&access("hallpass", json!({ "group": "admins" })), &order())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("own keys"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 2);
}

/// What IAM says of ada, whose keys were used as told, and of whose password as told.
fn used(body: &str, password: &str, keys: &[&str]) -> String {
    let has = |operation: &str| body.contains(&format!("Action={operation}&"));
    if has("GetUser") {
        return format!(
            "<GetUserResponse><GetUserResult><User><UserName>ada</UserName><UserId>AIDA1</UserId><Arn>arn:aws:iam::1:user/ada</Arn>{password}</User></GetUserResult></GetUserResponse>"
        );
    }
    if has("ListAccessKeys") {
        let keys: String = (0..keys.len())
            .map(|n| format!("<member><UserName>ada</UserName><AccessKeyId>AKIA{n}</AccessKeyId><Status>Active</Status></member>"))
            .collect();
        return format!(
            "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata>{keys}</AccessKeyMetadata><IsTruncated>false</IsTruncated></ListAccessKeysResult></ListAccessKeysResponse>"
        );
    }
    let key = (0..keys.len()).find(|n| body.contains(&format!("AccessKeyId=AKIA{n}")));
    let used = keys[key.expect(body)];
    format!(
        "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><AccessKeyLastUsed><Region>N/A</Region>{used}<ServiceName>N/A</ServiceName></AccessKeyLastUsed><UserName>ada</UserName></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>"
    )
}

#[tokio::test]
async fn an_iam_user_was_last_used_by_its_password_or_by_one_of_its_keys() {
    const PASSWORD: &str = "<PasswordLastUsed>2026-11-01T08:00:00Z</PasswordLastUsed>";
    const KEY: &str = "<LastUsedDate>2026-11-02T08:00:00Z</LastUsedDate>";
    let cases: [(&str, &[&str], Option<&str>); 5] = [
        ("", &[], None),
        (PASSWORD, &[], Some("2026-11-01T08:00:00Z")),
        ("", &["", KEY], Some("2026-11-02T08:00:00Z")),
        (PASSWORD, &[KEY, ""], Some("2026-11-02T08:00:00Z")),
        ("", &["<LastUsedDate>N/A</LastUsedDate>"], None),
    ];
    for (password, keys, wanted) in cases {
        let (at, _) = scripted(move |_, body| (200, used(body, password, keys))).await;
        let mut account = access("ada", json!({})).account;
        let found = iam(at).last_used(&account).await.unwrap();
        let wanted = wanted.map(|at| at.parse().unwrap());
        assert_eq!(found, wanted, "{password} {keys:?}");
        // Another who has the name by now is nobody's business.
        account.id = Some("AIDA2".to_owned());
        assert_eq!(iam(at).last_used(&account).await.unwrap(), None);
    }
}

#[tokio::test]
async fn moto_tells_of_a_user_that_was_never_used() {
    let server = Server::shared();
    let fields = [("UserName", "odd-unused")];
    server.iam("CreateUser", &fields).await.unwrap();
    server.iam("CreateAccessKey", &fields).await.unwrap();
    let account = access("odd-unused", json!({})).account;
    let used = iam(server.address()).last_used(&account).await.unwrap();
    assert_eq!(used, None);
}
