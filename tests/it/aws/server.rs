//! moto, and a client of it that is not the provider.

use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::program::{Program, tools};

/// moto, with what it lacks.
const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/aws/identity_center.py"
);

/// A running moto.
#[derive(Debug)]
pub struct Server(Program);

/// The AWS account that moto plays.
pub const ACCOUNT: &str = "123456789012";

fn credential(service: &str) -> String {
    // moto tells services apart by what a call is signed for, and verifies nothing.
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIATEST/20261127/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}

impl Server {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let python = tools().join("bin/python3").display().to_string();
            let words = [&*python, PROGRAM, "-H", "127.0.0.1", "-p", "{port}"];
            Self(Program::start(&words))
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    async fn post(&self, service: &str, headers: &[(&str, &str)], body: String) -> (bool, String) {
        let mut request = reqwest::Client::new()
            .post(format!("http://{}/", self.address()))
            .header("authorization", credential(service))
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let fine = response.status().is_success();
        (fine, response.text().await.unwrap())
    }

    async fn json(&self, service: &str, target: &str, body: Value) -> Option<Value> {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        let (fine, text) = self.post(service, &headers, body.to_string()).await;
        fine.then(|| serde_json::from_str(&text).unwrap_or_default())
    }

    pub async fn center(&self, name: &str, body: Value) -> Option<Value> {
        let body = self.of_instance(body).await;
        self.json("sso", &format!("SWBExternalService.{name}"), body)
            .await
    }

    pub async fn store(&self, name: &str, body: Value) -> Option<Value> {
        let mut body = body;
        let found = self.instance().await;
        body["IdentityStoreId"] = found["IdentityStoreId"].clone();
        self.json("identitystore", &format!("AWSIdentityStore.{name}"), body)
            .await
    }

    async fn instance(&self) -> Value {
        let listed = self.json("sso", "SWBExternalService.ListInstances", json!({}));
        listed.await.unwrap()["Instances"][0].clone()
    }

    async fn of_instance(&self, mut body: Value) -> Value {
        body["InstanceArn"] = self.instance().await["InstanceArn"].clone();
        body
    }

    /// Calls IAM, and tells the answer, if it is a yes.
    pub async fn iam(&self, action: &str, fields: &[(&str, &str)]) -> Option<String> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", "2010-05-08")])
            .extend_pairs(fields)
            .finish();
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let (fine, text) = self.post("iam", &kind, body).await;
        fine.then_some(text)
    }

    /// The id of an account of the identity store.
    pub async fn user(&self, name: &str) -> Option<String> {
        let filter = json!({ "AttributePath": "UserName", "AttributeValue": name });
        let all = self
            .store("ListUsers", json!({ "Filters": [filter] }))
            .await
            .unwrap();
        let all = all["Users"].as_array().unwrap().clone();
        let this = all.into_iter().find(|user| user["UserName"] == name)?;
        Some(this["UserId"].as_str()?.to_owned())
    }

    pub async fn permission_set(&self, name: &str) -> String {
        let made = self
            .center("CreatePermissionSet", json!({ "Name": name }))
            .await;
        let set = &made.unwrap()["PermissionSet"]["PermissionSetArn"];
        set.as_str().unwrap().to_owned()
    }

    pub async fn group(&self, name: &str) -> String {
        let made = self
            .store("CreateGroup", json!({ "DisplayName": name }))
            .await;
        made.unwrap()["GroupId"].as_str().unwrap().to_owned()
    }

    /// Who is assigned, as often as it is kept.
    pub async fn assigned(&self, set: &str) -> Vec<String> {
        let body = json!({ "AccountId": ACCOUNT, "PermissionSetArn": set });
        let all = self.center("ListAccountAssignments", body).await.unwrap();
        let all = all["AccountAssignments"].as_array().unwrap().clone();
        let id = |one: Value| one["PrincipalId"].as_str().unwrap().to_owned();
        all.into_iter().map(id).collect()
    }

    pub async fn assign(&self, set: &str, kind: &str, id: &str) {
        let body = json!({
            "TargetId": ACCOUNT, "TargetType": "AWS_ACCOUNT", "PermissionSetArn": set,
            "PrincipalType": kind, "PrincipalId": id,
        });
        self.center("CreateAccountAssignment", body).await.unwrap();
    }

    pub async fn members(&self, group: &str) -> Vec<String> {
        let body = json!({ "GroupId": group });
        let all = self.store("ListGroupMemberships", body).await.unwrap();
        let all = all["GroupMemberships"].as_array().unwrap().clone();
        let id = |one: Value| one["MemberId"]["UserId"].as_str().unwrap().to_owned();
        all.into_iter().map(id).collect()
    }

    pub async fn join(&self, group: &str, user: &str) {
        let body = json!({ "GroupId": group, "MemberId": { "UserId": user } });
        self.store("CreateGroupMembership", body).await.unwrap();
    }
}
