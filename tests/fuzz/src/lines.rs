//! Reading CODEOWNERS a second time, slowly and by the book: THREATS, section 4, of which each rule is cited by its number.

/// Whether `pattern` means `path`, for patterns that have one meaning for everybody.
pub fn means(pattern: &str, path: &str) -> bool {
    let (body, rooted) = match pattern.strip_prefix('/') {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    // 12: a slash at the end means what is below, not a file of that name.
    let (body, below) = match body.strip_suffix('/') {
        Some(body) => (body, true),
        None => (body, false),
    };
    // 11: a slash anywhere but at the end ties the pattern to the root.
    let anchored = rooted || body.contains('/');
    let pattern: Vec<&str> = body.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let starts = if anchored { 1 } else { path.len() };
    (0..starts).any(|start| whole(&pattern, &path[start..], below, anchored))
}

/// Whether the segments of the pattern mean those of the path, from its beginning to its end.
fn whole(pattern: &[&str], path: &[&str], below: bool, anchored: bool) -> bool {
    // Whether the pattern from `p` on means the path from `s` on, from the ends towards the beginnings.
    let mut means = vec![vec![false; path.len() + 1]; pattern.len() + 1];
    for p in (0..=pattern.len()).rev() {
        for s in (0..=path.len()).rev() {
            let left = path.len() - s;
            let last = p + 1 == pattern.len();
            means[p][s] = match pattern.get(p) {
                // 12 and 13: what is left of the path lies below what was matched.
                None => !below || left > 0,
                // 16: at the end it is everything below, elsewhere any number of segments.
                Some(&"**") if last => left > 0,
                Some(&"**") => (s..=path.len()).any(|s| means[p + 1][s]),
                // 14: direct children only; alone it matches everything.
                Some(&"*") if last && !below => left == 1 || (left > 0 && !anchored),
                Some(glob) => left > 0 && one(glob, path[s]) && means[p + 1][s + 1],
            };
        }
    }
    means[0][0]
}

/// 15: `*` and `?` stay within a segment, and `?` is exactly one character. 16: `**` within a segment is `*`.
fn one(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let mut means = vec![vec![false; text.len() + 1]; glob.len() + 1];
    for g in (0..=glob.len()).rev() {
        for t in (0..=text.len()).rev() {
            let left = t < text.len();
            means[g][t] = match glob.get(g) {
                None => !left,
                Some('*') => means[g + 1][t] || (left && means[g][t + 1]),
                Some('?') => left && means[g + 1][t + 1],
                Some(c) => left && text[t] == *c && means[g + 1][t + 1],
            };
        }
    }
    means[0][0]
}

/// Whether a line is one that every reader reads alike: nothing, a comment, or a plain pattern and its owners (18 to 21).
pub fn is_plain(line: &str) -> bool {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return false;
    }
    let text = line.trim_matches([' ', '\t']);
    if text.is_empty() || text.starts_with('#') {
        return text.is_ascii();
    }
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let pattern = words.next().unwrap_or_default();
    let owners = words.take_while(|word| !word.starts_with('#'));
    line.is_ascii() && is_plain_pattern(pattern) && owners.into_iter().all(is_owner)
}

fn is_plain_pattern(pattern: &str) -> bool {
    let body = pattern.strip_prefix('/').unwrap_or(pattern);
    let inner = body.strip_suffix('/').unwrap_or(body);
    let segments = || inner.split('/');
    let deep_folder = body.ends_with('/') && segments().next_back() == Some("**");
    !pattern.contains(['[', ']', '!', '\\', '#'])
        && !pattern.contains("***")
        && segments().all(|s| !matches!(s, "" | "." | ".."))
        && !deep_folder
}

/// 6: `@login`, `@org/team`, or an address.
fn is_owner(word: &str) -> bool {
    let name = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !text.is_empty() && text.chars().all(plain)
    };
    // A login begins with a letter or a digit, and has at most 100 characters.
    let login = |text: &str| name(text) && text.len() <= 100 && !text.starts_with(['-', '_']);
    if let Some(rest) = word.strip_prefix('@') {
        return match rest.split_once('/') {
            None => login(rest),
            Some((organisation, team)) => login(organisation) && name(team),
        };
    }
    let Some((local, domain)) = word.split_once('@') else {
        return false;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let label = |l: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !l.is_empty() && l.chars().all(plain)
    };
    let top = labels.last().copied().unwrap_or_default();
    let local_part = |c: char| c.is_ascii_alphanumeric() || "._'%+-".contains(c);
    !local.is_empty()
        && local.chars().all(local_part)
        && labels.len() >= 2
        && labels.iter().all(label)
        && top.len() >= 2
        && top.chars().all(|c| c.is_ascii_alphabetic())
}
