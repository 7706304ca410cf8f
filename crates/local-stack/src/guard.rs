//! Cleans up after a test process that was killed, or that ended with its handles in statics, where no `Drop` runs.
//!
//! The guard is a small shell process which reads from a pipe that only the test process can write to. When the pipe
//! closes, for whatever reason, it stops the process groups that it watches and removes the directory.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = r#"
groups=' '
while read -r what group; do
    case $what in
    watch) groups="$groups$group " ;;
    forget) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s CONT -- "-$group"; kill -s INT -- "-$group"; done
tries=0
for group in $groups; do
    while kill -s 0 -- "-$group" && [ $tries -lt 50 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -s KILL -- "-$group"
done
rm -rf -- "$1"
"#;

/// The handle of the guard. Dropped, it lets the guard clean up and waits for it.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// A guard that in the end removes `directory`.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "local-stack-guard"]).arg(directory).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipe = Mutex::new(child.stdin.take());
        Ok(Self { child, pipe })
    }

    pub(crate) fn watch(&self, group: u32) {
        self.tell("watch", group);
    }

    pub(crate) fn forget(&self, group: u32) {
        self.tell("forget", group);
    }

    fn tell(&self, what: &str, group: u32) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // Without a guard the handles still stop what they started.
            let _lost = writeln!(pipe, "{what} {group}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _status = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").process_group(0).spawn().unwrap()
    }

    #[test]
    fn it_stops_what_it_watches_and_removes_the_directory() {
        let directory = tempfile::tempdir().unwrap().keep();
        let (mut watched, mut forgotten, mut also) = (sleeper(), sleeper(), sleeper());
        let guard = Guard::new(&directory).unwrap();
        guard.watch(watched.id());
        guard.watch(forgotten.id());
        guard.watch(also.id());
        guard.forget(forgotten.id());
        // Each is collected as soon as it ends, as init would do for a process whose parent is gone.
        let reaper = std::thread::spawn(move || [watched.wait().is_ok(), also.wait().is_ok()]);
        drop(guard);
        assert_eq!(reaper.join().unwrap(), [true, true]);
        assert!(forgotten.try_wait().unwrap().is_none());
        assert!(!directory.exists());
        forgotten.kill().unwrap();
        forgotten.wait().unwrap();
    }
}
