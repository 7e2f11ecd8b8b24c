//! Doubt never helps: whatever could not be learnt about a request, it is not given because of that. And policies that cannot be relied on
//! permit nothing.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use hallpass::domain::model::{ActorKind, Eligibility, ResourceName, RoleName};
use hallpass::domain::parse::read_tree;
use hallpass::domain::people::Members;
use hallpass::domain::policy::{
    Action, Answer, Circumstances, Guardrails, Principal, Question, Somebody, Wanted,
};
use hallpass::domain::pull::ReviewState::{
    Approved, ChangesRequested, Commented, Dismissed, ObjectionDismissed, Unknown,
};
use hallpass::domain::pull::{Lookup, Pushers, Review};
use hallpass_fuzz::approval::scene::{FILE, PEOPLE, Scene, actor, commit, login, team};
use hallpass_fuzz::decision::office::{WANTED, holds, standing};
use hallpass_fuzz::{alone, file, gives, now, office, sound};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const PLACE: &str = "access/policies/guardrails.cedar";

/// Policies that ask about everything that may not be known.
const POLICIES: [&str; 12] = [
    "@id(\"baseline\") permit (principal, action, resource);",
    "@id(\"team\") permit (principal in Team::\"acme/dba\", action, resource);",
    "@id(\"other-team\") @message(\"No.\") forbid (principal in Team::\"acme/security\", action, resource);",
    "@id(\"reviewers\") @message(\"No.\") forbid (principal, action == Action::\"approve\", resource) unless { principal in Team::\"acme/dba\" };",
    "@id(\"self\") @message(\"No.\") forbid (principal, action, resource) when { context.self_requested };",
    "@id(\"others\") @message(\"No.\") forbid (principal, action, resource) unless { context.self_requested };",
    "@id(\"duties\") @message(\"No.\") forbid (principal, action, resource) when { context.live_roles.contains(Role::\"ledger/readonly\") };",
    "@id(\"before\") @message(\"No.\") forbid (principal, action, resource) unless { context.live_roles.contains(Role::\"ledger/readonly\") };",
    "@id(\"by-itself\") permit (principal, action == Action::\"auto_approve\", resource) when { context.minutes <= 120 };",
    "@id(\"for-others\") permit (principal, action == Action::\"auto_approve\", resource) when { !context.self_requested };",
    "@id(\"author\") @message(\"No.\") forbid (principal, action, resource) when { context has author && context.author.login == \"mallory\" };",
    "@id(\"long\") @message(\"No.\") forbid (principal, action, resource) when { context.total_minutes > 600 };",
];

/// The policies that the bits name. None: there is no file, so that the default holds.
fn policies(bits: u16) -> Guardrails {
    static READ: LazyLock<Mutex<BTreeMap<u16, Guardrails>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().expect("nobody panics and goes on");
    let one = || {
        let chosen = (0..POLICIES.len()).filter(|i| bits & (1 << i) != 0);
        let text: String = chosen.map(|i| format!("{}\n", POLICIES[i])).collect();
        if text.is_empty() {
            return Guardrails::default();
        }
        let tree = read_tree(&[file(PLACE, text.as_bytes())]);
        assert!(tree.findings.is_empty(), "{:?}", tree.findings);
        tree.policies
    };
    read.entry(bits).or_insert_with(one).clone()
}

