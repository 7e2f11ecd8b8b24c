//! A real OpenLDAP server for the tests: in a folder of its own, on free ports, gone when the test process is.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapResult, Mod, dn_escape};

/// Below which everything stands.
pub const SUFFIX: &str = "dc=example,dc=org";

/// Makes a directory and its certificates, serves it, and waits for the end of its standard input: that comes however the test
/// process dies. Hallpass may read, and write only who is in a group.
const SCRIPT: &str = r#"
set -eu
folder=$(mktemp -d)
cd "$folder"
exec 3>&2 2> log
mkdir data
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
for name in ca stranger; do
  openssl req -x509 $ec -keyout $name.key -out $name.pem -days 2 -subj /CN=$name -addext basicConstraints=critical,CA:TRUE
done
openssl req $ec -keyout key.pem -out request.pem -subj /CN=localhost
echo 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cert.pem -extfile names
cat > slapd.conf <<CONF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
# As Active Directory names them.
attributetype ( 1.2.840.113556.1.4.150 NAME 'adminCount' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.1412 NAME 'primaryGroupToken' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( member \$ adminCount \$ primaryGroupToken ) )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP top STRUCTURAL MUST cn MAY ( sAMAccountName \$ objectGUID \$ primaryGroupID ) )
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile $folder/cert.pem
TLSCertificateKeyFile $folder/key.pem
TLSCACertificateFile $folder/ca.pem
database mdb
directory $folder/data
maxsize 268435456
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw admin
lastbind on
# Longer lists come in parts of at most 500.
limits dn.exact="cn=hallpass,dc=example,dc=org" size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
# \`writer\` writes who is in a group and does not see it, and \`veiled\` does neither.
# Of entries of this name everybody but the administrator sees nothing, and \`dim\` sees not by what people are found.
access to dn.regex="^cn=secret," by * none
access to dn.regex="^uid=.*" attrs=entryUUID,uid by dn.exact="cn=dim,dc=example,dc=org" none by * break
access to attrs=member,uniqueMember,memberUid by dn.exact="cn=hallpass,dc=example,dc=org" write by dn.exact="cn=writer,dc=example,dc=org" =w by dn.exact="cn=reader,dc=example,dc=org" read by dn.exact="cn=dim,dc=example,dc=org" read by * none
access to * by dn.exact="cn=hallpass,dc=example,dc=org" read by dn.exact="cn=reader,dc=example,dc=org" read by dn.exact="cn=dim,dc=example,dc=org" read by dn.exact="cn=writer,dc=example,dc=org" read by dn.exact="cn=veiled,dc=example,dc=org" read by * none
CONF
PATH="$PATH:/usr/sbin"
slapd -f slapd.conf -h "ldap://127.0.0.1:$1 ldaps://127.0.0.1:$2" -d 0 < /dev/null > /dev/null &
server=$!
echo "$folder"
cat > /dev/null
kill -KILL "$server" || true
wait "$server" || true
rm -rf "$folder"
"#;

