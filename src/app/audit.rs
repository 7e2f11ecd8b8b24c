//! Asking the evidence in a clone: needs no service, no network and no secret.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use chrono::TimeDelta;
use git2::Repository;
use rayon::prelude::*;

use crate::clock::{Clock, SystemClock};
use crate::domain::anchor::{self, SignedAnchor};
use crate::domain::audit::{
    Anchor, Brought, Chain, Checked, Lives, Problem, Promise, Proved, Rule, Seen, Verified,
    check_main, check_story, replay,
};
use crate::domain::catalogue::Catalogue;
use crate::domain::evidence::{DecidedOn, Record, digest, instant};
use crate::domain::model::{CommitId, GrantPath, Instant};
use crate::domain::parse;
use crate::repo::anchored_by;
use crate::repo::read::{self, Signatures};

/// Where the evidence is.
#[derive(Debug, Clone)]
pub struct Place {
    /// A folder in the clone.
    pub folder: PathBuf,
    /// The evidence branch; `None`: the usual one.
    pub evidence: Option<String>,
    /// The protected branch; `None`: the one that the clone's remote names.
    pub main: Option<String>,
}

/// Names of the evidence branch that are tried, the remote's first: what is local may be old.
const EVIDENCE: [&str; 2] = [
    "refs/remotes/origin/hallpass/evidence",
    "refs/heads/hallpass/evidence",
];

/// Names of the protected branch that are tried.
const MAIN: [&str; 3] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/heads/main",
];

/// A clone with evidence.
pub struct Clone {
    repo: Repository,
    evidence: CommitId,
    main: Option<CommitId>,
}

impl std::fmt::Debug for Clone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clone")
            .field("evidence", &self.evidence)
            .field("main", &self.main)
            .finish_non_exhaustive()
    }
}

/// What the evidence tells, believed as it is written.
#[derive(Debug, Default)]
pub struct Told {
    /// Every life.
    pub lives: Lives,
    /// The commits that hold no record, or none that can be read.
    pub left_out: Vec<CommitId>,
}

impl Told {
    /// That something was left out, in a sentence; `None` where nothing was.
    pub fn doubt(&self) -> Option<String> {
        let (first, more) = self.left_out.split_first()?;
        let which = match more.len() {
            0 => format!("commit {first} on the evidence branch holds no record that can be read"),
            n => format!(
                "commit {first} on the evidence branch and {n} more hold no record that can be read"
            ),
        };
        Some(format!(
            "{which}: left out here; ask `hallpass audit verify` what is wrong"
        ))
    }
}

/// The instant of asking.
pub fn now() -> Instant {
    SystemClock.now()
}

/// The public keys in the files, on one line each.
///
/// # Errors
/// When a file cannot be read, holds a line that is no key, or no key at all.
pub fn public_keys(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for file in files {
        let found = read::public_keys(file)?;
        if found.is_empty() {
            bail!("{} holds no key", file.display());
        }
        keys.extend(found);
    }
    Ok(keys)
}

impl Clone {
    /// Opens the clone and finds its branches.
    ///
    /// # Errors
    /// When there is no clone, or no evidence in it: says how to get it.
    pub fn open(place: &Place) -> anyhow::Result<Self> {
        let repo = read::open(&place.folder)?;
        let found = |asked: &Option<String>, usual: &[&str]| match asked {
            Some(name) => read::resolve(&repo, name).map(Some),
            None => Ok(usual
                .iter()
                .find_map(|name| read::resolve(&repo, name).ok())),
        };
        let Some(evidence) = found(&place.evidence, &EVIDENCE)? else {
            bail!(
                "this clone has no branch hallpass/evidence; fetch it with `git fetch origin hallpass/evidence:refs/remotes/origin/hallpass/evidence`, or name another with --evidence"
            );
        };
        let main = found(&place.main, &MAIN)?;
        Ok(Self {
            repo,
            evidence,
            main,
        })
    }

    /// Where the clone came from, as git has it; `None` where it has no origin.
    pub fn origin(&self) -> Option<String> {
        let origin = self.repo.find_remote("origin").ok()?;
        origin.url().ok().map(str::to_owned)
    }

    /// Every life that the evidence tells of, without what cannot be read: whoever may push to the branch must not be able to keep the
    /// rest from being read. Signatures are not looked at: [`Clone::verify`] does that.
    ///
    /// # Errors
    /// When the branch cannot be read.
    pub fn lives(&self) -> anyhow::Result<Told> {
        let mut told = Told::default();
        read::links(&self.repo, &self.evidence, Signatures::Ignored, |link| {
            let record = link.record.as_deref().map(Record::read);
            match record {
                Some(Ok(record)) => told.lives.add(&link.commit, record),
                Some(Err(_)) | None => told.left_out.push(link.commit),
            }
        })?;
        Ok(told)
    }

