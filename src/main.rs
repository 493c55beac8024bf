//! The `tollgate` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request allocates some hundred times, and takes a tenth less time than with the C library's allocator: see bench/README.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tollgate::cli::run()
}
