//! Membership of roles on real PostgreSQL servers: Debian's, which is 15, and 18. Memberships differ between the two.

pub mod server;

/// What the tests of one server ask for.
macro_rules! on {
    ($module:ident, $server:ident) => {
        #[allow(clippy::duplicate_mod, reason = "the same tests, once on each server")]
        #[path = "postgres"]
        mod $module {
            use super::server::Server;

            /// The server that these tests share.
            fn server() -> &'static Server {
                Server::$server()
            }

            /// One more server of this version.
            fn start() -> Server {
                Server::start_like(server())
            }

            mod cases;
            mod contract;
            mod expiry;
            mod identity;
        }
    };
}

on!(on_debians, shared);
on!(on_18, shared_18);
