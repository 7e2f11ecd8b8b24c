//! What people do to get what is not theirs, or to keep what was: each ends where it should be refused, if not by one rule then by another.

use hallpass::domain::pull::ReviewState;
use rand::seq::IndexedRandom;

use super::hub::Edit;
use super::model::{Ask, ROLES};
use super::world::{DBA, OPS, World};

impl World {
    /// One attempt, from the request to the approval that should not count.
    pub(super) fn cheats(&mut self) {
        match self.below(10) {
            0 | 1 => self.changes_what_was_approved(),
            2 => self.approves_own_request(),
            3 => self.approves_own_access(),
            4 => self.pushes_and_approves(),
            5 => self.approves_too_late(),
            6 => self.goes_past_an_objection(),
            7 => self.revives_an_approval(),
            8 => self.asks_for_too_long(),
            _ => self.brings_rules_along(),
        }
    }

    /// A request by `author` for `person`. Its number, what it asks for, and its owners in any order.
    fn asked_by(&mut self, author: &str, person: &str) -> (u64, Ask, Vec<&'static str>) {
        let mut ask = self.ask(person);
        ask.minutes = ask.minutes.min(ask.role.longest);
        let edit = self.file_of(&ask);
        self.asked_with(author, ask, &[edit])
    }

    fn asked_with(
        &mut self,
        author: &str,
        ask: Ask,
        edits: &[Edit],
    ) -> (u64, Ask, Vec<&'static str>) {
        let number = self.opens(author, edits);
        let owners = owners(&ask);
        let first = self.below(3) as usize;
        let turned = [&owners[first..], &owners[..first]].concat();
        self.tell(format!(
            "{author} asks in #{number} for {} for {}, {} minutes",
            ask.role.name, ask.person, ask.minutes
        ));
        (number, ask, turned)
    }

    fn says(&mut self, who: &str, state: ReviewState, number: u64) {
        let head = self.hub.asked(number).head;
        self.hub.reviews(who, number, state, head);
        self.tell(format!("{who} says {state:?} on #{number}"));
    }

    fn approve(&mut self, who: &[&str], number: u64) {
        for who in who {
            self.says(who, ReviewState::Approved, number);
        }
    }

    fn changes_what_was_approved(&mut self) {
        let who = self.somebody();
        let (number, ask, owners) = self.asked_by(who, who);
        self.approve(&owners, number);
        let path = self.file_of(&ask).0;
        let other = Ask {
            minutes: ask.role.longest,
            ..ask
        };
        let (_, text) = self.file_of(&other);
        self.hub.pushes(who, number, &[(path, text)]);
        self.tell(format!("{who} then asks for more in #{number}"));
    }

    fn approves_own_request(&mut self) {
        let person = self.somebody();
        let role = *ROLES.choose(&mut self.dice).unwrap();
        let mut ask = self.ask(person);
        (ask.role, ask.minutes) = (role, ask.minutes.min(role.longest));
        let author = *owners(&ask).choose(&mut self.dice).unwrap();
        let edit = self.file_of(&ask);
        let (number, ask, others) = self.asked_with(author, ask, &[edit]);
        self.approve_with(author, &others, ask.role.approvals, number);
    }

    fn approves_own_access(&mut self) {
        let author = self.somebody();
        let mut ask = self.ask(author);
        ask.minutes = ask.minutes.min(ask.role.longest);
        let person = *owners(&ask).choose(&mut self.dice).unwrap();
        person.clone_into(&mut ask.person);
        let edit = self.file_of(&ask);
        let (number, ask, others) = self.asked_with(author, ask, &[edit]);
        self.approve_with(person, &others, ask.role.approvals, number);
    }

    fn pushes_and_approves(&mut self) {
        let author = self.somebody();
        let (number, ask, owners) = self.asked_by(author, author);
        let pusher = owners[0];
        let again = Ask {
            note: ask.note + 40,
            ..ask.clone()
        };
        let edit = self.file_of(&again);
        self.hub.pushes(pusher, number, &[edit]);
        self.tell(format!("{pusher} pushes to #{number}"));
        self.approve_with(pusher, &owners, ask.role.approvals, number);
    }

    /// `who` is one of just so many who approve.
    fn approve_with(&mut self, who: &str, others: &[&str], approvals: usize, number: u64) {
        let others = others.iter().filter(|other| **other != who);
        let others: Vec<&str> = others.take(approvals - 1).copied().collect();
        self.approve(&[who], number);
        self.approve(&others, number);
    }

    fn approves_too_late(&mut self) {
        let who = self.somebody();
        let (number, _, owners) = self.asked_by(who, who);
        self.hub.merges("root", number, "Because I can");
        self.tell(format!("root merges #{number}"));
        // The forge counts whole seconds: in the same one, nobody can tell which came first.
        self.clock.advance(chrono::TimeDelta::seconds(2));
        self.approve(&owners, number);
    }

    fn goes_past_an_objection(&mut self) {
        let who = self.somebody();
        let (number, _, owners) = self.asked_by(who, who);
        self.says(owners[0], ReviewState::ChangesRequested, number);
        self.approve(&owners[1..], number);
        if self.chance(50) {
            self.hub.dismisses(number, owners[0]);
            self.tell(format!("somebody dismisses what {} said", owners[0]));
        }
    }

    fn revives_an_approval(&mut self) {
        let who = self.somebody();
        let (number, ask, owners) = self.asked_by(who, who);
        for owner in &owners[..ask.role.approvals] {
            self.approve(&[owner, owner], number);
            self.hub.dismisses(number, owner);
            self.tell(format!("somebody dismisses what {owner} said last"));
        }
    }

    fn asks_for_too_long(&mut self) {
        let who = self.somebody();
        let mut ask = self.ask(who);
        ask.minutes = ask.role.longest + 30;
        let edit = self.file_of(&ask);
        let (number, _, owners) = self.asked_with(who, ask, &[edit]);
        self.approve(&owners, number);
    }

    fn brings_rules_along(&mut self) {
        let who = self.somebody();
        let ask = self.ask(who);
        let edit = self.file_of(&ask);
        let rules = "* @acme/security\n/access/grants/db/ @acme/dba\n/access/grants/queue/ @acme/ops\n/docs/ @acme/ops\n";
        let control = (".github/CODEOWNERS".to_owned(), Some(rules.to_owned()));
        let (number, _, owners) = self.asked_with(who, ask, &[edit, control]);
        self.approve(&owners, number);
        self.approve(&["root"], number);
    }
}

/// Whose approval counts at first.
fn owners(ask: &Ask) -> [&'static str; 3] {
    if ask.role.owners == "ops" { OPS } else { DBA }
}
