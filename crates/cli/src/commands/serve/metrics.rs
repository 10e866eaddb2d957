//! The same as numbers, in the text format of OpenMetrics.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::looker::Look;
use crate::commands::channel::state::ChannelState;
use crate::commands::gc::judge::Verdict;
use crate::live::region::RegionLook;
use crate::live::{Scene, SegmentLook};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A whole document.
pub(super) fn of(look: Arc<Look>) -> String {
    let labels = [("backend".into(), look.scene.origin.backend.into())].into_iter();
    let mut registry = Registry::with_prefix_and_labels("coseg", labels);
    registry.register_collector(Box::new(Numbers(look)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Numbers(Arc<Look>);

/// Labels of a number: the segment's, and the part's.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A number of the segment with these labels.
struct Of<'a, T> {
    labels: Labels<'a>,
    number: T,
}

/// Writes families of numbers.
struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, number: u64) -> Result<(), Error> {
        self.gauges(name, help, unit, [Of { labels: Vec::new(), number }])
    }

    /// Which may be larger than the text format's whole numbers.
    fn limit(&mut self, name: &str, help: &str, unit: Option<&Unit>, number: u64) -> Result<(), Error> {
        #[expect(clippy::cast_precision_loss, reason = "of such a number, the first digits count")]
        let gauge = ConstGauge::new(number as f64);
        self.family(name, help, unit, std::iter::once((Vec::new(), gauge)))
    }

    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        all: impl IntoIterator<Item = Of<'a, u64>>,
    ) -> Result<(), Error> {
        // The text format has no larger whole numbers.
        let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        self.family(name, help, unit, all.into_iter().map(|of| (of.labels, gauge(of.number))))
    }

    fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = Of<'a, u64>>,
    ) -> Result<(), Error> {
        self.family(name, help, None, all.into_iter().map(|of| (of.labels, ConstCounter::new(of.number))))
    }

    fn family<'a, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        all: impl Iterator<Item = (Labels<'a>, M)>,
    ) -> Result<(), Error> {
        let mut all = all.peekable();
        // A family without a number would only be in the way.
        let Some(kind) = all.peek().map(|(_, metric)| metric.metric_type()) else { return Ok(()) };
        let mut family = self.encoder.encode_descriptor(name, help, unit, kind)?;
        for (labels, metric) in all {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut families = Families { encoder };
        let scene = &self.0.scene;
        totals(&mut families, scene)?;
        segments(&mut families, scene)?;
        regions(&mut families, scene)?;
        channels(&mut families, scene)?;
        let took = ConstGauge::new(self.0.took.as_secs_f64());
        let help = "How long the look took that these numbers are of";
        families.family("look", help, Some(&Unit::Seconds), [(Vec::new(), took)].into_iter())
    }
}

fn totals(families: &mut Families<'_>, scene: &Scene) -> Result<(), Error> {
    let bytes = Some(&Unit::Bytes);
    let (used, limits) = (&scene.usage, &scene.limits);
    families.gauge("segments", "Segments", None, used.segment_count.into())?;
    families.gauge("segments_limit", "Most segments that there may be (shmmni)", None, limits.shmmni)?;
    families.gauge("pages", "Pages of all segments", None, used.total_pages)?;
    families.limit("pages_limit", "Most pages of all segments (shmall)", None, limits.shmall_pages)?;
    families.gauge("size", "Bytes of all segments", bytes, used.total_bytes)?;
    families.gauge("resident", "Bytes that are in memory", bytes, used.resident_bytes)?;
    families.gauge("swapped", "Bytes that are swapped out", bytes, used.swapped_bytes)?;
    families.gauge("largest_segment", "Bytes of the largest segment", bytes, used.largest_segment_bytes)?;
    let help = "Most bytes of one segment (shmmax)";
    families.limit("largest_segment_limit", help, bytes, limits.shmmax_bytes)?;
    let help = "Attachments of processes that cannot be seen";
    families.gauge("hidden_attachments", help, None, scene.hidden_count)?;
    let garbage = || scene.segments.iter().filter(|segment| segment.verdict == Verdict::Garbage);
    let help = "Segments that nobody uses any more";
    families.gauge("garbage_segments", help, None, garbage().count() as u64)?;
    let size = garbage().map(|segment| segment.record.size_bytes as u64).sum();
    families.gauge("garbage", "Bytes of segments that nobody uses any more", bytes, size)
}