/// What is done to the values of an attribute: `Mod::Add`, `Mod::Delete`.
pub type Change = fn(Vec<u8>, HashSet<Vec<u8>>) -> Mod<Vec<u8>>;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    guard: Child,
    port: u16,
    tls_port: u16,
    folder: PathBuf,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// The server that all tests share. Each test has a branch of its own.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    #[expect(clippy::disallowed_methods, reason = "tests start a real server")]
    fn start() -> Server {
        let (port, tls_port) = (free_port(), free_port());
        let mut guard = Command::new("sh")
            .args(["-c", SCRIPT, "sh", &port.to_string(), &tls_port.to_string()])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt at the terminal reaches us; the end of our pipe then tells the script.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut folder)
            .unwrap();
        let folder = PathBuf::from(folder.trim());
        assert!(
            folder.is_absolute(),
            "the tests need OpenLDAP and OpenSSL (`apt-get install slapd openssl`), and a directory could not be set up"
        );
        Server {
            guard,
            port,
            tls_port,
            folder,
        }
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it listens with TLS.
    pub fn tls_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.tls_port))
    }

    /// A file of the server: `ca.pem` signed its certificate, `stranger.pem` did not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A connection of the administrator, who prepares the tests. The tree's root and the accounts of Hallpass are there.
    pub async fn admin(&self) -> Ldap {
        let url = format!("ldap://{}", self.address());
        let mut last = None;
        for _ in 0..600 {
            match LdapConnAsync::new(&url).await {
                Ok((connection, mut ldap)) => {
                    tokio::spawn(connection.drive());
                    let bound = ldap.simple_bind("cn=admin,dc=example,dc=org", "admin");
                    bound.await.unwrap().success().unwrap();
                    self.plant(&mut ldap).await;
                    return ldap;
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("OpenLDAP does not answer: {last:?}")
    }

    async fn plant(&self, ldap: &mut Ldap) {
        let root = [
            ("objectClass", "dcObject"),
            ("objectClass", "organization"),
            ("o", "x"),
            ("dc", "example"),
        ];
        // Whoever comes first makes them.
        let _ = add(ldap, SUFFIX, &root).await;
        for name in ["hallpass", "reader", "dim", "blind", "writer", "veiled"] {
            let account = [
                ("objectClass", "organizationalRole"),
                ("objectClass", "simpleSecurityObject"),
                ("cn", name),
                ("userPassword", "secret"),
            ];
            let _ = add(ldap, &format!("cn={name},{SUFFIX}"), &account).await;
        }
    }

    /// Makes an entry; it must be possible.
    pub async fn add(&self, dn: &str, attributes: &[(&str, &str)]) {
        let added = add(&mut self.admin().await, dn, attributes).await;
        assert_eq!(added.rc, 0, "{dn}: {added}");
    }

    /// Makes a part of the tree.
    pub async fn add_unit(&self, dn: &str) {
        self.add(dn, &[("objectClass", "organizationalUnit")]).await;
    }

    /// Makes the account of a person.
    pub async fn add_person(&self, base: &str, uid: &str) -> LdapResult {
        let dn = person(base, uid);
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", uid),
            ("cn", "Ada"),
            ("sn", "L"),
        ];
        add(&mut self.admin().await, &dn, &attributes).await
    }

    /// Calls an entry otherwise, and moves it where that is wanted. Nothing that names it is changed.
    pub async fn rename(&self, dn: &str, rdn: &str, superior: Option<&str>) {
        let mut admin = self.admin().await;
        let renamed = admin.modifydn(dn, rdn, true, superior).await;
        renamed.unwrap().success().unwrap();
    }

    /// Lets the groups below `base` name `new` where they name `old`, or nobody, as the overlay `refint` would.
    pub async fn mend(&self, base: &str, old: &str, new: Option<&str>) {
        let mut admin = self.admin().await;
        let filter = format!("(member={})", ldap3::ldap_escape(old));
        let found = admin.search(base, ldap3::Scope::Subtree, &filter, ["cn"]);
        let (found, _) = found.await.unwrap().success().unwrap();
        for entry in found {
            let group = ldap3::SearchEntry::construct(entry).dn;
            if let Some(new) = new {
                self.modify(&group, Mod::Add, "member", new).await;
            }
            self.modify(&group, Mod::Delete, "member", old).await;
        }
    }

    /// Removes an entry.
    pub async fn delete(&self, dn: &str) {
        let mut admin = self.admin().await;
        admin.delete(dn).await.unwrap().success().unwrap();
    }

    /// Adds one value, or removes it.
    pub async fn modify(&self, dn: &str, change: Change, attribute: &str, value: impl AsRef<[u8]>) {
        let values = HashSet::from([value.as_ref().to_vec()]);
        let changes = vec![change(attribute.as_bytes().to_vec(), values)];
        let mut admin = self.admin().await;
        admin.modify(dn, changes).await.unwrap().success().unwrap();
    }

    /// What an attribute of an entry holds.
    pub async fn values(&self, dn: &str, attribute: &str) -> Vec<String> {
        let mut admin = self.admin().await;
        let found = admin
            .search(dn, ldap3::Scope::Base, "(objectClass=*)", [attribute])
            .await
            .unwrap();
        let (mut found, _) = found.success().unwrap();
        let mut entry = ldap3::SearchEntry::construct(found.remove(0));
        let mut values = entry.attrs.remove(attribute).unwrap_or_default();
        values.sort();
        values
    }
}

/// The name of a person's account.
pub fn person(base: &str, uid: &str) -> String {
    format!("uid={},{base}", dn_escape(uid))
}

async fn add(ldap: &mut Ldap, dn: &str, attributes: &[(&str, &str)]) -> LdapResult {
    let mut together: Vec<(&str, HashSet<&str>)> = Vec::new();
    for (name, value) in attributes {
        match together.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => drop(values.insert(*value)),
            None => together.push((*name, HashSet::from([*value]))),
        }
    }
    ldap.add(dn, together).await.unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
