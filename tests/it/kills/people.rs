//! What people do while the service is killed, and what must have become of it at the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use hallpass::clock::{Clock as _, SystemClock};
use hallpass::domain::model::{Instant, PullNumber};
use hallpass::sandbox::{Change, MergeMethod, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinHandle;

use crate::audit::Desk;
use crate::badges::Badges;
use crate::running::{PATIENCE, open, until};
use crate::world::{REPO, World, file, grant, main_tip, person, person_file};

/// Who asks.
pub const PEOPLE: [&str; 5] = ["ada", "mei", "noor", "otto", "pia"];

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is approved, and given back once it was given.
    Kept,
    /// It is approved, and over soon by time: perhaps before it could be given.
    Short,
    /// Nobody approves it.
    Unapproved,
    /// Nobody approves it, and an administrator merges it.
    Smuggled,
}

impl Wish {
    fn any(dice: &mut StdRng) -> Self {
        match dice.random_range(0..10) {
            0..5 => Self::Kept,
            5..8 => Self::Short,
            8 => Self::Unapproved,
            _ => Self::Smuggled,
        }
    }
}

/// A request that was made.
#[derive(Debug)]
pub struct Asked {
    /// The short name of its file.
    pub name: String,
    /// What became of it.
    pub wish: Wish,
    /// Where it was asked.
    pub pull: PullNumber,
}

/// Where it all happens.
pub struct Stage {
    pub world: World,
    pub badges: Badges,
    over: AtomicBool,
}

