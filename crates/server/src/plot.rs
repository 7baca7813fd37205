//! A small picture of an alert's expression: lines, threshold, and the moments that count.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use maud::{Markup, html};
use paramedic_engine::{Plot, PlotSeries};
use paramedic_model::{Sample, TimeMs};

use crate::words::{folded_beyond, moment_text, span};

/// The picture, in its own units.
const WIDTH: f64 = 500.0;
const HEIGHT: f64 = 176.0;
/// Room for values on the left, for moments below, for marks above.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 24.0;
/// How far two marks must be apart for both to have their words.
const MARK_WIDTH: f64 = 72.0;
/// How much of an expression the caption shows.
const CAPTION_CHARS: usize = 120;
/// A line is broken where samples are this many steps apart: nothing is known in between.
const GAP_STEPS: i64 = 3;

/// The moments that are marked.
pub(crate) struct Marks {
    /// Since when the expression has been true.
    pub active_at: TimeMs,
    /// When the alert fired.
    pub fired_at: TimeMs,
    /// When the incident was closed.
    pub closed_at: Option<TimeMs>,
}

/// The picture with its caption.
pub(crate) fn figure(plot: &Plot, marks: &Marks) -> Markup {
    let Some(scale) = Scale::new(plot) else {
        return html! {
            figure.plot {
                figcaption {
                    "No sample of " code { (plot.expr) } " is kept from that time, so there is "
                    "nothing to draw."
                }
            }
        };
    };
    let words = describe(plot, &scale, marks);
    html! {
        figure.plot {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(words) {
                (axes(plot, &scale))
                @if let Some(threshold) = plot.threshold {
                    line.threshold x1=(LEFT) x2=(WIDTH - RIGHT)
                        y1=(px(scale.y(threshold))) y2=(px(scale.y(threshold))) {}
                }
                @for (i, series) in plot.series.iter().enumerate() {
                    path.line data-line=(i) d=(path(series, &scale)) {}
                }
                (moments(&scale, marks))
            }
            figcaption {
                code { (folded_beyond(&plot.expr, CAPTION_CHARS)) }
                @if let Some(threshold) = plot.threshold {
                    ", compared with " b { (value(threshold)) } " (dashed)"
                }
                @if plot.series.len() > 1 {
                    ul.legend {
                        @for (i, series) in plot.series.iter().enumerate() {
                            li data-line=(i) { code { (series.labels.to_string()) } }
                        }
                    }
                }
            }
        }
    }
}

/// From moments and values to places.
struct Scale {
    start: TimeMs,
    end: TimeMs,
    low: f64,
    high: f64,
    /// The usual distance of two samples, in milliseconds.
    step_ms: i64,
}

impl Scale {
    /// `None` where there is nothing to draw.
    fn new(plot: &Plot) -> Option<Self> {
        let samples = || plot.series.iter().flat_map(|series| &series.samples);
        let values = samples().map(|sample| sample.value).chain(plot.threshold);
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if samples().all(|sample| !sample.value.is_finite()) || plot.end <= plot.start {
            return None;
        }
        let steps = plot.series.iter().flat_map(|series| series.samples.windows(2));
        let step_ms = steps.map(|pair| pair[1].at.0 - pair[0].at.0).min();
        // A line that never moves stands in the middle.
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        Some(Self {
            start: plot.start,
            end: plot.end,
            low,
            high,
            step_ms: step_ms.unwrap_or(1).max(1),
        })
    }

    fn x(&self, at: TimeMs) -> f64 {
        let part = (at.0 - self.start.0) as f64 / (self.end.0 - self.start.0) as f64;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        // A little air, so that no line lies on the frame.
        const AIR: f64 = 8.0;
        let part = (value - self.low) / (self.high - self.low);
        let (top, bottom) = (TOP + AIR, HEIGHT - BOTTOM - AIR);
        bottom - part.clamp(0.0, 1.0) * (bottom - top)
    }

    fn shows(&self) -> RangeInclusive<TimeMs> {
        self.start..=self.end
    }
}

/// Coordinates need no more than a tenth of a unit.
fn px(place: f64) -> String {
    format!("{place:.1}")
}

/// A line that keeps each value until the next sample, as the engine itself reads samples.
fn path(series: &PlotSeries, scale: &Scale) -> String {
    let mut path = String::new();
    let mut last: Option<Sample> = None;
    for sample in &series.samples {
        if !sample.value.is_finite() {
            last = None;
            continue;
        }
        let (x, y) = (px(scale.x(sample.at)), px(scale.y(sample.value)));
        let follows = last.filter(|last| sample.at.0 - last.at.0 < GAP_STEPS * scale.step_ms);
        let _ = match follows {
            Some(last) if last.value == sample.value => write!(path, "H{x}"),
            Some(_) => write!(path, "H{x}V{y}"),
            // The end of a line of one sample is a dot.
            None => write!(path, "M{x} {y}h.1"),
        };
        last = Some(*sample);
    }
    path
}

fn axes(plot: &Plot, scale: &Scale) -> Markup {
    const TICKS: i64 = 4;
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut values = vec![scale.low, scale.high];
    // The threshold's value has its place where it does not run into another.
    let far = |value: f64| values.iter().all(|v| (scale.y(*v) - scale.y(value)).abs() > 14.0);
    if let Some(threshold) = plot.threshold.filter(|threshold| far(*threshold)) {
        values.push(threshold);
    }
    let length = scale.end.0 - scale.start.0;
    let ticks = (0..=TICKS).map(|tick| TimeMs(scale.start.0 + length * tick / TICKS));
    html! {
        path.axis d=(format!("M{LEFT} {TOP}V{bottom}H{right}")) {}
        @for at in values {
            text.tick x=(LEFT - 6.0) y=(px(scale.y(at) + 4.0)) text-anchor="end" { (value(at)) }
        }
        @for (i, at) in ticks.enumerate() {
            @let anchor = match i as i64 { 0 => "start", TICKS => "end", _ => "middle" };
            text.tick x=(px(scale.x(at))) y=(HEIGHT - 6.0) text-anchor=(anchor) {
                (tick(at, length))
            }
        }
    }
}

