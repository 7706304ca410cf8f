//! Commands that run to their end at once, such as `psql` and `id`. What runs longer is a [`Running`](crate::Running).

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs the command with that standard input, and returns its standard output.
///
/// # Errors
/// It cannot be run, or it fails: the message is what it wrote to standard error.
pub(crate) fn output(mut command: Command, input: &str) -> Result<String> {
    let program = command.get_program().to_owned();
    let program = program.to_string_lossy();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    // The input is far smaller than a pipe, so writing all of it first cannot block.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    written.transpose().with_context(|| format!("{program} did not read its input"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Keeps variables of the caller whose names start with the prefix from the command.
pub(crate) fn remove_variables(command: &mut Command, prefix: &str) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Result<String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        output(command, input)
    }

    #[test]
    fn output_is_returned_and_an_error_has_the_text_of_standard_error() {
        assert_eq!(shell("cat", "a\nb\n").unwrap(), "a\nb");
        assert_eq!(shell("echo why >&2; exit 3", "").unwrap_err().to_string(), "why");
    }
}
