//! What a journal keeps of a mutation, and how it is packed into one row.

use std::borrow::Cow;
use std::fmt;

use crate::clock::UnixMs;

/// The name of one opening of a journal: 16 random bytes. Numbers are only ever given under the nonce of the
/// process that runs, so a copied or restored journal cannot give one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A mutation as it was numbered: enough to send it again, years later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The partition that it changes.
    pub partition: u16,
    /// Its number there: dense from 1 within the opening.
    pub seq: u64,
    /// When it was numbered.
    pub at: UnixMs,
    /// What carries it out.
    pub script: Cow<'static, str>,
    /// The keys of the call.
    pub keys: Vec<Vec<u8>>,
    /// The arguments of the call, after its header.
    pub args: Vec<Vec<u8>>,
}

impl JournalEntry {
    /// Packs keys and arguments: their counts, then each with its length, as 32-bit numbers.
    pub(super) fn pack(&self, into: &mut Vec<u8>) {
        into.clear();
        for list in [&self.keys, &self.args] {
            push(into, list.len());
            for item in list {
                push(into, item.len());
                into.extend_from_slice(item);
            }
        }
    }

    /// The keys and arguments of a row; `None` where they cannot have been packed here.
    pub(super) fn unpack(mut body: &[u8]) -> Option<[Vec<Vec<u8>>; 2]> {
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..take(&mut body)? {
                let length = take(&mut body)?;
                let (item, rest) = body.split_at_checked(length)?;
                list.push(item.to_vec());
                body = rest;
            }
        }
        body.is_empty().then_some(lists)
    }
}

fn push(into: &mut Vec<u8>, length: usize) {
    // A call with an argument of 4 GiB could not have been sent either.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_le_bytes());
}

fn take(body: &mut &[u8]) -> Option<usize> {
    let (length, rest) = body.split_first_chunk()?;
    *body = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_arguments_come_back_as_they_were() {
        let entry = JournalEntry {
            partition: 7,
            seq: 1,
            at: UnixMs(5),
            script: "settle".into(),
            keys: vec![b"a{7}".to_vec(), Vec::new()],
            args: vec![vec![0, 255, 10], b"1.5".to_vec(), Vec::new()],
        };
        let mut body = vec![1, 2, 3];
        entry.pack(&mut body);
        let [keys, args] = JournalEntry::unpack(&body).unwrap();
        assert_eq!((keys, args), (entry.keys, entry.args));
        for cut in 0..body.len() {
            assert_eq!(JournalEntry::unpack(&body[..cut]), None, "cut at {cut}");
        }
        body.push(0);
        assert_eq!(JournalEntry::unpack(&body), None);
    }
}
