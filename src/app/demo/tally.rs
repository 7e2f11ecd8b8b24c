//! What each part of a request's life cost, as the stand-in counted it.

use std::collections::BTreeMap;
use std::ops::Add;

/// The most calls of the forge that one request's life should take.
pub const TARGET: u64 = 30;

/// Calls, by what they were for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// REST calls that read the pull request, its reviews and owners, publish the check, merge.
    pub forge: u64,
    /// REST calls that give, take and read back the membership: what any other target system would be asked instead.
    pub target: u64,
    /// Fetches and pushes.
    pub git: u64,
    /// Tokens of the App.
    pub tokens: u64,
}

impl Tally {
    /// Sorts what the stand-in counted; `pushes` were done by people.
    pub fn of(calls: &BTreeMap<String, u64>, pushes: u64) -> Self {
        let mut tally = Self::default();
        for (operation, count) in calls {
            let kind = match operation.as_str() {
                o if o.starts_with("GIT ") => &mut tally.git,
                o if o.ends_with("/access_tokens") || o.ends_with("/installation") => {
                    &mut tally.tokens
                }
                o if o.contains("/memberships/")
                    || o.ends_with("/invitations")
                    || o.ends_with("/teams/{team_slug}")
                    || o.ends_with("/user/{account_id}")
                    || o.ends_with("/users/{username}") =>
                {
                    &mut tally.target
                }
                _ => &mut tally.forge,
            };
            *kind += count;
        }
        // Who holds a membership is asked in two calls: the members, as for an owners' team, and the invitations.
        let listed = calls
            .iter()
            .filter(|(operation, _)| operation.ends_with("/invitations"))
            .map(|(_, count)| count)
            .sum::<u64>()
            .min(tally.forge);
        tally.git = tally.git.saturating_sub(pushes);
        tally.forge -= listed;
        tally.target += listed;
        tally
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            forge: self.forge + other.forge,
            target: self.target + other.target,
            git: self.git + other.git,
            tokens: self.tokens + other.tokens,
        }
    }
}
