//! What an operator writes, and what Hallpass says about it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use hallpass::config::{Config, EXAMPLE, Merge, MergeMethod, PlaceKind, Provider};
use hallpass::domain::model::ConnectionName;
use secrecy::ExposeSecret;

const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nxyz\n-----END RSA PRIVATE KEY-----\n";
const MINIMAL: &str = "[github]\nrepository = 'acme/access'\napp_id = 1\n";

fn secrets() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("HALLPASS_GITHUB_PRIVATE_KEY", KEY),
        ("HALLPASS_WEBHOOK_SECRET", "canary-webhook"),
        ("TOKEN", "canary-token"),
        ("SITE", "berlin"),
        (
            "ORDERS_DATABASE_URL",
            "postgres://h:canary-password@db.example.org/orders?sslmode=verify-full",
        ),
    ])
}

fn load_with(toml: &str, env: &BTreeMap<&str, &str>) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hallpass.toml");
    std::fs::write(&path, toml).unwrap();
    std::fs::write(folder.path().join("secret"), "from the file\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let address = "postgres://h:canary@db.example.org/x\n";
    std::fs::write(folder.path().join("address"), address).unwrap();
    let loaded = Config::load(&path, |name| env.get(name).map(|value| (*value).to_owned()));
    let told = folder.path().display().to_string();
    loaded.map_err(|error| error.to_string().replace(&told, ""))
}

fn load(toml: &str) -> Result<Config, String> {
    load_with(toml, &secrets())
}

/// What is said about one addition to a file that is otherwise right.
fn complaint(addition: &str) -> String {
    load(&format!("{MINIMAL}{addition}")).expect_err(addition)
}

#[test]
fn the_example_is_valid_and_says_the_defaults() {
    let example = load(EXAMPLE).unwrap();
    let defaults = load(MINIMAL).unwrap();

    assert_eq!(example.server.listen, defaults.server.listen);
    assert_eq!(
        (example.server.metrics, defaults.server.metrics),
        (None, None)
    );
    assert_eq!(
        example.server.data_dir.file_name(),
        defaults.server.data_dir.file_name()
    );
    assert_eq!(example.github.api, defaults.github.api);
    assert_eq!(example.github.web, defaults.github.web);
    assert_eq!(
        example.github.protected_branch,
        defaults.github.protected_branch
    );
    assert_eq!(
        (example.github.merge, defaults.github.merge),
        (Merge::Off, Merge::Off)
    );
    assert_eq!(example.github.merge_method, defaults.github.merge_method);
    assert_eq!(example.github.merge_reverts, defaults.github.merge_reverts);
    assert_eq!(example.github.outsiders, defaults.github.outsiders);
    assert!(!defaults.github.outsiders);
    assert_eq!(
        defaults.timing.orphan_grace,
        Duration::from_secs(7 * 86_400)
    );
    assert_eq!(example.evidence.branch, defaults.evidence.branch);
    assert_eq!(example.timing, defaults.timing);
    assert_eq!(example.notices, defaults.notices);
    assert_eq!(example.providers.len(), 2);
    let orders = &example.providers[&ConnectionName::new("orders-primary").unwrap()];
    assert!(matches!(
        orders,
        Provider::Postgres {
            end_sessions: true,
            ..
        }
    ));
}

#[test]
fn a_program_runs_only_where_the_server_allows_it_and_sees_only_what_is_named() {
    let config = load(&format!(
        "{MINIMAL}[server]\nprograms = ['/opt/badge']\n[providers.doors]\nkind = 'command'\nprogram = '/opt/badge'\n\
         arguments = ['--site', 'berlin; id']\nenvironment = ['TOKEN', 'SITE']\npublic = ['SITE']\n"
    ))
    .unwrap();
    let Provider::Command(doors) = &config.providers[&ConnectionName::new("doors").unwrap()] else {
        panic!("{config:?}");
    };
    assert_eq!(doors.program.to_str(), Some("/opt/badge"));
    assert_eq!(doors.arguments, ["--site", "berlin; id"]);
    let (name, value) = &doors.environment[0];
    assert_eq!(
        (name.as_str(), value.expose_secret()),
        ("TOKEN", "canary-token")
    );
    assert_eq!(doors.public, ["SITE"]);
}

#[test]
fn what_is_written_is_what_is_used() {
    let config = load(
        "[server]\nlisten = '0.0.0.0:9'\n[github]\nrepository = 'Acme/Access'\napp_id = 5\ninstallation_id = 6\n\
         api = 'http://127.0.0.1:3000/api/v3'\nmerge = 'auto'\nmerge_method = 'squash'\nmerge_reverts = true\n\
         outsiders = true\nprotected_branch = 'trunk'\n[timing]\nresync = '500ms'\nretry_cap = '1h'\norphan_grace = '1d12h'\n[evidence]\nbranch = 'proof'\nearlier_keys = ['ssh-ed25519 AAAA']\n\
         [store]\nurl = 'postgres://hallpass@db/x?sslmode=verify-full'\n",
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.github.repository.to_string(), "acme/Access");
    assert_eq!(
        (config.github.app_id, config.github.installation_id),
        (5, Some(6))
    );
    assert_eq!(config.github.api.as_str(), "http://127.0.0.1:3000/api/v3");
    assert_eq!(config.github.merge, Merge::Auto);
    assert_eq!(config.github.merge_method, MergeMethod::Squash);
    assert!(config.github.merge_reverts);
    assert!(config.github.outsiders);
    assert_eq!(
        config.timing.orphan_grace,
        Duration::from_secs(36 * 60 * 60)
    );
    assert_eq!(config.github.protected_branch, "trunk");
    assert_eq!(config.timing.resync, Duration::from_millis(500));
    assert_eq!(config.timing.retry_cap, Duration::from_secs(3600));
    assert_eq!(config.evidence.branch, "proof");
    assert_eq!(config.evidence.earlier_keys, ["ssh-ed25519 AAAA"]);
    assert_eq!(
        config.store.url.expose_secret(),
        "postgres://hallpass@db/x?sslmode=verify-full"
    );
}

