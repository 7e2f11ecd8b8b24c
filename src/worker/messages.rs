//! What people are told beside GitHub, on tasks of its own: finding it asks the database alone, and each channel is worked off by itself,
//! so that neither a grant nor an end nor another channel waits for one that is slow or down.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{PATIENCE, Worker, unharmed};
use crate::notify::Subscription;
use crate::reconcile::{ReconcileError, chain};

/// How often the queue is looked at.
const LOOK: TimeDelta = TimeDelta::seconds(1);

/// How long a message that is under way may take when the service stops, in real time.
const LAST: Duration = Duration::from_secs(5);

impl Worker {
    /// Finds and sends, until `stop`.
    pub(super) async fn run_messages(&self, stop: &CancellationToken) {
        if !self.reconciler.tells() {
            return;
        }
        let channels = self.reconciler.subscriptions().iter();
        let channels = join_all(channels.map(|channel| self.run_channel(channel, stop)));
        tokio::join!(self.run_finding(stop), channels);
    }

    async fn run_finding(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.find_messages().await;
            self.pause_until(stop).await;
        }
    }

    async fn run_channel(&self, channel: &Subscription, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            {
                let work = self.deliver(channel);
                tokio::pin!(work);
                tokio::select! {
                    () = &mut work => {}
                    // What is sent is noted as sent where that goes quickly; otherwise it is sent again.
                    () = stop.cancelled() => drop(tokio::time::timeout(LAST, &mut work).await),
                }
            }
            self.pause_until(stop).await;
        }
    }

    async fn pause_until(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.clock.sleep_until(self.clock.now() + LOOK) => {}
        }
    }

    /// Finds and sends once, as far as that goes quickly.
    pub(super) async fn tell_quickly(&self) {
        if !self.reconciler.tells() {
            return;
        }
        self.find_messages().await;
        let channels = self.reconciler.subscriptions().iter();
        let all = join_all(channels.map(|channel| self.deliver(channel)));
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            warn!("not everybody could be told in time; the rest waits in the queue");
        }
    }

    async fn find_messages(&self) {
        told(unharmed(self.reconciler.find_messages()).await);
    }

    async fn deliver(&self, channel: &Subscription) {
        told(unharmed(self.reconciler.deliver(channel)).await);
    }
}

fn told(done: Result<(), ReconcileError>) {
    if let Err(error) = done {
        warn!(error = %error, "cannot work on what people are told: {}", chain(&error));
    }
}
