//! What the service sees of the forge.

use std::collections::BTreeSet;

use async_trait::async_trait;
use hallpass::domain::label::Label;
use hallpass::domain::model::{Actor, CommitId, Instant, Owner, PullNumber};
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullListed, PullState, Pushers, Review, Roster, Team,
};
use hallpass::domain::remark::Remark;
use hallpass::domain::report::Check;
use hallpass::domain::visitor::{Came, Visitor};
use hallpass::forge::{CheckId, Forge, ForgeError, GitAccess, Issue, MergeOutcome, Proposal};
use secrecy::SecretString;

use super::{Asked, Hub, Said, actor, id, oid};

/// What the forge is called where calls fail.
const FORGE: &str = "forge";

impl Hub {
    fn failure(&self, call: &str) -> ForgeError {
        ForgeError::Unavailable {
            what: call.to_owned(),
            retry_at: None,
            source: "the weather of the simulation".into(),
        }
    }

    async fn call<T>(
        &self,
        call: &str,
        effect: impl FnOnce() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let failure = || self.failure(call);
        self.faults.call(FORGE, call, effect, failure).await
    }

    fn shown(&self, asked: &Asked) -> Pull {
        let review = |said: &Said| Review {
            id: said.id,
            reviewer: Some(actor(&said.by)),
            state: said.state,
            commit: Some(id(said.commit)),
            body: "I know of the incident, and it is real.".to_owned(),
            submitted_at: Some(said.at),
        };
        let ids = asked.pushers.iter().map(|login| actor(login).id).collect();
        Pull {
            number: PullNumber(asked.number),
            author: Some(actor(&asked.author)),
            title: "Please".to_owned(),
            state: asked.state.clone(),
            draft: false,
            base_branch: "main".to_owned(),
            head: id(asked.head),
            head_branch: asked.branch.clone(),
            from_fork: false,
            commits: 1,
            pushers: Pushers::Known(ids),
            reviews: asked.reviews.iter().map(review).collect(),
        }
    }

    async fn team(&self, slug: &str) -> Lookup<Team> {
        let call = format!("members of {slug}");
        let found = || {
            let state = self.state();
            Ok(state.teams.get(slug).map(|members| Team {
                can_write: true,
                members: members.iter().map(|login| actor(login)).collect(),
            }))
        };
        match self.call(&call, found).await {
            Ok(Some(team)) => Lookup::Found(team),
            Ok(None) => Lookup::Absent,
            Err(error) => Lookup::Failed(error.to_string()),
        }
    }
}

#[async_trait]
impl Forge for Hub {
    async fn open_pulls(&self) -> Result<Vec<PullListed>, ForgeError> {
        self.follow_branches();
        let open = || {
            let pulls = self.pulls().into_iter();
            let open = pulls.filter(|asked| asked.state == PullState::Open);
            let listed = |asked: Asked| PullListed {
                number: PullNumber(asked.number),
                author: Some(actor(&asked.author).id),
                head: id(asked.head),
                base_branch: "main".to_owned(),
                head_branch: asked.branch,
                updated_at: asked.updated_at,
            };
            Ok(open.map(listed).collect())
        };
        self.call("list open pull requests", open).await
    }

    async fn pull(&self, number: PullNumber) -> Result<Pull, ForgeError> {
        self.follow_branches();
        let found = || {
            let state = self.state();
            let asked = state.pulls.get(&number.0);
            let asked = asked.ok_or_else(|| ForgeError::NotFound {
                what: format!("pull request {number}"),
            })?;
            Ok(self.shown(asked))
        };
        self.call(&format!("read #{number}"), found).await
    }

    async fn pulls_of(&self, commit: &CommitId) -> Result<Vec<PullNumber>, ForgeError> {
        let found = || {
            let landed = self.landed().into_iter();
            let of = landed.filter(|landed| id(landed.commit) == *commit);
            Ok(of.filter_map(|l| l.pull.map(PullNumber)).collect())
        };
        self.call(&format!("pull requests of {commit}"), found)
            .await
    }

