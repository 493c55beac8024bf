//! The `tollgate` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request allocates some hundred times, which takes a tenth of its time less here than with the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tollgate::cli::run()
}
