//! What policies say to a question.

use std::collections::BTreeSet;

use hallpass::domain::model::{Login, Owner, RoleRef, UserId};
use hallpass::domain::parse::instant;
use hallpass::domain::policy::{
    Action, Answer, Machine, Principal, Question, Somebody, schema_source, table,
};
use proptest::prelude::*;

use super::{BASELINE, ask, forbid, tree};

fn ids(answer: &Answer) -> Vec<&str> {
    match answer {
        Answer::Permitted(policies) | Answer::Forbidden(policies) => {
            policies.iter().map(|p| p.id.as_str()).collect()
        }
        Answer::NotPermitted | Answer::Unusable(_) => Vec::new(),
    }
}

fn forbidden(answer: &Answer) -> bool {
    matches!(answer, Answer::Forbidden(_))
}

fn permitted(answer: &Answer) -> bool {
    matches!(answer, Answer::Permitted(_))
}

/// Grace, who acts for somebody else.
fn grace() -> Somebody {
    Somebody {
        id: "grace".to_owned(),
        login: Login::new("grace").unwrap(),
        github_id: UserId(3),
        attributes: [("department".to_owned(), "finance".to_owned())].into(),
        teams: BTreeSet::from([backend()]),
    }
}

fn backend() -> Owner {
    Owner::Team {
        organisation: Login::new("acme").unwrap(),
        slug: "backend".to_owned(),
    }
}

/// A question in which every attribute differs from its kind's nothing.
fn full(question: &mut Question) {
    let circumstances = &mut question.circumstances;
    circumstances.minutes = 90;
    circumstances.total_minutes = 180;
    circumstances.starts_in_minutes = 5;
    circumstances.begin = instant("2026-11-29T23:59:59Z").unwrap();
    circumstances.ticket = Some("INC-1".to_owned());
    circumstances.has_risk = true;
    circumstances.self_requested = true;
    circumstances.live_roles =
        BTreeSet::from([RoleRef::try_from("ledger/approver".to_owned()).unwrap()]);
    circumstances.open_requests = 2;
    circumstances.emergency = true;
    circumstances.renewal = true;
    circumstances.author = Some(grace());
    circumstances.owner_minutes = 7;
}

#[test]
fn without_policies_everything_is_permitted_and_nothing_approved() {
    let tree = crate::text::catalogue(&[]);
    assert!(tree.policies.is_default());
    for action in Action::ALL {
        let said = ask(&tree, |q| q.action = action);
        match action {
            Action::AutoApprove => assert_eq!(said, Answer::NotPermitted),
            _ => assert_eq!(said, Answer::Permitted(Vec::new()), "{action:?}"),
        }
    }
}

