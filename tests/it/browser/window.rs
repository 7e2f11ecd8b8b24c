//! A window of Chromium, and what a person or a checker of accessibility sees in it.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::driver::{By, Driver};
use crate::program::{Program, tools};

/// How long a page may take to say what is waited for. Generous: two cores, many tests.
const PATIENCE: Duration = Duration::from_secs(150);

/// A phone's width and height.
const PHONE: (u32, u32) = (360, 740);

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
enum Look {
    Light,
    Dark,
    Phone,
}

/// What Chromium needs to run anywhere, without calling home.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1200,1000",
];

/// A browser of its own, without a past.
pub struct Window {
    driver: Driver,
    _program: Program,
    _profile: TempDir,
}

impl Window {
    /// Opens one.
    pub async fn open() -> Self {
        let program = Program::start(&["chromedriver", "--port={port}"]);
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let flags = [FLAGS.as_slice(), &[folder.as_str()]].concat();
        Self {
            driver: Driver::begin(program.address(), &flags).await,
            _program: program,
            _profile: profile,
        }
    }

    /// Ends it.
    pub async fn close(self) {
        self.driver.quit().await;
    }

    /// Goes to an address, and answers the status of the page.
    pub async fn goto(&self, address: &str) -> u64 {
        self.driver.goto(address).await;
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        self.driver.run(script).await.as_u64().unwrap()
    }

    /// Goes to an address, without asking the page anything.
    pub async fn visit(&self, address: &str) {
        self.driver.goto(address).await;
    }

    /// Where one is.
    pub async fn address(&self) -> String {
        self.driver.address().await
    }

    /// What stands on the page.
    pub async fn text(&self) -> String {
        self.words_of("//body").await
    }

    /// Loads the page again until this stands on it.
    pub async fn until(&self, wanted: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return;
            }
            let address = self.address().await;
            assert!(
                begun.elapsed() < PATIENCE,
                "{address} does not say {wanted:?}:\n{text}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.driver.refresh().await;
        }
    }

    /// An element that must be there.
    async fn find(&self, by: By<'_>) -> String {
        match self.driver.find(by).await {
            Ok(found) => found,
            Err(error) => panic!("{by:?}: {error}\n{}", self.text().await),
        }
    }

    /// What a field holds.
    pub async fn value(&self, selector: &str) -> String {
        let field = self.find(By::Css(selector)).await;
        self.driver.property(&field, "value").await
    }

    /// The words of what an XPath finds; of the page that follows, where one is just coming.
    pub async fn words_of(&self, path: &str) -> String {
        let begun = Instant::now();
        loop {
            let found = self.driver.find(By::XPath(path)).await;
            let text = match found {
                Ok(found) => self.driver.text(&found).await,
                Err(error) => Err(error),
            };
            match text {
                Ok(text) => return text,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{path}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits, without loading the page again, until the words are others.
    pub async fn changes(&self, path: &str, before: &str) {
        let begun = Instant::now();
        while self.words_of(path).await == before {
            assert!(begun.elapsed() < PATIENCE, "{path} still says {before:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The page as it is now, as HTML.
    pub async fn source(&self) -> String {
        self.driver.source().await
    }

    /// Chooses who one is at the stand-in's page.
    pub async fn is(&self, login: &str) {
        let path = format!("//select[@id='you']/option[.='{login}']");
        self.press_first(By::XPath(&path)).await;
        self.press("form.you button").await;
    }

    /// Presses what the selector finds.
    pub async fn press(&self, selector: &str) {
        self.press_first(By::Css(selector)).await;
    }

    /// Presses the link or button with these words.
    pub async fn press_words(&self, words: &str) {
        let path = format!("//*[self::a or self::button][normalize-space()='{words}']");
        self.press_first(By::XPath(&path)).await;
    }

    /// Presses what is found first, and looks again where the page gave way to the next one in between.
    async fn press_first(&self, by: By<'_>) {
        let begun = Instant::now();
        while !self.driver.click(&self.find(by).await).await {
            assert!(begun.elapsed() < PATIENCE, "{by:?} cannot be pressed");
        }
    }

    /// Types into a field; of the page that follows, where one is just coming.
    pub async fn fill(&self, selector: &str, text: &str) {
        let begun = Instant::now();
        loop {
            let filled = match self.driver.find(By::Css(selector)).await {
                Ok(field) => self.driver.fill(&field, text).await,
                Err(error) => Err(error),
            };
            match filled {
                Ok(()) => return,
                Err(error) if begun.elapsed() > PATIENCE => panic!("{selector}: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// From now on nothing of a page runs.
    pub async fn without_scripts(&self) {
        self.driver
            .devtools(
                "Emulation.setScriptExecutionDisabled",
                json!({ "value": true }),
            )
            .await;
    }

    async fn look(&self, look: Look) {
        let scheme = if matches!(look, Look::Dark) {
            "dark"
        } else {
            "light"
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.driver
            .devtools(
                "Emulation.setEmulatedMedia",
                json!({ "features": features }),
            )
            .await;
        let (width, height) = match look {
            Look::Phone => PHONE,
            Look::Light | Look::Dark => (1200, 1000),
        };
        let phone = matches!(look, Look::Phone);
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.driver
            .devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Holds the page that is open against axe-core, light, dark and on a phone, where nothing may need scrolling to the side.
    pub async fn assert_for_everybody(&self) {
        let axe = tools().join("axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).expect("axe-core is there; `tests/run` installs it");
        let address = self.address().await;
        for look in [Look::Light, Look::Dark, Look::Phone] {
            self.look(look).await;
            self.driver.run(&axe).await;
            let run = "const done = arguments[arguments.length - 1]; \
                axe.run(document, { resultTypes: ['violations'] }).then(r => done(r.violations.map(v => \
                v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary).join(' | '))), e => done([String(e)]))";
            let found = self.driver.run_on(run).await;
            assert_eq!(found, json!([]), "{address}, {look:?}");
            let wide = "return [document.documentElement.scrollWidth, window.innerWidth]";
            let wide = self.driver.run(wide).await;
            assert!(
                wide[0].as_u64() <= wide[1].as_u64(),
                "{address}, {look:?}: {wide}"
            );
        }
        self.look(Look::Light).await;
    }
}