#[test]
fn the_database_is_in_the_data_folder_unless_said_otherwise() {
    let config = load(&format!("{MINIMAL}[server]\ndata_dir = '/srv/h'")).unwrap();
    assert_eq!(
        config.store.url.expose_secret(),
        "sqlite:///srv/h/hallpass.db"
    );

    let mut env = secrets();
    env.insert("HALLPASS_STORE_URL", "postgres://h:pw@localhost/x");
    assert_eq!(
        load_with(MINIMAL, &env).unwrap().store.url.expose_secret(),
        "postgres://h:pw@localhost/x"
    );
}

#[test]
fn secrets_come_from_the_environment_or_from_files_and_the_newer_is_first() {
    let mut env = secrets();
    env.remove("HALLPASS_WEBHOOK_SECRET");
    env.insert("HALLPASS_WEBHOOK_SECRET_PREVIOUS", "older");
    let config = load_with(&format!("{MINIMAL}webhook_secret_file = 'secret'"), &env).unwrap();
    let secrets: Vec<_> = config
        .github
        .webhook_secrets
        .iter()
        .map(|s| s.expose_secret().to_owned())
        .collect();
    assert_eq!(secrets, ["from the file", "older"]);
    assert_eq!(config.github.private_key.expose_secret(), KEY.trim_end());
}

#[test]
fn secrets_can_be_credentials_of_systemd() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("webhook"), "from systemd\n").unwrap();
    let toml = format!("{MINIMAL}webhook_secret_file = '$CREDENTIALS_DIRECTORY/webhook'\n");
    let mut env = secrets();
    env.remove("HALLPASS_WEBHOOK_SECRET");
    assert_eq!(
        load_with(&toml, &env).unwrap_err(),
        "/hallpass.toml:4: `webhook_secret_file` of [github] needs CREDENTIALS_DIRECTORY, which is not set. systemd sets it for a \
         service with LoadCredential=; elsewhere, set it to the folder of the files."
    );
    env.insert("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
    let config = load_with(&toml, &env).unwrap();
    let secret = config.github.webhook_secrets[0].expose_secret();
    assert_eq!(secret, "from systemd");
}

