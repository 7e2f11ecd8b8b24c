//! A page of Markdown, as a reader that we did not write sees it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a page is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its build: everything but words.
    pub bones: Vec<String>,
    /// The words that GitHub looks into for mentions, links and numbers of issues.
    pub words: String,
    /// What stands in fences, where GitHub leaves it alone.
    pub fenced: String,
    /// HTML.
    pub html: String,
    /// Where links and images lead.
    pub links: Vec<String>,
}

impl Page {
    /// Reads a page as GitHub does.
    pub fn read(text: &str) -> Self {
        let mut options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        options |= Options::ENABLE_GFM | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
        options |= Options::ENABLE_MATH;
        let (mut page, mut inside) = (Self::default(), false);
        for event in Parser::new_ext(text, options) {
            match &event {
                Event::Start(Tag::CodeBlock(_)) => inside = true,
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.to_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => page.html.push_str(html),
                _ => {}
            }
            match event {
                Event::Text(text) if inside => page.fenced.push_str(&text),
                Event::Text(text) => page.words.push_str(&text),
                // A gap between two words, so that they do not make one.
                Event::Code(_) => page.words.push('\u{1}'),
                Event::SoftBreak => page.words.push('\n'),
                other => {
                    page.bones.push(format!("{other:?}"));
                    page.words.push('\u{1}');
                }
            }
        }
        page
    }

    /// What GitHub would make a mention, a link or a reference of, once the Markdown is read.
    pub fn calls(&self) -> Vec<String> {
        let words = self.words.as_str();
        let before = |at: usize| words[..at].chars().next_back();
        let after = |at: usize| words[at..].chars().nth(1);
        let starts = |at: usize| !before(at).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let bare =
            |at: usize| before(at).is_none_or(|c| c.is_whitespace() || "\u{1}*_~(".contains(c));
        let mut found = Vec::new();
        for (at, c) in words.char_indices() {
            let calls = match c {
                '@' => starts(at) && after(at).is_some_and(|c| c.is_ascii_alphanumeric()),
                '#' => starts(at) && after(at).is_some_and(|c| c.is_ascii_digit()),
                ':' => words[at..].starts_with("://"),
                'w' => bare(at) && words[at..].starts_with("www."),
                _ => false,
            };
            if calls {
                found.push(words[at..].chars().take(20).collect());
            }
        }
        found
    }
}