fn segments(families: &mut Families<'_>, scene: &Scene) -> Result<(), Error> {
    let names: Vec<Name> = scene.segments.iter().map(Name::of).collect();
    let of = |number: fn(&SegmentLook) -> u64| {
        let each = names.iter().zip(&scene.segments);
        each.map(move |(name, segment)| Of { labels: name.labels(), number: number(segment) })
    };
    let bytes = Some(&Unit::Bytes);
    let size = of(|segment| segment.record.size_bytes as u64);
    families.gauges("segment_size", "Bytes of a segment", bytes, size)?;
    let resident = of(|segment| segment.record.resident_bytes);
    families.gauges("segment_resident", "Bytes of it that are in memory", bytes, resident)?;
    let swapped = of(|segment| segment.record.swapped_bytes);
    families.gauges("segment_swapped", "Bytes of it that are swapped out", bytes, swapped)?;
    let attached = of(|segment| segment.record.attachment_count);
    families.gauges("segment_attachments", "Attachments to a segment", None, attached)?;
    let removed = of(|segment| segment.record.removed.into());
    families.gauges("segment_removed", "Whether it goes with its last attachment", None, removed)
}

fn regions(families: &mut Families<'_>, scene: &Scene) -> Result<(), Error> {
    let regions = named_regions(scene);
    let of = |number: fn(&RegionLook) -> u64| {
        regions.iter().map(move |(name, region)| Of { labels: name.labels(), number: number(region) })
    };
    let joined = of(|region| region.participants.len() as u64);
    families.gauges("region_participants", "Processes that have joined a region", None, joined)?;
    let dead = of(|region| region.dead_count() as u64);
    families.gauges("region_participants_dead", "Those of them that died in it", None, dead)?;
    let recoveries = of(|region| region.recovery_count);
    families.counters("region_recoveries", "Locks that were taken from the dead", recoveries)?;

    let orphaned = of(|region| region.orphaned_locks().count() as u64);
    families.gauges("region_locks_orphaned", "Locks whose holder has died", None, orphaned)?;
    let waiters = of(|region| region.locks.iter().map(|lock| lock.lock.waiters.len() as u64).sum());
    families.gauges("region_lock_waiters", "Processes that wait for a lock", None, waiters)?;
    let taken = regions.iter().flat_map(|(name, region)| {
        region.locks.iter().map(|lock| Of {
            labels: name.with("lock", &lock.lock.name),
            number: lock.lock.acquisition_count,
        })
    });
    families.counters("lock_acquisitions", "How often a lock was taken", taken)
}

fn channels(families: &mut Families<'_>, scene: &Scene) -> Result<(), Error> {
    let regions = named_regions(scene);
    let of = |number: fn(&ChannelState) -> Option<u64>| {
        regions.iter().flat_map(move |(name, region)| {
            region.channels.iter().filter_map(move |channel| {
                let labels = name.with("channel", &channel.channel.name);
                Some(Of { labels, number: number(&channel.channel.state)? })
            })
        })
    };
    let ready = of(|state| Some(state.ready_count as u64));
    families.gauges("channel_ready", "Messages that wait to be received", None, ready)?;
    let capacity = of(|state| Some(state.capacity as u64));
    families.gauges("channel_capacity", "Most messages that a channel holds", None, capacity)?;
    let orphans = of(|state| Some(state.orphan_count as u64));
    families.gauges("channel_orphans", "Messages that the dead had in hand", None, orphans)?;
    families.counters("channel_sent", "Messages sent", of(|state| state.sent_count))?;
    families.counters("channel_received", "Messages received", of(|state| state.received_count))
}

fn named_regions(scene: &Scene) -> Vec<(Name<'_>, &RegionLook)> {
    scene.segments.iter().filter_map(|segment| Some((Name::of(segment), segment.inside.as_ref()?))).collect()
}

/// What tells a segment from others, and a person which it is.
struct Name<'a> {
    id: String,
    key: &'a str,
    name: &'a str,
}

impl Name<'_> {
    fn of(segment: &SegmentLook) -> Name<'_> {
        let name = segment.inside.as_ref().map_or("", |region| region.name.as_str());
        Name { id: segment.record.id.to_string(), key: &segment.record.key_hex, name }
    }

    fn labels(&self) -> Labels<'_> {
        vec![("id", &self.id), ("key", self.key), ("name", self.name)]
    }

    fn with<'a>(&'a self, what: &'static str, part: &'a str) -> Labels<'a> {
        let mut labels = self.labels();
        labels.push((what, part));
        labels
    }
}