fn somebody(u: &mut Unstructured<'_>) -> Result<&'static str> {
    Ok(u.choose(&PEOPLE[1..])?)
}

fn people(u: &mut Unstructured<'_>) -> Result<Vec<&'static str>> {
    let bits: u8 = u.arbitrary()?;
    Ok((1..PEOPLE.len())
        .filter(|i| bits & (1 << i) != 0)
        .map(|i| PEOPLE[i])
        .collect())
}

/// octocat's request, and everything that is known about it.
fn scene(u: &mut Unstructured<'_>) -> Result<Scene> {
    let mut scene = office();
    scene.base.policies = policies(u.int_in_range(0..=0xfff)?);
    scene
        .staff("dba", &people(u)?)
        .staff("security", &people(u)?);
    let flags: u16 = u.arbitrary()?;
    let flag = |n: u16| flags & (1 << n) != 0;
    let mut text = WANTED.to_owned();
    if flag(0) {
        text = text.replace("readonly", "admin");
    }
    if flag(1) {
        text = text.replace("octocat", "grace");
    }
    if flag(2) {
        text = text.replace("2h", "90m");
    }
    if flag(3) {
        standing(&mut scene, FILE, WANTED);
        let renewed = text.replace("Checkout", "Again: checkout");
        scene.changes(FILE, Some(WANTED), Some(&renewed));
    } else {
        scene.adds(FILE, &text);
    }
    if flag(4) {
        holds(&mut scene, "octocat", "ledger", "readonly", 90);
    }
    if flag(5) {
        scene.owned("* @acme/dba @judy\n");
    }
    if flag(6) {
        let known = PEOPLE[1..6].iter().map(|name| actor(name));
        scene.around.members = Some(Lookup::Found(Arc::new(known.collect::<Members>())));
    }
    if flag(7) {
        let orders = ResourceName::new("orders").expect("a name");
        let roles = &mut scene
            .base
            .resources
            .get_mut(&orders)
            .expect("a resource")
            .roles;
        let readonly = roles.get_mut(&RoleName::new("readonly").expect("a name"));
        readonly.expect("a role").eligible = Some(Eligibility {
            teams: BTreeSet::from([team("dba")]),
            ..Eligibility::default()
        });
    }
    scene.pull.author = Some(actor(somebody(u)?));
    scene.pull.pushers = Pushers::Known(people(u)?.into_iter().map(|p| actor(p).id).collect());
    scene.pull.from_fork = flag(8);
    scene.shows("old", FILE, Some("other"));
    for _ in 0..u.int_in_range(0..=6)? {
        let said = [
            Approved,
            Approved,
            Approved,
            ChangesRequested,
            Commented,
            Dismissed,
            ObjectionDismissed,
            Unknown,
        ];
        scene.reviews(somebody(u)?, *u.choose(&said)?);
        let luck: u8 = u.arbitrary()?;
        if luck % 8 == 0 {
            scene.last().commit = Some(commit("old"));
        }
        if luck & 0x80 != 0 {
            scene.last().body = "because it is needed".to_owned();
        }
    }
    Ok(scene)
}

/// Takes away one fact, so that whoever looks can see that it is missing.
fn doubt(scene: &mut Scene, u: &mut Unstructured<'_>) -> Result<&'static str> {
    let review = u.int_in_range(0..=5_usize)?;
    let slug = *u.choose(&["dba", "security"])?;
    let no_answer = || "no answer".to_owned();
    Ok(match u.int_in_range(0..=13)? {
        0 => {
            scene.reviewed.remove(&commit("head"));
            "what stood in the reviewed commit"
        }
        1 => {
            *scene.team(slug) = Lookup::Failed(no_answer());
            "who is in a team"
        }
        2 => {
            if let Some(judy) = scene.roster.users.get_mut(&login("judy")) {
                *judy = Lookup::Failed(no_answer());
            }
            "who an owner is"
        }
        3 => {
            scene.pull.pushers = Pushers::Unknown(no_answer());
            "who pushed"
        }
        4 => {
            scene.around.members = Some(Lookup::Failed(no_answer()));
            "who is a member"
        }
        5 => {
            scene.pull.author = None;
            "who asked"
        }
        6 => {
            for held in scene
                .holdings
                .iter_mut()
                .filter(|h| h.path.as_str() != FILE)
            {
                held.since = None;
            }
            "whether anything was given"
        }
        7 => {
            ghost(scene, review);
            "who reviewed"
        }
        other => {
            let Some(review) = scene.pull.reviews.get_mut(review) else {
                return Ok("nothing");
            };
            match other {
                8 if review.state != Commented => review.state = Unknown,
                9 => review.commit = None,
                10 => review.body.clear(),
                11 => review.submitted_at = None,
                12 => {
                    if let Some(reviewer) = &mut review.reviewer {
                        reviewer.kind = ActorKind::Other;
                    }
                }
                _ => {}
            }
            "something of a review"
        }
    })
}

/// An account goes with all its reviews. With it goes an owner, and what that owner objected to: such a one stays.
fn ghost(scene: &mut Scene, review: usize) {
    let id = |r: &Review| r.reviewer.as_ref().map(|a| a.id);
    let Some(gone) = scene.pull.reviews.get(review).and_then(id) else {
        return;
    };
    let of_it = |r: &&Review| id(r) == Some(gone);
    let objects = |r: &Review| matches!(r.state, ChangesRequested | ObjectionDismissed | Unknown);
    if scene.pull.reviews.iter().filter(of_it).any(objects) {
        return;
    }
    for review in &mut scene.pull.reviews {
        if id(review) == Some(gone) {
            review.reviewer = None;
        }
    }
}

fn doubts(u: &mut Unstructured<'_>) -> Result<()> {
    let clear = scene(u)?;
    let mut doubtful = clear.clone();
    let mut cast = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        cast.push(doubt(&mut doubtful, u)?);
    }
    if gives(&doubtful) {
        assert!(
            gives(&clear),
            "it is given only because this is not known: {cast:?}"
        );
    }
    Ok(())
}

/// octocat asks for orders/readonly.
static ASKED: LazyLock<Question> = LazyLock::new(|| {
    let office = office();
    let tree = read_tree(&[file(FILE, WANTED.as_bytes())]);
    let grant = &tree.grants.values().next().expect("a grant").grant;
    let resource = &office.base.resources[&ResourceName::new("orders").expect("a name")];
    let somebody = Somebody {
        id: "octocat".to_owned(),
        login: login("octocat"),
        github_id: actor("octocat").id,
        attributes: BTreeMap::from([("department".to_owned(), "sales".to_owned())]),
        teams: BTreeSet::from([team("dba")]),
    };
    Question {
        action: Action::Request,
        principal: Principal::Person(somebody),
        wanted: Wanted::of(resource, &grant.role).expect("a role"),
        circumstances: Circumstances::of(grant, now()),
    }
});

/// Any text as policies: what is wrong with them has a place, and they permit nothing; nor do sound ones beside broken ones.
fn texts(bytes: &[u8]) {
    let tree = read_tree(&[file(PLACE, bytes)]);
    tree.findings
        .iter()
        .for_each(|finding| sound(finding, bytes));
    let broken = read_tree(&[
        file(PLACE, bytes),
        file("access/policies/other.cedar", b"permit"),
    ]);
    for action in Action::ALL {
        let question = ASKED.about(action);
        let said = tree.policies.ask(&question);
        if !tree.findings.is_empty() {
            assert!(
                !matches!(said, Answer::Permitted(_)),
                "{said:?} by {:?}",
                tree.findings
            );
        }
        let said = broken.policies.ask(&question);
        assert!(
            !matches!(said, Answer::Permitted(_)),
            "{said:?} beside a broken file"
        );
    }
}

fuzz_target!(init: alone(), |data: &[u8]| {
    match data.split_first() {
        Some((b'c', text)) => texts(text),
        Some((_, rest)) => {
            // Too few bytes are no find.
            let _ = doubts(&mut Unstructured::new(rest));
        }
        None => {}
    }
});
