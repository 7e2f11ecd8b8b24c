//! What people do, at random: what they should, what they should not, and what they do to each other.

use chrono::TimeDelta;
use git2::Oid;
use hallpass::domain::model::PullNumber;
use hallpass::domain::pull::{PullState, ReviewState};
use hallpass::store::Wake;
use hallpass::worker::Resync;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};

use super::faults::Weather;
use super::hub::{Asked, Edit, is_grant};
use super::model::{Ask, LIST_IS_GOOD, ROLES, Role};
use super::world::{DBA, OPS, PEOPLE, STAFF, World, person, staff};

/// How many requests may be open before somebody sees to them: each is judged anew whenever another is merged, which proves little.
const CROWD: usize = 7;

impl World {
    pub(super) fn below(&mut self, n: u32) -> u32 {
        self.dice.random_range(0..n)
    }

    /// In `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_ratio(percent, 100)
    }

    pub(super) fn somebody(&mut self) -> &'static str {
        PEOPLE.choose(&mut self.dice).unwrap()
    }

    fn open(&self) -> Vec<Asked> {
        let pulls = self.hub.pulls().into_iter();
        let open = pulls.filter(|asked| asked.state == PullState::Open);
        open.filter(|asked| !asked.is_ours()).collect()
    }

    fn some_open(&mut self) -> Option<Asked> {
        let open = self.open();
        open.choose(&mut self.dice).cloned()
    }

    /// A request for somebody, mostly as it should be.
    pub(super) fn ask(&mut self, person: &str) -> Ask {
        let role: Role = *ROLES.choose(&mut self.dice).unwrap();
        let longest = u32::try_from(role.longest).unwrap();
        let minutes = match self.below(10) {
            0 => i64::from(longest) + 30,
            1..=6 => 5 * i64::from(self.dice.random_range(1..=12)),
            _ => 5 * i64::from(self.dice.random_range(1..=longest / 5)),
        };
        Ask {
            person: person.to_owned(),
            role,
            minutes,
            note: u64::from(self.dice.random_range(0..u32::MAX)),
        }
    }

    pub(super) fn file_of(&mut self, ask: &Ask) -> Edit {
        let text = ask.text();
        let blob = Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()).unwrap();
        self.model.wrote(blob, ask);
        let path = format!(
            "access/grants/{}/{}-{}.yaml",
            ask.role.resource,
            ask.person,
            ask.note % 40
        );
        (path, Some(text))
    }

    /// One thing that somebody does.
    pub async fn act(&mut self) {
        if self.open().len() > CROWD {
            match self.below(10) {
                0..=1 => self.closes(),
                2 => self.merges_past_the_rules(),
                _ => self.decides(),
            }
            return;
        }
        match self.below(100) {
            0..=9 => self.asks(),
            10..=24 => self.asks_for_many(),
            25..=39 => self.cheats(),
            40..=59 => self.decides(),
            60..=64 => self.changes_after_approval(),
            65..=68 => self.objects(),
            69..=71 => self.merges_past_the_rules(),
            72..=73 => self.pushes_past_the_rules(),
            74..=77 => self.renews(),
            78..=81 => self.gives_back(),
            82..=84 => self.reviewers_change(),
            85 => self.comes_or_goes(),
            86..=88 => self.touches_the_target(),
            89..=90 => self.closes(),
            91..=92 => self.asks_again_what_ended(),
            93..=94 => self.asks_for_control(),
            _ => self.calls().await,
        }
    }

    fn asks(&mut self) {
        let (author, person) = match self.below(5) {
            0 => (self.somebody(), self.somebody()),
            _ => {
                let who = self.somebody();
                (who, who)
            }
        };
        let ask = self.ask(person);
        let edit = self.file_of(&ask);
        let path = edit.0.clone();
        let number = self.opens(author, &[edit]);
        let (role, minutes) = (ask.role.name, ask.minutes);
        self.tell(format!(
            "{author} asks in #{number} for {role} for {person}, {minutes} minutes, in {path}"
        ));
    }

    /// The same for many at once, as for a shift that begins: one request, and a life for each of them.
    fn asks_for_many(&mut self) {
        let author = self.somebody();
        let mut many: Vec<String> = staff().collect();
        many.shuffle(&mut self.dice);
        many.truncate(self.dice.random_range(20..=STAFF));
        let ask = self.ask(author);
        let edits: Vec<Edit> = many
            .into_iter()
            .map(|person| {
                let note = u64::from(self.dice.random_range(0..u32::MAX));
                self.file_of(&Ask {
                    person,
                    note,
                    ..ask.clone()
                })
            })
            .collect();
        let number = self.opens(author, &edits);
        let (role, minutes, people) = (ask.role.name, ask.minutes, edits.len());
        self.tell(format!(
            "{author} asks in #{number} for {role} for {people} people, {minutes} minutes"
        ));
    }

    /// Opens a pull request that asks for access: as many lives more as it has grants.
    pub(super) fn opens(&mut self, author: &str, edits: &[Edit]) -> u64 {
        let grants = edits.iter().filter(|(path, _)| is_grant(path));
        self.lives += grants.count();
        self.requests += 1;
        self.hub.opens(author, edits)
    }

    /// Somebody approves, mostly an owner, of what is there now or of what was there.
    fn decides(&mut self) {
        let Some(asked) = self.some_open() else {
            return;
        };
        let at_queue = self.hub.touches(&asked, "access/grants/queue/");
        let owners = if at_queue { OPS } else { DBA };
        let who = match self.below(8) {
            0 => self.somebody(),
            1 if asked.touches_control => "root",
            2 if PEOPLE.contains(&asked.author.as_str()) => asked.author.as_str(),
            _ => owners.choose(&mut self.dice).unwrap(),
        };
        let number = asked.number;
        self.hub
            .reviews(who, number, ReviewState::Approved, asked.head);
        self.tell(format!("{who} approves #{number}"));
    }

    fn changes_after_approval(&mut self) {
        let Some(asked) = self.some_open() else {
            return;
        };
        let who = match self.below(3) {
            0 => self.somebody().to_owned(),
            _ => asked.author.clone(),
        };
        let ask = self.ask(&who);
        let mut edit = self.file_of(&ask);
        let files = self.hub.grants(asked.head);
        let base = self.hub.grants(self.hub.main());
        let own = files
            .iter()
            .find(|(path, blob)| base.get(*path) != Some(blob));
        if let Some((path, _)) = own {
            edit.0.clone_from(path);
        }
        let number = asked.number;
        self.hub.pushes(&who, number, &[edit]);
        self.tell(format!("{who} pushes to #{number}"));
    }

    fn objects(&mut self) {
        let Some(asked) = self.some_open() else {
            return;
        };
        let owners = [DBA, OPS].concat();
        let who = *owners.choose(&mut self.dice).unwrap();
        let number = asked.number;
        if self.chance(40) && !asked.reviews.is_empty() {
            let by = asked.reviews.choose(&mut self.dice).unwrap().by.clone();
            self.hub.dismisses(number, &by);
            self.tell(format!("somebody dismisses what {by} said on #{number}"));
        } else {
            let state = match self.below(3) {
                0 => ReviewState::Commented,
                _ => ReviewState::ChangesRequested,
            };
            self.hub.reviews(who, number, state, asked.head);
            self.tell(format!("{who} says {state:?} on #{number}"));
        }
    }

    /// An administrator can merge anything; what decides is left alone, because the reference knows it by heart.
    fn merges_past_the_rules(&mut self) {
        let Some(asked) = self.some_open().filter(|a| !a.touches_control) else {
            return;
        };
        let number = asked.number;
        let merged = self.hub.merges("root", number, "Because I can");
        self.tell(format!("root merges #{number}: {}", merged.is_some()));
    }

    fn pushes_past_the_rules(&mut self) {
        let who = self.somebody();
        let ask = self.ask(who);
        let edit = self.file_of(&ask);
        self.tell(format!("root pushes {} to main", edit.0));
        self.hub.pushes_to_main(&[edit]);
    }

    /// A file that stands on the protected branch, and what it asks for.
    fn some_standing(&mut self) -> Option<(String, Ask)> {
        let now = self.now();
        let standing: Vec<(String, Ask)> = self
            .model
            .arrived
            .iter()
            .filter(|a| a.gone.is_none() && a.ends().is_some_and(|ends| ends > now))
            .filter_map(|a| Some((a.path.clone(), a.ask.clone()?)))
            .collect();
        standing.choose(&mut self.dice).cloned()
    }

    fn renews(&mut self) {
        let Some((path, before)) = self.some_standing() else {
            return;
        };
        let mut ask = self.ask(&before.person);
        // Now and then it asks for another role by the way.
        if !self.chance(15) {
            ask.role = before.role;
        }
        let edit = (path.clone(), self.file_of(&ask).1);
        let who = before.person.clone();
        let number = self.opens(&who, &[edit]);
        let (role, minutes) = (ask.role.name, ask.minutes);
        self.tell(format!(
            "{who} asks in #{number} for {role} for {minutes} minutes in {path}, which stands already"
        ));
    }

    fn gives_back(&mut self) {
        let Some((path, before)) = self.some_standing() else {
            return;
        };
        let who = match self.below(3) {
            0 => self.somebody().to_owned(),
            _ => before.person,
        };
        if self.chance(15) {
            self.tell(format!("root removes {path} from main"));
            self.hub.pushes_to_main(&[(path.clone(), None)]);
            if self.chance(40) {
                let text = self.model.text_at(&path);
                self.tell(format!("root puts {path} back at once"));
                self.hub.pushes_to_main(&[(path, text)]);
            }
            return;
        }
        let number = self.hub.opens(&who, &[(path.clone(), None)]);
        self.tell(format!("{who} gives back {path} in #{number}"));
    }

    fn reviewers_change(&mut self) {
        let (team, of) = match self.below(2) {
            0 => ("dba", DBA),
            _ => ("ops", OPS),
        };
        let who = *of.choose(&mut self.dice).unwrap();
        let is_in = self.hub.is_in(team, who);
        if is_in && self.chance(60) {
            self.hub.leaves(team, who);
            self.tell(format!("{who} leaves {team}"));
        } else if !is_in && self.hub.is_member(who) {
            self.hub.joins(team, who);
            self.tell(format!("{who} joins {team}"));
        }
    }

    fn comes_or_goes(&mut self) {
        let who = self.somebody();
        let now = self.now();
        if self.model.left.contains_key(who) {
            return;
        }
        // Few: the brake is for many at once.
        if self.model.left.len() >= 3 {
            return;
        }
        let known = if self.chance(50) {
            self.hub.leaves_organisation(who);
            self.tell(format!("{who} leaves the organisation"));
            now + LIST_IS_GOOD
        } else {
            let (path, _) = person(who);
            self.hub.pushes_to_main(&[(path, None)]);
            self.tell(format!("{who}'s file is removed"));
            now
        };
        self.model.left.insert(who.to_owned(), known);
    }

    fn touches_the_target(&mut self) {
        let target = self.targets.choose(&mut self.dice).unwrap().clone();
        let who = self.somebody().to_owned();
        let roles = ROLES.iter().filter(|role| role.target == target.name);
        let roles: Vec<&Role> = roles.collect();
        let gives = roles.choose(&mut self.dice).unwrap().gives.to_owned();
        let held = (gives, who);
        let name = target.name;
        if self.chance(50) {
            if target.give_by_hand(&held) {
                self.tell(format!("{held:?} is given by hand at {name}"));
                self.model.given_by_hand(name, &held);
            }
        } else if target.take_by_hand(&held) {
            self.tell(format!("{held:?} is taken by hand at {name}"));
            self.model.taken_by_hand(name, &held);
        }
    }

    fn closes(&mut self) {
        let pulls = self.hub.pulls().into_iter();
        let open: Vec<Asked> = pulls.filter(|a| a.state == PullState::Open).collect();
        if let Some(asked) = open.choose(&mut self.dice) {
            self.hub.closes(asked.number);
            self.tell(format!("#{} is closed", asked.number));
        }
    }

    /// The very file of a grant that ended.
    fn asks_again_what_ended(&mut self) {
        let now = self.now();
        let ended: Vec<(String, Ask)> = self
            .model
            .arrived
            .iter()
            .filter(|a| a.gone.is_some() || a.ends().is_some_and(|ends| ends <= now))
            .filter_map(|a| Some((a.path.clone(), a.ask.clone()?)))
            .collect();
        let Some((path, ask)) = ended.choose(&mut self.dice).cloned() else {
            return;
        };
        let edit = (path.clone(), Some(ask.text()));
        if self.chance(30) {
            self.tell(format!("root puts {path} back on main"));
            self.hub.pushes_to_main(&[edit]);
            return;
        }
        let number = self.opens(&ask.person, &[edit]);
        self.tell(format!("#{number} puts {path} back"));
    }

    /// A request that changes who decides about it.
    fn asks_for_control(&mut self) {
        let who = self.somebody();
        let ask = self.ask(who);
        let edit = self.file_of(&ask);
        let owners = format!("* @{who}\n");
        let control = (".github/CODEOWNERS".to_owned(), Some(owners));
        let number = self.opens(who, &[edit, control]);
        self.tell(format!("{who} asks in #{number}, and to own everything"));
    }

    /// A webhook comes, of something or of nothing.
    async fn calls(&mut self) {
        let wake = match self.below(4) {
            0 => Wake::Main,
            1 => Wake::Members,
            _ => {
                let number = u64::from(self.below(200));
                Wake::Pull(PullNumber(number))
            }
        };
        self.wakes(wake).await;
    }

    /// Some time passes, some people do something, and the service sees to it, however often it dies on the way.
    pub async fn goes_on(&mut self) {
        // Mostly so that what was merged at different times ends at once.
        let seconds = match self.below(10) {
            0..=3 => 300,
            4..=6 => 300 * self.dice.random_range(1..=6),
            7 => 300 * self.dice.random_range(6..=48),
            _ => self.dice.random_range(1..1_800),
        };
        let odd = self.now().timestamp() % 300;
        let seconds = if seconds % 300 == 0 {
            seconds - odd
        } else {
            seconds
        };
        let weather = match self.below(10) {
            0..=4 => Weather::default(),
            5..=7 => Weather {
                failing: 5,
                deadly: 0,
            },
            8 => Weather {
                failing: 30,
                deadly: 5,
            },
            _ => Weather {
                failing: 0,
                deadly: 20,
            },
        };
        self.passes(TimeDelta::seconds(seconds), weather).await;
        for target in ["vault", "bus"] {
            if self.chance(6) {
                let down = !self.faults.is_down(target);
                self.faults.down(target, down);
                self.tell(format!("{target} is down: {down}"));
            }
        }
        for _ in 0..self.dice.random_range(6..=24) {
            self.act().await;
        }
        let resync = match self.chance(75) {
            true => Resync::Everything,
            false => Resync::QueueOnly,
        };
        self.run(resync).await;
        self.check().await;
        self.note_ledger().await;
        self.tidies();
    }
}
