//! Prometheus' text format, version 0.0.4. Pure.

use std::fmt::Write;

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text, family by family.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    /// The present family, whose head is written with its first sample: one without any is nothing.
    name: &'static str,
    head: Option<(Kind, &'static str)>,
}

impl Exposition {
    /// Begins a family; the samples that follow belong to it.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.name = name;
        self.head = Some((kind, help));
    }

    /// One sample of the present family; a histogram's have suffixes.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let name = self.name;
        if let Some((kind, help)) = self.head.take() {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
        self.write(format_args!("{name}{suffix}"));
        for (index, (label, value)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{open}{label}=\"{}\"", escaped(value)));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{close} {value}\n"));
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_a_head_and_label_values_are_escaped() {
        let mut out = Exposition::default();
        out.family("nothing_total", Kind::Counter, "Nothing.");
        out.family("up", Kind::Gauge, "Whether it is up.");
        out.sample("", &[], 1.0);
        out.sample("", &[("of", "a\"b\\c\nd"), ("other", "ü")], 0.25);
        out.family("took_seconds", Kind::Histogram, "How long.");
        out.sample("_bucket", &[("le", "+Inf")], 3.0);
        let expected = concat!(
            "# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n",
            "up{of=\"a\\\"b\\\\c\\nd\",other=\"ü\"} 0.25\n",
            "# HELP took_seconds How long.\n# TYPE took_seconds histogram\n",
            "took_seconds_bucket{le=\"+Inf\"} 3\n",
        );
        assert_eq!(out.into_text(), expected);
    }
}
