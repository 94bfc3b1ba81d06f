//! The words of `cinclus wal tail` for where to start and what to take.

use std::str::FromStr;

use cinclus_rpc::ScanFrom;
use cinclus_types::message::Kind;
use cinclus_types::{Checkpoint, MessageId, Tick};

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From(pub(super) ScanFrom);

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        let wrong = || {
            format!(
                "{text:?} is no place to start: earliest, latest, tick:N, or a checkpoint as it is printed, like \
                 0/3/17@449812345678901248"
            )
        };
        let number = |text: &str| text.parse().map(Tick).map_err(|_| wrong());
        match text {
            "earliest" => return Ok(From(ScanFrom::Earliest)),
            "latest" => return Ok(From(ScanFrom::Latest)),
            _ => {}
        }
        if let Some(tick) = text.strip_prefix("tick:") {
            return Ok(From(ScanFrom::Tick(number(tick)?)));
        }
        let (resume, tick) = text.split_once('@').ok_or_else(wrong)?;
        let resume: MessageId = resume.parse().map_err(|_| wrong())?;
        Ok(From(ScanFrom::Checkpoint(Checkpoint { resume, tick: number(tick)? })))
    }
}

/// A checkpoint as it can be given again.
pub(super) fn checkpoint_text(checkpoint: Checkpoint) -> String {
    format!("{}@{}", checkpoint.resume, checkpoint.tick.0)
}

/// A kind of messages, by its name in any spelling: `Insert`, `create-collection`, `time_tick`.
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let stored = || Kind::ALL.into_iter().filter(|kind| *kind != Kind::Txn && *kind != Kind::TimeTick);
    stored().find(|kind| plain(&kind.to_string()) == plain(text)).ok_or_else(|| {
        let names: Vec<String> = stored().map(|kind| kind.to_string()).collect();
        format!("there is no kind {text:?}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_given_again() {
        let checkpoint = Checkpoint { resume: MessageId::from_parts(0, 3, 17), tick: Tick(99) };
        assert_eq!(checkpoint_text(checkpoint), "0/3/17@99");
        assert_eq!("0/3/17@99".parse(), Ok(From(ScanFrom::Checkpoint(checkpoint))));
        assert_eq!("tick:5".parse(), Ok(From(ScanFrom::Tick(Tick(5)))));
        assert_eq!("latest".parse(), Ok(From(ScanFrom::Latest)));
        for wrong in ["", "late", "tick:x", "0/3@9", "0/3/17@"] {
            assert!(wrong.parse::<From>().unwrap_err().contains("earliest, latest"), "{wrong}");
        }
    }

    #[test]
    fn kinds_are_found_in_any_spelling_and_named_if_not() {
        assert_eq!(kind("insert"), Ok(Kind::Insert));
        assert_eq!(kind("create-collection"), Ok(Kind::CreateCollection));
        assert!(kind("upsert").unwrap_err().contains("Insert, Delete"));
    }
}
