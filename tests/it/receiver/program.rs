//! What a program may be, may see and may do.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use hallpass::providers::asked::Asked;
use hallpass::providers::command::Program;
use hallpass::providers::{Provider as _, ProviderError};
use serde_json::json;

use super::contract::{program, put, script};
use crate::contract::{connection, order};
use hallpass::domain::model::{Access, Account};

fn access() -> Access {
    Access {
        connection: connection(),
        account: Account {
            name: "ada".to_owned(),
            github_id: None,
            id: None,
        },
        entitlement: json!({ "door": "server room; rm -rf /" }),
        entitlement_id: None,
    }
}

async fn revoke(
    program: &Asked<Program>,
) -> Result<hallpass::domain::ledger::Revoked, ProviderError> {
    program.revoke(&access(), &order()).await
}

#[tokio::test]
async fn a_program_sees_its_own_variables_only_and_no_shell_reads_its_arguments() {
    let tell = script(
        "tell",
        "#!/bin/sh\ncat > /dev/null\nprintf '{\"held\": false, \"sessions\": [\"%s|%s|%s\"]}' \"$(env | cut -d= -f1 | sort | tr '\\n' ' ')\" \"$1\" \"$(pwd)\"\n",
    );
    let program = program(tell, &["$(id) `id`"], &[("BADGE", "17")]);
    let revoked = revoke(&program).await.unwrap();
    // `PWD` and `_` are of the shell that the script itself is.
    let seen = revoked.sessions[0].replace("PWD ", "").replace("_ ", "");
    assert_eq!(seen, "BADGE LANG PATH |$(id) `id`|/");
}

#[tokio::test]
async fn a_program_that_others_can_change_is_not_run() {
    let text = "#!/bin/sh\necho '{\"held\": false}'\n";
    let fine = script("fine", text);
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let written = |name: &str, mode| {
        let path = here.join(name);
        put(&path, text, mode);
        path
    };
    let link = here.join("link");
    symlink(&fine, &link).unwrap();
    for (path, says) in [
        (written("group", "775"), "chmod go-w"),
        (written("world", "757"), "chmod go-w"),
        (written("text", "644"), "no file that can be executed"),
        (here.clone(), "no file that can be executed"),
        (here.join("nothing"), "cannot be looked at"),
        (link, "through a link"),
    ] {
        let error = revoke(&program(path.clone(), &[], &[])).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
        assert!(
            error.to_string().contains(says),
            "{}: {error}",
            path.display()
        );
    }
    std::fs::set_permissions(&here, PermissionsExt::from_mode(0o777)).unwrap();
    let error = revoke(&program(written("open", "755"), &[], &[]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("chmod go-w"), "{error}");
    revoke(&program(fine, &[], &[])).await.unwrap();
}

#[tokio::test]
async fn a_program_that_fails_or_says_too_much_is_tried_again() {
    for (name, text, says) in [
        (
            "fails",
            "#!/bin/sh\necho '{\"held\": false}'\nexit 3\n",
            "exit status: 3",
        ),
        ("dies", "#!/bin/sh\nkill -9 $$\n", "signal: 9"),
        ("silent", "#!/bin/sh\ncat > /dev/null\n", "cannot be read"),
        (
            "loud",
            "#!/bin/sh\nhead -c 20000000 /dev/zero\n",
            "it does not end",
        ),
        (
            "moody",
            "#!/bin/sh\nyes no | head -c 100000 >&2\nexit 1\n",
            "exit status: 1",
        ),
    ] {
        let error = revoke(&program(script(name, text), &[], &[]))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ProviderError::Unavailable { .. }),
            "{name}: {error}"
        );
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error}: {}", source.unwrap_or_default());
        assert!(said.contains(says), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().join("pids");
    let text = "#!/bin/sh\nsleep 600 &\necho $! >> \"$1\"\necho $$ >> \"$1\"\nmv \"$1\" \"$1.there\"\nwait\n";
    let there = folder.path().join("pids.there");
    let program = program(script("hangs", text), &[&marks.display().to_string()], &[]);
    let call = revoke(&program);
    tokio::pin!(call);
    let started = async {
        while !there.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = &mut call => panic!("nothing was answered"),
        () = started => {}
    }
    tokio::time::pause();
    let error = call.await.unwrap_err();
    tokio::time::resume();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
    let pids = std::fs::read_to_string(there).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // A moment passes until the dead are buried.
        for _ in 0..2000 {
            if !runs(pid) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!runs(pid), "{pid}");
    }
}

/// Whether the process is there and not merely waiting to be buried.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