#[test]
fn traces_go_where_the_file_says_or_the_variable_of_opentelemetry() {
    let traces = |toml: &str, env: &[(&'static str, &'static str)]| {
        let mut all = secrets();
        all.extend(env.iter().copied());
        load_with(&format!("{MINIMAL}{toml}"), &all).map(|config| {
            let traces = config.server.traces?;
            Some(format!("{} {}", traces.service, traces.endpoint))
        })
    };
    let file = "[server]\ntraces = 'http://collector:4318'";
    let variable = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "https://otel.example.org/in/",
    );
    let told = |text: &str| Ok(Some(text.to_owned()));

    assert_eq!(traces("", &[]), Ok(None));
    assert_eq!(traces("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
    assert_eq!(
        traces("", &[variable]),
        told("hallpass https://otel.example.org/in/v1/traces")
    );
    assert_eq!(
        traces(file, &[variable, ("OTEL_SERVICE_NAME", "passes")]),
        told("passes http://collector:4318/v1/traces")
    );
    for wrong in [
        "collector:4318",
        "http://u:p@collector",
        "grpc://collector:4317",
    ] {
        let toml = format!("[server]\ntraces = '{wrong}'");
        let error = traces(&toml, &[]).unwrap_err();
        assert!(
            error.contains(":5: `traces` of [server] cannot be used"),
            "{error}"
        );
        assert!(error.contains("http://127.0.0.1:4318"), "{error}");
    }
    let error = traces("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]).unwrap_err();
    assert!(
        error.contains("the variable OTEL_EXPORTER_OTLP_ENDPOINT cannot be used"),
        "{error}"
    );
}

/// A file of this repository.
fn shipped(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Loads a configuration whose secrets are files below `there`.
fn deployed(toml: &str, there: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [
        ("github-key", KEY),
        ("webhook-secret", "canary-webhook"),
        ("evidence-key", "a key that signs"),
        (
            "store-url",
            "postgres://h:pw@db.example.org/hallpass?sslmode=verify-full",
        ),
    ] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let here = folder.path().to_str().unwrap();
    let here = format!("{here}/");
    load_with(&toml.replace(there, &here), &BTreeMap::new()).unwrap()
}

#[test]
fn the_configurations_that_are_shipped_for_deployment_are_valid() {
    let manifest = shipped("docs/deploy/kubernetes/config.yaml");
    let manifest: serde_json::Value = serde_yaml::from_str(&manifest).unwrap();
    let toml = manifest["data"]["hallpass.toml"].as_str().unwrap();
    let config = deployed(toml, "/etc/hallpass/secrets/");
    assert!(config.store.url.expose_secret().starts_with("postgres://"));
    assert!(config.evidence.key.is_some());

    let unit = shipped("docs/deploy/systemd/hallpass.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    let toml: Vec<&str> = lines.collect();
    let toml = toml.join("\n").replace(
        "[github]",
        "[github]\nrepository = 'acme/access'\napp_id = 1",
    );
    let config = deployed(&toml, "$CREDENTIALS_DIRECTORY/hallpass_").server;
    assert_eq!(config.data_dir.to_str(), Some("/var/lib/hallpass"));
}

#[test]
fn it_does_not_start_without_its_secrets() {
    let error = load_with(MINIMAL, &BTreeMap::new()).unwrap_err();
    assert!(
        error.contains("the webhook's secret is missing. Set HALLPASS_WEBHOOK_SECRET"),
        "{error}"
    );
    assert!(
        error.contains("the App's private key is missing"),
        "{error}"
    );

    let mut env = secrets();
    env.insert("HALLPASS_WEBHOOK_SECRET", "");
    let error = load_with(MINIMAL, &env).unwrap_err();
    assert!(
        error.contains("HALLPASS_WEBHOOK_SECRET is empty"),
        "{error}"
    );

    let mut env = secrets();
    env.insert("HALLPASS_WEBHOOK_SECRET_PREVIOUS", " ");
    assert!(
        load_with(MINIMAL, &env)
            .unwrap_err()
            .contains("SECRET_PREVIOUS is empty")
    );

    env.remove("HALLPASS_WEBHOOK_SECRET_PREVIOUS");
    env.insert("HALLPASS_GITHUB_PRIVATE_KEY", "canary-not-a-key");
    let error = load_with(MINIMAL, &env).unwrap_err();
    assert!(
        error.contains("not in PEM form") && !error.contains("canary"),
        "{error}"
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_repeated() {
    for addition in [
        "private_key = 'canary'",
        "webhook_secret = 'canary'",
        "webhook_secret_previous = 'canary'",
        "[store]\nurl = 'postgres://h:canary@db/x'",
        "[store]\nurl = 'postgres://h@db/x?password=canary'",
        "[providers.a]\nkind = 'postgres'\nurl = 'postgres://h:canary@db/x'",
        "[providers.a]\nkind = 'postgres'\nurl_file = 'secret'\npassword = 'canary'",
        "[providers.a]\nkind = 'scim'\nurl = 'https://x.org'\ntoken_env = 'TOKEN'\ntoken = 'canary'",
        "[providers.a]\nkind = 'webhook'\nurl = 'https://x.org'\nsecret_env = 'TOKEN'\nsecret = 'canary'",
    ] {
        let error = complaint(addition);
        assert!(
            error.contains("secrets do not stand in this file"),
            "{addition}: {error}"
        );
        assert!(
            ["HALLPASS_", "url_env", "token_env", "secret_env"]
                .iter()
                .any(|way| error.contains(way)),
            "{addition}: {error}"
        );
        assert!(!error.contains("canary"), "{addition}: {error}");
    }
}

#[test]
fn secrets_do_not_show_when_the_configuration_is_printed() {
    let printed = format!("{:?}", load(EXAMPLE).unwrap());
    assert!(
        !printed.contains("canary") && !printed.contains("xyz"),
        "{printed}"
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_what_to_write() {
    let error = load(
        "[github]\nrepositry = 'acme/access'\napp_id = '12'\nmerge = 'yes'\n\n[servr]\n[timing]\nresync = '0s'\n\
         retry_cap = 60\n[providers.x]\nkind = 'carrier-pigeon'\n",
    )
    .unwrap_err();
    insta::assert_snapshot!(error, @r#"
    /hallpass.toml:1: `repository` of [github] is missing. Write repository = "owner/name".
    /hallpass.toml:2: `repositry` of [github] is unknown. Did you mean `repository`?
    /hallpass.toml:3: `app_id` of [github] is not a whole number above zero. Write digits only, without quotes.
    /hallpass.toml:4: `merge` of [github] cannot be used. Write "auto" or "off".
    /hallpass.toml:6: [servr] is unknown. Did you mean `server`?
    /hallpass.toml:8: `resync` of [timing] cannot be used. Write a duration such as "500ms", "60s", "5m" or "1h", at most a day.
    /hallpass.toml:9: `retry_cap` of [timing] is integer, not text. Put it in quotes.
    /hallpass.toml:11: `kind` of [providers.x] cannot be used. Write kind = "aws-iam" or kind = "aws-identity-center" or kind = "command" or kind = "github-deployment" or kind = "github-organization-role" or kind = "github-repository" or kind = "github-team" or kind = "ldap" or kind = "mysql" or kind = "okta" or kind = "postgres" or kind = "scim" or kind = "webhook".
    "#);
}

#[test]
fn single_mistakes_are_refused() {
    for (addition, says) in [
        ("api = 'http://ghe.example.org'", "https://"),
        ("api = 'https://user:pw@ghe.example.org'", "without user"),
        ("web = 'nonsense'", "Write an address"),
        (
            "protected_branch = 'refs/heads/main'",
            "without refs/heads/",
        ),
        ("protected_branch = 'a b'", "branch"),
        ("merge_reverts = 'yes'", "Write true or false"),
        ("installation_id = -1", "above zero"),
        ("merge_method = 'octopus'", "\"squash\""),
        (
            "webhook_secret_file = 'secret'",
            "unset HALLPASS_WEBHOOK_SECRET",
        ),
        ("webhook_secret_previous_file = 'nowhere'", "cannot be read"),
        ("webhook_secret_previous_file = 'empty'", "is empty"),
        ("[server]\nlisten = 'here'", "127.0.0.1:8080"),
        ("[store]\nurl = 'mysql://x'", "sqlite://"),
        ("[evidence]\nbranch = '../x'", "branch"),
        ("[timing]\nresync = '25h'", "at most a day"),
        ("[timing]\norphan_grace = '91d'", "at most 90d"),
        ("[timing]\norphan_grace = '0d'", "such as \"12h\" or \"7d\""),
        ("outsiders = 1", "Write true or false"),
        ("[timing]\nresync = '99999999999999999999s'", "duration"),
        (
            "[providers.Bad_Name]\nkind = 'github-team'\norganisation = 'acme'",
            "lower-case",
        ),
        ("[providers]\nx = 1", "[providers.x]"),
        ("[providers.x]\nkind = 'github-team'", "organisation"),
        ("[providers.x]\nkind = 'github-repository'", "organisation"),
        ("[providers.x]\nkind = 'github-deployment'", "organisation"),
        (
            "[providers.x]\nkind = 'github-organization-role'\norganisation = 'a b'",
            "organisation",
        ),
        (
            "[providers.x]\nkind = 'github-team'\norganisation = 'acme'\nend_sessions = true",
            "unknown",
        ),
        ("[providers.x]\nkind = 'postgres'", "url_env"),
        (
            "[providers.x]\nkind = 'postgres'\nurl_env = 'NOT_SET'",
            "NOT_SET, which is not set",
        ),
        (
            "[providers.x]\nkind = 'postgres'\nurl_file = 'secret'",
            "postgres://user:password@host",
        ),
        (
            "[providers.x]\nkind = 'scim'\ntoken_env = 'TOKEN'",
            "Write url =",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'http://scim.example.org'\ntoken_env = 'TOKEN'",
            "https://",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://u:p@scim.example.org'\ntoken_env = 'TOKEN'",
            "without user",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org'",
            "token_env",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org'\ntoken_env = 'NOT_SET'",
            "NOT_SET, which is not set",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org'\ntoken_file = 'empty'",
            "is empty",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org'\ntoken_env = 'TOKEN'\nca_file = 'nowhere'",
            "cannot be read",
        ),
        (
            "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org'\ntoken_env = 'TOKEN'\nallow_link_local = 'yes'",
            "true or false",
        ),
        (
            "[providers.x]\nkind = 'okta'\nurl = 'https://a.okta.com'",
            "token_env",
        ),
        (
            "[providers.x]\nkind = 'webhook'\nurl = 'https://a.example.org'",
            "secret_env",
        ),
        (
            "[providers.x]\nkind = 'webhook'\nurl = 'https://a.example.org'\nsecret_env = 'TOKEN'",
            "Write whsec_",
        ),
        (
            "[providers.x]\nkind = 'webhook'\nurl = 'https://a.example.org'\nsecret_env = 'TOKEN'\nprevious_secret_file = 'nowhere'",
            "cannot be read",
        ),
        (
            "[providers.x]\nkind = 'command'\nprogram = '/bin/true'",
            "[server] programs = [\"/bin/true\"]",
        ),
        (
            "[server]\nprograms = ['/bin/true']\n[providers.x]\nkind = 'command'\nprogram = '/bin/../bin/true'",
            "Allow it first",
        ),
        (
            "[server]\nprograms = ['/bin/true']\n[providers.x]\nkind = 'command'\nprogram = '/bin/true'\nenvironment = ['NOT_SET']",
            "NOT_SET, which is not set",
        ),
        (
            "[server]\nprograms = ['/bin/true']\n[providers.x]\nkind = 'command'\nprogram = '/bin/true'\npublic = ['TOKEN']",
            "names TOKEN, which the program does not see",
        ),
        ("[server]\nmetrics = '9469'", "\"127.0.0.1:9469\""),
        (
            "[server]\nmetrics = '127.0.0.1:8080'",
            "an address and a port of its own",
        ),
        ("[server]\nprograms = ['bin/true']", "no path from the root"),
        (
            "[server]\nprograms = ['/opt/../bin/true']",
            "no path from the root",
        ),
        ("[server]\nprograms = '/bin/true'", "is no list"),
        ("[server]\nprograms = [1]", "Put each in quotes"),
        (
            "[providers.x]\nkind = 'aws-iam'\naccess_key = 'AKIA'\nsecret_key_env = 'TOKEN'",
            "region = \"eu-central-1\"",
        ),
        (
            "[providers.x]\nkind = 'aws-iam'\nregion = 'x.evil.org/'\naccess_key = 'AKIA'\nsecret_key_env = 'TOKEN'",
            "region = \"eu-central-1\"",
        ),
        (
            "[providers.x]\nkind = 'aws-identity-center'\nregion = 'eu-west-1'\naccess_key = 'AKIA'",
            "secret_key_env",
        ),
        (
            "[providers.x]\nkind = 'aws-iam'\nregion = 'eu-west-1'\naccess_key = 'AKIA'\nsecret_key_env = 'TOKEN'\nendpoint = 'http://aws.example.org'",
            "https://",
        ),
        ("[providers.x]\nkind = 'mysql'", "url_env"),
        (
            "[providers.x]\nkind = 'mysql'\npassword = 'canary'",
            "is a secret",
        ),
        (
            "[providers.x]\nkind = 'mysql'\nurl_file = 'secret'\ndefault_role = 'maybe'",
            "\"set\" or \"leave\"",
        ),
        (
            "[providers.x]\nkind = 'mysql'\nurl_file = 'secret'",
            "mysql://user:password@host",
        ),
        ("app_id = 2", "not TOML"),
        ("[github", "not TOML"),
    ] {
        let error = complaint(addition);
        assert!(error.contains(says), "{addition}: {error}");
        assert!(error.starts_with("/hallpass.toml"), "{addition}: {error}");
    }
}

#[test]
fn a_connection_by_http_is_read_whole() {
    let table = "[providers.x]\nkind = 'scim'\nurl = 'https://scim.example.org/v2'\ntoken_env = 'TOKEN'\nca_file = 'secret'\nallow_link_local = true";
    let config = load(&format!("{MINIMAL}{table}")).unwrap();
    let printed = format!("{config:?}");
    let Provider::Scim { endpoint, token } = &config.providers[&ConnectionName::new("x").unwrap()]
    else {
        panic!("{printed}");
    };
    assert_eq!(endpoint.url.as_str(), "https://scim.example.org/v2");
    assert_eq!(endpoint.ca.as_deref(), Some("from the file\n"));
    assert!(endpoint.allow_link_local);
    assert_eq!(token.expose_secret(), "canary-token");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn a_remote_database_must_say_how_the_connection_is_protected() {
    let toml = format!("{MINIMAL}[providers.x]\nkind = 'postgres'\nurl_env = 'U'");
    for (url, fine) in [
        ("postgres://h:canary@db.example.org/x", false),
        ("postgres://h:canary@db.example.org/x?sslmode=prefer", false),
        (
            "postgres://h:canary@db.example.org/x?sslmode=verify-full",
            true,
        ),
        ("postgres://h:canary@db.example.org/x?sslmode=disable", true),
        ("postgres://h:canary@127.0.0.1:5432/x", true),
        ("postgres://h:canary@localhost/x", true),
        ("https://h:canary@db.example.org/x", false),
        // Sockets, in the two ways that the driver knows.
        ("postgres://h:canary@%2Frun%2Fpostgresql/x", true),
        ("postgres://h:canary@%2frun/x", true),
        ("postgres:///x?host=/run/postgresql&user-name=h", true),
        ("postgres://h:canary@db.example.org%2Frun/x", false),
        // Without either, the driver goes where its environment says.
        ("postgres:///x", false),
        ("postgres:///x?sslmode=verify-full&user-name=h", false),
        // What the driver would believe rather than what stands before the question mark.
        ("postgres:///x?host=db.example.org", false),
        ("postgres://h@localhost/x?host=db.example.org", false),
        ("postgres://h@localhost/x?%68ost=db.example.org", false),
        ("postgres://h@localhost/x?hostaddr=192.0.2.1", false),
        ("postgres://localhost/x?user=canary", false),
        ("postgres://h@localhost/x?password=canary", false),
        ("postgres:///x?host=/run&host=db.example.org", false),
        (
            "postgres://h@db.example.org/x?sslmode=verify-full&sslmode=prefer",
            false,
        ),
        (
            "postgres://h@db.example.org/x?sslmode=verify-full&ssl-mode=prefer",
            false,
        ),
        // What the driver does not know is no answer.
        ("postgres://h@db.example.org/x?ho-st=/run", false),
        ("postgres://h@db.example.org/x?SSLMODE=verify-full", false),
    ] {
        let mut env = secrets();
        env.insert("U", url);
        match load_with(&toml, &env) {
            Ok(_) => assert!(fine, "{url}"),
            Err(error) => assert!(!fine && !error.contains("canary"), "{url}: {error}"),
        }
    }
}

#[test]
fn the_ledger_is_not_kept_in_a_remote_database_without_protection_either() {
    for (url, fine) in [
        ("postgres://h@db.example.org/x", false),
        ("postgresql://h@db.example.org/x?sslmode=prefer", false),
        ("postgres:///x?host=db.example.org", false),
        ("postgres://h@db.example.org/x?sslmode=verify-full", true),
        ("postgresql://h@db.example.org/x?sslmode=disable", true),
        ("postgres://h@127.0.0.1:5432/x", true),
        ("postgres://h@localhost/x", true),
        ("postgres:///x", false),
        ("postgres:///x?sslmode=verify-full", false),
        ("postgres:///x?host=/run/postgresql", true),
        ("postgres://h@%2Frun%2Fpostgresql/x", true),
        ("sqlite:///srv/h/hallpass.db", true),
    ] {
        let mut env = secrets();
        env.insert("HALLPASS_STORE_URL", url);
        let written = load(&format!("{MINIMAL}[store]\nurl = '{url}'"));
        for loaded in [load_with(MINIMAL, &env), written] {
            match loaded {
                Ok(_) => assert!(fine, "{url}"),
                Err(error) => assert!(
                    !fine && error.contains("the address of the database cannot be used"),
                    "{url}: {error}"
                ),
            }
        }
    }
    assert_eq!(
        complaint("[store]\nurl_file = 'address'"),
        "/hallpass.toml:5: the address of the database cannot be used. Say how the connection is protected: add \
         ?sslmode=verify-full. Only localhost and sockets need none."
    );
}

const DIRECTORY: &str = "[providers.x]\nkind = 'ldap'\nurl = 'ldaps://ldap.example.org'\nbind_dn = 'cn=hallpass,dc=example'\n\
     password_file = 'secret'\naccounts = 'ou=people,dc=example'\ngroups = 'ou=groups,dc=example'\n";

#[test]
fn a_directory_says_where_accounts_and_groups_are() {
    let config = load(&format!("{MINIMAL}{DIRECTORY}")).unwrap();
    let Provider::Ldap(directory) = &config.providers[&ConnectionName::new("x").unwrap()] else {
        panic!("{config:?}");
    };
    assert_eq!(directory.account_attribute, "uid");
    assert_eq!(directory.password.expose_secret(), "from the file");
    assert!(!directory.starttls);
    for (line, instead, says) in [
        ("url = 'ldaps://ldap.example.org'\n", "", "ldaps://host"),
        (
            "'ldaps://ldap.example.org'",
            "'ldap://ldap.example.org'",
            "unprotected",
        ),
        (
            "'ldaps://ldap.example.org'",
            "'ldaps://u:canary@ldap.example.org'",
            "without user",
        ),
        (
            "'ldaps://ldap.example.org'",
            "'https://ldap.example.org'",
            "ldaps://host",
        ),
        ("bind_dn = 'cn=hallpass,dc=example'\n", "", "bind_dn"),
        (
            "password_file = 'secret'",
            "password = 'canary'",
            "is a secret",
        ),
        ("password_file = 'secret'\n", "", "password_env"),
        (
            "password_file = 'secret'",
            "password_env = 'NOT_SET'",
            "NOT_SET, which is not set",
        ),
        ("'ou=people,dc=example'", "'people'", "distinguished name"),
        (
            "groups = 'ou=groups,dc=example'",
            "placeholder = 'cn=nobody'",
            "groups",
        ),
        (
            "groups =",
            "account_attribute = 'uid)(x'\ngroups =",
            "name of an attribute",
        ),
    ] {
        assert!(DIRECTORY.contains(line), "{line}");
        let toml = format!("{MINIMAL}{}", DIRECTORY.replace(line, instead));
        let error = load(&toml).unwrap_err();
        assert!(
            error.contains(says) && !error.contains("canary"),
            "{instead}: {error}"
        );
    }
    let starttls = DIRECTORY.replace("'ldaps:", "'ldap:") + "starttls = true\n";
    load(&format!("{MINIMAL}{starttls}")).unwrap();
}

#[test]
fn a_remote_mysql_server_must_say_how_the_connection_is_protected() {
    let toml = format!("{MINIMAL}[providers.x]\nkind = 'mysql'\nurl_env = 'U'");
    for (url, fine) in [
        ("mysql://h:canary@db.example.org/", false),
        ("mysql://h:canary@db.example.org/?ssl-mode=PREFERRED", false),
        (
            "mysql://h:canary@db.example.org/?ssl-mode=VERIFY_IDENTITY",
            true,
        ),
        ("mysql://h:canary@db.example.org/?sslmode=required", true),
        ("mysql://h:canary@127.0.0.1:3306/", true),
        (
            "mysql://h:canary@db.example.org/?ssl-mode=REQUIRED&sslmode=PREFERRED",
            false,
        ),
        ("postgres://h:canary@127.0.0.1/x", false),
    ] {
        let mut env = secrets();
        env.insert("U", url);
        match load_with(&toml, &env) {
            Ok(_) => assert!(fine, "{url}"),
            Err(error) => assert!(!fine && !error.contains("canary"), "{url}: {error}"),
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(std::path::Path::new("/nowhere/hallpass.toml"), |_| None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/hallpass.toml: cannot be read"),
        "{error}"
    );
}

#[test]
fn holders_are_told_before_the_end_unless_the_operator_says_off() {
    let share = |text: &str| {
        let config = load(&format!("{MINIMAL}[notices]\nends_soon = '{text}'")).unwrap();
        config.notices.ends_soon.map(|share| share.to_string())
    };
    let default = load(MINIMAL).unwrap().notices.ends_soon.unwrap();
    assert_eq!(default.to_string(), "25%");
    assert_eq!(share("10%").as_deref(), Some("10%"));
    assert_eq!(share("off"), None);
    for wrong in ["0%", "91%", "-5%", "25", "2.5%", "%", "never"] {
        let told = complaint(&format!("[notices]\nends_soon = '{wrong}'"));
        assert!(
            told.contains("`ends_soon` of [notices] cannot be used") && told.contains("\"off\""),
            "{told}"
        );
    }
}

/// A minimal file with a table for a place where anchors are kept.
fn with_place(keys: &str) -> Result<Config, String> {
    load(&format!("{MINIMAL}[evidence.anchor.vault]\n{keys}\n"))
}

#[test]
fn anchors_are_kept_where_the_tables_say() {
    let config = with_place("kind = 'file'\nfolder = 'anchors'").unwrap();
    let place = &config.evidence.anchors["vault"];
    assert_eq!(place.every, Duration::from_secs(86_400));
    assert!(
        matches!(&place.kind, PlaceKind::File { folder } if folder.ends_with("anchors")),
        "{place:?}"
    );
    let http =
        "kind = 'http'\nurl = 'https://anchors.example.org/x'\ntoken_env = 'TOKEN'\nevery = '12h'";
    let place = &with_place(http).unwrap().evidence.anchors["vault"];
    assert_eq!(place.every, Duration::from_secs(43_200));
    assert!(!format!("{place:?}").contains("canary"));
    let s3 = "kind = 's3'\nbucket = 'acme-anchors'\nprefix = 'a/b'\nregion = 'eu-central-1'\naccess_key = 'AKIA1'\nsecret_key_env = 'TOKEN'";
    let place = &with_place(s3).unwrap().evidence.anchors["vault"];
    let PlaceKind::S3(bucket) = &place.kind else {
        panic!("{place:?}")
    };
    assert_eq!(
        (bucket.name.as_str(), bucket.prefix.as_str()),
        ("acme-anchors", "a/b")
    );

    let (odd_bucket, odd_prefix) = (
        s3.replace("acme-anchors", "Acme"),
        s3.replace("a/b", "../b"),
    );
    for (keys, says) in [
        ("", "`kind` of [evidence.anchor.vault] is missing"),
        ("kind = 'paper'", "which is no kind of place"),
        (
            "kind = 'file'",
            "`folder` of [evidence.anchor.vault] is missing",
        ),
        (
            "kind = 'file'\nfolder = 'a'\nevery = '5m'",
            "from 10m to 31d",
        ),
        (
            "kind = 'file'\nfolder = 'a'\nbucket = 'b'",
            "`bucket` of [evidence.anchor.vault] is unknown",
        ),
        (
            "kind = 'http'\nurl = 'http://anchors.example.org'\ntoken_env = 'TOKEN'",
            "https://",
        ),
        (
            "kind = 'http'\nurl = 'https://x.org'",
            "`token_env` of [evidence.anchor.vault] is missing",
        ),
        (
            "kind = 'http'\nurl = 'https://x.org'\ntoken = 'canary-1'",
            "secrets do not stand in this file",
        ),
        (odd_bucket.as_str(), "the name of a bucket"),
        (odd_prefix.as_str(), "without a slash at either end"),
    ] {
        let error = with_place(keys).unwrap_err();
        assert!(error.contains(says), "{keys}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let odd = format!("{MINIMAL}[evidence.anchor.Vault]\nkind = 'file'\nfolder = 'a'\n");
    let error = load(&odd).unwrap_err();
    assert!(
        error.contains("`Vault` of [evidence.anchor] is no name of a place"),
        "{error}"
    );
}

/// One section of each channel, right in everything.
const CHANNELS: [(&str, &str); 3] = [
    (
        "slack",
        "events = ['waiting', 'safe-mode']\nchannel = 'C012'\ntoken_env = 'TOKEN'\n",
    ),
    (
        "http",
        "events = ['granted']\nurl = 'https://events.example.org/x'\nsecret_env = 'EVENTS'\n",
    ),
    (
        "mail",
        "events = ['ended']\nserver = 'smtp.example.org'\nusername = 'h'\npassword_env = 'TOKEN'\nfrom = 'H <h@example.org>'\nto = 'o@example.org'\n",
    ),
];

fn load_channels(toml: &str) -> Result<Config, String> {
    let mut env = secrets();
    env.insert(
        "EVENTS",
        "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTEyMzQ=",
    );
    load_with(&format!("{MINIMAL}{toml}"), &env)
}

#[test]
fn nobody_is_told_anything_elsewhere_unless_each_channel_says_what() {
    let none = load(MINIMAL).unwrap().channels;
    assert!(none.slack.is_none() && none.http.is_none() && none.mail.is_none());
    let sections = CHANNELS.map(|(name, keys)| format!("[notices.{name}]\n{keys}"));
    let all = load_channels(&sections.concat()).unwrap();
    let (slack, mail) = (all.channels.slack.unwrap(), all.channels.mail.unwrap());
    assert_eq!(slack.telling.topics.len(), 2);
    assert_eq!(slack.telling.people, None);
    assert_eq!(slack.api.url.as_str(), "https://slack.com/api");
    assert_eq!(mail.port, 587);
    assert!(all.channels.http.is_some());
    let people = CHANNELS[0].1.to_owned() + "people = true\nidentity = 'slack-id'\n";
    let people = load_channels(&format!("[notices.slack]\n{people}")).unwrap();
    let people = people.channels.slack.unwrap().telling.people;
    assert_eq!(people.unwrap().as_str(), "slack-id");
    for (name, keys) in CHANNELS {
        let silent: String = keys.lines().skip(1).map(|l| format!("{l}\n")).collect();
        let told = load_channels(&format!("[notices.{name}]\n{silent}")).unwrap_err();
        assert!(
            told.contains("`events`") && told.contains("safe-mode"),
            "{told}"
        );
        let odd = keys.replacen("events = [", "events = ['garnted', ", 1);
        let told = load_channels(&format!("[notices.{name}]\n{odd}")).unwrap_err();
        assert!(
            told.contains("unknown \"garnted\"") && told.contains("`granted`"),
            "{told}"
        );
        let told = load_channels(&format!("[notices.{name}]\n{keys}nonsense = 1\n"));
        assert!(told.unwrap_err().contains("`nonsense`"), "{name}");
    }
}

#[test]
fn a_channel_takes_no_secret_in_the_file_and_no_connection_that_others_can_read() {
    for (section, says) in [
        (
            "[notices.slack]\nevents = []\nchannel = 'C1'\ntoken = 'xoxb-1'\n",
            "is a secret",
        ),
        (
            "[notices.slack]\nevents = []\nchannel = '#access'\ntoken_env = 'TOKEN'\n",
            "the channel's id",
        ),
        (
            "[notices.http]\nevents = []\nurl = 'http://example.org'\nsecret_env = 'EVENTS'\n",
            "https://",
        ),
        (
            "[notices.http]\nevents = []\nurl = 'https://example.org'\nsecret_env = 'TOKEN'\n",
            "whsec_",
        ),
        (
            "[notices.mail]\nevents = []\nserver = 'smtp.example.org'\ntls = 'none'\nfrom = 'a@b'\nto = 'a@b'\n",
            "another machine",
        ),
        (
            "[notices.mail]\nevents = []\nserver = 'smtp://x'\nfrom = 'a@b'\nto = 'a@b'\n",
            "alone",
        ),
        (
            "[notices.mail]\nevents = []\nserver = 'localhost'\nfrom = 'nobody'\nto = 'a@b'\n",
            "an address",
        ),
        ("[notices]\nreminders = ['1s']\n", "at least a minute"),
        ("[notices]\nreminders = ['soon']\n", "Write the pauses"),
        ("[notices]\nslack = 'C1'\n", "is not a table"),
    ] {
        let told = load_channels(section).expect_err(section);
        assert!(told.contains(says), "{section}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
}

const PAGE: &str = "[page]\nurl = 'https://hallpass.example.org'\nclient_id = 'Iv1.0123'\nauditors = ['@acme/Auditors', 'Ada', '@olga']\n";

#[test]
fn the_page_is_off_unless_it_is_configured() {
    assert!(load(MINIMAL).unwrap().page.is_none());
    assert!(load(EXAMPLE).unwrap().page.is_none());
    let mut env = secrets();
    env.insert("HALLPASS_CLIENT_SECRET", "canary-client");
    let config = load_with(&format!("{MINIMAL}{PAGE}"), &env).unwrap();
    let page = config.page.unwrap();
    assert_eq!(page.url.as_str(), "https://hallpass.example.org/");
    assert_eq!(page.client_secret.expose_secret(), "canary-client");
    let auditors: Vec<String> = page.auditors.iter().map(ToString::to_string).collect();
    assert_eq!(auditors, ["@ada", "@olga", "@acme/auditors"]);
    let file = format!("{MINIMAL}{PAGE}client_secret_file = 'secret'\n");
    let page = load(&file).unwrap().page.unwrap();
    assert_eq!(page.client_secret.expose_secret(), "from the file");
}

#[test]
fn what_is_wrong_with_the_page_is_said_with_what_to_write() {
    let with = |from: &str, to: &str| {
        complaint(&format!(
            "{}client_secret_file = 'secret'\n",
            PAGE.replace(from, to)
        ))
    };
    for (from, to, said) in [
        ("https:", "http:", "Write https:// and a host"),
        ("example.org", "example.org/path", "without a path"),
        (
            "example.org",
            "example.org/?a=b",
            "Write https:// and a host",
        ),
        ("Iv1.0123", "Iv1 0123", "\"Client ID\""),
        (
            "@acme/Auditors",
            "acme/auditors",
            "neither a login nor a team",
        ),
        ("auditors", "auditor", "`auditor` of [page] is unknown"),
    ] {
        let found = with(from, to);
        assert!(found.contains(said), "{to}: {found}");
    }
    let missing = complaint("[page]\n");
    for key in ["url", "client_id", "HALLPASS_CLIENT_SECRET"] {
        assert!(missing.contains(key), "{key}: {missing}");
    }
    let plain = complaint(&format!("{PAGE}client_secret = 'canary-written'\n"));
    assert!(!plain.contains("canary"), "{plain}");
    assert!(plain.contains("HALLPASS_CLIENT_SECRET"), "{plain}");
}
