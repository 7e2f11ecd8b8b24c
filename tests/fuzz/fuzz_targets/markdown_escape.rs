//! Whatever strangers write, the page of a check is built as if they had written one letter: no link, no image, no HTML, nobody mentioned.
#![no_main]

use std::sync::{LazyLock, OnceLock};

use hallpass::domain::catalogue::ChangedFile;
use hallpass::domain::decision::decide;
use hallpass::domain::history::{Ending, Past};
use hallpass::domain::model::{BlobId, Gives, PullNumber, RepoPath, RoleRef, Subject};
use hallpass::domain::report::{Check, check};
use hallpass_fuzz::approval::scene::{FILE, Scene, at, login};
use hallpass_fuzz::decision::office::{WANTED, holds};
use hallpass_fuzz::decision::poison::poisoned;
use hallpass_fuzz::page::Page;
use hallpass_fuzz::{alone, office};
use libfuzzer_sys::fuzz_target;

/// octocat's request, with a past to show.
static REQUEST: LazyLock<Scene> = LazyLock::new(|| {
    let mut scene = office();
    scene.adds(FILE, WANTED);
    let past = |role: &str, ending| Past {
        subject: Subject::Person(login("octocat")),
        role: RoleRef::try_from(role.to_owned()).expect("a role"),
        pull: Some(PullNumber(7)),
        held_from: Some(at(-90)),
        at: at(-60),
        ending,
    };
    scene.around.past = vec![
        past("orders/readonly", Ending::Expired),
        past("ledger/readonly", Ending::Returned),
    ];
    holds(&mut scene, "octocat", "ledger", "readonly", 90);
    scene
});

fn read(check: &Check) -> Page {
    assert!(!check.title.contains(char::is_control), "{:?}", check.title);
    Page::read(&check.summary)
}

/// What requesters write, and what is said of it.
fn requests(texts: &[String; 6]) {
    static TAME: OnceLock<(String, Page)> = OnceLock::new();
    let page = |texts: &[String; 6]| {
        let check = check(&REQUEST.case(), &poisoned(decide(&REQUEST.case()), texts));
        let page = read(&check);
        (check, page)
    };
    let (title, tame) = TAME.get_or_init(|| {
        let (check, page) = page(&["a", "b", "c", "d", "e", "f"].map(str::to_owned));
        (check.title, page)
    });
    let (check, found) = page(texts);
    assert_eq!(&check.title, title);
    assert_eq!(found.bones, tame.bones, "{}", check.summary);
    assert_eq!(found.words, tame.words, "{}", check.summary);
    assert_eq!(
        (&found.html, &found.links),
        (&tame.html, &tame.links),
        "{}",
        check.summary
    );
}

/// What owners describe.
fn descriptions(text: &str) {
    static TAME: OnceLock<Page> = OnceLock::new();
    let page = |text: &str| {
        let mut scene = REQUEST.clone();
        for resource in scene.base.resources.values_mut() {
            text.clone_into(&mut resource.description);
            for role in resource.roles.values_mut() {
                text.clone_into(&mut role.description);
                if let Gives::Entitlement { value, .. } = &mut role.gives {
                    *value = serde_json::json!({ "role": text });
                }
            }
        }
        for person in scene.base.people.values_mut() {
            person.name = Some(text.to_owned());
        }
        read(&check(&scene.case(), &decide(&scene.case())))
    };
    let tame = TAME.get_or_init(|| page("tame"));
    let found = page(text);
    assert_eq!(found.bones, tame.bones, "{text:?}");
    assert_eq!(
        (&found.html, &found.links),
        (&tame.html, &tame.links),
        "{text:?}"
    );
    assert_eq!(
        found.calls().len(),
        tame.calls().len(),
        "{:?}",
        found.calls()
    );
}

/// The path of a file that decides something.
fn paths(text: &str) {
    let page = |path: String| {
        let mut scene = office();
        scene.changes.push(ChangedFile {
            path,
            before: Some((BlobId::new("a".repeat(40)).expect("an id"), 0o100_644)),
            after: None,
        });
        read(&check(&scene.case(), &decide(&scene.case())))
    };
    static TAME: OnceLock<[Page; 2]> = OnceLock::new();
    // Who can complete it is told only of a path that can have an owner.
    let tame =
        TAME.get_or_init(|| ["access/odd/tame", "access/odd//tame"].map(|p| page(p.to_owned())));
    let path = format!("access/odd/{text}");
    let tame = &tame[usize::from(RepoPath::new(&path).is_err())];
    let found = page(path);
    assert_eq!(
        found.bones.len(),
        tame.bones.len(),
        "{text:?}: {:?}",
        found.bones
    );
    assert_eq!(
        (&found.html, found.links.len()),
        (&tame.html, tame.links.len()),
        "{text:?}"
    );
    assert_eq!(
        found.calls().len(),
        tame.calls().len(),
        "{:?}",
        found.calls()
    );
}

// Texts stand between bytes that are in no text.
fuzz_target!(init: alone(), |data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut texts = rest.split(|b| *b == 0xff).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut next = || texts.next().unwrap_or_else(|| "a".to_owned());
    match first {
        b'd' => descriptions(&next()),
        b'p' => paths(&next().replace('\0', "")),
        _ => requests(&std::array::from_fn(|_| next())),
    }
});
