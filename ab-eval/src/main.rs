//! Program entry of `weir-eval`: arguments in, exit code out. What the commands do is in `command`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ab_eval::command::run()
}
