//! Who you are, and which App may know it.

use askama::Template;
use url::Url;

use super::super::oauth::{Asking, Step};
use super::super::refusal::Refusal;
use super::frame::Frame;
use super::{Replied, Reply, Visit};

#[derive(Template)]
#[template(path = "login.html", config = "src/sandbox/web/askama.toml")]
struct Login {
    frame: Frame,
    back: String,
}

#[derive(Template)]
#[template(path = "authorize.html", config = "src/sandbox/web/askama.toml")]
struct Authorize<'a> {
    frame: Frame,
    asking: &'a Asking,
    app: String,
    callback: String,
}

/// `GET /login`: a choice of people; with `as`, a link that makes the browser that person and goes on to `return_to`.
pub fn named(visit: &mut Visit<'_>) -> Replied {
    if !visit.field("as").is_empty() {
        return choose(visit);
    }
    let back = back(visit);
    let frame = Frame::of(visit, "Who are you?");
    Ok(Reply::Page(Login { frame, back }.render()?))
}

/// `POST /login`.
pub fn choose(visit: &mut Visit<'_>) -> Replied {
    let (_, login) = person(visit)?;
    Ok(Reply::GotoAs(back(visit), login))
}

/// The person that a form or a link names.
fn person(visit: &Visit<'_>) -> Result<(u64, String), Refusal> {
    let wanted = visit.field("as");
    let mut people = visit.world.people().into_iter();
    people
        .find(|(_, login)| login == wanted)
        .ok_or_else(|| Refusal::new(422, format!("There is nobody called `{wanted}` here.")))
}

/// Where the visit goes on: an address of ours, or of an App that people sign in to. Anything else would make the stand-in a way
/// to wherever somebody likes.
fn back(visit: &Visit<'_>) -> String {
    let wanted = visit.field("return_to");
    let ours = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains('\\');
    let origin = |address: &str| Url::parse(address).ok().map(|url| url.origin());
    let clients = visit.world.sign_ins.clients.iter();
    let mut callbacks = clients.flat_map(|client| &client.spec.callbacks);
    let apps = origin(wanted)
        .is_some_and(|wanted| callbacks.any(|callback| origin(callback).as_ref() == Some(&wanted)));
    if ours || apps {
        wanted.to_owned()
    } else {
        "/".to_owned()
    }
}

/// `GET /login/oauth/authorize`.
pub fn ask(visit: &mut Visit<'_>) -> Replied {
    let fields = visit.fields.clone();
    match visit.world.authorise(&fields, visit.you)? {
        Step::Back(to) => Ok(Reply::Goto(to)),
        Step::Ask(asking) => authorize(visit, &asking),
    }
}

fn authorize(visit: &Visit<'_>, asking: &Asking) -> Replied {
    let mut apps = visit.world.apps.iter();
    let app = apps.find(|app| app.id == asking.client.app);
    let app = app.map(|app| app.slug.clone()).unwrap_or_default();
    let callback = asking.target().to_owned();
    let origin = Url::parse(&callback).map(|url| url.origin().ascii_serialization());
    let frame = Frame::of(visit, format!("Sign in to {app}"));
    let page = Authorize {
        frame,
        asking,
        app,
        callback,
    }
    .render()?;
    Ok(Reply::PageTowards(page, origin.unwrap_or_default()))
}

/// `POST /login/oauth/authorize`: what the page's buttons say.
pub fn answer(visit: &mut Visit<'_>) -> Replied {
    let fields = visit.fields.clone();
    // As asked by nobody in particular, so that an answer is never skipped.
    let asking = match visit.world.authorise(&fields, None)? {
        Step::Back(to) => return Ok(Reply::Goto(to)),
        Step::Ask(asking) => asking,
    };
    if visit.field("as").is_empty() {
        return Ok(Reply::Goto(asking.denied()));
    }
    let (user, login) = person(visit)?;
    Ok(Reply::GotoAs(visit.world.give_code(&asking, user), login))
}
