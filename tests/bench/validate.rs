//! How long `hallpass validate` takes on a repository with many grants: `cargo bench --bench validate [-- GRANTS]`.
//!
//! Generates people, resources and 100,000 grants (or as many as asked for) in a temporary folder, runs the real program on it and
//! prints each run. The target of DESIGN, section 8, is 1.5 s for 100,000 grants on two cores.

#![expect(clippy::disallowed_methods, reason = "times the real program")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const RESOURCES: usize = 200;
const RUNS: usize = 5;

fn main() {
    let grants = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    generate(folder.path(), grants);
    println!("generated {grants} grants in {:.1?}", started.elapsed());
    let mut times = Vec::new();
    for run in 1..=RUNS {
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(["validate", "--format", "json"])
            .arg(folder.path())
            .output()
            .expect("the program runs");
        let took = started.elapsed();
        assert!(
            output.status.success(),
            "the generated repository has findings:\n{}",
            String::from_utf8_lossy(&output.stdout)
                .chars()
                .take(2_000)
                .collect::<String>()
        );
        println!("run {run}: {took:.3?}");
        times.push(took);
    }
    times.sort();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "validate, {grants} grants, {cores} cores: best {:.3?}, median {:.3?}",
        times[0],
        times[RUNS / 2]
    );
}

fn generate(root: &Path, grants: usize) {
    let people = (grants / 5).max(1);
    let write = |path: String, text: String| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write(
        ".github/CODEOWNERS".to_owned(),
        "* @acme/security\n/access/grants/ @acme/owners\n".to_owned(),
    );
    for n in 0..people {
        let mut text = format!("github_id: {}\nname: Person {n}\nidentities:\n", 1_000 + n);
        for connection in 0..4 {
            let _ = writeln!(text, "  system-{connection}: person{n}");
        }
        write(format!("access/people/person{n}.yaml"), text);
    }
    for n in 0..RESOURCES {
        let mut text = format!(
            "description: System number {n}\nrisk: high\nprovider: system-{}\nroles:\n",
            n % 4
        );
        for role in 0..5 {
            let _ = write!(
                text,
                "  role-{role}:\n    description: Role number {role}\n    entitlement: {{ role: r{n}_{role} }}\n    max_duration: 30d\n    requires: [ticket]\n"
            );
        }
        write(format!("access/resources/resource-{n}.yaml"), text);
    }
    for n in 0..grants {
        let (resource, person, role) = (n % RESOURCES, n % people, n / people % 5);
        let text = format!(
            "person: person{person}\nrole: role-{role}\nduration: 8h\nreason: Needs to look at case {n} for a customer.\nticket: OPS-{n}\n"
        );
        write(
            format!("access/grants/resource-{resource}/grant-{n}.yaml"),
            text,
        );
    }
}
