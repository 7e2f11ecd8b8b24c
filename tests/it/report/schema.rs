//! What programs are answered is what the published schemas say.

use hallpass::domain::audit::{Problem, Proved, Rule, Vouched};
use serde_json::Value;

use super::{Story, commit, everything, november};

fn wrong(schema: &str, value: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors = schema.iter_errors(value);
    errors
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect()
}

const REPORT: &str = include_str!("../../../schemas/audit-report.schema.json");
const VERIFY: &str = include_str!("../../../schemas/audit-verify.schema.json");

#[test]
fn a_report_and_a_check_are_what_their_published_schemas_say() {
    for story in [everything(), Story::new()] {
        let problems = [Some(commit(3)), None].map(|commit| Problem {
            rule: Rule::AnchorForged,
            commit,
            message: "something".to_owned(),
        });
        let mut check = story.verified(problems.to_vec());
        check.proved.push(Proved {
            name: "anchor.json".to_owned(),
            seq: 1,
            at: story.last,
            vouched: Vouched::Signed,
        });
        if story.records == 0 {
            // Where there is nothing, nothing is the last.
            (check.anchor, check.main) = (None, None);
        }
        let told = serde_json::to_value(&check).unwrap();
        assert_eq!(wrong(VERIFY, &told), Vec::<String>::new());
        let report = story.report(&check, &november());
        let told = serde_json::to_value(&report).unwrap();
        assert_eq!(wrong(REPORT, &told), Vec::<String>::new());
        let mut more = told.clone();
        more["check"]["more"] = true.into();
        assert_eq!(wrong(REPORT, &more).len(), 1, "objects are closed");
    }
}