    /// The last record.
    ///
    /// # Errors
    /// When the tip of the branch cannot be read or is no record.
    pub fn anchor(&self) -> anyhow::Result<Anchor> {
        let bytes = read::record(&self.repo, &self.evidence)?
            .context("the tip of the evidence branch holds no record")?;
        let record = Record::read(&bytes)?;
        Ok(Anchor {
            seq: record.seq,
            record: digest(&bytes),
            commit: self.evidence.clone(),
            at: record.at,
        })
    }

    /// Checks everything: that the evidence is whole, that what it tells was right, that git agrees. Also returns what it tells, which
    /// is read once for both. Without a key in `trusted`, signatures are not looked at. `progress` is told how many records were read.
    ///
    /// # Errors
    /// When the clone cannot be read.
    pub fn verify(
        &self,
        trusted: Vec<String>,
        anchors: &[Brought],
        late: TimeDelta,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<(Verified, Lives)> {
        let keys = trusted.len() as u64;
        let (mut chain, signatures) = match keys {
            0 => (Chain::without_keys(), Signatures::Ignored),
            _ => (Chain::new(trusted), Signatures::Checked),
        };
        let (mut seen, mut lives) = (Seen::default(), Lives::default());
        let (mut count, mut anchor) = (0, None);
        let mut held: HashMap<u64, Option<String>> =
            anchors.iter().map(|a| (a.anchor.seq, None)).collect();
        read::links(&self.repo, &self.evidence, signatures, |link| {
            count += 1;
            if count % 10_000 == 0 {
                progress(count);
            }
            let Some(Checked { record, digest }) = chain.next(&link) else {
                return;
            };
            if let Some(held) = held.get_mut(&record.seq) {
                *held = Some(digest.clone());
            }
            seen.add(&link.commit, &record);
            anchor = Some(Anchor {
                seq: record.seq,
                record: digest,
                commit: link.commit.clone(),
                at: record.at,
            });
            lives.add(&link.commit, record);
        })?;
        let (proved, against) = weighed(anchors, &held, chain.keys().as_ref());
        let mut problems = chain.finish();
        problems.extend(against);
        problems.extend(check_story(&lives, Promise { late, now: now() }));
        let (mut replayed, mut commits) = (0, 0);
        if let Some(main) = &self.main {
            let (found, looked_for) = self.explained(main, &seen)?;
            commits = looked_for;
            problems.extend(found);
            problems.extend(self.rules(&seen)?);
            let (found, done) = self.replay(&seen)?;
            replayed = done;
            problems.extend(found);
        }
        problems.extend(seen.into_problems());
        let verified = Verified {
            evidence: self.evidence.clone(),
            main: self.main.clone(),
            keys,
            anchors: anchors.len() as u64,
            proved,
            records: count,
            grants: lives.iter().count() as u64,
            replayed,
            commits,
            anchor,
            problems,
        };
        Ok((verified, lives))
    }

    /// Whether each commit of the protected branch since the first look is told of, and how many there are.
    fn explained(&self, main: &CommitId, seen: &Seen) -> anyhow::Result<(Vec<Problem>, u64)> {
        let line: HashSet<String> = read::first_parents(&self.repo, main)?
            .iter()
            .map(ToString::to_string)
            .collect();
        let since = seen.first_look().map(CommitId::new).transpose()?;
        let since = since.filter(|commit| line.contains(commit.as_str()));
        let commits = read::governed(&self.repo, since.as_ref(), main)?;
        let found = check_main(seen, &commits, |commit| line.contains(commit));
        Ok((found, commits.len() as u64))
    }

    /// Whether each commit that judged holds the rules that the evidence says it does.
    fn rules(&self, seen: &Seen) -> anyhow::Result<Vec<Problem>> {
        let mut found = Vec::new();
        for (base, told) in seen.decided() {
            let there = read::objects(&self.repo, base, &DecidedOn::PATHS);
            for (commit, on) in told {
                let message = match &there {
                    Ok(there) if *there == on.objects => continue,
                    Ok(_) => format!("it names other rules than commit {base} holds"),
                    Err(_) => format!("commit {base}, which judged, is not in this clone"),
                };
                found.push(Problem {
                    rule: Rule::RulesDiffer,
                    commit: Some(commit.clone()),
                    message,
                });
            }
        }
        Ok(found)
    }

    /// Makes each decision again by what git holds. Returns how many.
    fn replay(&self, seen: &Seen) -> anyhow::Result<(Vec<Problem>, u64)> {
        // Most bases hold the same rules: they are read once.
        let mut groups: BTreeMap<&BTreeMap<String, String>, Vec<&(CommitId, Record)>> =
            BTreeMap::new();
        for given in seen.given() {
            if let Some(on) = &given.1.decided_on {
                groups.entry(&on.objects).or_default().push(given);
            }
        }
        let (mut found, mut done) = (Vec::new(), 0);
        for group in groups.into_values() {
            let Some(base) = group[0].1.decided_on.as_ref().map(|on| &on.base) else {
                continue;
            };
            // What cannot be read was told by `rules`.
            let Ok(files) = read::control_files(&self.repo, base) else {
                continue;
            };
            let base = parse::read_tree(&files);
            let folder = self.repo.path();
            let told: Vec<Vec<Problem>> = group
                .par_chunks(256)
                .map(|part| again(folder, &base, part))
                .collect();
            found.extend(told.into_iter().flatten());
            done += group.len() as u64;
        }
        Ok((found, done))
    }
}

/// What the anchors prove of records whose digests are `held`, and what is wrong with the others.
fn weighed(
    anchors: &[Brought],
    held: &HashMap<u64, Option<String>>,
    keys: Option<&BTreeSet<String>>,
) -> (Vec<Proved>, Vec<Problem>) {
    let (mut proved, mut against) = (Vec::new(), Vec::new());
    let mut say = |rule, message| {
        against.push(Problem {
            rule,
            commit: None,
            message,
        });
    };
    for brought in anchors {
        let (anchor, name) = (&brought.anchor, &brought.name);
        let Some(vouched) = brought.vouched(keys) else {
            let said = match &brought.signer {
                Some(key) => format!("{name} is signed by {key}, which nobody vouches for"),
                None => format!("{name} was changed after it was signed, or its signature was"),
            };
            say(Rule::AnchorForged, said);
            continue;
        };
        if held.get(&anchor.seq) == Some(&Some(anchor.record.clone())) {
            proved.push(Proved {
                name: name.clone(),
                seq: anchor.seq,
                at: anchor.at,
                vouched,
            });
            continue;
        }
        let said = format!(
            "by {name}, record {} of {} had the digest {}; the branch holds no such record any more: it was cut or rewritten",
            anchor.seq,
            instant(anchor.at),
            anchor.record
        );
        say(Rule::AnchorMissing, said);
    }
    proved.sort_by_key(|proved| proved.seq);
    (proved, against)
}

/// The anchors in a file, or in every file of a folder that is called as the service calls them: as `hallpass audit anchor` prints them, or
/// as the service writes them.
///
/// # Errors
/// When a file cannot be read or is no anchor, and when a folder holds none.
pub fn anchors(path: &Path) -> anyhow::Result<Vec<Brought>> {
    if !path.is_dir() {
        return Ok(vec![brought(path)?]);
    }
    let shown = path.display();
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {shown}"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if anchor::number_in(&name).is_some() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        bail!(
            "{shown} holds no file that is called as anchors are: anchor-20261123T090000Z-000000000042.json"
        );
    }
    files.sort();
    files.iter().map(|file| brought(file)).collect()
}

