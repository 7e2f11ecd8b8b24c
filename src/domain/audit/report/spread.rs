//! How durations are spread.

use serde::Serialize;

use super::{CITED, Cited, Listed};

/// How many of the slowest are listed.
const SLOWEST: usize = 5;

/// One duration, and what shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample<'l> {
    /// The duration, in milliseconds.
    pub ms: u64,
    /// The grant.
    pub grant: &'l str,
    /// The commit at its end.
    pub cited: Cited<'l>,
}

/// The durations from one limit up to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket<'l> {
    /// From how many milliseconds on.
    pub from_ms: u64,
    /// Below how many; `None`: no limit.
    pub below_ms: Option<u64>,
    /// How many durations.
    pub count: u64,
    /// The newest commits.
    pub cited: Vec<Cited<'l>>,
}

/// How durations are spread. Percentiles are by nearest rank: each is a duration that occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spread<'l> {
    /// How many there are.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// Nine of ten took no longer.
    pub p90_ms: u64,
    /// None took longer.
    pub max_ms: u64,
    /// All of them, in buckets without gaps.
    pub buckets: Vec<Bucket<'l>>,
    /// The slowest, slowest first.
    pub slowest: Listed<Sample<'l>>,
}

impl<'l> Spread<'l> {
    /// The spread of `samples` over buckets that end at `edges` (milliseconds, ascending). `None` where there is no sample.
    pub fn of(mut samples: Vec<Sample<'l>>, edges: &[u64]) -> Option<Self> {
        samples.sort_by(|a, b| (a.ms, a.cited).cmp(&(b.ms, b.cited)));
        let max_ms = samples.last()?.ms;
        let rank = |of_ten: usize| samples[(samples.len() * of_ten).div_ceil(10) - 1].ms;
        let (p50_ms, p90_ms) = (rank(5), rank(9));
        let mut buckets = Vec::with_capacity(edges.len() + 1);
        let (mut from_ms, mut rest) = (0, samples.as_slice());
        for below_ms in edges.iter().copied().map(Some).chain([None]) {
            let here = below_ms.map_or(rest.len(), |below| rest.partition_point(|s| s.ms < below));
            let (these, others) = rest.split_at(here);
            buckets.push(bucket(from_ms, below_ms, these));
            from_ms = below_ms.unwrap_or(from_ms);
            rest = others;
        }
        samples.reverse();
        Some(Self {
            count: samples.len() as u64,
            p50_ms,
            p90_ms,
            max_ms,
            buckets,
            slowest: Listed::first(samples, SLOWEST),
        })
    }
}

fn bucket<'l>(from_ms: u64, below_ms: Option<u64>, samples: &[Sample<'l>]) -> Bucket<'l> {
    let mut cited: Vec<Cited<'l>> = samples.iter().map(|s| s.cited).collect();
    cited.sort_unstable_by(|a, b| b.cmp(a));
    cited.truncate(CITED);
    Bucket {
        from_ms,
        below_ms,
        count: samples.len() as u64,
        cited,
    }
}
