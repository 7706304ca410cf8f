//! The schedule of faults.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Result;
use shortlink_local_stack::{Signal, fault_proxy::Fault};

use crate::{
    dice::Dice,
    world::{Piece, World},
};

const PIECES: [Piece; 3] = [Piece::Cache, Piece::Codes, Piece::Postgres];

pub struct Faults {
    dice: Dice,
    tally: BTreeMap<String, u32>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, 0), tally: BTreeMap::new() }
    }

    /// Injects one fault after another until the deadline, with a pause without a fault between them.
    pub fn inject(&mut self, world: &mut World, limit: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < limit {
            sleep(Duration::from_millis(200 + self.dice.below(600)));
            let lasts = Duration::from_millis(300 + self.dice.below(1_700));
            let piece = PIECES[usize::try_from(self.dice.below(3))?];
            // The order of the draws is what a seed repeats, so all are drawn before the first fault.
            match self.dice.below(14) {
                0 => self.between(world, piece, Fault::Refuse, "refuse", lasts),
                1 => self.between(world, piece, Fault::Reset, "reset", lasts),
                2 => self.between(world, piece, Fault::Hang, "hang", lasts),
                3 => self.between(world, piece, Fault::Delay(Duration::from_millis(400)), "delay", lasts),
                4 => self.between(world, piece, Fault::CutAfter(700), "cut", lasts),
                5 => self.between(world, piece, Fault::Trickle(Duration::from_millis(3)), "trickle", lasts),
                6 | 7 => self.kill(world, piece, lasts / 2)?,
                8 => self.pause(world, piece, lasts),
                9 => self.host(world, lasts)?,
                10 => self.once("cache flushed", world.flush_cache()),
                11 => self.once("sessions ended", world.end_sessions()),
                12 => self.once("old codes in the pool", world.reissue_codes()),
                _ => {
                    self.once("malformed codes in the pool", world.spoil_pool());
                    self.once("batch", world.fill());
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: String) {
        *self.tally.entry(kind).or_default() += 1;
    }

    fn once(&mut self, kind: &str, done: Result<()>) {
        match done {
            Ok(()) => self.count(kind.to_owned()),
            Err(error) => println!("soak: {kind} was not possible: {error:#}"),
        }
    }

    fn between(&mut self, world: &World, piece: Piece, fault: Fault, kind: &str, lasts: Duration) {
        world.set(piece, fault);
        sleep(lasts);
        world.set(piece, Fault::None);
        self.count(format!("{kind} {piece:?}"));
    }

    fn kill(&mut self, world: &mut World, piece: Piece, away: Duration) -> Result<()> {
        world.signal(piece, Signal::Kill);
        sleep(away);
        world.restart(piece)?;
        self.count(format!("kill -9 {piece:?}"));
        Ok(())
    }

    fn pause(&mut self, world: &mut World, piece: Piece, lasts: Duration) {
        world.signal(piece, Signal::Stop);
        sleep(lasts);
        world.signal(piece, Signal::Continue);
        self.count(format!("pause {piece:?}"));
    }

    fn host(&mut self, world: &mut World, lasts: Duration) -> Result<()> {
        let (signal, kind) = match self.dice.below(3) {
            0 => (Signal::Kill, "kill -9 host"),
            1 => (Signal::Term, "SIGTERM host"),
            _ => (Signal::Stop, "pause host"),
        };
        world.signal_host(signal);
        if signal == Signal::Stop {
            sleep(lasts);
            world.signal_host(Signal::Continue);
        } else {
            world.restart_host()?;
        }
        self.count(kind.to_owned());
        Ok(())
    }

    pub fn print(&self) {
        let total: u32 = self.tally.values().sum();
        println!("faults injected     {total} of {} kinds", self.tally.len());
        for (kind, count) in &self.tally {
            println!("  {count:>4}  {kind}");
        }
    }
}
