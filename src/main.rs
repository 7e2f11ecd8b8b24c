//! The `hallpass` program: reads its arguments and runs the command.

use std::process::ExitCode;

/// The system's own keeps what each of many threads once needed: with ten thousand live grants that grew by a twentieth an hour.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hallpass::cli::run()
}
