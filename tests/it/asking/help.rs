//! Every command teaches by examples, and those of the commands for requesters do what they say.

use std::collections::BTreeSet;
use std::path::Path;

use hallpass::clock::{Clock as _, SystemClock};

use super::{Desk, Example};

#[expect(
    clippy::disallowed_methods,
    reason = "this is about the program as people run it"
)]
fn help(words: &[String]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .args(words)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below one, by its help.
fn below(help: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    // What is folded onto the next line is indented further.
    let named = lines.filter_map(|line| {
        line.strip_prefix("  ")
            .filter(|line| !line.starts_with(' '))
    });
    named
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// Every command, with its help.
fn commands() -> Vec<(Vec<String>, String)> {
    let (mut all, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(words) = open.pop() {
        let help = help(&words);
        open.extend(
            below(&help)
                .into_iter()
                .map(|name| [words.clone(), vec![name]].concat()),
        );
        if !words.is_empty() {
            all.push((words, help));
        }
    }
    all.sort();
    all
}

/// The examples that are commands, each whole: a line may go on below, as a shell allows.
fn examples(help: &str) -> Vec<String> {
    let (_, rest) = help.split_once("\nExamples:\n").unwrap_or_default();
    let lines = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("  "));
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let (said, more) = match line.strip_suffix('\\') {
            Some(said) => (said.trim(), true),
            None => (line.trim(), false),
        };
        if goes_on {
            let last = found.last_mut().unwrap();
            *last = format!("{last} {said}");
        } else if line.starts_with("  ") && !line.starts_with("   ") {
            found.push(said.to_owned());
        } else {
            continue;
        }
        goes_on = more;
    }
    found
}

#[test]
fn every_command_has_examples_of_itself() {
    let commands = commands();
    assert!(commands.len() > 25, "{commands:?}");
    for (words, help) in &commands {
        let name = format!("hallpass {}", words.join(" "));
        let of_itself = examples(help)
            .iter()
            .filter(|line| line.contains(&name))
            .count();
        assert!(of_itself > 0, "{name} has no example of itself:\n{help}");
    }
    let names: BTreeSet<String> = commands.iter().map(|(words, _)| words.join(" ")).collect();
    for name in [
        "request",
        "renew",
        "return",
        "list",
        "show",
        "who",
        "access",
        "audit access",
        "policy replay",
    ] {
        assert!(names.contains(name), "{names:?}");
    }
}

#[test]
fn no_example_is_folded_where_nobody_could_copy_it() {
    for (words, help) in commands() {
        let (_, rest) = help.split_once("\nExamples:\n").unwrap_or_default();
        let lines = rest.lines().take_while(|line| !line.starts_with("Exit"));
        for line in lines {
            assert!(line.chars().count() <= 100, "{words:?}: {line}");
        }
        // What is folded begins at the margin.
        let folded = rest
            .lines()
            .take_while(|line| !line.is_empty())
            .find(|line| !line.starts_with("  "));
        assert_eq!(folded, None, "{words:?}");
    }
}

#[test]
fn every_command_says_how_it_ends() {
    for (words, help) in commands() {
        let group = !below(&help).is_empty();
        let part = words[0] == "audit" && words.len() > 1;
        assert!(
            group || part || help.contains("\nExit status:\n"),
            "{words:?}\n{help}"
        );
    }
}

/// The program's own words, run by a shell in a clone. What stands behind a pipe or into a file is another program's.
#[expect(
    clippy::disallowed_methods,
    reason = "this is about the program as people run it"
)]
fn shell(desk: &Desk, token: &str, line: &str) -> (i32, String, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_hallpass")).parent().unwrap();
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(desk.clone())
        .env_clear()
        .env("HOME", desk.clone())
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .envs(desk.environment(token))
        .stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_commands_for_requesters_can_be_run_as_they_stand() {
    let (bare, granted) = (Example::new().await, Example::granted().await);
    // An instant of the help is in the past some day.
    let later = (SystemClock.now() + chrono::TimeDelta::days(5))
        .format("%Y-%m-%dT18:00:00Z")
        .to_string();
    let instant = regex::Regex::new(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    let mut run = 0;
    for (words, help) in commands() {
        let ours = [
            "request", "renew", "return", "list", "show", "who", "access", "owners", "explain",
            "validate",
        ];
        if !ours.contains(&words[0].as_str()) {
            continue;
        }
        for line in examples(&help) {
            // What is about another repository, or needs what only GitHub Actions sets, cannot be run here.
            if line.contains("_SHA")
                || line.contains("new-CODEOWNERS")
                || line.contains("xargs")
                || !line.contains("hallpass")
            {
                continue;
            }
            let line = line.replace("GH_TOKEN=... ", "");
            let line = instant.replace_all(&line, later.as_str());
            let own = line.split(" | jq").next().unwrap();
            // What octocat has already is not asked for twice.
            let example = match words[0].as_str() {
                "request" => &bare,
                _ => &granted,
            };
            let token = example.sandbox.personal_token("octocat");
            let (code, out, err) = shell(&example.desk(), &token, own);
            let interactive = own == "hallpass request";
            let local = own.contains("--local");
            let changes = ["request", "renew", "return"].contains(&words[0].as_str());
            let expected = i32::from(interactive || local && changes);
            assert_eq!((code, err.as_str()), (expected, ""), "{own}\n{out}");
            assert!(!out.is_empty() || own.contains("github"), "{own}");
            if own.contains("--json") {
                let answer: Result<serde_json::Value, _> = serde_json::from_str(&out);
                assert!(answer.is_ok(), "{own}\n{out}");
            }
            run += 1;
        }
    }
    assert!(run > 25, "only {run} examples were run");
}
