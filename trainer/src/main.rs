//! The program `weir-trainer`. Everything is in the library, so that tests can call it.

fn main() -> std::process::ExitCode {
    trainer::command::main()
}
