//! What we ship to GitHub Actions, run as a runner would: the scripts of the composite actions.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::Program;

fn action(path: &str) -> PathBuf {
    let actions = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/actions");
    actions.join(path)
}

/// The archive of this machine, as the release workflow names it.
const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

/// A mirror of releases on the runner, with one that says what it is.
struct Mirror {
    folder: tempfile::TempDir,
    server: Program,
}

impl Mirror {
    #[expect(
        clippy::disallowed_methods,
        reason = "packs an archive as a release does"
    )]
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let release = folder
            .path()
            .join("hallpass-dev/hallpass/releases/download/v0.1.0");
        let staged = folder.path().join(format!("staged/hallpass-{TARGET}"));
        std::fs::create_dir_all(&release).unwrap();
        std::fs::create_dir_all(&staged).unwrap();
        std::fs::write(staged.join("hallpass"), "#!/bin/sh\necho hallpass 0.1.0\n").unwrap();
        let archive = release.join(format!("hallpass-{TARGET}.tar.gz"));
        let packed = Command::new("tar")
            .args(["--create", "--gzip", "--file"])
            .arg(&archive)
            .arg("-C")
            .arg(folder.path().join("staged"))
            .arg(format!("hallpass-{TARGET}"))
            .status();
        assert!(packed.unwrap().success());
        let digest = {
            use sha2::{Digest, Sha256};
            hex::encode(Sha256::digest(std::fs::read(&archive).unwrap()))
        };
        let name = archive.file_name().unwrap().to_string_lossy();
        let published = format!("{digest}  {name}\n");
        std::fs::write(format!("{}.sha256", archive.display()), published).unwrap();
        let root = folder.path().display().to_string();
        let server = Program::start(&[
            "python3",
            "-m",
            "http.server",
            "{port}",
            "--bind",
            "127.0.0.1",
            "--directory",
            &root,
        ]);
        Self { folder, server }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn archive(&self) -> PathBuf {
        let name = format!("hallpass-{TARGET}.tar.gz");
        let release = "hallpass-dev/hallpass/releases/download/v0.1.0";
        self.folder.path().join(release).join(name)
    }
}

struct Runner {
    temp: tempfile::TempDir,
}

impl Runner {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { temp }
    }

    /// Whether the script succeeded, and what it said.
    #[expect(clippy::disallowed_methods, reason = "runs the scripts of the actions")]
    fn run(&self, script: &Path, folder: &Path, env: &[(&str, &str)]) -> (bool, String) {
        let mut command = Command::new("bash");
        command.arg(script).current_dir(folder);
        command
            .env("RUNNER_TEMP", self.temp.path())
            .env("GITHUB_PATH", self.temp.path().join("path"))
            .env("GITHUB_OUTPUT", self.temp.path().join("output"))
            .envs(env.iter().copied());
        let done = command.output().unwrap();
        let said = [&done.stdout[..], &done.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (done.status.success(), said)
    }

    fn install(&self, server: &str, env: &[(&str, &str)]) -> (bool, String) {
        let usual = [
            ("VERSION", "0.1.0"),
            ("REPOSITORY", "hallpass-dev/hallpass"),
            ("SERVER", server),
            ("SHA256", ""),
            ("PROVENANCE", "skip"),
        ];
        let all = [&usual[..], env].concat();
        self.run(&action("setup/install.sh"), self.temp.path(), &all)
    }
}

#[test]
fn a_release_is_installed_once_its_checksum_is_right() {
    let mirror = Mirror::new();
    let runner = Runner::new();
    let (well, said) = runner.install(&mirror.url(), &[]);
    assert!(well, "{said}");
    let path = std::fs::read_to_string(runner.temp.path().join("path")).unwrap();
    assert!(Path::new(path.trim()).join("hallpass").exists(), "{path}");
    let output = std::fs::read_to_string(runner.temp.path().join("output")).unwrap();
    assert!(output.starts_with("path="), "{output}");
}

