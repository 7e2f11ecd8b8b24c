//! Ways by number, old names, and repositories that an installation was not given.

use hallpass::sandbox::Permission;
use serde_json::json;

use super::{INSTALLATION, acme};

#[tokio::test]
async fn a_renamed_repository_is_reached_by_its_number_and_its_old_name_leads_there() {
    let world = acme().await;
    world.app_permission(super::APP, "administration", Some("write"));
    let (token, _) = world.token(json!({})).await;
    let get = async |path: &str| world.call(&token, "GET", path, None).await;
    let id = get("/repos/acme/access").await.body["id"].clone();
    world.rename_repository("access", "entry").unwrap();

    let found = get(&format!("/repositories/{id}")).await;
    assert_eq!(
        (found.status, &found.body["full_name"]),
        (200, &json!("acme/entry"))
    );
    let listed = get(&format!("/repositories/{id}/collaborators?per_page=1")).await;
    assert_eq!(
        (listed.status, listed.body.as_array().unwrap().len()),
        (200, 1)
    );
    assert_eq!(get("/repositories/1").await.status, 404);

    let old = get("/repos/acme/access/collaborators").await;
    assert_eq!(old.status, 301);
    let address = old.body["url"].as_str().unwrap();
    assert!(
        address.ends_with(&format!("/repositories/{id}/collaborators")),
        "{address}"
    );
    let put = world
        .call(
            &token,
            "PUT",
            "/repos/acme/access/collaborators/grace",
            Some(json!({ "permission": "push" })),
        )
        .await;
    assert_eq!(put.status, 307);
    assert_eq!(world.collaborates("entry", "grace"), None);

    // Until another one is called so.
    world
        .repository("access", &[("README.md", "Another\n")])
        .unwrap();
    let other = get("/repos/acme/access").await;
    assert_eq!(other.status, 200);
    assert_ne!(other.body["id"], id);
    world.assert_contract_held();
}

#[tokio::test]
async fn a_renamed_team_is_reached_by_its_number_only() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let get = async |path: String| world.call(&token, "GET", &path, None).await;
    let team = get("/orgs/acme/teams/dba".to_owned()).await.body;
    let organisation = get("/users/acme".to_owned()).await.body["id"].clone();
    assert_eq!(team["organization"]["id"], organisation);
    world.rename_team("dba", "databases");
    assert_eq!(get("/orgs/acme/teams/dba".to_owned()).await.status, 404);
    let here = format!("/organizations/{organisation}/team/{}", team["id"]);
    let membership = get(format!("{here}/memberships/grace")).await;
    assert_eq!(
        (membership.status, &membership.body["state"]),
        (200, &json!("active"))
    );
    assert_eq!(get(here).await.body["slug"], "databases");
    world.assert_contract_held();
}

#[tokio::test]
async fn a_repository_that_an_installation_was_not_given_is_hidden_from_it() {
    let world = acme().await;
    world
        .repository("shop", &[("README.md", "Shop\n")])
        .unwrap();
    world.collaborator("shop", "ada", Some(Permission::Push));
    let (token, _) = world.token(json!({})).await;
    let get = async |path: &str| world.call(&token, "GET", path, None).await;
    let seen = get("/installation/repositories").await.body;
    assert_eq!(
        (&seen["repository_selection"], &seen["total_count"]),
        (&json!("all"), &json!(2))
    );
    let id = get("/repos/acme/shop").await.body["id"].clone();
    // Tokens that exist see no more than that either.
    world.installation_sees(INSTALLATION, Some(&["access"]));
    let seen = get("/installation/repositories").await.body;
    assert_eq!(
        (&seen["repository_selection"], &seen["total_count"]),
        (&json!("selected"), &json!(1))
    );
    assert_eq!(get("/repos/acme/shop").await.status, 404);
    assert_eq!(get(&format!("/repositories/{id}")).await.status, 404);
    // Nor does an old name tell that there is something.
    world.rename_repository("shop", "store").unwrap();
    assert_eq!(get("/repos/acme/shop").await.status, 404);
    world.assert_contract_held();
}

#[tokio::test]
async fn a_login_is_of_one_account_until_that_is_called_otherwise() {
    let world = acme().await;
    let ada = world.member("ada");
    assert_eq!(world.member("Ada"), ada);
    world.rename_user("ada", "ada-of-old");
    assert_ne!(world.member("ada"), ada);
}
