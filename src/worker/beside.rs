//! Work that goes on while something else is waited for.
//!
//! A future that nobody polls keeps what it was given: a turn at the database, a lock. Whoever then waits for that waits in vain. So
//! whatever the worker waits for, what it has under way is polled beside it.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

/// What is under way, and what of it ended while something else was waited for.
pub(super) struct Beside<J: Future> {
    jobs: FuturesUnordered<J>,
    ended: VecDeque<J::Output>,
}

impl<J: Future> Default for Beside<J> {
    fn default() -> Self {
        Self {
            jobs: FuturesUnordered::new(),
            ended: VecDeque::new(),
        }
    }
}

impl<J: Future> Beside<J> {
    pub fn push(&mut self, job: J) {
        self.jobs.push(job);
    }

    /// Waits until something ends; `None` where nothing is under way. Dropped on the way, it loses nothing.
    pub async fn next(&mut self) -> Option<J::Output> {
        match self.ended.pop_front() {
            Some(ended) => Some(ended),
            None => self.jobs.next().await,
        }
    }

    /// Waits for `other`, and polls what is under way meanwhile.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            if self.jobs.is_empty() {
                return other.await;
            }
            tokio::select! {
                answer = &mut other => return answer,
                Some(ended) = self.jobs.next() => self.ended.push_back(ended),
            }
        }
    }
}
