//! CODEOWNERS: whether every path has an owner, and whether the owners are there.

use std::collections::BTreeSet;

use super::{Area, Line};
use crate::domain::catalogue::Catalogue;
use crate::domain::codeowners::{LOCATIONS, Ownership};
use crate::domain::model::{Owner, RepoPath};
use crate::domain::pull::{Lookup, Roster};

/// Paths that stand for their folders: whoever owns these decides by what rules access is given.
const CONTROL: [&str; 6] = [
    "access/people/anybody.yaml",
    "access/services/any.yaml",
    "access/resources/any.yaml",
    "access/policies/any.cedar",
    "access/grants/any/any.yaml",
    ".gitattributes",
];

/// How many faults of one kind are told one by one.
const SHOWN: usize = 10;

/// The paths that need an owner, and the owners that the tree asks of the forge.
pub fn asked(tree: &Catalogue) -> BTreeSet<Owner> {
    let owned = paths(tree);
    let owned = owned.iter().map(|path| tree.codeowners.owners(path));
    owned.flat_map(|found| found.owners().to_vec()).collect()
}

/// Whether every path has an owner who is there. `theirs` is what GitHub itself finds wrong with the file.
pub fn owners(tree: &Catalogue, roster: &Roster, theirs: &[String]) -> Vec<Line> {
    let mut lines = Vec::new();
    let problems = &tree.codeowners.problems;
    for problem in problems.iter().take(SHOWN) {
        let place = format!("{}:{}", problem.path, problem.line);
        lines.push(Line::failure(
            Area::Owners,
            format!("{place}: {}", problem.message),
            problem.help.clone(),
        ));
    }
    if problems.is_empty() {
        for error in theirs.iter().take(SHOWN) {
            lines.push(Line::failure(
                Area::Owners,
                format!("GitHub says of CODEOWNERS: {error}"),
                "Repair the line; GitHub leaves it out until then.",
            ));
        }
    }
    lines.push(unowned(tree));
    lines.extend(asked(tree).iter().map(|owner| there(owner, roster)));
    lines
}

fn paths(tree: &Catalogue) -> Vec<RepoPath> {
    let of_resources = tree.resources.keys().flat_map(|name| {
        [
            format!("access/grants/{name}/any.yaml"),
            format!("access/resources/{name}.yaml"),
        ]
    });
    let names = CONTROL.into_iter().chain(LOCATIONS).map(str::to_owned);
    // Names of resources are plain, and the others are ours.
    names
        .chain(of_resources)
        .filter_map(|path| RepoPath::new(&path).ok())
        .collect()
}

/// Whether every path that decides about access has an owner.
pub fn unowned(tree: &Catalogue) -> Line {
    let paths = paths(tree);
    let unowned: Vec<&str> = paths
        .iter()
        .filter(|path| !matches!(tree.codeowners.owners(path), Ownership::Owned { .. }))
        .map(RepoPath::as_str)
        .collect();
    if unowned.is_empty() {
        return Line::pass(
            Area::Owners,
            "every path under access/, and CODEOWNERS itself, has an owner",
        );
    }
    let more = unowned.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    let shown: Vec<&str> = unowned.iter().copied().take(SHOWN).collect();
    Line::failure(
        Area::Owners,
        format!("nobody owns {}{more}", shown.join(", ")),
        "Give them owners in CODEOWNERS (`hallpass owners PATH` tells which line decides): what nobody owns, nobody can approve, and \
         what decides must not change without review.",
    )
}

fn there(owner: &Owner, roster: &Roster) -> Line {
    let write =
        || format!("Give {owner} write access to the repository: GitHub takes no owner without.");
    let replace = || format!("Name somebody else than {owner} in CODEOWNERS, or make it exist.");
    let absent = || Line::failure(Area::Owners, format!("there is no {owner}"), replace());
    let failed = |why: &String| {
        Line::unknown(
            Area::Owners,
            format!("GitHub does not tell about {owner}: {why}"),
            "Try again; what cannot be looked up is denied.",
        )
    };
    match owner {
        Owner::Email(_) => Line::warning(
            Area::Owners,
            format!(
                "{owner} is an address: whose it is, GitHub does not tell, so that it approves nothing"
            ),
            "Name the person by login, or a team.",
        ),
        Owner::User(login) => match roster.users.get(login) {
            Some(Lookup::Found(user)) if user.can_write => {
                Line::pass(Area::Owners, format!("{owner} is there"))
            }
            Some(Lookup::Found(_)) => {
                Line::failure(Area::Owners, format!("{owner} may not write"), write())
            }
            Some(Lookup::Failed(why)) => failed(why),
            Some(Lookup::Absent) | None => absent(),
        },
        Owner::Team { .. } => match roster.teams.get(owner) {
            Some(Lookup::Found(team)) if !team.can_write => {
                Line::failure(Area::Owners, format!("{owner} may not write"), write())
            }
            Some(Lookup::Found(team)) => match team.members.len() {
                0 => Line::failure(
                    Area::Owners,
                    format!("{owner} has no members"),
                    format!("Add at least two people to {owner}."),
                ),
                1 => Line::warning(
                    Area::Owners,
                    format!("{owner} has one member, for whose own requests nobody is left"),
                    format!("Add a second person to {owner}."),
                ),
                n => Line::pass(Area::Owners, format!("{owner} has {n} members")),
            },
            Some(Lookup::Failed(why)) => failed(why),
            Some(Lookup::Absent) | None => absent(),
        },
    }
}
