//! The four tests: what their users do, how many there are, and for how long.

use clap::ValueEnum;

/// A test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Test {
    /// 20 users create links for 30 s
    LoadCreate,
    /// 300 users follow links for 60 s
    LoadRedirect,
    /// 100 users, 10 more each second, create links for 60 s
    StressCreate,
    /// 300 users, 30 more each second, follow links for 60 s
    StressRedirect,
}

/// What the users of a test do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create links.
    Create,
    /// Follow links.
    Redirect,
}

/// How a test goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many users there are in the end.
    pub users: u32,
    /// How many users begin each second.
    pub ramp: u32,
    /// For how long all of them go on once the last has begun.
    pub seconds: u32,
    /// 99 of 100 requests have to be answered within that many milliseconds.
    pub p99_ms: u32,
}

impl Test {
    /// What its users do.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::LoadCreate | Self::StressCreate => Action::Create,
            Self::LoadRedirect | Self::StressRedirect => Action::Redirect,
        }
    }

    /// How it goes unless the command line says otherwise.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::LoadCreate => Shape { users: 20, ramp: 20, seconds: 30, p99_ms: 500 },
            Self::LoadRedirect => Shape { users: 300, ramp: 300, seconds: 60, p99_ms: 500 },
            Self::StressCreate => Shape { users: 100, ramp: 10, seconds: 60, p99_ms: 1_000 },
            Self::StressRedirect => Shape { users: 300, ramp: 30, seconds: 60, p99_ms: 1_000 },
        }
    }

    /// Its name on the command line and of its report.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
