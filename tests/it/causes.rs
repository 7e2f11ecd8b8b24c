//! Why something failed, in words.

use hallpass::domain::causes::chain;
use hallpass::store::StoreError;

#[derive(Debug, thiserror::Error)]
#[error("the forge is unavailable")]
struct Outer(#[source] std::io::Error);

#[test]
fn an_error_is_told_with_its_causes_and_none_of_them_twice() {
    let refused = || std::io::Error::other("connection refused");
    let told = chain(&Outer(refused()));
    assert_eq!(told, "the forge is unavailable: connection refused");
    // Some errors tell their cause themselves.
    let told = chain(&StoreError::Unavailable(sqlx::Error::Io(refused())));
    let times = told.matches("connection refused").count();
    assert_eq!(times, 1, "{told}");
}
