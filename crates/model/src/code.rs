//! Stable codes of the errors that reach users: one list, explained by `plenum explain CODE`.

use std::fmt;

/// One kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    /// The number behind `PLN-`.
    pub number: u16,
    /// What happened, in a few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub explain: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PLN-{:04}", self.number)
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $explain:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code { number: $number, title: $title, explain: $explain };)*

        /// Every code, in the order of its number.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    INTERNAL = 1, "something inside Plenum failed",
        "A fault of Plenum, not of the request. The log of the process that answered says more under the same \
         time. The request may be repeated: every verb is idempotent.";
    USAGE = 1001, "the command line is not understood",
        "A command, flag or value is unknown or missing. `plenum help COMMAND` shows what is taken.";
    UNREACHABLE = 1002, "no Plenum answers at this address",
        "The CLI could not reach the API. Is `plenum up` running? `plenum context list` shows which address is \
         used, `--context` or `PLENUM_CONTEXT` choose another.";
    CONFIG = 1003, "the configuration is not acceptable",
        "A file, variable or flag names an unknown key or a bad value. The message names where and the nearest \
         known key. `plenum config check` looks without starting anything.";
    PORT_TAKEN = 1004, "a port is already in use",
        "Another process listens where Plenum should. The message says who, as far as the system tells. Choose \
         another port in the configuration, 0 for any free one, or `--free-ports` for all.";
    DATA_LOCKED = 1005, "the data directory is in use",
        "Another Plenum holds the lock on the data directory. Stop it (`plenum down`) or give `--data` another.";
    INVALID = 2001, "the request is not acceptable",
        "A field is missing, of the wrong type or out of range. The message names the field.";
    NOT_SUPPORTED = 2002, "not supported by this version",
        "The request names something its orchestrator has and Plenum does not serve. Nothing was done.";
    NOT_FOUND = 2003, "there is no such thing",
        "No object of that name or id. A unique prefix of an id is enough.";
    AMBIGUOUS = 2004, "the name fits more than one",
        "Give more of the id, or the name with its scheduler in front (`scheduler/name`).";
    CONFLICT = 2005, "another change stands in the way",
        "The object was changed or is being changed by somebody else. Read it again and repeat.";
    FORBIDDEN = 2006, "not allowed",
        "The caller may not do this. On a first installation only requests from this machine, without a foreign \
         Host or Origin, are answered.";
    OVERLOADED = 2007, "too much at once",
        "A bounded queue is full. The request was not taken; repeat it later.";
    UNAVAILABLE = 2008, "not available at the moment",
        "A part that is needed cannot be reached, or is starting or stopping. Repeat later.";
    FENCED = 2009, "another session has taken over",
        "A newer session of the same scheduler, or a newer leader, is active. This one may do nothing more.";
    COMPACTED = 2010, "no longer kept",
        "What was asked for is older than what is kept. The message names the oldest that can be had; start from \
         there, or leave the start out.";
    NO_ROOM = 3001, "no node can hold the task now",
        "The task is accepted and waits. `plenum why TASK` names the cause per node and what would help; it is \
         placed without being asked again as soon as there is room.";
    LIMIT = 3002, "a tenant's limit is reached",
        "The task is accepted and waits until its tenant uses less, or its limit is raised.";
    OUT_OF_MEMORY = 4001, "a container went beyond its memory limit",
        "The kernel ended it. Raise its memory, or mend what eats it.";
    IMAGE = 4002, "an image cannot be had",
        "The registry or the node does not have it, or refused. The message is the runtime's own.";
    COMMAND = 4003, "a command cannot be started",
        "The executable does not exist inside the container, or may not be executed.";
    TASK_PORT = 4004, "a port of a task is taken on its node",
        "A process outside the pool holds the port that the task was given.";
    DISK_FULL = 5001, "the disk is full",
        "The ledger cannot take more. Reads go on, running tasks run on, changes are refused until there is room.";
    DAMAGED = 5002, "stored data does not read back",
        "A file of the data directory is damaged; the message names file and place. `plenum store check` looks \
         at all of it. Nothing was changed.";
}

/// The code with this text (`PLN-2001`, `2001`), if there is one.
#[must_use]
pub fn find(text: &str) -> Option<Code> {
    let digits = text.trim().to_ascii_uppercase();
    let number: u16 = digits.strip_prefix("PLN-").unwrap_or(&digits).parse().ok()?;
    ALL.iter().copied().find(|c| c.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_every_code_is_found_by_its_own_text() {
        assert!(ALL.windows(2).all(|w| w[0].number < w[1].number));
        for code in ALL {
            assert_eq!(find(&code.to_string()), Some(*code));
        }
        assert_eq!(find("PLN-9999"), None);
    }
}
