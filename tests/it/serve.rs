//! `hallpass serve`, run as a program by somebody who has not read its source.

use std::path::Path;
use std::process::Output;

use hallpass::sandbox::KNOWN_KEY;

/// Nobody listens at port 1 of this machine.
const CONFIG: &str = "[github]\nrepository = 'acme/access'\napp_id = 1\ninstallation_id = 2\napi = 'http://127.0.0.1:1'\n\
    web = 'http://127.0.0.1:1'\n[server]\nlisten = '127.0.0.1:0'\n";

#[expect(
    clippy::disallowed_methods,
    reason = "this is about the program as people run it"
)]
fn run(dir: &Path, arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .current_dir(dir)
        .arg("serve")
        .args(arguments)
        .env("HALLPASS_GITHUB_PRIVATE_KEY", KNOWN_KEY)
        .env("HALLPASS_WEBHOOK_SECRET", "only for this test")
        .output()
        .expect("the program runs")
}

fn serve(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = run(dir, arguments);
    let code = status.code().expect("it ends by itself");
    (code, String::from_utf8_lossy(&stderr).into_owned())
}

fn configured(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("hallpass.toml"), format!("{CONFIG}{more}")).expect("a file");
    dir
}

/// Answers one question about health with this status and these words, and says what was asked.
fn healthy(
    status: &'static str,
    words: &'static str,
) -> (std::net::SocketAddr, std::thread::JoinHandle<String>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut line = String::new();
        BufReader::new(stream.try_clone().expect("a stream"))
            .read_line(&mut line)
            .expect("a question");
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{words}",
            words.len()
        );
        stream.write_all(answer.as_bytes()).expect("an answer");
        line
    });
    (address, asked)
}

#[test]
fn a_probe_says_what_the_running_service_says_of_itself() {
    for (status, words, expected) in [
        ("200 OK", r#"{"ready":true}"#, 0),
        (
            "503 Service Unavailable",
            r#"{"ready":false,"problems":["the database"]}"#,
            1,
        ),
    ] {
        let (address, asked) = healthy(status, words);
        // Where it listens everywhere, it is asked here; and where metrics are, nobody else keeps it busy.
        let everywhere = format!("metrics = '0.0.0.0:{}'\n", address.port());
        let dir = configured(&everywhere);
        let Output { status, stdout, .. } = run(dir.path(), &["--probe"]);
        assert_eq!(String::from_utf8_lossy(&stdout), format!("{words}\n"));
        assert_eq!(status.code(), Some(expected));
        assert_eq!(
            asked.join().expect("asked"),
            "GET /health/ready HTTP/1.1\r\n"
        );
    }

    let dir = configured("metrics = '127.0.0.1:1'\n");
    let Output { status, stdout, .. } = run(dir.path(), &["--probe"]);
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        said.starts_with("no service answers at 127.0.0.1:1: "),
        "{said}"
    );
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_second_process_is_told_who_is_in_its_way() {
    let dir = configured("");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let lock = std::fs::File::create(data.join("hallpass.db.lock")).expect("a file");
    lock.lock().expect("a lock");
    let (code, said) = serve(dir.path(), &[]);
    assert_eq!(code, 2);
    assert!(said.contains("is in use by another process"), "{said}");
    assert!(!said.contains("broken"), "{said}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let dir = configured("");
    let text = CONFIG.replace("127.0.0.1:0", &address.to_string());
    std::fs::write(dir.path().join("hallpass.toml"), text).expect("a file");
    let (code, said) = serve(dir.path(), &[]);
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );
    assert_eq!(code, 2);

    let dir = configured("data_dir = 'hallpass.toml'\n");
    let (code, said) = serve(dir.path(), &[]);
    assert!(said.contains("cannot create the folder"), "{said}");
    assert_eq!(code, 2);
}
