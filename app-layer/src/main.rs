//! The program `weir`. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    app_layer::command::run()
}
