//! What processes use during a run: CPU time, each with all of its children. Read from `/proc`, so not on macOS.

use std::collections::BTreeMap;
use std::fs;
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::results::{Outcome, Run};
use crate::servers::{PIECES, Servers};

/// Does a run and measures what it uses. Instances are counted after most of `seconds` has passed.
pub fn observe(servers: &Servers, seconds: u32, run: impl FnOnce() -> Result<Outcome>) -> Result<Run> {
    let before = Processes::now();
    let (outcome, instances) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            thread::sleep(Duration::from_secs(u64::from(seconds)).mul_f64(0.8));
            servers.instances().ok()
        });
        (run(), watcher.join())
    });
    let (outcome, after) = (outcome?, Processes::now());
    let used = |cpu: fn(&Processes, u32) -> f64, pid| (cpu(&after, pid) - cpu(&before, pid)).max(0.0);
    let pieces = PIECES.into_iter().zip(servers.pids);
    let mut cpu_seconds: BTreeMap<_, _> =
        pieces.map(|(piece, pid)| (piece, used(Processes::tree_seconds, pid))).collect();
    // The load generator is a child of this process that has ended.
    cpu_seconds.insert("load", used(Processes::ended_seconds, process::id()));
    Ok(Run { outcome, instances: instances.unwrap_or_default(), cpu_seconds })
}

#[derive(Debug)]
struct Process {
    pid: u32,
    parent: u32,
    cpu_seconds: f64,
    /// CPU time of children that have ended.
    ended_seconds: f64,
}

/// The processes of the machine at one moment.
struct Processes(Vec<Process>);

impl Processes {
    fn now() -> Self {
        let names = fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let stat = |pid: u32| parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
        Self(pids.filter_map(stat).collect())
    }

    fn ended_seconds(&self, pid: u32) -> f64 {
        self.0.iter().filter(|process| process.pid == pid).map(|process| process.ended_seconds).sum()
    }

    /// CPU time of a process and all below it.
    fn tree_seconds(&self, root: u32) -> f64 {
        let own = self.0.iter().filter(|process| process.pid == root);
        let children = self.0.iter().filter(|process| process.parent == root);
        own.map(|process| process.cpu_seconds + process.ended_seconds).sum::<f64>()
            + children.map(|child| self.tree_seconds(child.pid)).sum::<f64>()
    }
}

/// Reads the fields after the name, which is in brackets and may contain anything.
fn parse_stat(pid: u32, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    let ticks_a_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let seconds = |index| Some(f64::from(number(index)? + number(index + 1)?) / f64::from(ticks_a_second));
    Some(Process { pid, parent: number(1)?, cpu_seconds: seconds(11)?, ended_seconds: seconds(13)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_with_its_children_and_no_others() {
        let process = |pid, parent| Process { pid, parent, cpu_seconds: 1.0, ended_seconds: 0.5 };
        let processes = Processes(vec![process(1, 0), process(2, 1), process(3, 2), process(4, 1)]);
        let seconds = [2, 1].map(|pid| format!("{:.1}", processes.tree_seconds(pid)));
        assert_eq!(seconds, ["3.0", "6.0"]);
    }

    #[test]
    fn the_fields_are_found_after_a_name_with_brackets() {
        let stat = "9 (a) b (c)) S 1 9 9 0 -1 0 0 0 0 0 100 50 200 0 20";
        let process = parse_stat(9, stat).unwrap();
        assert_eq!(process.parent, 1);
        assert!(process.cpu_seconds > 0.0 && process.ended_seconds > process.cpu_seconds);
    }
}
