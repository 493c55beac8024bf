//! One mutation on its way.

use std::sync::Arc;
use std::time::Instant as Moment;

use futures_util::future::BoxFuture;
use redis::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::slot::Waiting;
use super::{Inner, Mutation, Sent};
use crate::ledger::LedgerError;
use crate::ledger::journal::{JournalEntry, pack};
use crate::ledger::redis::error::LinkError;
use crate::ledger::redis::remote::{Verdict, verdict};

/// A mutation that has its number. Dropped before its end, it is sent again by the task that does so: the store then
/// says whether it has it.
pub(super) struct Sending<'a> {
    inner: &'a Arc<Inner>,
    partition: u16,
    seq: u64,
    told: bool,
    heard: bool,
    /// Resolves when the journal has it.
    written: Option<BoxFuture<'a, Result<(), LedgerError>>>,
    way: Way<'a>,
}

enum Way<'a> {
    /// Sent, first of all that the store lacks.
    Direct(BoxFuture<'a, Result<Value, LinkError>>),
    /// In line behind others.
    InLine(oneshot::Receiver<Value>),
    /// Nowhere: its answer is not waited for.
    None,
}

impl<'a> Sending<'a> {
    /// Numbers, journals and sends it: in one order for all three, since the partition is locked.
    pub fn begin(inner: &'a Arc<Inner>, mutation: Mutation) -> Sending<'a> {
        let partition = mutation.partition.number();
        let body = pack(&mutation.keys, &mutation.args);
        let mut slot = inner.slot(partition).lock();
        let seq = slot.next();
        let entry = Arc::new(JournalEntry {
            partition,
            seq,
            at: inner.journal.now(),
            script: mutation.script.name.into(),
            body,
        });
        let written = inner.journal.append(entry.clone());
        let (asker, way) = if slot.stuck {
            let (asker, answer) = oneshot::channel();
            (Some(asker), Way::InLine(answer))
        } else {
            let acked = slot.acked();
            let mut args = inner.remote.header(&inner.nonce, Some(seq), acked, false);
            args.extend(mutation.args);
            let call = inner.remote.link.call(mutation.script, mutation.keys, args);
            (None, Way::Direct(Box::pin(call)))
        };
        slot.push(Waiting {
            entry,
            script: mutation.script,
            written: false,
            asker,
            told: mutation.answer_needed,
            since: Moment::now(),
        });
        Sending {
            inner,
            partition,
            seq,
            told: mutation.answer_needed,
            heard: false,
            written: Some(Box::pin(written)),
            way,
        }
    }

    /// Waits for the store and the journal, until `end` at the latest.
    pub async fn finish(mut self, end: Instant) -> Sent {
        let answer = match std::mem::replace(&mut self.way, Way::None) {
            Way::Direct(call) => match call.await.and_then(|it| Ok((verdict(&it)?, it))) {
                Ok((Verdict::Passed { .. }, value)) => return self.answered(value, end).await,
                Ok((Verdict::Gap(mark), _)) => {
                    self.inner.gap(self.partition, mark);
                    self.ask()
                }
                Err(LinkError::Away(_) | LinkError::NotNow(_)) => self.ask(),
                Err(LinkError::Refused(why)) => {
                    self.inner.refused(why);
                    self.ask()
                }
            },
            Way::InLine(answer) => Some(answer),
            Way::None => None,
        };
        let Some(answer) = answer else {
            // The store has it, but what it said is gone.
            return self.kept(end).await;
        };
        if !self.inner.is_up() {
            return self.kept(end).await;
        }
        match timeout_at(end, answer).await {
            Ok(Ok(value)) => self.answered(value, end).await,
            _ => self.kept(end).await,
        }
    }

    /// Has it sent again, and listens.
    fn ask(&self) -> Option<oneshot::Receiver<Value>> {
        let mut slot = self.inner.slot(self.partition).lock();
        let answer = slot.ask(self.seq);
        self.inner.send_again(self.partition, &mut slot);
        answer
    }

    async fn answered(mut self, value: Value, end: Instant) -> Sent {
        // The store has it: a disk that hangs is told of elsewhere.
        let written = match self.written.take() {
            Some(written) => timeout_at(end, written).await.is_ok_and(|it| it.is_ok()),
            None => false,
        };
        let mut slot = self.inner.slot(self.partition).lock();
        slot.acknowledge(self.seq);
        if written {
            slot.wrote(self.seq);
        }
        self.heard = true;
        Sent::Answered(value)
    }

    /// The store does not answer: the disk has to have it.
    async fn kept(mut self, end: Instant) -> Sent {
        let patience = end.max(Instant::now()) + self.inner.deadline;
        let durable = timeout_at(patience, self.inner.journal.durable()).await;
        {
            let mut slot = self.inner.slot(self.partition).lock();
            slot.leave(self.seq);
            if matches!(durable, Ok(Ok(()))) {
                slot.wrote(self.seq);
            }
        }
        self.heard = true;
        let late = || LedgerError::Unavailable("the journal's disk does not answer".to_owned());
        match durable.map_err(|_| late()).flatten() {
            Ok(()) if !self.told => Sent::Kept,
            Ok(()) => Sent::Lost(LedgerError::Unavailable(
                "Redis did not answer in time; it is kept and will be done when Redis is back: \
                 the same call with the same id finds out"
                    .to_owned(),
            )),
            Err(error) => Sent::Lost(error),
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.heard {
            let mut slot = self.inner.slot(self.partition).lock();
            slot.leave(self.seq);
            if self.seq > slot.mark() {
                self.inner.send_again(self.partition, &mut slot);
            }
        }
    }
}
