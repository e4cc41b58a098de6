//! The program `weir`. Everything it does is in the library.

use std::process::ExitCode;

/// States are many small pieces that come and go on several threads: this one is quicker at that than the system's, and keeps them closer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    app_layer::command::run()
}
