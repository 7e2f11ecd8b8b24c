//! Markdown as GitHub shows it, as far as that is safe: HTML in it is shown as text, and links lead to web pages only.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};

/// The only HTML that passes: what folds a long list away.
const PASSES: [&str; 4] = ["<details>", "</details>", "<summary>", "</summary>"];

/// The HTML of a text in Markdown.
pub fn shown(text: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM;
    let events = Parser::new_ext(text, options).flat_map(safe);
    let mut out = String::new();
    html::push_html(&mut out, events);
    // The head of a table that has no words, which Markdown cannot leave out, is no head. Text is escaped, so this is only a tag.
    out.replace("<th></th>", "<td></td>")
}

fn safe(event: Event<'_>) -> Vec<Event<'_>> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => folded(&text),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            vec![Event::Start(Tag::Link {
                link_type,
                dest_url: target(dest_url),
                title,
                id,
            })]
        }
        // A picture would be fetched from wherever the text says.
        Event::Start(Tag::Image { title, id, .. }) => {
            let (link_type, dest_url) = (pulldown_cmark::LinkType::Inline, CowStr::from("#"));
            vec![Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            })]
        }
        Event::End(pulldown_cmark::TagEnd::Image) => {
            vec![Event::End(pulldown_cmark::TagEnd::Link)]
        }
        other => vec![other],
    }
}

/// HTML as text, except for what folds.
fn folded(text: &str) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = PASSES
            .iter()
            .filter_map(|tag| Some((rest.find(tag)?, *tag)))
            .min();
        let (at, tag) = next.unwrap_or((rest.len(), ""));
        if at > 0 {
            events.push(Event::Text(rest[..at].to_owned().into()));
        }
        if !tag.is_empty() {
            events.push(Event::InlineHtml(tag.into()));
        }
        rest = &rest[at + tag.len()..];
    }
    events
}

/// Where a link may lead: to a web page, here or elsewhere.
fn target(wanted: CowStr<'_>) -> CowStr<'_> {
    let fine = ["http://", "https://", "/", "#", "mailto:"];
    if fine.iter().any(|start| wanted.starts_with(start)) {
        wanted
    } else {
        "#".into()
    }
}
