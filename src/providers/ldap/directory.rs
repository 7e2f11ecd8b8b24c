//! One conversation with a directory: bound, asked, changed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{
    Ldap as Handle, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, ResultEntry,
    Scope, SearchEntry, ldap_escape,
};
use secrecy::ExposeSecret;

use super::Settings;
use crate::providers::limits::{MOST, TooMany};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// How many entries are asked for at a time.
const PAGE: i32 = 500;

/// `noSuchObject`
const NO_SUCH_OBJECT: u32 = 32;

/// `insufficientAccessRights`
const NO_ACCESS: u32 = 50;

/// What stays of an entry when it is renamed, and what Active Directory has for that.
pub(super) const ENTRY_ID: &str = "entryUUID";
pub(super) const OBJECT_ID: &str = "objectGUID";

/// An entry: its name, and what was asked for of it.
#[derive(Debug, Clone)]
pub(super) struct Entry(SearchEntry);

impl Entry {
    /// Its distinguished name, as the directory writes it.
    pub fn dn(&self) -> &str {
        &self.0.dn
    }

    /// The values of an attribute, whatever the case of its name.
    pub fn values(&self, attribute: &str) -> Vec<&str> {
        let mut found = self.0.attrs.iter();
        let found = found.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        found.map_or_else(Vec::new, |(_, values)| {
            values.iter().map(String::as_str).collect()
        })
    }

    /// The values of a large attribute that came in part: the values, and where the next ones begin. Active Directory does that.
    pub fn range(&self, attribute: &str) -> Option<(Vec<&str>, Option<u64>)> {
        let prefix = format!("{};range=", attribute.to_ascii_lowercase());
        self.0.attrs.iter().find_map(|(name, values)| {
            let name = name.to_ascii_lowercase();
            let (_, last) = name.strip_prefix(&prefix)?.split_once('-')?;
            let next = last.parse::<u64>().ok().map(|last| last + 1);
            Some((values.iter().map(String::as_str).collect(), next))
        })
    }

    /// What stays when it is renamed: Active Directory's `objectGUID` in hexadecimal, elsewhere `entryUUID`.
    pub fn id(&self) -> Option<String> {
        let bytes = self.0.bin_attrs.iter().find_map(|(name, values)| {
            name.eq_ignore_ascii_case(OBJECT_ID)
                .then(|| values.first().cloned())?
        });
        // Sixteen bytes may happen to be text.
        let text = || {
            let text = self.values(OBJECT_ID);
            text.first().map(|text| text.as_bytes().to_vec())
        };
        let guid = bytes.or_else(text).map(hex::encode);
        guid.or_else(|| self.values(ENTRY_ID).first().map(|id| (*id).to_owned()))
    }
}

/// A filter for the entry with this [`Entry::id`].
pub(super) fn with_id(id: &str) -> String {
    match hex::decode(id) {
        Ok(bytes) => {
            let bytes: String = bytes.iter().map(|b| format!("\\{b:02x}")).collect();
            format!("(objectGUID={bytes})")
        }
        Err(_) => format!("(entryUUID={})", ldap_escape(id)),
    }
}

fn is_entry(found: &ResultEntry) -> bool {
    !found.is_ref() && !found.is_intermediate()
}

/// The error for more than is read.
pub(super) fn too_many() -> LdapError {
    let source = std::io::Error::other(TooMany);
    LdapError::Io { source }
}

/// A bound connection.
#[derive(Clone)]
pub(super) struct Directory(Handle);

impl Directory {
    /// Connects, protects the connection, and says who we are.
    pub async fn open(settings: &Settings) -> Result<Self, LdapError> {
        let how = LdapConnSettings::new()
            .set_conn_timeout(CONNECTING)
            .set_starttls(settings.starttls);
        let how = match &settings.tls {
            Some(tls) => how.set_config(Arc::clone(tls)),
            None => how,
        };
        let (connection, mut handle) =
            LdapConnAsync::from_url_with_settings(how, &settings.url).await?;
        // Ends when the handle is dropped, or the connection breaks; the handle then tells.
        tokio::spawn(connection.drive());
        let password = settings.password.expose_secret();
        let bound = handle
            .with_timeout(QUESTION)
            .simple_bind(&settings.bind_dn, password)
            .await?;
        bound.success()?;
        Ok(Self(handle))
    }

    /// The entry of exactly this name.
    pub async fn entry(&mut self, dn: &str, wanted: &[&str]) -> Result<Option<Entry>, LdapError> {
        self.matching(dn, "(objectClass=*)", wanted).await
    }

    /// The entry of exactly this name, if the filter matches.
    pub async fn matching(
        &mut self,
        dn: &str,
        filter: &str,
        wanted: &[&str],
    ) -> Result<Option<Entry>, LdapError> {
        let asked = self.0.with_timeout(QUESTION);
        let found = asked.search(dn, Scope::Base, filter, wanted).await?;
        if found.1.rc == NO_SUCH_OBJECT {
            return Ok(None);
        }
        let (found, _) = found.success()?;
        let mut entries = found.into_iter().filter(is_entry);
        Ok(entries.next().map(|e| Entry(SearchEntry::construct(e))))
    }

    /// The entries below `base` that match, asked for in parts. A list that was cut off, or is longer than [`MOST`], is an error.
    pub async fn below(
        &mut self,
        base: &str,
        filter: &str,
        wanted: &[&str],
    ) -> Result<Vec<Entry>, LdapError> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![
            Box::new(EntriesOnly::new()),
            Box::new(PagedResults::new(PAGE)),
        ];
        let asked = self.0.with_timeout(QUESTION);
        let mut stream = asked
            .streaming_search_with(adapters, base, Scope::Subtree, filter, wanted)
            .await?;
        let mut found = Vec::new();
        while let Some(entry) = stream.next().await? {
            if found.len() == MOST {
                return Err(too_many());
            }
            found.push(Entry(SearchEntry::construct(entry)));
        }
        let ended = stream.finish().await;
        if ended.rc == NO_SUCH_OBJECT {
            return Ok(Vec::new());
        }
        ended.success()?;
        Ok(found)
    }

    /// The same in a part of the tree that we need not be allowed to see.
    pub async fn seen_below(
        &mut self,
        base: &str,
        filter: &str,
        wanted: &[&str],
    ) -> Result<Vec<Entry>, LdapError> {
        match self.below(base, filter, wanted).await {
            Err(LdapError::LdapResult { result }) if result.rc == NO_ACCESS => Ok(Vec::new()),
            found => found,
        }
    }

    /// The roots of the trees that the directory holds; none where it does not tell.
    pub async fn roots(&mut self) -> Result<Vec<String>, LdapError> {
        let told = self.entry("", &["namingContexts"]).await?;
        let told = told.map(|entry| {
            let roots = entry.values("namingContexts").into_iter();
            roots.map(str::to_owned).collect()
        });
        Ok(told.unwrap_or_default())
    }

    /// Adds values to and removes values from one attribute, both or neither.
    pub async fn change(
        &mut self,
        dn: &str,
        attribute: &str,
        added: &[&str],
        removed: &[&str],
    ) -> Result<LdapResult, LdapError> {
        let set = |values: &[&str]| -> HashSet<String> {
            values.iter().map(|value| (*value).to_owned()).collect()
        };
        let mut changes = Vec::new();
        if !added.is_empty() {
            changes.push(Mod::Add(attribute.to_owned(), set(added)));
        }
        if !removed.is_empty() {
            changes.push(Mod::Delete(attribute.to_owned(), set(removed)));
        }
        self.0.with_timeout(QUESTION).modify(dn, changes).await
    }
}