/// A moment on the axis: seconds only where they tell two of them apart.
fn tick(at: TimeMs, length_ms: i64) -> String {
    const WITH_SECONDS_MS_MAX: i64 = 15 * 60 * 1000;
    let text = moment_text(at);
    let digits = if length_ms <= WITH_SECONDS_MS_MAX { "00:00:00" } else { "00:00" };
    text.chars().take(digits.len()).collect()
}

fn moments(scale: &Scale, marks: &Marks) -> Markup {
    let shown = scale.shows();
    let mut moments = vec![("fired", "fired", marks.fired_at)];
    moments.extend(marks.closed_at.map(|at| ("closed", "closed", at)));
    let fired_x = scale.x(marks.fired_at);
    if (fired_x - scale.x(marks.active_at)).abs() > 2.0 {
        moments.insert(0, ("active", "true since", marks.active_at));
    }
    let moments = moments.into_iter().filter(|(.., at)| shown.contains(at));
    let (mut taken, mut was_left) = (f64::NEG_INFINITY, false);
    let placed: Vec<_> = moments
        .map(|(class, word, at)| {
            let x = scale.x(at);
            // Of two marks that are close, the first stands to the left of its line.
            let to_left = x > WIDTH - RIGHT - MARK_WIDTH
                || (class == "active" && fired_x - x < MARK_WIDTH && x > LEFT + MARK_WIDTH);
            let begin = if to_left { x - MARK_WIDTH } else { x };
            let has_room = begin >= taken - 1.0 || (to_left && !was_left);
            (taken, was_left) = (begin + MARK_WIDTH, to_left);
            (class, word, x, to_left, has_room)
        })
        .collect();
    html! {
        @for (class, word, x, to_left, has_room) in placed {
            line.moment.(class) x1=(px(x)) x2=(px(x)) y1=(TOP - 8.0) y2=(HEIGHT - BOTTOM) {}
            @if has_room {
                text.moment.(class) y=(TOP - 10.0)
                    x=(px(if to_left { x - 4.0 } else { x + 4.0 }))
                    text-anchor=(if to_left { "end" } else { "start" }) { (word) }
            }
        }
    }
}

/// The picture in words, for whoever does not see it.
fn describe(plot: &Plot, scale: &Scale, marks: &Marks) -> String {
    let mut text = format!(
        "{} over {}: between {} and {}.",
        plot.expr,
        span(scale.end.since(scale.start)),
        value(scale.low),
        value(scale.high),
    );
    if let Some(threshold) = plot.threshold {
        let _ = write!(text, " Compared with {}.", value(threshold));
    }
    let last = plot.series.first().and_then(|series| series.samples.last());
    if let Some(last) = last {
        let _ = write!(text, " Last {} at {}.", value(last.value), moment_text(last.at));
    }
    let _ = write!(
        text,
        " True since {}, fired at {}.",
        moment_text(marks.active_at),
        moment_text(marks.fired_at)
    );
    text
}

/// A number, short.
fn value(number: f64) -> String {
    const WHOLE_MAX: f64 = 1e6;
    let size = number.abs();
    if size >= WHOLE_MAX || (size < 1e-3 && size > 0.0) {
        format!("{number:.2e}")
    } else if number.fract() == 0.0 {
        format!("{number}")
    } else {
        let text = format!("{number:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use paramedic_model::Labels;

    use super::*;

    fn plot(values: &[(i64, f64)], threshold: Option<f64>) -> Plot {
        let samples =
            values.iter().map(|(s, value)| Sample { at: TimeMs(s * 1000), value: *value });
        Plot {
            expr: "x".to_owned(),
            threshold,
            start: TimeMs(0),
            end: TimeMs(100_000),
            series: vec![PlotSeries { labels: Labels::empty(), samples: samples.collect() }],
        }
    }

    fn line(values: &[(i64, f64)]) -> String {
        let plot = plot(values, None);
        path(&plot.series[0], &Scale::new(&plot).expect("there are samples"))
    }

    #[test]
    fn a_value_holds_until_the_next_sample_and_never_over_a_gap() {
        assert_eq!(line(&[(0, 1.0), (10, 1.0), (20, 0.0)]), "M46.0 34.0h.1H90.0H134.0V144.0");
        let broken = "M46.0 144.0h.1H90.0V34.0M398.0 34.0h.1";
        assert_eq!(line(&[(0, 0.0), (10, 1.0), (80, 1.0)]), broken);
        assert_eq!(line(&[(0, f64::NAN), (10, 1.0)]), "M90.0 89.0h.1");
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (0.25, "0.25"),
            (1.0 / 3.0, "0.333"),
            (1.5e9, "1.50e9"),
            (2e-7, "2.00e-7"),
            (-3.0, "-3"),
        ] {
            assert_eq!(value(number), text);
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let marks = Marks { active_at: TimeMs(0), fired_at: TimeMs(0), closed_at: None };
        for empty in [plot(&[], Some(1.0)), plot(&[(1, f64::INFINITY)], None)] {
            let html = figure(&empty, &marks).into_string();
            assert!(html.contains("nothing to draw") && !html.contains("<svg"), "{html}");
        }
    }
}
