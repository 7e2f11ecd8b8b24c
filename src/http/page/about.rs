//! Pages about one thing: a person, a service, a resource, a grant.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

use super::gate::Viewer;
use super::lists::Onwards;
use super::shown::{FEW, Shown, TROUBLES, asking, declared, reading, rows};
use super::{Answer, Instead, Page, html, nothing, revoking};
use crate::domain::ledger::Entry;
use crate::domain::model::{Login, PullNumber, ResourceName, ServiceName, Subject};
use crate::domain::render::page::{self, Asking, Listing, Story};
use crate::store::{List, Whose};

/// How many events a story has at most.
const STEPS: u32 = 300;

/// `GET /person/{login}`.
pub(super) async fn person(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(login): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Answer {
    let login = Login::new(&login).map_err(|_| nothing())?;
    of_subject(&page, &viewer, &Subject::Person(login), &onwards).await
}

/// `GET /service/{name}`.
pub(super) async fn service(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Answer {
    let name = ServiceName::new(&name).map_err(|_| nothing())?;
    of_subject(&page, &viewer, &Subject::Service(name), &onwards).await
}

async fn of_subject(page: &Page, viewer: &Viewer, subject: &Subject, onwards: &Onwards) -> Answer {
    let declared = declared(page).await;
    let (place, about) = match subject {
        Subject::Person(login) => {
            let person = declared.as_ref().and_then(|d| d.people.get(login));
            let name = person.and_then(|p| p.name.clone());
            (format!("/person/{login}"), name)
        }
        Subject::Service(name) => {
            let service = declared.as_ref().and_then(|d| d.services.get(name));
            let about = service.map(|s| format!("{} Accountable: {}.", s.description, s.owner));
            (format!("/service/{name}"), about)
        }
    };
    let found = Found::read(page, Whose::Of(subject), (&place, &onwards.after)).await?;
    let shown = Shown::read(page).await?;
    let title = subject.to_string();
    let of = Listing {
        title: &title,
        about: about.as_deref(),
        empty: "Nothing is known of them: they hold nothing, held nothing, and nothing waits for them.",
        ..found.listing()
    };
    let made = page::listing(shown.frame(page, viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// `GET /resource/{name}`.
pub(super) async fn resource(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Query(onwards): Query<Onwards>,
) -> Answer {
    let name = ResourceName::new(&name).map_err(|_| nothing())?;
    let declared = declared(&page).await;
    let resource = declared.as_ref().and_then(|d| d.resources.get(&name));
    let place = format!("/resource/{name}");
    let found = Found::read(&page, Whose::On(&name), (&place, &onwards.after)).await?;
    let shown = Shown::read(&page).await?;
    let of = Listing {
        title: name.as_str(),
        about: resource.map(|r| r.description.as_str()),
        resource: resource.filter(|_| onwards.after.is_empty()),
        empty: "Nobody holds anything here, and nobody did.",
        ..found.listing()
    };
    let made = page::listing(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// `GET /grant/{resource}/{name}`.
pub(super) async fn grant(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(path): Path<(String, String)>,
) -> Answer {
    let entry = revoking::entry(&page, &path).await?;
    let (path, pull) = (&entry.path, entry.arrival.pull);
    let told = reading(&page, page.store.told_of(path, pull, STEPS)).await?;
    let mut drift = reading(&page, page.store.first_drift(4 * TROUBLES)).await?;
    drift.retain(|known| known.drift.grants.contains(&entry.id));
    let shown = Shown::read(&page).await?;
    let declared = declared(&page).await;
    let of = Story {
        entry: &entry,
        told: &told,
        drift: &drift,
        theirs: declared.is_none_or(|declared| revoking::may_be_theirs(&declared, &entry, &viewer)),
    };
    let made = page::story(shown.frame(&page, &viewer), of);
    Ok(html(StatusCode::OK, made))
}

/// Every other address. Whoever is not signed in is not told that there is nothing.
pub(super) async fn nowhere(_: Viewer) -> Instead {
    nothing().into()
}

/// What there is of somebody, or on something: what is live and what waits on the first page, then what is over, a page at a time.
struct Found {
    live: Vec<Entry>,
    waiting: Vec<Asking>,
    over: Vec<Entry>,
    next: Option<String>,
}

impl Found {
    async fn read(
        page: &Page,
        whose: Whose<'_>,
        (place, after): (&str, &str),
    ) -> Result<Self, Instead> {
        // What is live comes first, a page at a time; then what is over.
        if let Some(after) = after.strip_prefix("over~") {
            return Self::over(page, whose, (place, after)).await;
        }
        let (live, next) = rows(page, List::Live(whose), (place, after)).await?;
        let found = match next {
            Some(_) => Self {
                live: Vec::new(),
                waiting: Vec::new(),
                over: Vec::new(),
                next,
            },
            None => Self::over(page, whose, (place, "")).await?,
        };
        let waiting = match after.is_empty() {
            true => reading(page, page.store.waiting(whose, PullNumber(0), FEW)).await?,
            false => Vec::new(),
        };
        Ok(Self {
            live,
            waiting: asking(waiting),
            ..found
        })
    }

    async fn over(
        page: &Page,
        whose: Whose<'_>,
        (place, after): (&str, &str),
    ) -> Result<Self, Instead> {
        let (over, next) = rows(page, List::Over(whose), (place, after)).await?;
        Ok(Self {
            live: Vec::new(),
            waiting: Vec::new(),
            over,
            next: next.map(|next| next.replace("?after=", "?after=over%7E")),
        })
    }

    fn listing(&self) -> Listing<'_> {
        Listing {
            live: &self.live,
            waiting: &self.waiting,
            over: &self.over,
            next: self.next.as_deref(),
            ..Listing::default()
        }
    }
}
