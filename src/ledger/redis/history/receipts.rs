//! Receipts, one by its request or many by a query.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::super::Redis;
use super::super::layout::Partition;
use super::super::reply::{self, malformed};
use super::pages::{Kept, PAGE_MAX, Pages, Span};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::{RequestId, WalletId};
use crate::ledger::receipt::{Receipt, ReceiptQuery};

/// How far a proxy's clock, which names requests, may be from the store's.
const SKEW_MS: u64 = 10 * 60_000;
/// How long after its beginning a request may have been settled to be found: as long as journals are kept.
const LATEST_MS: u64 = 7 * 24 * 60 * 60_000;
/// The same where all partitions have to be searched.
const LATEST_ANYWHERE_MS: u64 = 2 * 60 * 60_000;
/// How many partitions are asked at a time.
const PARTITIONS_AT_ONCE: usize = 128;

impl Redis {
    /// The receipt of a request: for 25 hours by what is remembered of the request, after that by the time in
    /// its id. Where no wallet is named, a receipt that is older than that and came more than two hours after its
    /// request began is not found.
    pub(in super::super) async fn find_receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Result<Option<Arc<Receipt>>, LedgerError> {
        let partitions = partitions_of(wallet.as_ref());
        if let Some((partition, at)) = self.remembered(&partitions, request).await? {
            let span = Span {
                from: Some(at),
                to: Some(at.plus(1)),
                wallet: wallet.as_ref(),
                request: Some(request),
                ..Span::default()
            };
            return self.first(partition, span).await;
        }
        let Some(began) = request.began() else {
            return Ok(None);
        };
        let latest = match &wallet {
            Some(_) => LATEST_MS,
            None => LATEST_ANYWHERE_MS,
        };
        let span = Span {
            from: Some(UnixMs(began.0.saturating_sub_unsigned(SKEW_MS))),
            to: Some(began.plus(latest)),
            wallet: wallet.as_ref(),
            request: Some(request),
            ..Span::default()
        };
        for partition in partitions {
            if let Some(receipt) = self.first(partition, span).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// Receipts, the newest first. With a limit, no more is read than a page of each partition and what is told.
    pub(in super::super) async fn list_receipts(
        &self,
        query: ReceiptQuery,
    ) -> Result<Vec<Arc<Receipt>>, LedgerError> {
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let mut receipts = Vec::new();
        if limit == 0 {
            return Ok(receipts);
        }
        let mut merge = self.newest_first(&query).await?;
        while receipts.len() < limit
            && let Some(at) = merge.newest()
        {
            let mut together = Vec::new();
            while merge.newest() == Some(at)
                && let Some(kept) = merge.take().await?
            {
                let receipt = kept.receipt()?;
                if query.key.as_ref().is_none_or(|key| receipt.key == *key) {
                    together.push(Arc::new(receipt));
                }
            }
            together.sort_unstable_by_key(|receipt| Reverse(receipt.request_id));
            together.truncate(limit - receipts.len());
            receipts.append(&mut together);
        }
        Ok(receipts)
    }

    /// Where a request's receipt is and when it was settled, as long as the request is remembered.
    async fn remembered(
        &self,
        partitions: &[Partition],
        request: RequestId,
    ) -> Result<Option<(Partition, UnixMs)>, LedgerError> {
        let asked = partitions.iter().map(|partition| {
            let mut get = ::redis::cmd("GETRANGE");
            // `S <milliseconds>-<number>`.
            get.arg(self.layout.request(*partition, request))
                .arg(0)
                .arg(40);
            get
        });
        let answers = self.ask(asked.collect()).await?;
        for (partition, answer) in partitions.iter().zip(&answers) {
            let text = reply::text(answer).ok_or_else(malformed)?;
            if let Some(settled) = text.strip_prefix("S ") {
                let at = settled.split('-').next().and_then(|at| at.parse().ok());
                return Ok(Some((*partition, UnixMs(at.ok_or_else(malformed)?))));
            }
        }
        Ok(None)
    }

    async fn first(
        &self,
        partition: Partition,
        span: Span<'_>,
    ) -> Result<Option<Arc<Receipt>>, LedgerError> {
        let mut pages = Pages::new(self, partition, span, PAGE_MAX);
        while let Some(page) = pages.next().await? {
            if let Some(kept) = page.first() {
                return kept.receipt().map(Arc::new).map(Some);
            }
        }
        Ok(None)
    }

    async fn newest_first<'a>(&'a self, query: &'a ReceiptQuery) -> Result<Merge<'a>, LedgerError> {
        let partitions = partitions_of(query.wallet.as_ref());
        let span = Span {
            from: query.from,
            to: query.to,
            backwards: true,
            wallet: query.wallet.as_ref(),
            ..Span::default()
        };
        let size = match (&query.wallet, query.limit) {
            (None, Some(limit)) => limit / u32::from(super::super::layout::PARTITIONS) * 2 + 2,
            (Some(_), _) | (None, None) => PAGE_MAX,
        };
        let mut merge = Merge::default();
        for some in partitions.chunks(PARTITIONS_AT_ONCE) {
            let sources = some.iter().map(|partition| async {
                let mut source = Source {
                    pages: Pages::new(self, *partition, span, size),
                    waiting: VecDeque::new(),
                };
                source.fill().await?;
                Ok::<_, LedgerError>(source)
            });
            for source in try_join_all(sources).await? {
                merge.add(source);
            }
        }
        Ok(merge)
    }
}

/// The partition of a wallet, or all.
pub(super) fn partitions_of(wallet: Option<&WalletId>) -> Vec<Partition> {
    match wallet {
        Some(wallet) => vec![Partition::of(wallet)],
        None => Partition::all().collect(),
    }
}

/// One partition's receipts, the newest first.
struct Source<'a> {
    pages: Pages<'a>,
    waiting: VecDeque<Kept>,
}

impl Source<'_> {
    /// Reads on where nothing waits.
    async fn fill(&mut self) -> Result<(), LedgerError> {
        while self.waiting.is_empty()
            && let Some(page) = self.pages.next().await?
        {
            self.waiting.extend(page);
        }
        Ok(())
    }
}

/// The receipts of many partitions, the newest first.
#[derive(Default)]
struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// When the first that waits was settled, and of which source it is.
    heads: BinaryHeap<(u64, usize)>,
}

impl<'a> Merge<'a> {
    fn add(&mut self, source: Source<'a>) {
        if let Some(first) = source.waiting.front() {
            self.heads.push((first.place.at, self.sources.len()));
            self.sources.push(source);
        }
    }

    /// When the next was settled.
    fn newest(&self) -> Option<u64> {
        self.heads.peek().map(|(at, _)| *at)
    }

    async fn take(&mut self) -> Result<Option<Kept>, LedgerError> {
        let Some((_, number)) = self.heads.pop() else {
            return Ok(None);
        };
        let source = &mut self.sources[number];
        let kept = source.waiting.pop_front();
        source.fill().await?;
        if let Some(first) = source.waiting.front() {
            self.heads.push((first.place.at, number));
        }
        Ok(kept)
    }
}
