//! What processes have cost: CPU time and memory, each with all of its children.

use std::fs;
use std::process::{self, Command};

use serde::Serialize;

/// What one piece cost during a run.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// The piece; `load` is whatever made the load.
    pub process: &'static str,
    /// The CPU time of all its processes.
    pub cpu_seconds: f64,
    /// The memory of all its processes near the end of the run, in MiB. Pages that several of them share are counted
    /// once where the system tells.
    pub memory_mib: f64,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    parent: u32,
    own_seconds: f64,
    /// Of children that have ended.
    past_seconds: f64,
    resident: u64,
}

/// The processes of the machine at one moment.
#[derive(Debug)]
pub struct Processes(Vec<Process>);

impl Processes {
    /// Those of now.
    #[must_use]
    pub fn now() -> Self {
        Self(from_proc().unwrap_or_else(from_ps))
    }

    /// CPU seconds of the process and its children, those that have ended included.
    #[must_use]
    pub fn cpu_seconds(&self, root: u32) -> f64 {
        self.tree(root).iter().map(|process| process.own_seconds + process.past_seconds).sum()
    }

    /// CPU seconds of the children of this process that have ended: after a run, of what made the load.
    #[must_use]
    pub fn load_seconds(&self) -> f64 {
        self.0.iter().filter(|other| other.pid == process::id()).map(|own| own.past_seconds).sum()
    }

    /// The memory of the process and its children, in MiB.
    #[must_use]
    pub fn memory_mib(&self, root: u32) -> f64 {
        let kib: u64 = self.tree(root).iter().map(|one| share(one.pid).unwrap_or(one.resident / 1024)).sum();
        f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
    }

    fn tree(&self, root: u32) -> Vec<&Process> {
        let mut tree: Vec<&Process> = self.0.iter().filter(|process| process.pid == root).collect();
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|process| process.pid) {
            tree.extend(self.0.iter().filter(|process| process.parent == parent && process.pid != root));
            next += 1;
        }
        tree
    }
}

/// The process's proportional share of the pages it uses, in KiB, where Linux tells it to this user.
fn share(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn from_proc() -> Option<Vec<Process>> {
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let processes: Vec<Process> = pids
        .filter_map(|pid| parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    (!processes.is_empty()).then_some(processes)
}

/// Reads the fields behind the name, which stands in brackets and may hold anything.
fn parse_stat(pid: u32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    let ticks_a_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let seconds =
        |index| Some((f64::from(number(index)?) + f64::from(number(index + 1)?)) / f64::from(ticks_a_second));
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Process {
        pid,
        parent: number(1)?,
        own_seconds: seconds(11)?,
        past_seconds: seconds(13)?,
        resident: u64::from(number(21)?) * page,
    })
}

/// Where there is no `/proc`. Children that have ended are not known then.
fn from_ps() -> Vec<Process> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,rss=,time="]).env("LC_ALL", "C").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(parse_ps).collect()
}

fn parse_ps(line: &str) -> Option<Process> {
    let mut fields = line.split_whitespace();
    let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let resident = fields.next()?.parse::<u64>().ok()? * 1024;
    // [hours:]minutes:seconds[.hundredths]
    let own_seconds =
        fields.next()?.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    Some(Process { pid, parent, own_seconds, past_seconds: 0.0, resident })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_counts_its_children_and_nobody_elses() {
        let process =
            |pid, parent| Process { pid, parent, own_seconds: 1.0, past_seconds: 0.5, resident: 1024 * 1024 };
        let processes = Processes(vec![process(1, 0), process(2, 1), process(3, 2), process(4, 1)]);
        assert!((processes.cpu_seconds(2) - 3.0).abs() < 1e-9);
        assert!((processes.cpu_seconds(1) - 6.0).abs() < 1e-9);
        assert!(processes.cpu_seconds(9).abs() < 1e-9);
    }

    #[test]
    fn the_output_of_ps_is_read() {
        let process = parse_ps(" 12   1  2048 1:02.50").unwrap();
        assert_eq!((process.pid, process.parent, process.resident), (12, 1, 2 * 1024 * 1024));
        assert!((process.own_seconds - 62.5).abs() < 1e-9);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Processes::now().memory_mib(process::id()) > 0.5);
    }
}
