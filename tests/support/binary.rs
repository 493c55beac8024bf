//! Tollgate's binary without the settings of the shell that runs the tests.

use std::process::Command;

/// The binary itself.
pub const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// A program that finds nothing of Tollgate's in its environment, whatever the developer's shell has.
pub fn isolated(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["TOLLGATE_", "OTEL_", "MODELVERSE_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}
