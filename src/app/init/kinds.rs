//! What a first resource may be given by: for each kind of connection, what it usually gives and what the server must be told.

/// A kind of connection, as it begins.
#[derive(Debug)]
pub struct Beginning {
    /// The kind, as the configuration names it.
    pub kind: &'static str,
    /// The connection's name, unless there are several of a kind.
    pub connection: &'static str,
    /// The keys of what is given, each with its usual value; `RESOURCE` and `ORGANISATION` stand for those.
    pub gives: &'static [(&'static str, &'static str)],
    /// The lines of its table after `kind`. `ORGANISATION` stands for it.
    pub table: &'static str,
}

impl Beginning {
    /// The kind of this name.
    pub fn of(kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.kind == kind)
    }

    /// The names of all kinds.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|known| known.kind)
    }

    /// Whether accounts are logins of GitHub.
    pub fn is_github(&self) -> bool {
        self.kind.starts_with("github-")
    }
}

const ORGANISATION: &str = "organisation = \"ORGANISATION\"\n";
const AWS: &str = "region = \"eu-central-1\"\naccess_key = \"AKIAIOSFODNN7EXAMPLE\"\n\
     # The environment variable (or with secret_key_file: the file) that holds the key's secret.\nsecret_key_env = \"AWS_SECRET_KEY\"\n";

const KINDS: [Beginning; 13] = [
    Beginning {
        kind: "aws-iam",
        connection: "aws-iam",
        gives: &[("group", "RESOURCE")],
        table: AWS,
    },
    Beginning {
        kind: "aws-identity-center",
        connection: "aws",
        gives: &[("group", "RESOURCE")],
        table: AWS,
    },
    Beginning {
        kind: "command",
        connection: "command",
        gives: &[("group", "RESOURCE")],
        table: "# It must stand in [server] programs too.\nprogram = \"/opt/hallpass/RESOURCE\"\n",
    },
    Beginning {
        kind: "github-deployment",
        connection: "deployments",
        gives: &[
            ("repository", "ORGANISATION/RESOURCE"),
            ("environment", "production"),
        ],
        table: ORGANISATION,
    },
    Beginning {
        kind: "github-organization-role",
        connection: "github-roles",
        gives: &[("role", "all_repo_read")],
        table: ORGANISATION,
    },
    Beginning {
        kind: "github-repository",
        connection: "github-code",
        gives: &[("repository", "RESOURCE"), ("role", "write")],
        table: ORGANISATION,
    },
    Beginning {
        kind: "github-team",
        connection: "github",
        gives: &[("team", "RESOURCE")],
        table: ORGANISATION,
    },
    Beginning {
        kind: "ldap",
        connection: "directory",
        gives: &[("group", "cn=RESOURCE,ou=groups,dc=example,dc=org")],
        table: "url = \"ldaps://ldap.example.org\"\nbind_dn = \"cn=hallpass,ou=services,dc=example,dc=org\"\n\
                # The environment variable (or with password_file: the file) that holds its password.\npassword_env = \"DIRECTORY_PASSWORD\"\n\
                accounts = \"ou=people,dc=example,dc=org\"\ngroups = \"ou=groups,dc=example,dc=org\"\n",
    },
    Beginning {
        kind: "mysql",
        connection: "mysql",
        gives: &[("role", "RESOURCE_ro")],
        table: "# The environment variable (or with url_file: the file) that holds\n\
                # mysql://hallpass:password@shop.example.org/?ssl-mode=VERIFY_IDENTITY\nurl_env = \"MYSQL_URL\"\n",
    },
    Beginning {
        kind: "okta",
        connection: "okta",
        gives: &[("group", "RESOURCE")],
        table: "url = \"https://acme.okta.com\"\n\
                # The environment variable (or with token_file: the file) that holds the token.\ntoken_env = \"OKTA_TOKEN\"\n",
    },
    Beginning {
        kind: "postgres",
        connection: "postgres",
        gives: &[("role", "RESOURCE_ro")],
        table: "# The environment variable (or with url_file: the file) that holds\n\
                # postgres://hallpass:password@orders.example.org/orders?sslmode=verify-full\nurl_env = \"POSTGRES_URL\"\n",
    },
    Beginning {
        kind: "scim",
        connection: "scim",
        gives: &[("group", "RESOURCE")],
        table: "url = \"https://api.slack.com/scim/v2\"\n\
                # The environment variable (or with token_file: the file) that holds the token.\ntoken_env = \"SCIM_TOKEN\"\n",
    },
    Beginning {
        kind: "webhook",
        connection: "webhook",
        gives: &[("group", "RESOURCE")],
        table: "url = \"https://access.example.org/hallpass\"\n\
                # The environment variable (or with secret_file: the file) that holds whsec_ and 24 to 64 bytes in base64.\n\
                secret_env = \"WEBHOOK_SIGNING_SECRET\"\n",
    },
];