#[test]
fn what_is_not_the_release_is_not_installed() {
    let mirror = Mirror::new();
    let other = "0".repeat(64);
    let url = mirror.url();
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("SHA256", &other)], "is expected"),
        (&[("SHA256", "abc")], "is no SHA-256 digest"),
        (&[("VERSION", "0.1.0/../../x")], "is no version"),
        (&[("VERSION", "0.2.0")], "cannot be downloaded"),
        (&[("SERVER", "http://example.org")], "is not encrypted"),
    ];
    for (env, expected) in table {
        let runner = Runner::new();
        let (well, said) = runner.install(&url, env);
        assert!(!well, "{env:?}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!runner.temp.path().join("path").exists(), "{env:?}");
    }
    let archive = mirror.archive();
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.push(0);
    std::fs::write(&archive, bytes).unwrap();
    let (well, said) = Runner::new().install(&url, &[]);
    assert!(!well && said.contains("is expected"), "{said}");
}

#[test]
fn provenance_that_nobody_attests_stops_the_installation() {
    let mirror = Mirror::new();
    let runner = Runner::new();
    let bin = runner.temp.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let gh = |verdict: &str| {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--help*) exit 0;; esac\necho \"$*\" >&2\nexit {verdict}\n"
        );
        std::fs::write(bin.join("gh"), script).unwrap();
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("gh"), mode).unwrap();
    };
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let env = [("PROVENANCE", "try"), ("PATH", path.as_str())];
    gh("1");
    let (well, said) = runner.install(&mirror.url(), &env);
    assert!(
        !well && said.contains("no workflow of hallpass-dev/hallpass attests"),
        "{said}"
    );
    gh("0");
    let (well, said) = runner.install(&mirror.url(), &env);
    assert!(well, "{said}");
    assert!(
        said.contains(&format!("attestation verify hallpass-{TARGET}.tar.gz")),
        "{said}"
    );
}

#[test]
fn findings_are_shown_at_their_lines_and_written_as_sarif() {
    let runner = Runner::new();
    let folder = runner.temp.path().join("repository");
    std::fs::create_dir_all(folder.join("access/people")).unwrap();
    std::fs::create_dir_all(folder.join(".github")).unwrap();
    std::fs::write(folder.join(".github/CODEOWNERS"), "* @acme/security\n").unwrap();
    let person = folder.join("access/people/octocat.yaml");
    std::fs::write(&person, "github_id: none\n").unwrap();
    let sarif = runner.temp.path().join("found.sarif");
    let sarif_text = sarif.display().to_string();
    let env = [
        ("HALLPASS", env!("CARGO_BIN_EXE_hallpass")),
        ("BASE", ""),
        ("HEAD", ""),
        ("SARIF", sarif_text.as_str()),
        ("UPLOAD", "false"),
    ];
    let script = action("validate/validate.sh");
    let (well, said) = runner.run(&script, &folder, &env);
    assert!(!well);
    assert!(
        said.contains("::error file=access/people/octocat.yaml"),
        "{said}"
    );
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&sarif).unwrap()).unwrap();
    assert_eq!(written["version"], "2.1.0");
    std::fs::write(&person, "github_id: 583231\n").unwrap();
    let (well, said) = runner.run(&script, &folder, &env);
    assert!(well, "{said}");
    let absent = [
        ("HALLPASS", "no-such-program"),
        ("BASE", ""),
        ("HEAD", ""),
        ("SARIF", ""),
        ("UPLOAD", ""),
    ];
    let (well, said) = runner.run(&script, &folder, &absent);
    assert!(
        !well && said.contains("Put the action `setup` before this one"),
        "{said}"
    );
}

#[test]
fn the_release_that_is_installed_is_this_version() {
    let text = std::fs::read_to_string(action("setup/action.yml")).unwrap();
    let version = format!("default: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
}
