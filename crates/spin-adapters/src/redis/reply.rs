//! What an error of Redis says about the connection.
//!
//! An error that Redis *replies* says that the connection is good: only the command that it refuses is not worth another
//! try for a moment. Any other error, and no answer in time, says that the connection is lost. Spin passes errors on as
//! text; it holds the reply's first word, in Redis' spelling or in that of the client library.

use spin_sdk::redis::Error;

/// What an error concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// The value of one key.
    Key,
    /// The command: Redis refuses it, and would refuse it again.
    Command,
    /// The connection.
    Connection,
}

/// The errors that Redis replies, by words that only their text holds.
const REPLIES: [(&str, Concerns); 24] = [
    ("WRONGTYPE", Concerns::Key),
    // A replica, as the former primary is after a failover.
    ("READONLY", Concerns::Command),
    ("ReadOnly", Concerns::Command),
    // The memory is full, and the policy evicts nothing.
    ("OOM", Concerns::Command),
    // The disk is full, or snapshots fail.
    ("MISCONF", Concerns::Command),
    ("NOREPLICAS", Concerns::Command),
    // The user may not run the command.
    ("NOPERM", Concerns::Command),
    ("NoPerm", Concerns::Command),
    ("NOAUTH", Concerns::Command),
    // Redis reads its data from the disk after a start.
    ("LOADING", Concerns::Command),
    ("BusyLoading", Concerns::Command),
    ("MASTERDOWN", Concerns::Command),
    ("MasterDown", Concerns::Command),
    // A script runs.
    ("BUSY ", Concerns::Command),
    ("\"BUSY\"", Concerns::Command),
    // A cluster without all of its slots, or one that wants another node asked.
    ("CLUSTERDOWN", Concerns::Command),
    ("ClusterDown", Concerns::Command),
    ("MOVED", Concerns::Command),
    ("Moved", Concerns::Command),
    ("TRYAGAIN", Concerns::Command),
    ("TryAgain", Concerns::Command),
    ("CROSSSLOT", Concerns::Command),
    ("CrossSlot", Concerns::Command),
    // `ERR`, which is any other.
    ("ResponseError", Concerns::Command),
];

/// What the error of a command concerns.
pub fn concerns(error: &Error) -> Concerns {
    match error {
        Error::TypeError => Concerns::Key,
        Error::InvalidAddress | Error::TooManyConnections => Concerns::Connection,
        Error::Other(text) => {
            let reply = REPLIES.iter().find(|(word, _)| text.contains(word));
            reply.map_or(Concerns::Connection, |(_, concerns)| *concerns)
        }
    }
}

/// What an error says, without the names of its Rust types.
pub fn words(error: &Error) -> &str {
    match error {
        Error::InvalidAddress => "the address is not allowed, or is none",
        Error::TooManyConnections => "the host opens no further connection",
        Error::TypeError => "the key holds a value of another type",
        Error::Other(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_redis_replies_does_not_concern_the_connection() {
        for (text, expected) in [
            ("\"WRONGTYPE\": Operation against a key holding the wrong kind of value", Concerns::Key),
            ("ReadOnly: You can't write against a read only replica.", Concerns::Command),
            ("READONLY: You can't write against a read only replica.", Concerns::Command),
            ("\"OOM\": command not allowed when used memory > 'maxmemory'.", Concerns::Command),
            ("\"MISCONF\": Redis is configured to save RDB snapshots, but", Concerns::Command),
            ("NoPerm: User app has no permissions to run the 'set' command", Concerns::Command),
            ("BusyLoading: Redis is loading the dataset in memory", Concerns::Command),
            ("An error was signalled by the server - ClusterDown: Hash slot not served", Concerns::Command),
            ("ResponseError: unknown command", Concerns::Command),
            ("Connection refused (os error 111)", Concerns::Connection),
            ("broken pipe", Concerns::Connection),
            ("Password authentication failed - AuthenticationFailed", Concerns::Connection),
            ("", Concerns::Connection),
        ] {
            assert_eq!(concerns(&Error::Other(text.into())), expected, "{text}");
        }
        assert_eq!(concerns(&Error::TypeError), Concerns::Key);
        assert_eq!(concerns(&Error::TooManyConnections), Concerns::Connection);
    }
}