    async fn roster(&self, owners: &BTreeSet<Owner>) -> Roster {
        let mut roster = Roster::default();
        for owner in owners {
            match owner {
                Owner::Team { slug, .. } => {
                    roster.teams.insert(owner.clone(), self.team(slug).await);
                }
                Owner::User(login) => {
                    let found = Lookup::Found(Collaborator {
                        actor: actor(login.as_str()),
                        can_write: true,
                    });
                    roster.users.insert(login.clone(), found);
                }
                Owner::Email(_) => {}
            }
        }
        roster
    }

    async fn members(&self) -> Result<Option<Vec<Actor>>, ForgeError> {
        let found = || {
            let state = self.state();
            Ok(Some(state.members.iter().map(|m| actor(m)).collect()))
        };
        self.call("list members", found).await
    }

    async fn publish_check(
        &self,
        check: &Check,
        known: Option<CheckId>,
    ) -> Result<CheckId, ForgeError> {
        let made = || Ok(known.unwrap_or_else(|| CheckId(self.fresh())));
        self.call(&format!("check of {}", check.head), made).await
    }

    async fn merge(
        &self,
        number: PullNumber,
        head: &CommitId,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, ForgeError> {
        let merged = || {
            let asked = self.asked(number.0);
            if asked.state != PullState::Open || asked.head != oid(head) {
                return Ok(MergeOutcome::NotNow("it is another one by now".to_owned()));
            }
            let message = format!("{title}\n\n{message}");
            let merged = self.merges("hallpass[bot]", number.0, &message);
            Ok(match merged {
                Some(commit) => MergeOutcome::Merged(id(commit)),
                None => MergeOutcome::NotNow("it conflicts".to_owned()),
            })
        };
        self.call(&format!("merge #{number}"), merged).await
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullNumber, ForgeError> {
        let proposed = || {
            self.follow_branches();
            let pulls = self.pulls().into_iter();
            let open = pulls.filter(|asked| asked.state == PullState::Open);
            if let Some(asked) = open.into_iter().find(|a| a.branch == proposal.branch) {
                return Ok(PullNumber(asked.number));
            }
            let tip = self.tip_of(&format!("refs/heads/{}", proposal.branch));
            let head = tip.expect("a branch is pushed before it is proposed");
            let number = self.fresh();
            self.set(&format!("refs/pull/{number}/head"), head);
            let author = "hallpass[bot]".to_owned();
            let asked = Asked {
                number,
                pushers: BTreeSet::from([author.clone()]),
                author,
                branch: proposal.branch.clone(),
                head,
                state: PullState::Open,
                reviews: Vec::new(),
                touches_control: false,
                updated_at: self.now(),
            };
            self.state().pulls.insert(number, asked);
            Ok(PullNumber(number))
        };
        let call = format!("propose {}", proposal.branch);
        self.call(&call, proposed).await
    }

    async fn comment(&self, number: PullNumber, marker: &str, _: &str) -> Result<(), ForgeError> {
        self.call(&format!("comment {marker} on #{number}"), || Ok(()))
            .await
    }

    async fn label(&self, number: PullNumber, _: Option<Label>) -> Result<bool, ForgeError> {
        self.call(&format!("label #{number}"), || Ok(false)).await
    }

    async fn tell_issue(
        &self,
        issue: &Issue,
        known: Option<u64>,
    ) -> Result<Option<u64>, ForgeError> {
        let told = || {
            let number = self.fresh();
            let mut state = self.state();
            let there = state.issues.get(&issue.marker).copied();
            let number = known.or(there).unwrap_or(number);
            if issue.open || there.is_some() {
                state.issues.insert(issue.marker.clone(), number);
                return Ok(Some(number));
            }
            Ok(None)
        };
        self.call(&format!("issue {}", issue.marker), told).await
    }

    async fn remarks_since(&self, _: Instant) -> Result<Vec<Remark>, ForgeError> {
        self.call("list comments", || Ok(Vec::new())).await
    }

    /// Nobody signs in here.
    async fn introduce(&self, _: Came<'_>) -> Result<Visitor, ForgeError> {
        Err(self.failure("sign in"))
    }

    async fn may_read(&self, who: &Actor) -> Result<bool, ForgeError> {
        Ok(self.is_member(who.login.as_str()))
    }

    async fn git_access(&self) -> Result<GitAccess, ForgeError> {
        let access = || {
            Ok(GitAccess {
                url: self.path.display().to_string(),
                token: SecretString::from("no secret".to_owned()),
            })
        };
        self.call("a token for git", access).await
    }
}
