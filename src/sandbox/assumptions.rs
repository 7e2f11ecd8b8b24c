//! What we believe of GitHub and cannot confirm against GitHub itself.

/// A belief that the stand-in acts on.
#[derive(Debug, Clone, Copy)]
pub struct Assumption {
    /// A short name.
    pub name: &'static str,
    /// What we believe.
    pub belief: &'static str,
    /// The page of GitHub's documentation that comes nearest.
    pub page: &'static str,
}

const fn belief(name: &'static str, belief: &'static str, page: &'static str) -> Assumption {
    Assumption { name, belief, page }
}

/// All of them.
#[rustfmt::skip]
pub const ASSUMPTIONS: &[Assumption] = &[
    belief("indirect-merge", "When the tip of an open pull request becomes reachable from its base by any push, the pull request is merged; its `merge_commit_sha` is the tip that the push left, `merged_by` is the pusher.",
        "https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request/about-pull-request-merges#indirect-merges"),
    belief("base-sha", "`base.sha` is the tip of the base when the head was last pushed or the base was last changed; after the merge, the tip just before it.",
        "https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request"),
    belief("review-of-any-commit", "`commit_id` of a new review may be any commit of the repository, not only the tip.",
        "https://docs.github.com/en/rest/pulls/reviews#create-a-review-for-a-pull-request"),
    belief("dismissal-event", "Every dismissal of a review, a person's and a rule's, stands in the events of the pull request at once, with who did it and what the review said (`approved`, `changes_requested`).",
        "https://docs.github.com/en/rest/using-the-rest-api/issue-event-types#review_dismissed"),
    belief("own-review", "Authors get 422 for approving or refusing their own pull request.",
        "https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/reviewing-changes-in-pull-requests/approving-a-pull-request-with-required-reviews"),
    belief("team-members-nested", "The list of a team's members holds those of its child teams, and only active ones.",
        "https://docs.github.com/en/rest/teams/members#list-team-members"),
    belief("team-permission-inherited", "A child team inherits the repository permissions of its parents, and the team-repository route shows them.",
        "https://docs.github.com/en/organizations/organizing-members-into-teams/about-teams#nested-teams"),
    belief("team-invitation", "Adding somebody outside the organisation to a team leaves a pending membership; removing it withdraws the invitation.",
        "https://docs.github.com/en/rest/teams/members#add-or-update-team-membership-for-a-user"),
    belief("team-synchronised", "Changing who is in a team whose members the identity provider decides is answered 403.",
        "https://docs.github.com/en/rest/teams/members#add-or-update-team-membership-for-a-user"),
    belief("collaborator-at-once", "Giving a role in a repository to a member of the organisation has effect at once, 204; anybody else is invited, 201, and has nothing before they accept.",
        "https://docs.github.com/en/rest/collaborators/collaborators#add-a-repository-collaborator"),
    belief("collaborators-direct", "`affiliation=direct` lists roles of one's own only, with `role_name`; without it everybody is listed with what they may do by whatever way.",
        "https://docs.github.com/en/rest/collaborators/collaborators#list-repository-collaborators"),
    belief("organisation-role-permissions", "Reading roles and who has them needs `organization_custom_org_roles: read`, changing who has them `members: write`; only members can have one, others are 404.",
        "https://docs.github.com/en/rest/orgs/organization-roles"),
    belief("protection-rule-app", "The `app.id` of a custom deployment protection rule is the App's number.",
        "https://docs.github.com/en/rest/deployments/protection-rules#get-all-deployment-protection-rules-for-an-environment"),
    belief("protection-rule-permissions", "Reading runs, environments and their rules needs `actions: read`, answering for a rule `deployments: write`.",
        "https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps"),
    belief("protection-rule-answered", "A job waits for every rule of its environment, and is listed as pending until the last lets it through. An answer by the App of no rule that waits, a second one too, is 422.",
        "https://docs.github.com/en/rest/actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run"),
    belief("protection-rule-attempt", "A waiting run cannot be run again before it is over; its next attempt asks every rule anew.",
        "https://docs.github.com/en/actions/managing-workflow-runs-and-deployments/managing-workflow-runs/re-running-workflows-and-jobs"),
    belief("activity-permission", "`GET /activity` needs `contents: read`; its `ref` takes a full name or a branch; `pr_merge` names who merged.",
        "https://docs.github.com/en/rest/repos/repos#list-repository-activities"),
    belief("merge-permission", "Merging needs `contents: write`.",
        "https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps"),
    belief("bypass-by-api", "An App on the bypass list of a ruleset merges and pushes without further asking.",
        "https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/creating-rulesets-for-a-repository#granting-bypass-permissions-for-your-branch-or-tag-ruleset"),
    belief("rule-violation-405", "Merging against unmet rules is answered 405 with `Repository rule violations found`.",
        "https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request"),
    belief("conclusion-completes", "A `conclusion` makes a check run `completed`, whatever its `status`; a later `status` other than `completed` opens it again.",
        "https://docs.github.com/en/rest/checks/runs#update-a-check-run"),
    belief("pull-head-kept", "Commits that were once the tip of a pull request can be fetched by id after a force push.",
        "https://docs.github.com/en/pull-requests/committing-changes-to-your-project/viewing-and-comparing-commits/commit-views"),
    belief("reopen-rewritten", "A pull request whose branch was rewritten or recreated while closed cannot be reopened.",
        "https://docs.github.com/en/pull-requests/collaborating-with-pull-requests"),
    belief("closed-by-deletion", "Deleting the head branch closes its pull requests.",
        "https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/deleting-and-restoring-branches-in-a-pull-request"),
    belief("event-order", "A merge sends `pull_request.closed`, then `push`. Nothing may rely on it.",
        "https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks"),
    belief("no-retry", "A webhook that could not be delivered is not tried again by itself.",
        "https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries"),
    belief("repository-by-number", "`/repositories/{id}` and all below it are the same as `/repos/{owner}/{repo}` of the repository with that number, whatever it is called. GitHub's own links to further pages are written so.",
        "https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api"),
    belief("repository-renamed", "The old name of a repository is answered 301 with its address by number, 307 where something is to be changed, until another repository has that name. The old slug of a team is 404.",
        "https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository"),
    belief("team-by-number", "`/organizations/{org_id}/team/{team_id}` and all below it are the same as `/orgs/{org}/teams/{team_slug}`; the number of the organisation is the one that `/users/{org}` tells.",
        "https://docs.github.com/en/rest/teams/teams#get-a-team-by-name"),
    belief("repository-selection", "`GET /installation/repositories` tells whether the installation sees all repositories of the organisation, as it is at that moment.",
        "https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation"),
    belief("hidden-is-404", "A repository outside a token's selection is answered 404, a missing permission 403 `Resource not accessible by integration`.",
        "https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api"),
    belief("sign-in-callback", "A GitHub App's `redirect_uri` must be one of its callback addresses to the letter; otherwise the browser goes to the first of them with `error=redirect_uri_mismatch`.",
        "https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/about-the-user-authorization-callback-url"),
    belief("sign-in-pkce", "A code that was asked for with a `code_challenge` is exchanged only with its `code_verifier`, otherwise `bad_verification_code`; a challenge by another method than `S256` is refused. A failed attempt uses the code up.",
        "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app"),
    belief("sign-in-sees-both", "A user access token shows what both the person and the App may see: 404 for a repository that either does not, 403 for a permission that the App lacks.",
        "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-with-a-github-app-on-behalf-of-a-user"),
];
