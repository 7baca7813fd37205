use paramedic_model::{Labels, TimeMs, is_stale};
use paramedic_promql::{NO_VALUE, Source};

/// What the samples say of an alert that its rule no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its expression is clear, on fresh samples.
    Clear(String),
    /// Its series vanished, and so did their target: unknown.
    Blind(String),
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
    match newest(source, &target) {
        Some((at, 1.0)) => Gone::Removed(format!(
            "{instance} was read at {at} and no longer has {name}: what the alert was about was \
             removed or disabled, which is not a recovery"
        )),
        Some(_) => Gone::Blind(format!("{name} vanished because {instance} cannot be looked at")),
        None => Gone::Blind(format!("{name} vanished, and nothing says whether {instance} is up")),
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
    let id = source.find_family(wanted.metric_name()?)?;
    let family = source.family(id);
    let row = (0..family.row_count() as u32).find(|row| {
        wanted.iter().filter(|(name, _)| *name != paramedic_model::METRIC_NAME).all(
            |(name, value)| {
                family.column(name).is_some_and(|column| {
                    column.codes[*row as usize] != NO_VALUE
                        && column.symbol(*row).is_some_and(|symbol| source.text(symbol) == value)
                })
            },
        ) && family.newest_at[*row as usize] != paramedic_promql::Family::NEVER
            && !is_stale(family.newest_value[*row as usize])
    })?;
    Some((family.newest_at[row as usize], family.newest_value[row as usize]))
}
