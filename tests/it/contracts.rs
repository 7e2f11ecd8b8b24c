//! What GitHub describes of itself, compiled once for all tests.

use std::sync::LazyLock;

use hallpass::sandbox::Contracts;

static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| {
    let file = |name: &str| format!("{}/tests/contracts/{name}", env!("CARGO_MANIFEST_DIR"));
    Contracts::load(file("github-rest.json"), file("github-webhooks.json"))
        .expect("the contracts are in the repository")
});

/// The descriptions: clones share what was compiled, and to compile them takes longer than most lives of a request.
pub fn github() -> Contracts {
    CONTRACTS.clone()
}
