//! Hallpass: **a pull request is the request, a code owner's review is the approval, the merge is the grant, the end is certain,
//! and git history is the evidence.**
//!
//! # Map
//!
//! ```text
//!                   cli ──────────────┐
//!                                     ▼
//!   http ──► worker ──► reconcile    app (the only place that names concrete adapters)
//!                          │
//!          ┌───────┬───────┼────────┬──────────┬─────────┐
//!          ▼       ▼       ▼        ▼          ▼         ▼
//!        forge    repo   store   providers   notify    clock    ports, each beside its adapters; `places` beside `providers`
//!          └───────┴───────┼────────┴──────────┴─────────┘
//!                          ▼
//!                        domain                           pure: facts in, verdicts and plans out
//! ```
//!
//! `tests/it/tidy.rs` reads the imports and fails on anything else.
//!
//! - [`domain`] decides. [`domain::decision::decide`] turns one pull request into a verdict; [`domain::plan::plan`] turns the
//!   protected branch, the ledger and the time into actions. Neither does any I/O. What rests is let go before:
//!   [`domain::plan::sieve`].
//!   [`domain::foresight`] has it judge a request before there is a pull request, for whoever is about to ask.
//! - [`reconcile`] observes, asks the domain, and acts. It is never told why it runs: a webhook, a timer, a restart and a resync
//!   are the same code path with a different clock or a different tree.
//! - [`worker`] runs it: wakes from the queue, the expiry timer, the tick. [`app::reconcile`] runs it once, from an empty folder, for teams
//!   without a server: the ledger comes from the evidence, and `reconcile/carry.rs` brings what is told nowhere else.
//! - [`github_app`] calls GitHub as an App, for the forge and for the provider of team memberships. [`config`] is the one reader of
//!   the configuration, the environment and secrets; [`secrets`] keeps those out of whatever is written down.
//! - [`places`] are where anchors of the evidence are kept, outside: `reconcile/anchors.rs` writes them and compares.
//! - [`notify`] tells people in other places than GitHub; [`http_client`] is how it and the providers speak HTTP.
//! - [`metrics`] counts what the others tell it, for [`http`] to be scraped; what is, is read from the store at each scrape.
//! - [`sandbox`] is a GitHub stand-in for tests and the demo; the rest of the crate does not know of it.
//!
//! # Promises, and where they are kept
//!
//! - *Only proof grants*: [`domain::approval::Proof`] has private fields and one maker; [`providers::Provider::grant`] demands it.
//! - *The end is certain*: [`reconcile::Reconciler::due`] uses the store, the providers and the clock. It cannot reach forge or git.
//! - *Intent before effect*: `reconcile/act.rs` writes `granting` or `revoking` before each call, and settles after the read-back.
//! - *Overlap is a set*: the plan names the live grants that retain an access; only the last one's end removes it.
//! - *Lose the database, lose nothing*: `reconcile/safety.rs` finds at every look whether the evidence or the protected branch contradicts
//!   the database, and stops granting; [`domain::recovery`] puts the ledger together again.
//! - *A webhook is only a hint*: [`http`] turns it into a [`store::Wake`]; nothing of its content is believed.
//!
//! # Seven walks
//!
//! **A request.** `http/webhook` verifies the signature over the raw bytes and makes `Wake::Pull(12)` durable. The worker takes it:
//! `reconcile/pulls` reads the pull request, reviews, both trees and the owners' memberships (`reconcile/case`), `domain::decision`
//! judges, `domain::report` writes the check, the forge publishes it. Once the verdict is *approved* and the repository says so,
//! the forge is asked to merge exactly this head.
//!
//! **A merge.** `Wake::Main`: `reconcile/grants` records what landed since the cursor, finds the pull request whose merge brought it,
//! verifies by trees that it arrived whole, and has `domain::decision::admit` weigh it against the first parent. `domain::plan` says
//! what to do; `reconcile/act` begins, calls, reads back, settles. Ledger and evidence are written in one transaction.
//!
//! **An end.** The timer wakes at the next due instant. `Reconciler::due` plans from the ledger alone, revokes, reads back.
//! `reconcile/reverts` then collects what ended into one pull request, which is judged like any other: it removes nothing but the
//! files of ended grants, so it needs nobody's approval.
//!
//! **An emergency** begins as a request does, with fewer approvals. With the first intent to give it the ledger's entry gets a
//! review that is due; `reconcile/emergencies` opens the pull request that brings its record, and an owner's approval of exactly
//! that file, as weighed when it was merged, is noted as the signature.
//!
//! **An access review** begins at an instant that follows from `access/reviews.yaml`. `reconcile/rounds` asks the owners of everything that
//! lasts long, a pull request for each set of them; their approval of exactly the answers that it brings is the signature. What they end
//! is called off in the ledger, and ends like everything that is due: without forge and git.
//!
//! **A deployment.** Some targets keep nothing and ask at each use ([`providers::Gate`]): for them the ledger's entry is the access.
//! `Wake::Deployments(acme/shop)` comes by webhook, by the tick, or because a grant has just begun: `reconcile/deployments` reads what
//! waits there, `domain::deployment` finds the grant that lets it through at this moment, and the answer is begun, given and settled.

//!
//! **A look.** A person comes to [`http::page`], signs in at the forge, and sees what the store holds, a few rows at a time, drawn by
//! `domain::render::page`. Nothing is asked of the forge but who they are and whether they may look. To end access at once, the holder or
//! an owner says why: `reconcile/calling_off` notes who it was, in the ledger and the evidence, and what follows is an end like any other.

#[forbid(unsafe_code)]
pub mod domain;

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod forge;
pub mod github_app;
pub mod http;
pub mod http_client;
pub mod metrics;
pub mod notify;
pub mod places;
pub mod providers;
pub mod reconcile;
pub mod repo;
pub mod sandbox;
pub mod secrets;
pub mod store;
pub mod worker;
