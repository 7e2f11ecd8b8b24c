//! Which roles give control of the server: told from what `SHOW GRANTS` says of them. What is not known to be harmless counts.

/// Privileges on everything (`*.*`) that reach neither the tables of accounts nor the server's settings and files. All others are
/// refused, so that a privilege of a later version is.
const HARMLESS: [&str; 11] = [
    "USAGE",
    "SHOW DATABASES",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "SHOW VIEW",
    "PROCESS",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "SLAVE MONITOR",
    "REPLICA MONITOR",
    "XA_RECOVER_ADMIN",
];

/// The grant through which whoever has all of these (each a line of `SHOW GRANTS`) would control the server, or hand something on.
pub(super) fn control(grants: &[String]) -> Option<&str> {
    let found = grants.iter().find(|line| !harmless(line));
    found.map(String::as_str)
}

/// Whether our own account, with these grants, sees everybody's sessions.
pub(super) fn sees_sessions(grants: &[String]) -> bool {
    grants.iter().any(|line| {
        let (bare, _) = bare(line);
        let given = bare.strip_prefix("GRANT ").and_then(everywhere);
        given.is_some_and(|list| {
            list.split(", ")
                .any(|p| p == "PROCESS" || p == "ALL PRIVILEGES")
        })
    })
}

/// The privileges of a grant on everything.
fn everywhere(grant: &str) -> Option<&str> {
    let (list, object) = grant.split_once(" ON ")?;
    object.starts_with("*.*").then_some(list)
}

fn harmless(line: &str) -> bool {
    let (bare, names) = bare(line);
    if bare.starts_with("REVOKE ") {
        return true; // It takes something back from a grant that is judged without it.
    }
    let Some(grant) = bare.strip_prefix("GRANT ") else {
        return false;
    };
    if grant.ends_with(" OPTION") {
        return false; // WITH GRANT OPTION, WITH ADMIN OPTION
    }
    let Some((list, object)) = grant.split_once(" ON ") else {
        return true; // A role; its own grants are judged too.
    };
    if object.starts_with("*.*") {
        return list.split(", ").all(|p| HARMLESS.contains(&p.trim()));
    }
    // The first name after ON is the database; those before it are columns.
    let database = names.get(list.matches('?').count());
    list != "PROXY" && database.is_some_and(|name| !like(name, "mysql"))
}

/// A line with `?` for each quoted name, and the names.
fn bare(line: &str) -> (String, Vec<String>) {
    let (mut bare, mut names) = (String::new(), Vec::new());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if !matches!(c, '`' | '\'' | '"') {
            bare.push(c);
            continue;
        }
        let mut name = String::new();
        while let Some(inner) = rest.next() {
            if inner == c && rest.next_if_eq(&c).is_none() {
                break;
            }
            name.push(inner);
        }
        bare.push('?');
        names.push(name);
    }
    (bare, names)
}

/// Whether a name of a database in a grant, which is a pattern, covers `name`. Upper and lower case count as the same.
fn like(pattern: &str, name: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => name.is_empty(),
        Some('%') => {
            let rest = characters.as_str();
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|tail| like(rest, tail)))
        }
        Some('_') => {
            let mut left = name.chars();
            left.next().is_some() && like(characters.as_str(), left.as_str())
        }
        Some(c) => {
            let wanted = match c {
                '\\' => characters.next().unwrap_or('\\'),
                other => other,
            };
            let mut left = name.chars();
            let same = left.next().is_some_and(|c| c.eq_ignore_ascii_case(&wanted));
            same && like(characters.as_str(), left.as_str())
        }
    }
}
