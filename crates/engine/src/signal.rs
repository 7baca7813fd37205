use paramedic_model::{Labels, METRIC_NAME, TimeMs, is_stale};
use paramedic_promql::{Family, RowRef, Source};

/// What the samples say of an alert that its rule no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its expression is clear, on fresh samples.
    Clear(String),
    /// Its series vanished, and so did their target: unknown.
    Blind {
        /// What vanished, and why.
        reason: String,
        /// The `job` of their target.
        job: String,
        /// Its `instance`.
        instance: String,
    },
    /// Its series vanished, and their target, read since, does not have them any more.
    Removed(String),
}

/// Tells why an alert that came from the series `origins` is gone.
///
/// A family of which no series is left cannot speak for the alert. Series of one family stand for
/// each other: a proxy that lost one of two servers is judged by the other.
pub(crate) fn why_gone(source: &dyn Source, origins: &[Labels], now: TimeMs) -> Gone {
    let mut vanished = Vec::new();
    for name in families(origins) {
        let members = origins.iter().filter(|origin| origin.metric_name() == Some(name));
        let members: Vec<_> = members.collect();
        if !members.iter().any(|origin| newest(source, origin).is_some()) {
            vanished.push((name, members[0]));
        }
    }
    let Some((name, origin)) = vanished.first() else {
        let count = origins.len();
        let them = if count == 1 { "series" } else { "series, all read anew" };
        return Gone::Clear(format!("the expression is false on {count} {them}, at {now}"));
    };
    let (job, instance) = (origin.value("job"), origin.value("instance"));
    let target = Labels::from([("__name__", "up"), ("job", job), ("instance", instance)]);
    let blind = |reason| Gone::Blind { reason, job: job.to_owned(), instance: instance.to_owned() };
    match newest(source, &target) {
        Some((at, 1.0)) => Gone::Removed(format!(
            "{instance} was read at {at} and no longer has {name}: what the alert was about was \
             removed or disabled, which is not a recovery"
        )),
        Some(_) => blind(format!("{name} vanished because {instance} cannot be looked at")),
        None => blind(format!("{name} vanished, and nothing says whether {instance} is up")),
    }
}

/// The distinct metric names of `origins`, in order.
fn families(origins: &[Labels]) -> Vec<&str> {
    let mut names: Vec<_> = origins.iter().filter_map(Labels::metric_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The newest sample of the series that has at least the labels of `wanted`, unless it ended.
fn newest(source: &dyn Source, wanted: &Labels) -> Option<(TimeMs, f64)> {
    let row = row_of(source, wanted)?;
    let family = source.family(row.family);
    let (at, value) = (family.newest_at[row.row as usize], family.newest_value[row.row as usize]);
    (!is_stale(value)).then_some((at, value))
}

/// The row of a series that has at least the labels of `wanted`: one that goes on, else one that ended.
pub(crate) fn row_of(source: &dyn Source, wanted: &Labels) -> Option<RowRef> {
    let id = source.find_family(wanted.metric_name()?)?;
    let family = source.family(id);
    let is_wanted = |row: &u32| has_labels(source, &family, *row, wanted);
    let mut rows = (0..family.row_count() as u32).filter(is_wanted);
    let first = rows.next()?;
    let goes_on = |row: &u32| !is_stale(family.newest_value[*row as usize]);
    let row = std::iter::once(first).chain(rows).find(goes_on).unwrap_or(first);
    Some(RowRef { family: id, row })
}

/// Whether a row is in use and has at least the labels of `wanted`, whose metric name is the family's.
pub(crate) fn has_labels(
    source: &dyn Source,
    family: &Family<'_>,
    row: u32,
    wanted: &Labels,
) -> bool {
    let mut labels = wanted.iter().filter(|(name, _)| *name != METRIC_NAME);
    family.newest_at[row as usize] != Family::NEVER
        && labels.all(|(name, value)| {
            let symbol = family.column(name).and_then(|column| column.symbol(row));
            symbol.is_some_and(|symbol| source.text(symbol) == value)
        })
}
