//! The user's own token for one host. A token for one host is never sent to another, whatever the address of a clone says.

use std::process::Stdio;

use secrecy::SecretString;

use super::place::Place;

/// What stands for github.com and other hosts of GitHub's own; and what stands for an Enterprise Server. Their names are those of
/// GitHub's own command line.
const GITHUB: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
const ENTERPRISE: [&str; 2] = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

/// The token for `place`: from the environment, or from `gh` if somebody logged in there.
pub fn find(place: &Place, env: &dyn Fn(&str) -> Option<String>) -> Option<SecretString> {
    let names = names(place, env);
    let set = names
        .iter()
        .filter_map(|name| env(name))
        .find(|token| !token.trim().is_empty());
    set.or_else(|| of_gh(&place.host))
        .map(|token| SecretString::from(token.trim()))
}

/// What to set, so that there is a token for `place`.
pub fn variable(place: &Place) -> String {
    if place.is_githubs() {
        GITHUB[0].to_owned()
    } else {
        format!("GH_HOST={} and {}", place.host, ENTERPRISE[0])
    }
}

/// A clone says which host it came from, and anybody can run one: a token goes to an Enterprise Server only if `GH_HOST` names it.
fn names(place: &Place, env: &dyn Fn(&str) -> Option<String>) -> Vec<&'static str> {
    let named = env("GH_HOST").is_some_and(|host| host.eq_ignore_ascii_case(&place.host));
    if place.is_githubs() {
        GITHUB.to_vec()
    } else if named {
        [ENTERPRISE, GITHUB].concat()
    } else {
        Vec::new()
    }
}

/// Asks GitHub's command line, which keeps a token for each host; `None` where it is not installed or nobody logged in.
#[expect(
    clippy::disallowed_methods,
    reason = "a command that a person runs on their own machine, not the service; the one place that asks `gh`"
)]
fn of_gh(host: &str) -> Option<String> {
    let answer = std::process::Command::new("gh")
        .args(["auth", "token", "--hostname", host])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let token = String::from_utf8(answer.stdout).ok()?;
    let said = answer.status.success() && !token.trim().is_empty();
    said.then_some(token)
}