#[test]
fn a_permit_is_needed_and_a_forbid_wins() {
    let some = "@id(\"by-day\") permit (principal, action == Action::\"request\", resource) when { context.hour < 18 };";
    assert_eq!(ids(&ask(&tree(some), |_| {})), ["by-day"]);
    assert_eq!(
        ask(&tree(some), |q| q.action = Action::Renew),
        Answer::NotPermitted
    );
    let both = format!("{BASELINE}{}", forbid("long", "context.minutes > 60"));
    let said = ask(&tree(&both), |_| {});
    assert!(forbidden(&said));
    assert_eq!(ids(&said), ["long"]);
    let Answer::Forbidden(policies) = said else {
        panic!("forbidden")
    };
    assert_eq!(
        (policies[0].line, policies[0].message.as_deref()),
        (3, Some("long says no."))
    );
    let shorter = ask(&tree(&both), |q| q.circumstances.minutes = 60);
    assert_eq!(ids(&shorter), ["baseline"]);
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_whatever_it_would_have_said() {
    for condition in [
        "context.minutes + 9223372036854775807 > 0",
        "Person::\"ada-who-left\".github_id == 1",
    ] {
        for policies in [
            format!("{BASELINE}{}", forbid("risky", condition)),
            format!(
                "{BASELINE}@id(\"risky\") permit (principal, action, resource) when {{ {condition} }};"
            ),
        ] {
            let said = ask(&tree(&policies), |_| {});
            let Answer::Unusable(why) = &said else {
                panic!("{said:?}")
            };
            assert!(why.contains("\"risky\" on line 3"), "{why}");
        }
    }
}

/// For each attribute, a condition that holds of [`full`] alone and not of a question that lacks it.
#[test]
fn every_attribute_of_the_schema_is_filled_in() {
    let of_context = [
        ("minutes", "context.minutes == 90"),
        ("total_minutes", "context.total_minutes == 180"),
        ("starts_in_minutes", "context.starts_in_minutes == 5"),
        ("hour", "context.hour == 23"),
        ("weekday", "context.weekday == Weekday::\"sunday\""),
        (
            "ticket",
            "context has ticket && context.ticket == \"INC-1\"",
        ),
        ("has_risk", "context.has_risk"),
        ("self_requested", "context.self_requested"),
        (
            "live_roles",
            "context.live_roles == [Role::\"ledger/approver\"]",
        ),
        ("live_count", "context.live_count == 1"),
        ("open_requests", "context.open_requests == 2"),
        ("emergency", "context.emergency"),
        ("renewal", "context.renewal"),
        (
            "author",
            "context has author && context.author.login == \"grace\"",
        ),
    ];
    let of_review = [
        (
            "person",
            "context has person && context.person.hasTag(\"department\")",
        ),
        (
            "service",
            "context has service && context.service.owner.login == \"grace\"",
        ),
        ("owner_minutes", "context.owner_minutes == 7"),
    ];
    let of_person = [
        ("login", "principal.login == \"ada\""),
        ("github_id", "principal.github_id == 1"),
    ];
    let of_service = [
        ("name", "principal.name == \"robot\""),
        ("owner", "principal.owner == Person::\"grace\""),
    ];
    let of_resource = [
        ("name", "resource.resource.name == \"orders\""),
        ("risk", "resource.resource.risk == Risk::\"critical\""),
        ("risk_level", "resource.resource.risk_level == 4"),
        ("provider", "resource.resource.provider == \"pg\""),
    ];
    let of_role = [
        ("name", "resource.name == \"admin\""),
        ("resource", "resource.resource == Resource::\"orders\""),
        ("risk", "resource.risk == Risk::\"critical\""),
        ("risk_level", "resource.risk_level == 4"),
        ("approvals", "resource.approvals == 2"),
        ("min_minutes", "resource.min_minutes == 0"),
        ("max_minutes", "resource.max_minutes == 120"),
        ("max_total_minutes", "resource.max_total_minutes == 129600"),
        ("requires_ticket", "resource.requires_ticket"),
        ("requires_risk", "resource.requires_risk"),
        ("rationale", "resource.rationale"),
        ("offers_emergency", "resource.offers_emergency"),
        (
            "conflicts_with",
            "resource.conflicts_with == [Role::\"ledger/approver\"]",
        ),
    ];
    type Section<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let sections: [Section<'_>; 6] = [
        ("Person", "principal is Person", &of_person),
        ("Service", "principal is Service", &of_service),
        ("Resource", "principal", &of_resource),
        ("Role", "principal", &of_role),
        ("context", "principal", &of_context),
        ("context of approve", "principal is Person", &of_review),
    ];
    for ((name, rows), (section, scope, conditions)) in table().into_iter().zip(sections) {
        assert_eq!(name, section);
        let named: Vec<&str> = rows.iter().map(|row| row.name).collect();
        let tried: Vec<&str> = conditions.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, tried, "{section}: an attribute has no test");
        for (attribute, condition) in conditions {
            assert!(schema_source().contains(&format!("  {attribute}")));
            let action = if section == "context of approve" {
                "approve"
            } else {
                "request"
            };
            let policy = format!(
                "@id(\"it\") permit ({scope}, action == Action::\"{action}\", resource) when {{ {condition} }};"
            );
            let tree = tree(&policy);
            assert_eq!(tree.findings, [], "{condition}");
            let said = ask(&tree, |q| {
                full(q);
                admin(q);
                match (section, *attribute) {
                    ("Service", _) => q.principal = robot(),
                    ("context of approve", "person") => review(q, Principal::Person(grace())),
                    ("context of approve", _) => review(q, robot()),
                    _ => {}
                }
            });
            assert_eq!(ids(&said), ["it"], "{condition}: {said:?}");
        }
    }
}

/// Asks for the role whose every attribute is something.
fn admin(question: &mut Question) {
    let tree = crate::text::catalogue(&[]);
    let orders = tree
        .resources
        .values()
        .find(|r| r.name.as_str() == "orders")
        .unwrap();
    let name = hallpass::domain::model::RoleName::new("admin").unwrap();
    question.wanted = hallpass::domain::policy::Wanted::of(orders, &name).unwrap();
    question.wanted.role.emergency = Some(hallpass::domain::model::EmergencyOffer {
        approvals: 1,
        max_duration: question.wanted.role.max_duration,
        review_within: question.wanted.role.max_duration,
        people: BTreeSet::new(),
    });
}