fn brought(file: &Path) -> anyhow::Result<Brought> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Ok(anchor) = serde_json::from_slice::<Anchor>(&bytes) {
        return Ok(Brought {
            name,
            anchor,
            signer: None,
            is_signed: false,
        });
    }
    let signed =
        SignedAnchor::read(&bytes).map_err(|why| anyhow!("{shown} is no anchor: {why}"))?;
    Ok(Brought {
        name,
        anchor: signed.head(),
        signer: anchored_by(signed.signed_part().as_bytes(), &signed.signature),
        is_signed: true,
    })
}

/// Judges some grants again, with a handle of its own.
fn again(folder: &Path, base: &Catalogue, given: &[&(CommitId, Record)]) -> Vec<Problem> {
    let Ok(repo) = Repository::open(folder) else {
        return Vec::new();
    };
    let one = |(commit, record): &&(CommitId, Record)| {
        let problem = |message: String| {
            vec![Problem {
                rule: Rule::NotApproved,
                commit: Some(commit.clone()),
                message,
            }]
        };
        let grant = record.grant.as_deref().unwrap_or("a grant");
        let path = record
            .path
            .as_deref()
            .and_then(|path| GrantPath::new(path).ok());
        let merge = record
            .merge
            .as_deref()
            .and_then(|id| CommitId::new(id).ok());
        let Some((path, merge)) = path.zip(merge) else {
            return problem(format!("{grant}: it names no file and no merge"));
        };
        let file = match read::grant_file(&repo, &merge, &path) {
            Ok(Some(file)) if Some(&file.blob) == record.blob.as_ref() => file,
            Ok(_) => {
                let said = format!("{grant}: commit {merge} does not hold that content at {path}");
                return problem(said);
            }
            Err(_) => return problem(format!("{grant}: commit {merge} is not in this clone")),
        };
        let tree = parse::read_tree(&[file]);
        match tree.grants.get(&path) {
            Some(declared) => replay(commit, record, base, &declared.grant),
            None => problem(format!("{grant}: the file at {path} is no request")),
        }
    };
    given.iter().flat_map(one).collect()
}
