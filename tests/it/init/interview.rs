//! What is asked, and what is not.

use hallpass::app::init::{Given, Interview, Standing};

fn asked(given: Given, standing: &Standing, answers: &str) -> (Given, String) {
    let mut questions = Vec::new();
    let mut reader = answers.as_bytes();
    let mut interview = Interview {
        answers: &mut reader,
        questions: &mut questions,
    };
    let given = given.complete(standing, &mut interview).unwrap();
    (given, String::from_utf8(questions).unwrap())
}

#[test]
fn a_person_is_asked_in_plain_words_and_may_press_enter() {
    let answers = "acme\n\n\non-call\n\n@acme/sre-leads, @grace\noctocat ada\n";
    let (given, questions) = asked(Given::default(), &Standing::default(), answers);
    assert_eq!(given.organisation.as_deref(), Some("acme"));
    assert_eq!(given.repository.as_deref(), Some("access"));
    assert_eq!(given.owners, ["@acme/security"]);
    assert_eq!(given.resource.as_deref(), Some("on-call"));
    assert_eq!(given.kind.as_deref(), Some("github-team"));
    assert_eq!(given.resource_owners, ["@acme/sre-leads", "@grace"]);
    assert_eq!(given.people, ["octocat", "ada"]);
    assert!(questions.contains("[@acme/security]"), "{questions}");
}

#[test]
fn an_answer_that_cannot_be_used_is_asked_for_again() {
    let answers = "no such login!\nacme\n\nsecurity\n@acme/security\n-\n-\n";
    let (given, questions) = asked(Given::default(), &Standing::default(), answers);
    assert_eq!(given.owners, ["@acme/security"]);
    assert_eq!(given.resource, None);
    assert_eq!(given.people, Vec::<String>::new());
    assert_eq!(questions.matches("The organisation at GitHub").count(), 2);
    assert_eq!(questions.matches("Who decides about rules").count(), 2);
}

#[test]
fn what_stands_there_already_is_not_asked_for() {
    let desk = super::Desk::new();
    desk.run(&super::FLAGS);
    let standing = Standing::of(&desk.path("access"), &desk.path("access-setup"));
    let (_, questions) = asked(Given::default(), &standing, "");
    assert_eq!(questions, "");
}

#[test]
fn an_end_of_input_ends_the_interview() {
    let mut questions = Vec::new();
    let mut interview = Interview {
        answers: &mut "acme\n".as_bytes(),
        questions: &mut questions,
    };
    let given = Given::default().complete(&Standing::default(), &mut interview);
    assert!(given.is_err());
}
