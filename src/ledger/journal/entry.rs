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
    /// The keys of the call, and its arguments after the header; see [`pack`].
    pub body: Vec<u8>,
}

/// Packs keys and arguments: how many, then each after its length, as 32-bit numbers.
pub fn pack(keys: &[Vec<u8>], args: &[Vec<u8>]) -> Vec<u8> {
    let items = keys.iter().chain(args);
    let mut body = Vec::with_capacity(8 + items.map(|item| 4 + item.len()).sum::<usize>());
    for list in [keys, args] {
        push(&mut body, list.len());
        for item in list {
            push(&mut body, item.len());
            body.extend_from_slice(item);
        }
    }
    body
}

impl JournalEntry {
    /// The keys and the arguments; `None` where they cannot have been packed here.
    pub fn unpack(&self) -> Option<[Vec<Vec<u8>>; 2]> {
        let mut body = &*self.body;
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
        let keys = vec![b"a{7}".to_vec(), Vec::new()];
        let args = vec![vec![0, 255, 10], b"1.5".to_vec(), Vec::new()];
        let of = |body: &[u8]| JournalEntry {
            partition: 7,
            seq: 1,
            at: UnixMs(5),
            script: "settle".into(),
            body: body.to_vec(),
        };
        let mut body = pack(&keys, &args);
        assert_eq!(of(&body).unpack(), Some([keys, args]));
        for cut in 0..body.len() {
            assert_eq!(of(&body[..cut]).unpack(), None, "cut at {cut}");
        }
        body.push(0);
        assert_eq!(of(&body).unpack(), None);
    }
}