impl Stage {
    /// A world by the real time, in which everybody is known.
    pub fn open(world: World, badges: Badges) -> Arc<Self> {
        for who in PEOPLE {
            let id = world.sandbox.member(who);
            let known = Change::write(person_file(who), person(who, id));
            let pushed = world
                .sandbox
                .push_to_main("root", REPO, &[known], "Somebody comes");
            pushed.unwrap();
        }
        let clock = Arc::clone(&world.clock);
        tokio::spawn(async move {
            loop {
                clock.advance(SystemClock.now() - clock.now());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Arc::new(Self {
            world,
            badges,
            over: AtomicBool::new(false),
        })
    }

    /// Everybody begins to ask.
    pub fn begin(self: &Arc<Self>, dice: &mut StdRng) -> Vec<JoinHandle<Vec<Asked>>> {
        let live = |&who: &&'static str| {
            let dice = StdRng::seed_from_u64(dice.random());
            tokio::spawn(live(Arc::clone(self), who, dice))
        };
        PEOPLE.iter().map(live).collect()
    }

    /// Waits until the stand-in of GitHub was called so often, or has not been for a while.
    pub async fn called(&self, times: u64) {
        let count = || self.world.sandbox.calls().values().sum::<u64>();
        let enough = count() + times;
        let wait = async {
            while count() < enough {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // That there is nothing to do is a moment like any other.
        let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
    }

    /// From here on nobody begins anything new. Waits until everything is over and tidied up, and tells what was asked.
    pub async fn ended(&self, people: Vec<JoinHandle<Vec<Asked>>>) -> Vec<Asked> {
        self.over.store(true, Ordering::SeqCst);
        let mut asked = Vec::new();
        for person in people {
            asked.extend(person.await.unwrap());
        }
        until("nothing is left to tidy up", || {
            self.world.open_pulls().is_empty() && self.standing().is_empty()
        })
        .await;
        asked
    }

    /// The grants that stand on the protected branch.
    fn standing(&self) -> Vec<String> {
        let git = git2::Repository::open(self.world.repository_path()).unwrap();
        let tip = git2::Oid::from_str(main_tip(&self.world).as_str()).unwrap();
        let tree = git.find_commit(tip).unwrap().tree().unwrap();
        let Ok(grants) = tree.get_path(Path::new("access/grants/db")) else {
            return Vec::new();
        };
        let grants = git.find_tree(grants.id()).unwrap();
        let names = grants.iter().map(|file| file.name().unwrap().to_owned());
        names.collect()
    }

    /// What became of each request, at the target and in the evidence, which an auditor can believe: each access was given once and taken
    /// once, but for so many calls that came `late` and were set right. How many were given.
    pub fn assert_told(&self, asked: &[Asked], late: usize) -> usize {
        let Self { world, badges, .. } = self;
        let evidence = world.evidence();
        let mut given = 0;
        for Asked { name, wish, pull } in asked {
            let path = format!("Path: access/grants/{name}.yaml\n");
            let of_this: Vec<_> = evidence.iter().filter(|m| m.contains(&path)).collect();
            let told = |kind: &str| {
                let kind = format!("Event: {kind}\n");
                of_this.iter().filter(|m| m.contains(&kind)).count()
            };
            let effects = badges.effects(&format!("{name}@"));
            let signs: String = effects.iter().map(|what| &what[..1]).collect();
            let all = || format!("{name} {wish:?} {effects:?} {of_this:#?}");
            let (granted, revoked) = (told("granted"), told("revoked"));
            // What was about to be given when its server was killed is taken, whether or not it had been.
            assert!(granted <= revoked && revoked <= 1, "{}", all());
            assert_eq!(signs, "+-".repeat(signs.len() / 2), "{}", all());
            assert_eq!(signs.is_empty(), granted == 0, "{}", all());
            given += granted;
            let pull = world.sandbox.pull(REPO, *pull);
            let merged = pull.merged.is_some();
            assert!(!pull.open, "{}", all());
            match wish {
                Wish::Kept | Wish::Smuggled => assert!(merged, "{}", all()),
                Wish::Unapproved => assert!(!merged, "{}", all()),
                Wish::Short => assert!(merged || granted == 0, "{}", all()),
            }
            match wish {
                Wish::Kept => assert_eq!((granted, told("approved")), (1, 1), "{}", all()),
                Wish::Short => assert!(revoked + told("cancelled") <= 1, "{}", all()),
                Wish::Smuggled => {
                    let unproved = told("merged-without-proof");
                    assert_eq!((granted, unproved), (0, 1), "{}", all());
                }
                Wish::Unapproved => assert_eq!(granted, 0, "{}", all()),
            }
        }
        let all = badges.effects("");
        assert!(all.len() <= 2 * (given + late), "{late} late: {all:?}");
        assert_eq!(badges.holders(), Vec::<String>::new());
        for doubt in ["drifted", "safe-mode"] {
            assert_eq!(world.told(doubt), Vec::<String>::new());
        }
        world.assert_each_event_once();
        let (code, said) = Desk::of(world).verify(&[]);
        assert_eq!(code, 0, "{said}");
        world.assert_contract();
        given
    }
}

/// One person's requests, one after the other, to the end of each.
async fn live(stage: Arc<Stage>, who: &'static str, mut dice: StdRng) -> Vec<Asked> {
    let mut all = Vec::new();
    // However slow the machine is, each is given something.
    while all.is_empty() || !stage.over.load(Ordering::SeqCst) {
        let wish = if all.is_empty() {
            Wish::Kept
        } else {
            Wish::any(&mut dice)
        };
        let name = format!("db/{who}-{}", all.len());
        all.push(stage.ask((who, name, wish), &mut dice).await);
    }
    all
}

async fn pause(most: u64, dice: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(dice.random_range(0..most))).await;
}

impl Stage {
    /// Waits until something is so that follows from a pull request, over as many lives as that takes.
    async fn until(&self, what: &str, pull: PullNumber, so: impl Fn() -> bool) {
        let waits = async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waits).await.is_err() {
            let pull = self.world.sandbox.pull(REPO, pull);
            let checks = self.world.sandbox.checks(REPO, &pull.head_sha);
            let evidence = self.world.evidence();
            panic!("waited in vain until {what}: {pull:#?} {checks:#?} {evidence:#?}");
        }
    }

    async fn ask(
        &self,
        (who, name, wish): (&'static str, String, Wish),
        dice: &mut StdRng,
    ) -> Asked {
        let (world, sandbox) = (&self.world, &self.world.sandbox);
        let ends = SystemClock.now() + TimeDelta::seconds(dice.random_range(4..12));
        let text = grant(who, "readonly", "2h");
        let text = match wish {
            Wish::Short => text.replace("duration: 2h", &until_then(ends)),
            _ => text,
        };
        let branch = name.replace('/', "-");
        let pull = open(world, who, &branch, Change::write(file(&name), text));
        pause(600, dice).await;
        match wish {
            Wish::Unapproved => {
                sandbox.close_pull(who, REPO, pull).unwrap();
            }
            Wish::Smuggled => {
                let merged = sandbox.merge_as_admin("root", REPO, pull, MergeMethod::Merge);
                merged.unwrap();
            }
            Wish::Kept | Wish::Short => {
                let owner = ["grace", "linus"][dice.random_range(0..2_usize)];
                let approved = sandbox.review(owner, REPO, pull, Verdict::Approve, "Fine with me.");
                approved.unwrap();
            }
        }
        let effects = || self.badges.effects(&format!("{name}@")).len();
        match wish {
            Wish::Kept => {
                let given = format!("{name} is given");
                self.until(&given, pull, || effects() > 0).await;
                pause(1500, dice).await;
                let back = Change::delete(file(&name));
                let back = open(world, who, &format!("{branch}-back"), back);
                let taken = format!("{name} is taken back");
                self.until(&taken, back, || effects() > 1).await;
            }
            Wish::Short => {
                let over = || SystemClock.now() > ends && effects() % 2 == 0;
                self.until(&format!("{name} is over"), pull, over).await;
                if sandbox.pull(REPO, pull).merged.is_none() {
                    // It is too late for it, or it is merged in this moment.
                    let _ = sandbox.close_pull(who, REPO, pull);
                }
            }
            Wish::Unapproved | Wish::Smuggled => pause(2000, dice).await,
        }
        Asked { name, wish, pull }
    }
}

fn until_then(ends: Instant) -> String {
    format!("expires: {}", ends.format("%Y-%m-%dT%H:%M:%SZ"))
}
