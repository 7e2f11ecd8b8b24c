use chrono::TimeDelta;
use hallpass::domain::model::TermLength;
use hallpass::domain::render::audit_report;

use super::{Asked, Story, Told, at};

#[test]
fn a_year_of_many_grants_stays_a_page_that_a_browser_opens() {
    let mut story = Story::new();
    let begin = at("2026-01-01T00:00:00Z");
    for number in 0..8_000_i64 {
        let role = format!("resource-with-a-name-{}/role-{}", number % 97, number % 3);
        let mut told = Told::of(
            &format!("person-with-a-name-{}", number % 401),
            &role,
            "2026-01-01T00:00:00Z",
            4,
        );
        told.from = begin + TimeDelta::minutes(number * 65);
        told.ended = Some(told.from + TimeDelta::hours(4 + number % 90));
        story.grant(&told);
    }
    let check = story.verified(vec![]);
    let asked = Asked {
        from: begin,
        to: at("2027-01-01T00:00:00Z"),
        now: at("2027-01-02T00:00:00Z"),
        late: TimeDelta::seconds(60),
        standing: TermLength::days(7),
    };
    let report = story.report(&check, &asked);
    let page = audit_report(&report, None).unwrap();
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert!(page.contains("8,000 grants"));
    let figures = serde_json::to_string(&report).unwrap();
    assert!(figures.len() < 6_000_000, "{} bytes", figures.len());
}