fn robot() -> Principal {
    Principal::Service(Machine {
        name: hallpass::domain::model::ServiceName::new("robot").unwrap(),
        owner: grace(),
    })
}

fn review(question: &mut Question, subject: Principal) {
    question.action = Action::Approve;
    question.circumstances.subject = Some(subject);
}

#[test]
fn a_team_holds_who_is_in_it_and_a_tag_what_the_file_says() {
    let policies = "@id(\"team\") permit (principal in Team::\"acme/backend\", action, resource);\n\
                    @id(\"tag\") permit (principal is Person, action, resource) when { principal.hasTag(\"department\") && principal.getTag(\"department\") == \"finance\" };";
    let tree = tree(policies);
    assert_eq!(tree.policies.teams(), &BTreeSet::from([backend()]));
    assert_eq!(ask(&tree, |_| {}), Answer::NotPermitted);
    let said = ask(&tree, |q| q.principal = Principal::Person(grace()));
    assert_eq!(ids(&said), ["tag", "team"]);
}

#[test]
fn only_a_permit_of_exactly_that_approves_by_itself() {
    let auto = |q: &mut Question| q.action = Action::AutoApprove;
    for permit in [
        BASELINE.to_owned(),
        "@id(\"x\") permit (principal, action in [Action::\"auto_approve\"], resource);".to_owned(),
        "@id(\"x\") permit (principal, action, resource) when { action == Action::\"auto_approve\" };".to_owned(),
    ] {
        assert_eq!(ask(&tree(&permit), auto), Answer::NotPermitted, "{permit}");
    }
    let exact = "@id(\"x\") permit (principal, action == Action::\"auto_approve\", resource);\n";
    assert_eq!(ids(&ask(&tree(exact), auto)), ["x"]);
    // A forbid of anything at all counts.
    let all = format!("{exact}{}", forbid("no", "context.minutes > 60"));
    assert!(forbidden(&ask(&tree(&all), auto)));
    let automatic = tree(exact);
    assert!(!automatic.policies.speaks_of_renewal("x"));
    let renewing = exact.replace(";\n", " when { context.renewal || context.minutes < 60 };");
    assert!(tree(&renewing).policies.speaks_of_renewal("x"));
}

/// Conditions that hold of some questions and not of others, and one that cannot be evaluated.
const CONDITIONS: &[&str] = &[
    "context.minutes > 60",
    "context.hour < 6",
    "context.has_risk",
    "context has ticket",
    "resource.risk_level > 2",
    "principal in Team::\"acme/backend\"",
    "principal is Service",
    "context.minutes + 9223372036854775807 > 0",
];

fn policy() -> impl Strategy<Value = (bool, usize, &'static str)> {
    let scope = prop::sample::select(vec![
        "action",
        "action == Action::\"request\"",
        "action == Action::\"auto_approve\"",
        "action in [Action::\"request\", Action::\"renew\"]",
    ]);
    (any::<bool>(), 0..CONDITIONS.len(), scope)
}

fn text(policies: &[(bool, usize, &str)]) -> String {
    let one = |(i, (permits, condition, scope)): (usize, &(bool, usize, &str))| {
        let effect = if *permits { "permit" } else { "forbid" };
        format!(
            "@id(\"p{i}\") @message(\"No.\") {effect} (principal, {scope}, resource) when {{ {} }};\n",
            CONDITIONS[*condition]
        )
    };
    policies.iter().enumerate().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn one_more_forbid_never_turns_no_into_yes(
        policies in prop::collection::vec(policy(), 1..6),
        more in policy(),
        minutes in 1..200_i64,
        hour in 0..24_u32,
        (ticket, risk, service, automatic) in any::<(bool, bool, bool, bool)>(),
    ) {
        let asked = |q: &mut Question| {
            q.circumstances.minutes = minutes;
            q.circumstances.begin += chrono::TimeDelta::hours(i64::from(hour));
            q.circumstances.ticket = ticket.then(|| "INC-1".to_owned());
            q.circumstances.has_risk = risk;
            if service {
                q.principal = robot();
            }
            if automatic {
                q.action = Action::AutoApprove;
            }
        };
        let before = tree(&text(&policies));
        prop_assert!(before.findings.is_empty(), "{:?}", before.findings);
        let mut all = policies.clone();
        all.push((false, more.1, more.2));
        let after = tree(&text(&all));
        if !permitted(&ask(&before, asked)) {
            prop_assert!(!permitted(&ask(&after, asked)), "{}", text(&all));
        }
    }
}
