//! What people see in a browser: the stand-in's pages and the dashboard, in a real Chromium, on the stage of `hallpass demo`.
//!
//! Few and whole: a browser is slow, so each test opens one and walks a person's way with it.

mod driver;
mod kept;
mod window;

use kept::Kept;
use window::Window;

#[tokio::test]
async fn a_newcomer_asks_corrects_approves_and_merges_at_the_stand_ins_pages() {
    let mut stage = Kept::start();
    let window = Window::open().await;
    // As somebody who has turned scripts off: none of these pages has any.
    window.without_scripts().await;
    window.visit(&stage.ask).await;
    assert!(
        window
            .value("#value")
            .await
            .starts_with("person: ada\nrole: readonly\n")
    );
    window.fill("#title", "Try").await;
    let asked = window.value("#value").await;
    window.fill("#value", &asked.replace("10m", "9d")).await;
    window.press_words("Open the pull request").await;
    window.until("Denied").await;
    window.until("access/grants/orders/ada-try-it.yaml:3").await;
    // The file is corrected in the same pull request.
    window.press("a[href*='/edit/']").await;
    window.fill("#value", &asked).await;
    window.press_words("Commit").await;
    window.until("Waiting for @acme/orders-owners").await;
    window.until("At least 1 approving review").await;

    window.is("grace").await;
    window
        .fill("#body", "The <b>incident</b> is **real**.")
        .await;
    window.press_words("Approve").await;
    window.until("Merged").await;
    let page = window.source().await;
    assert!(
        page.contains("The &lt;b&gt;incident&lt;/b&gt; is <strong>real</strong>."),
        "{page}"
    );
    window.visit(&format!("{}/", stage.pages)).await;
    window.until("orders-ro octocat, ada").await;
    window.close().await;
    assert!(stage.stop(), "Ctrl-C ends it in order");
}

/// Opens the grant of this name by searching for it, and answers its address.
async fn search(window: &Window, name: &str) -> String {
    window.fill("#q", name).await;
    window.press_words("Search").await;
    window.press_words(name).await;
    window.until("Story").await;
    window.address().await
}

#[tokio::test]
async fn requester_owner_auditor_and_outsider_see_what_is_theirs() {
    let stage = Kept::start();
    let window = Window::open().await;

    // The holder: signed in by the link alone.
    window.visit(&stage.entrance("octocat")).await;
    assert!(window.address().await.starts_with("http://localhost:"));
    window.until("Access now").await;
    for state in [
        "Overdue",
        "Drift",
        "Break-glass that no owner has reviewed",
        "mei-tomorrow",
        "ada-quick-look",
    ] {
        window.until(state).await;
    }
    // Clocks run without loading the page again.
    let clock = "//li[contains(., 'ada-quick-look')]//time";
    let before = window.words_of(clock).await;
    window.changes(clock, &before).await;
    let grant = search(&window, "orders/octocat-inc-4232").await;
    let story = window.text().await;
    for part in ["INC-4232", "#2", "grace", "Some parcels are sent twice"] {
        assert!(story.contains(part), "{part} is not in\n{story}");
    }

    // Who only reads: an auditor sees the story, and does not end it.
    window.visit(&stage.entrance("olga")).await;
    window.visit(&grant).await;
    window.until("Story").await;
    window.press_words("End it now…").await;
    window.until("It is not yours to end").await;
    assert!(!window.text().await.contains("At least 5 characters"));

    // An outsider is told nothing, at any address.
    window.press_words("Sign out").await;
    window.until("Sign in with GitHub").await;
    window.visit(&stage.entrance("eve")).await;
    let refused = window.text().await;
    assert!(refused.contains("Nothing here"), "{refused}");
    assert!(!refused.contains("octocat"), "{refused}");
    window.visit(&grant).await;
    assert!(!window.text().await.contains("octocat"));

    // The owner ends it at once; the target system knows.
    window.visit(&stage.entrance("grace")).await;
    window.visit(&grant).await;
    window.press_words("End it now…").await;
    window
        .fill("#reason", "The laptop of octocat was stolen.")
        .await;
    window.press_words("End it now").await;
    window.until("Ended at once by").await;
    window.until("The laptop of octocat was stolen.").await;
    window.visit(&format!("{}/", stage.pages)).await;
    window.until("orders-ro nobody").await;
    window.close().await;
}

#[tokio::test]
async fn the_dashboard_is_for_everybody() {
    let stage = Kept::start();
    let window = Window::open().await;
    window.visit(&stage.entrance("grace")).await;
    window.until("Overdue").await;
    let home = window.address().await;
    window.assert_for_everybody().await;
    search(&window, "orders/octocat-inc-4232").await;
    window.assert_for_everybody().await;
    window.press_words("End it now…").await;
    window.assert_for_everybody().await;
    let pages = [
        ("live", 200),
        ("waiting", 200),
        ("ended", 200),
        ("ask", 200),
        ("search?q=orders", 200),
        ("person/octocat", 200),
        ("resource/orders", 200),
        ("no/such/page", 404),
    ];
    for (page, status) in pages {
        assert_eq!(
            window.goto(&format!("{home}{page}")).await,
            status,
            "{page}"
        );
        window.assert_for_everybody().await;
    }
    window.visit(&home).await;
    window.press_words("Sign out").await;
    window.assert_for_everybody().await;
    window.close().await;
}

#[tokio::test]
async fn without_scripts_the_dashboard_says_and_does_the_same() {
    let stage = Kept::start();
    let window = Window::open().await;
    window.without_scripts().await;
    window.visit(&stage.entrance("octocat")).await;
    window.until("Access now").await;
    search(&window, "orders/octocat-inc-4232").await;
    // Whoever holds it may end it as well.
    window.press_words("End it now…").await;
    window.fill("#reason", "The incident is over.").await;
    window.press_words("End it now").await;
    window.until("Ended at once by").await;
    window.press_words("Sign out").await;
    window.until("Sign in with GitHub").await;
    window.close().await;
}

#[tokio::test]
async fn the_stand_ins_pages_are_for_everybody() {
    let stage = Kept::start();
    let window = Window::open().await;
    let root = format!("{}/acme/access", stage.pages);
    assert_eq!(
        window.goto(&root).await,
        404,
        "nobody in particular sees nothing"
    );
    window.assert_for_everybody().await;
    window.goto(&format!("{}/login", stage.pages)).await;
    window.assert_for_everybody().await;
    window.press_words("morgan").await;
    let pages = [
        "",
        "/pull/1",
        "/pull/9",
        "/pull/12",
        "/tree/main",
        "/blob/main/access/resources/orders.yaml",
        "/new/main?example=1",
        "/edit/main/access/resources/orders.yaml",
        "/delete/main/access/resources/orders.yaml",
        "/commits/hallpass/evidence",
    ];
    for page in pages {
        assert_eq!(window.goto(&format!("{root}{page}")).await, 200, "{page}");
        window.assert_for_everybody().await;
    }
    window.press(".rows a").await;
    window.until("Files").await;
    window.assert_for_everybody().await;
    window.close().await;
}
