//! TLS, to a server with a certificate of its own.

use std::net::SocketAddr;
use std::process::Command;

use hallpass::providers::http::{Call, Failure, Http, Settings};

use crate::program::Program;

const SERVER: &str = r#"
import http.server, ssl, sys
class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Fine)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// Runs `openssl`, which makes keys and certificates.
#[expect(clippy::disallowed_methods, reason = "tests make a certificate")]
fn openssl(folder: &std::path::Path, line: &str) {
    let made = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

async fn ask(at: SocketAddr, host: &str, ca: Option<String>) -> Result<(), Failure> {
    let url = format!("https://{host}:{}", at.port());
    let http = Http::new(Settings {
        ca,
        ..super::settings(&url)
    })?;
    http.send("asking", Call::get(http.route(&[], &[])?))
        .await
        .map(drop)
}

#[tokio::test]
async fn only_a_certificate_of_a_known_authority_for_this_name_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(
        at("name"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(
        folder.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem",
    );
    openssl(
        folder.path(),
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr",
    );
    openssl(
        folder.path(),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile name -out server.pem",
    );
    let server = Program::start(&[
        "python3",
        "-c",
        SERVER,
        "{port}",
        &at("server.pem"),
        &at("server.key"),
    ]);
    let ca = std::fs::read_to_string(at("ca.pem")).unwrap();

    ask(server.address(), "127.0.0.1", Some(ca.clone()))
        .await
        .unwrap();
    let stranger = ask(server.address(), "127.0.0.1", None).await.unwrap_err();
    let other_name = ask(server.address(), "localhost", Some(ca))
        .await
        .unwrap_err();
    for failure in [stranger, other_name] {
        let words = super::chain(&failure);
        assert!(matches!(failure, Failure::Unavailable { .. }), "{words}");
        assert!(words.contains("certificate"), "{words}");
    }
    let nonsense = ask(server.address(), "127.0.0.1", Some("no PEM".to_owned()))
        .await
        .unwrap_err();
    assert!(nonsense.to_string().contains("ca_file"), "{nonsense}");
}
